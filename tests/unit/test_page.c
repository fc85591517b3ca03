/* SPDX-License-Identifier: MIT */
/*
 * The page database and the p2m: which page is where, what is counted, and that no other frame is
 * taken for one of the domain's. R4, R15.
 */
#include "tests/model/state.h"
#include "tests/unit/unit.h"

/* page, pfn and direct-map address lead to each other. */
static void pages_have_one_place(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < UNIT_PAGES; i += 7) {
		struct pvmm_page *page = pvmm_page(_pfn(i));

		assert_int_equal(pfn_x(pvmm_page_pfn(page)), i);
		assert_ptr_equal(pvmm_virt_to_page(pvmm_page_virt(page)), page);
		assert_ptr_equal(pvmm_virt_to_page((char *)pvmm_page_virt(page) + 4095), page);
	}
}

/* After the boot: tables are known by their level and read-only, the rest is reserved or free. */
static void boot_claims_the_kernels_tables(void **state)
{
	uint64_t tables = 0;

	(void)state;
	for (uint64_t i = 0; i < UNIT_PAGES; i++) {
		const struct pvmm_page *page = pvmm_page(_pfn(i));
		struct model_frame f = model_frame_of(_pfn(i));
		unsigned int level = pvmm_page_table_level(page);

		assert_int_equal(level, f.type_count && type_is_table(f.type) ? f.type : 0);
		assert_int_equal(!!(page->flags & PVMM_PAGE_READONLY), level != 0);
		assert_int_equal(!!(page->flags & PVMM_PAGE_PINNED), f.pinned);
		assert_true(level || page->kind == PVMM_PAGE_FREE ||
			    page->kind == PVMM_PAGE_RESERVED);
		assert_int_equal(page->refs, page->kind == PVMM_PAGE_FREE ? 0 : 1);
		tables += level != 0;
	}
	assert_int_equal(pvmm_kernel_space.nr_tables, tables);
}

/* The last reference frees, a block as a whole. */
static void last_put_frees(void **state)
{
	uint64_t free = pvmm_free_pages();
	struct pvmm_page *page = pvmm_page_alloc(3, PVMM_PAGE_USER);

	(void)state;
	pvmm_page_get(page);
	pvmm_page_get(page);
	assert_int_equal(page->refs, 3);
	pvmm_page_put(page);
	pvmm_page_put(page);
	assert_int_equal(pvmm_free_pages(), free - 8);
	pvmm_page_put(page);
	assert_int_equal(pvmm_free_pages(), free);
	assert_clean();
}

static void put_free(void *page)
{
	pvmm_page_put(page);
}

static void live_dec(void *page)
{
	pvmm_page_live_dec(page);
}

/* R4, R15: a count below 0 panics; one that would wrap stays at its end. */
static void counts_do_not_wrap(void **state)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_USER);

	(void)state;
	assert_true(model_panics(live_dec, page, "live mapping count"));
	pvmm_page_live_inc(page);
	pvmm_page_live_inc(page);
	pvmm_page_live_dec(page);
	assert_int_equal(page->live, 1);

	/* A full count stays full, and says so: the page is never taken for a clean one. */
	page->live = PVMM_COUNT_SATURATED - 1;
	model_output_clear();
	pvmm_page_live_inc(page);
	assert_non_null(strstr(model_output(), "live mapping count"));
	pvmm_page_live_inc(page);
	pvmm_page_live_dec(page);
	assert_int_equal(page->live, PVMM_COUNT_SATURATED);
	page->live = 0;
	page->refs = PVMM_COUNT_SATURATED - 1;
	pvmm_page_get(page);
	pvmm_page_put(page);
	assert_int_equal(page->refs, PVMM_COUNT_SATURATED);
	page->refs = 1;
	pvmm_page_put(page);
	assert_true(model_panics(put_free, page, "reference count"));
	assert_clean();
}

static void kinds_have_names(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < PVMM_PAGE_KINDS; kind++)
		assert_true(strlen(pvmm_page_kind_name((enum pvmm_page_kind)kind)) > 2);
	assert_string_equal(pvmm_page_kind_name(PVMM_PAGE_L1), "L1 table");
	assert_string_equal(pvmm_page_kind_name(PVMM_PAGE_KINDS), "unknown");
	assert_string_equal(pvmm_page_kind_name((enum pvmm_page_kind)255), "unknown");
}

/* A frame of another domain has a pfn as well: it must not be taken for ours. */
static void foreign_frames_have_no_pfn(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 16; i++) {
		mfn_t mfn = model_frame_owned(MODEL_FOREIGN, i);

		assert_true(model.guest_m2p[mfn_x(mfn)] < UNIT_PAGES);
		assert_false(pfn_valid(pvmm_mfn_to_pfn(mfn)));
		assert_false(pfn_valid(pvmm_mfn_to_pfn(model_frame_owned(MODEL_XEN, i % 16))));
		assert_false(pfn_valid(pvmm_mfn_to_pfn(model_frame_owned(MODEL_FREE, i))));
	}
	assert_false(pfn_valid(pvmm_mfn_to_pfn(model_frame_owned(MODEL_IO, 0))));
}

/* The m2p ends, and has holes that fault when read. */
static void m2p_holes_are_survived(void **state)
{
	mfn_t hole = model_frame_owned(MODEL_HOLE, 1000);
	uint64_t value;

	(void)state;
	assert_true(model_read_faults(&model.guest_m2p[mfn_x(hole)]));
	assert_false(pvmm_read_safe(&model.guest_m2p[mfn_x(hole)], &value));
	assert_false(pfn_valid(pvmm_mfn_to_pfn(hole)));
	assert_false(pfn_valid(pvmm_mfn_to_pfn(_mfn(model.nr_mfns))));
	assert_false(pfn_valid(pvmm_mfn_to_pfn(_mfn(1ULL << 39))));
	assert_false(pfn_valid(pvmm_mfn_to_pfn(PVMM_INVALID_MFN)));
}

static void pfns_end(void **state)
{
	(void)state;
	assert_int_equal(pvmm_max_pfn(), UNIT_PAGES);
	assert_true(mfn_valid(pvmm_pfn_to_mfn(_pfn(UNIT_PAGES - 1))));
	assert_false(mfn_valid(pvmm_pfn_to_mfn(_pfn(UNIT_PAGES))));
	assert_false(mfn_valid(pvmm_pfn_to_mfn(PVMM_INVALID_PFN)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(pages_have_one_place),   UNIT_TEST(boot_claims_the_kernels_tables),
		UNIT_TEST(last_put_frees),	   UNIT_TEST(counts_do_not_wrap),
		UNIT_TEST(kinds_have_names),	   UNIT_TEST(foreign_frames_have_no_pfn),
		UNIT_TEST(m2p_holes_are_survived), UNIT_TEST(pfns_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
