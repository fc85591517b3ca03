/* SPDX-License-Identifier: MIT */
/*
 * What must be true of the page tables when the domain is stopped (mm/suspend.c): every table is
 * one for Xen, every entry maps a frame of the domain's own. Afterwards all is as it was; and when
 * it cannot be had, too, and a line says why.
 */
#include <pvmm/mm.h>
#include <pvmm/paging.h>
#include <pvmm/vmap.h>
#include "tests/unit/unit.h"

#define PAGES  20u
#define STRIDE (1ULL << 20) /* two in each L1 table */

/* A space with pages of its own. */
static void make(struct pvmm_space *space, const char *name)
{
	assert_int_equal(pvmm_space_create(space, name), 0);
	for (unsigned int i = 0; i < PAGES; i++) {
		struct pvmm_page *page = pvmm_page(unit_page_of(PVMM_PAGE_USER));

		assert_int_equal(pvmm_space_map(space, UNIT_VA + i * STRIDE, page, PVMM_PROT_RW),
				 0);
		pvmm_page_put(page);
	}
}

static bool is_table(pfn_t pfn, unsigned int level)
{
	struct model_frame frame = model_frame_of(pfn);

	return frame.validated && frame.type == MODEL_L1 + level - 1;
}

/* Whether all tables of the space are tables for Xen; the same for all of them. */
static bool are_tables_for_xen(const struct pvmm_space *space)
{
	unsigned int yes = is_table(space->user_root, PVMM_PT_LEVELS), nr = 1;

	for (unsigned int i = 0; i < PAGES; i++) {
		struct pvmm_walk w = pvmm_pt_walk(space->root, UNIT_VA + i * STRIDE);

		assert_int_equal(w.stopped_at, 1);
		for (unsigned int level = 1; level <= PVMM_PT_LEVELS; level++, nr++)
			yes += is_table(w.step[level].table, level);
	}
	assert_true(!yes || yes == nr);
	return yes;
}

static struct pvmm_space pinned, building[2];

static int boot(void **state)
{
	unit_boot(state);
	make(&building[0], "first");
	make(&pinned, "pinned");
	make(&building[1], "second");
	assert_int_equal(pvmm_space_pin(&pinned), 0);
	return 0;
}

/* All three as at the start, and good for use. */
static void assert_as_before(void)
{
	assert_clean();
	assert_true(are_tables_for_xen(&pinned));
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(building[i].state, PVMM_SPACE_BUILDING);
		assert_false(are_tables_for_xen(&building[i]));
	}
	assert_int_equal(pvmm_space_activate(&building[0]), 0);
	assert_false(model_write_faults((void *)(uintptr_t)UNIT_VA));
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	assert_int_equal(pvmm_space_unpin(&building[0]), 0);
	assert_clean();
}

static void what_is_building_is_pinned_for_a_while(void **state)
{
	(void)state;
	assert_int_equal(pvmm_mm_suspend(), 0);
	assert_true(are_tables_for_xen(&pinned));
	assert_true(are_tables_for_xen(&building[0]));
	assert_true(are_tables_for_xen(&building[1]));
	assert_clean();
	pvmm_mm_resume();
	assert_as_before();
	assert_string_equal(model_output(), "");
}

/* A stray writable mapping of a table of the second: the first is building again. */
static void a_refused_pin_leaves_all_as_it_was(void **state)
{
	pfn_t victim = pvmm_pt_walk(building[1].root, UNIT_VA).step[1].table, other = unit_page();
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(other);

	(void)state;
	assert_int_equal(pvmm_hc_update_va_mapping(va, unit_pte(victim, PVMM_PROT_RW), UVMF_INVLPG),
			 0);
	assert_int_equal(pvmm_mm_suspend(), -XEN_EINVAL);
	assert_said("suspend refused: space \"second\" cannot be pinned: EINVAL (-22)");
	assert_false(are_tables_for_xen(&building[0]));
	assert_false(are_tables_for_xen(&building[1]));
	unit_writable(other);
	assert_as_before();
	assert_int_equal(pvmm_mm_suspend(), 0);
	pvmm_mm_resume();
	assert_as_before();
}

/* A frame that is not the domain's: a live mapping is a refusal, a stale one is purged. */
static void foreign_frames_cannot_be_taken_along(void **state)
{
	const struct model_options options = {.has_iomem = true};
	mfn_t mfn;
	void *addr;

	(void)state;
	unit_reboot(&options);
	mfn = model_frame_owned(MODEL_IO, 0);
	make(&building[0], "first");
	assert_int_equal(pvmm_vmap_frames(&mfn, 1, PVMM_PROT_RW, NULL, &addr), 0);
	assert_int_equal(pvmm_mm_suspend(), -XEN_EBUSY);
	assert_said("suspend refused: space \"kernel\" maps mfn");
	assert_said("which is not the domain's own (mappings like that: 1)");
	assert_false(are_tables_for_xen(&building[0]));
	assert_int_equal(pvmm_vunmap(addr), 0);
	model_output_clear();
	assert_int_equal(pvmm_mm_suspend(), 0);
	assert_string_equal(model_output(), "");
	pvmm_mm_resume();
	assert_false(are_tables_for_xen(&building[0]));
	assert_clean();
}

/* Stale mappings of the domain's own pages, and tables that are kept, stay as they are. */
static void what_is_stale_or_kept_stays(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page());
	uint64_t kept;
	void *addr;

	(void)state;
	assert_int_equal(pvmm_vmap(&page, 1, PVMM_PROT_RW, NULL, &addr), 0);
	pvmm_page_put(page);
	assert_int_equal(pvmm_vunmap(addr), 0);
	assert_int_equal(pvmm_space_destroy(&pinned), 0);
	make(&pinned, "again");
	assert_int_equal(pvmm_space_pin(&pinned), 0);
	kept = pvmm_table_cache_stats().nr_pages;
	assert_int_equal(pvmm_vmap_stats().stale_pages, 1);
	assert_int_equal(pvmm_mm_suspend(), 0);
	assert_int_equal(pvmm_vmap_stats().stale_pages, 1);
	assert_int_equal(pvmm_table_cache_stats().nr_pages, kept);
	pvmm_mm_resume();
	assert_as_before();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_building_is_pinned_for_a_while, boot,
						unit_shutdown),
		cmocka_unit_test_setup_teardown(a_refused_pin_leaves_all_as_it_was, boot,
						unit_shutdown),
		UNIT_TEST(foreign_frames_cannot_be_taken_along),
		cmocka_unit_test_setup_teardown(what_is_stale_or_kept_stays, boot, unit_shutdown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
