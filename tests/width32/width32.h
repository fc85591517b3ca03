/* SPDX-License-Identifier: MIT */
/* What the files of the 32-bit test kernel share. */
#ifndef WIDTH32_H
#define WIDTH32_H

#include <pvmm/hypercall.h>

#define WIDTH32_BASE 0xc0000000ul

void width32_main(const struct start_info *si);

/* One line on the hypervisor's console. */
void check(const char *what, bool holds);

/* pae.c */
void try_pae(const struct start_info *si);

#endif
