/* SPDX-License-Identifier: MIT */
/*
 * What spinlock.c asks of a vCPU's event port for locks: it stays masked, and is only polled, so no
 * handler takes it away. spinlock_port.c, or the hosted model.
 */
#ifndef PVMM_ARCH_SPINLOCK_H
#define PVMM_ARCH_SPINLOCK_H

#include <pvmm/types.h>

/* Whether this vCPU has one: not before it has been given one, at the boot or after a restore. */
bool lock_port_is_there(void);

/* Forgets what is pending on it. */
void lock_port_clear(void);

/* Returns when it is pending, at once if it is, or when any other event of this vCPU's has come. */
void lock_port_wait(void);

/* Makes a vCPU's pending: this one's, or that of one that sleeps. */
void lock_port_raise(unsigned int vcpu);

#endif
