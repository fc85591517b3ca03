/* SPDX-License-Identifier: MIT */
/*
 * User memory: regions whose pages appear when touched; ranges unmapped, protected and cleared. R1,
 * R9, R25. Copies of spaces are test_copies.c's.
 *
 * A fault here looks like a page that is lost or freed twice, or a table freed while a TLB or a
 * paging-structure cache still leads through it.
 */
#include "tests/unit/region.h"

static void pages_appear_zeroed(void **state)
{
	struct pvmm_page *dirty[64];

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		dirty[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		memset(pvmm_page_virt(dirty[i]), 0x5a, PVMM_PAGE_SIZE);
	}
	for (unsigned int i = 0; i < 64; i++)
		pvmm_page_put(dirty[i]);

	start(600);
	assert_int_equal(space.nr_pages, 0);
	for (uint64_t i = 0; i < 600; i += 7) {
		assert_int_equal(get(&space, UNIT_VA + i * PVMM_PAGE_SIZE), 0);
		put(&space, UNIT_VA + i * PVMM_PAGE_SIZE, i);
	}
	assert_clean();
	for (uint64_t i = 0; i < 600; i += 7)
		assert_int_equal(get(&space, UNIT_VA + i * PVMM_PAGE_SIZE), i);
	assert_int_equal(space.nr_pages, 86);
	finish();
}

static void only_what_regions_allow(void **state)
{
	(void)state;
	start(4);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + TABLE_BYTES, 1, PVMM_PROT_RO), 0);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA - 1, READ), -XEN_EFAULT);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA + 4 * PVMM_PAGE_SIZE, READ), -XEN_EFAULT);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA + TABLE_BYTES, WRITE), -XEN_EFAULT);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA, READ | PVMM_PF_FETCH), -XEN_EFAULT);
	assert_int_equal(pvmm_space_fault(&space, PVMM_PAGES_BASE, READ), -XEN_EFAULT);
	assert_int_equal(space.nr_pages, 0);

	assert_int_equal(get(&space, UNIT_VA + TABLE_BYTES), 0);
	assert_true(model_write_faults(word(UNIT_VA + TABLE_BYTES)));
	/* Resolved already, by another vCPU say: nothing to do, nothing changes. */
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA + TABLE_BYTES, READ), 0);
	assert_int_equal(space.nr_pages, 1);
	finish();
}

static void regions_do_not_overlap(void **state)
{
	(void)state;
	start(16);
	for (int first = -4; first <= 19; first += 1) {
		bool overlaps = first > -4 && first < 16;

		assert_int_equal(pvmm_space_region(&space, UNIT_VA + first * (int)PVMM_PAGE_SIZE, 4,
						   PVMM_PROT_RW),
				 overlaps ? -XEN_EEXIST : 0);
		if (!overlaps)
			assert_int_equal(pvmm_space_unmap_range(
						 &space, UNIT_VA + first * (int)PVMM_PAGE_SIZE, 4),
					 0);
	}
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + 1, 1, PVMM_PROT_RW), -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, 0, 1, PVMM_PROT_RW), -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, PVMM_USER_END - PVMM_PAGE_SIZE, 2, PVMM_PROT_RW),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + TABLE_BYTES, UINT64_MAX, PVMM_PROT_RW),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + TABLE_BYTES, 0, PVMM_PROT_RW),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + TABLE_BYTES, 1, 0), -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&pvmm_kernel_space, UNIT_VA, 1, PVMM_PROT_RW),
			 -XEN_EINVAL);
	finish();
}

/* One fault fills a group; what is there already stays. */
static void faults_fill_groups(void **state)
{
	(void)state;
	start(1000);
	put(&space, UNIT_VA + 5 * PVMM_PAGE_SIZE, 55);
	assert_int_equal(pvmm_fault_around(16), 0);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA, READ), 0);
	assert_int_equal(space.nr_pages, 16);
	assert_int_equal(*word(UNIT_VA + 5 * PVMM_PAGE_SIZE), 55);

	/* It ends with the region. */
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA + 999 * PVMM_PAGE_SIZE, WRITE), 0);
	assert_int_equal(space.nr_pages, 16 + 1000 % 16);
	assert_int_equal(pvmm_fault_around(0), -XEN_EINVAL);
	assert_int_equal(pvmm_fault_around(3), -XEN_EINVAL);
	assert_int_equal(pvmm_fault_around(128), -XEN_EINVAL);
	finish();
}

