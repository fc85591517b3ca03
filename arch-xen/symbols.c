/* SPDX-License-Identifier: MIT */
/* Looks names up in the table that the second link put into the image. Owns nothing. */
#include <pvmm/layout.h>
#include <pvmm/symbol.h>

const char *pvmm_symbol_lookup(uintptr_t addr, uintptr_t *offset)
{
	uint64_t at = addr - PVMM_KERNEL_BASE;
	uint32_t low = 0, high;

	if (!&pvmm_symbol_count || !pvmm_symbol_count)
		return NULL;

	/* The last symbol that starts at or before the address. The last of all ends the text. */
	high = pvmm_symbol_count;
	if (at < pvmm_symbol_table[0].offset || at >= pvmm_symbol_table[high - 1].offset)
		return NULL;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (pvmm_symbol_table[middle].offset <= at)
			low = middle;
		else
			high = middle;
	}
	*offset = at - pvmm_symbol_table[low].offset;
	return pvmm_symbol_names + pvmm_symbol_table[low].name;
}
