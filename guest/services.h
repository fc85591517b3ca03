/* SPDX-License-Identifier: MIT */
/* What a kernel that stays up does beside its work. */
#ifndef GUEST_SERVICES_H
#define GUEST_SERVICES_H

#include <pvmm/types.h>

/*
 * Starts the threads that look after memory, the toolstack (control.h, hotplug.h, balloon.h) and
 * the console (shell.h). False when there is no memory for them. Where there is no store, the
 * toolstack is not heard, a line says so, and the kernel does its work all the same.
 */
bool services_start(void);
void services_stop(void);

/* Whether the toolstack is heard. */
bool services_hear_toolstack(void);

#endif
