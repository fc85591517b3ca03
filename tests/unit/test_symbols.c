/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses (include/pvmm/symbol.h): the function that contains an address, its edges,
 * and what a report prints of it. R14: reports name functions.
 */
#include <pvmm/symbol.h>
#include "tests/unit/unit.h"

/* What the second link would put in: three functions, the last entry ends the text. */
const char pvmm_symbol_names[] = "start\0middle\0last\0end";
const struct pvmm_symbol pvmm_symbol_table[] = {
	{0x1000, 0}, {0x1040, 6}, {0x2000, 13}, {0x3000, 18}};
const uint32_t pvmm_symbol_count = 4;

static void assert_symbol(uint64_t offset, const char *name, uintptr_t distance)
{
	uintptr_t got = 12345;
	const char *found = pvmm_symbol_lookup(PVMM_KERNEL_BASE + offset, &got);

	if (!name) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, name);
	assert_int_equal(got, distance);
}

static void inside_and_at_the_edges(void **state)
{
	(void)state;
	assert_symbol(0x1000, "start", 0);
	assert_symbol(0x103f, "start", 0x3f);
	assert_symbol(0x1040, "middle", 0);
	assert_symbol(0x1fff, "middle", 0xfbf);
	assert_symbol(0x2000, "last", 0);
	assert_symbol(0x2fff, "last", 0xfff);
}

static void outside(void **state)
{
	uintptr_t offset;

	(void)state;
	assert_symbol(0, NULL, 0);
	assert_symbol(0xfff, NULL, 0);
	assert_symbol(0x3000, NULL, 0);
	assert_symbol(0x100001040ULL, NULL, 0); /* the same low half */
	assert_null(pvmm_symbol_lookup(0, &offset));
	assert_null(pvmm_symbol_lookup(PVMM_KERNEL_BASE - 1, &offset));
	assert_null(pvmm_symbol_lookup(UINTPTR_MAX, &offset));
}

static void in_a_format(void **state)
{
	char text[64];

	(void)state;
	pvmm_snprintf(text, sizeof(text), "%pS < %pS", (void *)(PVMM_KERNEL_BASE + 0x1052),
		      (void *)(PVMM_KERNEL_BASE + 0x2000));
	assert_string_equal(text, "middle+0x12 < last+0x0");
	pvmm_snprintf(text, sizeof(text), "%pS", (void *)0x42);
	assert_string_equal(text, "0x42");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inside_and_at_the_edges),
		cmocka_unit_test(outside),
		cmocka_unit_test(in_a_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