static void ranges_fill_at_once(void **state)
{
	(void)state;
	start(1024);
	model_counters_reset();
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 1024), 0);
	assert_in_range(model_counters().traps, 2, 3);
	assert_int_equal(space.nr_pages, 1024);
	for (uint64_t i = 0; i < 1024; i++)
		*word(UNIT_VA + i * PVMM_PAGE_SIZE) = i;
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA + 1000 * PVMM_PAGE_SIZE, 25),
			 -XEN_ENOENT);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 1024), 0);
	for (uint64_t i = 0; i < 1024; i++)
		assert_int_equal(*word(UNIT_VA + i * PVMM_PAGE_SIZE), i);

	model_counters_reset();
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 1024, PVMM_PROT_RO), 0);
	assert_true(model_write_faults(word(UNIT_VA + 512 * PVMM_PAGE_SIZE)));
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA, WRITE), -XEN_EFAULT);
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 1024, PVMM_PROT_RW), 0);
	assert_in_range(model_counters().traps, 2, 6);
	*word(UNIT_VA + 512 * PVMM_PAGE_SIZE) = 1;

	model_counters_reset();
	assert_int_equal(pvmm_space_unmap_range(&space, UNIT_VA, 1024), 0);
	assert_in_range(model_counters().traps, 2, 3);
	assert_int_equal(space.nr_pages, 0);
	assert_clean();
	finish();
}

/* What is shared with a copy does not become writable by a change of rights. */
static void protection_keeps_sharing(void **state)
{
	(void)state;
	start(8);
	put(&space, UNIT_VA, 5);
	assert_int_equal(pvmm_space_clone(&copy, &space, "copy"), 0);
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 8, PVMM_PROT_RO), 0);
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 8, PVMM_PROT_RW), 0);
	assert_true(model_write_faults(word(UNIT_VA)));
	put(&space, UNIT_VA, 6);
	assert_int_equal(pvmm_space_activate(&copy), 0);
	assert_int_equal(get(&copy, UNIT_VA), 5);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(pvmm_space_destroy(&copy), 0);
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 9, PVMM_PROT_RO), -XEN_ENOENT);
	finish();
}

/* Every way to take a piece out of a region of 12 pages, with pages mapped in it. */
static void pieces_go(void **state)
{
	(void)state;
	for (unsigned int first = 0; first < 12; first++)
		for (unsigned int nr = 1; first + nr <= 12; nr += 2) {
			start(12);
			for (unsigned int i = 0; i < 12; i++)
				put(&space, UNIT_VA + i * PVMM_PAGE_SIZE, 100 + i);
			assert_int_equal(pvmm_space_unmap_range(
						 &space, UNIT_VA + first * PVMM_PAGE_SIZE, nr),
					 0);
			assert_int_equal(space.nr_pages, 12 - nr);
			for (unsigned int i = 0; i < 12; i++) {
				pvmm_va_t va = UNIT_VA + i * PVMM_PAGE_SIZE;

				if (i < first || i >= first + nr)
					assert_int_equal(get(&space, va), 100 + i);
				else
					assert_int_equal(pvmm_space_fault(&space, va, READ),
							 -XEN_EFAULT);
			}
			finish();
		}
}

/*
 * R25: a table that goes is flushed from every vCPU that may walk through it; also on a Xen that
 * does not flush by itself when an upper entry changes (before XSA-286).
 */
