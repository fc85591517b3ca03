/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses. The table is made from the linked image's own symbols (tools/mksymbols.sh)
 * and linked in by a second link; an image without it prints addresses.
 */
#ifndef PVMM_SYMBOL_H
#define PVMM_SYMBOL_H

#include <pvmm/types.h>

/* One function: where it starts, from PVMM_KERNEL_BASE, and where its name is. Sorted. */
struct pvmm_symbol {
	uint32_t offset;
	uint32_t name;
};

extern PVMM_API const struct pvmm_symbol pvmm_symbol_table[] __attribute__((weak));
extern PVMM_API const uint32_t pvmm_symbol_count __attribute__((weak));
extern PVMM_API const char pvmm_symbol_names[] __attribute__((weak));

/* The function that contains addr and how far in it is; NULL if none is known. */
PVMM_API const char *pvmm_symbol_lookup(uintptr_t addr, uintptr_t *offset);

#endif
