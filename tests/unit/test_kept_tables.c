/* SPDX-License-Identifier: MIT */
/*
 * Tables that are kept for their next use, validated and empty (mm/table_cache.c): used again, kept
 * only where it pays, limited, and given back when memory is wanted.
 */
#include "tests/unit/region.h"

/* The second process of a kind needs no validation but of the upper levels of its copy. */
static void kept_tables_are_used_again(void **state)
{
	(void)state;
	start(30);
	put(&space, UNIT_VA, 1);
	assert_int_equal(pvmm_space_clear(&space), 0);
	assert_int_equal(pvmm_table_cache_stats().nr_pages, 3);
	assert_clean();

	model_counters_reset();
	assert_int_equal(pvmm_space_region(&space, UNIT_VA, 30, PVMM_PROT_RW), 0);
	assert_int_equal(get(&space, UNIT_VA), 0);
	put(&space, UNIT_VA, 2);
	assert_int_equal(model_counters().validations, 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(pvmm_table_cache_stats().nr_pages, 0);
	assert_int_equal(pvmm_space_clear(&space), 0);

	assert_int_equal(pvmm_space_region(&space, UNIT_VA, 30, PVMM_PROT_RW), 0);
	put(&space, UNIT_VA, 3);
	for (unsigned int i = 0; i < 5; i++) {
		model_counters_reset();
		assert_int_equal(pvmm_space_clone(&copy, &space, "copy"), 0);
		assert_int_equal(pvmm_space_destroy(&copy), 0);
		assert_clean();
		/* L3, L2 and two roots; not the L1, from the second time on. */
		assert_int_equal(model_counters().validations, i ? 4 : 5);
	}
	finish();
}

/* One that is dense is validated as a whole: no entry of it costs an operation. */
static void dense_tables_are_not_kept(void **state)
{
	(void)state;
	start(512);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 512), 0);
	assert_int_equal(pvmm_space_clear(&space), 0);
	assert_int_equal(pvmm_table_cache_stats().nr_pages, 2); /* L2 and L3 */
	finish();
}

static void the_cache_is_limited_and_given_back(void **state)
{
	uint64_t kept;

	(void)state;
	free_before = pvmm_free_pages();
	assert_int_equal(pvmm_space_create(&space, "wide"), 0);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(
			pvmm_space_region(&space, UNIT_VA + i * TABLE_BYTES, 1, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_activate(&space), 0);
	for (uint64_t i = 0; i < 100; i++)
		put(&space, UNIT_VA + i * TABLE_BYTES, i);
	assert_int_equal(pvmm_space_clear(&space), 0);
	kept = pvmm_table_cache_stats().nr_pages;
	assert_in_range(kept, 20, 90);
	assert_clean();

	model_counters_reset();
	assert_int_equal(pvmm_table_cache_shrink(), kept);
	assert_int_equal(model_counters().traps, kept > 64 ? 2 : 1);
	assert_int_equal(pvmm_table_cache_shrink(), 0);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(kept_tables_are_used_again),
		UNIT_TEST(dense_tables_are_not_kept),
		UNIT_TEST(the_cache_is_limited_and_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
