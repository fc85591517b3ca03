/* SPDX-License-Identifier: MIT */
/* For start.c: options that every kernel of the library has. Ended by one without a name. */
#ifndef PVMM_ARCH_OPTIONS_H
#define PVMM_ARCH_OPTIONS_H

#include <pvmm/cmdline.h>

extern const struct pvmm_option library_options[];

/* nmi.c */
const char *parse_nmi(const char *value);

#endif
