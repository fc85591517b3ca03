/* SPDX-License-Identifier: MIT */
/* kmap's side that is for init.c and audit.c. */
#ifndef PVMM_MM_KMAP_H
#define PVMM_MM_KMAP_H

#include <pvmm/kmap.h>

struct keeper;
extern const struct keeper kmap_keeper;

/* Needs the region's L1 table, which the boot has made. */
void kmap_init(void);
unsigned int kmap_audit(void);

#endif