static void tables_go_after_the_flush(void **state)
{
	(void)state;
	unit_reboot(&(struct model_options){.no_upper_flush = true});
	start(512);
	model_vcpu_up(1);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 512), 0);
	model_set_vcpu(1);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(model_access(UNIT_VA, true), MODEL_DONE);
	assert_int_equal(model_access(UNIT_VA + 99 * PVMM_PAGE_SIZE, true), MODEL_DONE);
	model_set_vcpu(0);
	assert_int_equal(model_access(UNIT_VA, true), MODEL_DONE);
	assert_int_equal(pvmm_space_unmap_range(&space, UNIT_VA, 512), 0);
	assert_int_equal(space.nr_tables, 2 + 2); /* its L1 is gone */
	model_set_vcpu(1);
	assert_int_equal(model_access(UNIT_VA, true), MODEL_FAULT);
	assert_int_equal(model_access(UNIT_VA + 99 * PVMM_PAGE_SIZE, false), MODEL_FAULT);

	/* One that is kept changes no type, for which Xen would flush. */
	assert_int_equal(pvmm_space_region(&space, UNIT_VA, 4, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 4), 0);
	assert_int_equal(model_access(UNIT_VA + PVMM_PAGE_SIZE, true), MODEL_DONE);
	model_set_vcpu(0);
	assert_int_equal(pvmm_space_unmap_range(&space, UNIT_VA, 4), 0);
	model_set_vcpu(1);
	assert_int_equal(model_access(UNIT_VA + PVMM_PAGE_SIZE, true), MODEL_FAULT);

	/* The same with the whole user half. */
	assert_int_equal(pvmm_space_region(&space, UNIT_VA, 512, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 512), 0);
	assert_int_equal(model_access(UNIT_VA + 7 * PVMM_PAGE_SIZE, true), MODEL_DONE);
	model_set_vcpu(0);
	assert_int_equal(pvmm_space_clear(&space), 0);
	model_set_vcpu(1);
	assert_int_equal(model_access(UNIT_VA + 7 * PVMM_PAGE_SIZE, true), MODEL_FAULT);
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	model_set_vcpu(0);
	finish();
}

static void fault_with_little_memory(void **state)
{
	(void)state;
	start(30);
	assert_int_equal(pvmm_fault_around(16), 0);
	while (pvmm_free_pages() > 2)
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA, READ), -XEN_ENOMEM);
	assert_int_equal(pvmm_free_pages(), 2);
	assert_clean();
}

/* Random operations on two spaces against a plain record of their contents. */
static void random_contents(void **state)
{
	enum { NR = 48, STEPS = 3000 };
	static uint64_t expected[2][NR];
	struct pvmm_space *spaces[2] = {&space, &copy};
	bool exists[2] = {true, false};
	unsigned int at = 0;
	uint64_t seed = 42;

	(void)state;
	memset(expected, 0, sizeof(expected));
	start(NR);
	for (unsigned int step = 0; step < STEPS; step++) {
		uint64_t what = unit_random(&seed) % 100, i = unit_random(&seed) % NR;
		pvmm_va_t va = UNIT_VA + i * PVMM_PAGE_SIZE;

		if (what < 40) {
			put(spaces[at], va, expected[at][i] = step + 1);
		} else if (what < 80) {
			assert_int_equal(get(spaces[at], va), expected[at][i]);
		} else if (what < 84) {
			assert_int_equal(pvmm_fault_around(1u << unit_random(&seed) % 7), 0);
		} else if (what < 90 && exists[!at]) {
			at = !at;
			assert_int_equal(pvmm_space_activate(spaces[at]), 0);
		} else if (what < 94 && exists[!at]) {
			assert_int_equal(pvmm_space_destroy(spaces[!at]), 0);
			exists[!at] = false;
		} else if (what < 98 && !exists[!at]) {
			assert_int_equal(pvmm_space_clone(spaces[!at], spaces[at], "copy"), 0);
			memcpy(expected[!at], expected[at], sizeof(expected[at]));
			exists[!at] = true;
		} else {
			assert_int_equal(pvmm_space_unmap_range(spaces[at], va, 1), 0);
			assert_int_equal(pvmm_space_region(spaces[at], va, 1, PVMM_PROT_RW), 0);
			expected[at][i] = 0;
		}
		if (!(step % 100))
			assert_clean();
	}
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	for (unsigned int i = 0; i < 2; i++)
		if (exists[i])
			assert_int_equal(pvmm_space_destroy(spaces[i]), 0);
	assert_clean();
	pvmm_table_cache_shrink();
	assert_clean();
	assert_int_equal(pvmm_free_pages(), free_before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(pages_appear_zeroed),
		UNIT_TEST(only_what_regions_allow),
		UNIT_TEST(regions_do_not_overlap),
		UNIT_TEST(faults_fill_groups),
		UNIT_TEST(ranges_fill_at_once),
		UNIT_TEST(protection_keeps_sharing),
		UNIT_TEST(pieces_go),
		UNIT_TEST(tables_go_after_the_flush),
		UNIT_TEST(fault_with_little_memory),
		UNIT_TEST(random_contents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
