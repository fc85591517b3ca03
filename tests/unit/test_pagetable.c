/* SPDX-License-Identifier: MIT */
/*
 * The walk, the visit and the storing of entries (include/pvmm/pagetable.h). R35's groundwork,
 * R25's order: children before parents.
 */
#include <pvmm/vmap.h>
#include "tests/unit/unit.h"

/* A tree by hand: slots 1, 2, 3, 4 on the way to data, all tables building. */
static pfn_t root, l3, l2, l1, data;
#define TREE_VA ((1ULL << 39) + (2ULL << 30) + (3ULL << 21) + (4ULL << 12))

static int boot(void **state)
{
	unit_boot(state);
	root = pvmm_page_pfn(pvmm_table_alloc(4));
	l3 = pvmm_page_pfn(pvmm_table_alloc(3));
	l2 = pvmm_page_pfn(pvmm_table_alloc(2));
	l1 = pvmm_page_pfn(pvmm_table_alloc(1));
	data = unit_page();
	pvmm_pt_set(root, 1, unit_pte(l3, PVMM_PROT_TABLE));
	pvmm_pt_set(l3, 2, unit_pte(l2, PVMM_PROT_TABLE));
	pvmm_pt_set(l2, 3, unit_pte(l1, PVMM_PROT_TABLE));
	pvmm_pt_set(l1, 4, unit_pte(data, PVMM_PROT_RW));
	return 0;
}

/* The address split: slots and what they cover, both ends of the canonical range. */
static void address_split(void **state)
{
	(void)state;
	for (unsigned int level = 1; level <= 4; level++)
		assert_int_equal(pvmm_pt_slot(TREE_VA, level), 5 - level);
	assert_int_equal(pvmm_level_bytes(1), 1 << 12);
	assert_int_equal(pvmm_level_bytes(4), 1ULL << 39);
	assert_int_equal(pvmm_pt_slot(0xffffffffffffffffULL, 4), 511);
	assert_int_equal(pvmm_va_canonical(0x0000800000000000ULL), 0xffff800000000000ULL);
	assert_int_equal(pvmm_va_canonical(0x00007fffffffffffULL), 0x00007fffffffffffULL);
	assert_false(pvmm_va_is_user(0));
	assert_true(pvmm_va_is_user(PVMM_USER_BASE));
	assert_true(pvmm_va_is_user(PVMM_USER_END - 1));
	assert_false(pvmm_va_is_user(PVMM_USER_END));
}

/* The walk tells each step; it stops where nothing is, where a page is, and where a stranger is. */
static void walk(void **state)
{
	struct pvmm_walk w = pvmm_pt_walk(root, TREE_VA + 0x123);

	(void)state;
	assert_int_equal(w.stopped_at, 1);
	assert_true(pfn_eq(w.step[4].table, root) && pfn_eq(w.step[3].table, l3) &&
		    pfn_eq(w.step[2].table, l2) && pfn_eq(w.step[1].table, l1));
	for (unsigned int level = 1; level <= 4; level++)
		assert_int_equal(w.step[level].slot, 5 - level);
	assert_int_equal(w.step[1].entry, unit_pte(data, PVMM_PROT_RW));
	assert_int_equal(pvmm_pt_lookup(root, TREE_VA), unit_pte(data, PVMM_PROT_RW));

	w = pvmm_pt_walk(root, TREE_VA + PVMM_PAGE_SIZE);
	assert_int_equal(w.stopped_at, 1);
	assert_int_equal(w.step[1].entry, 0);
	assert_int_equal(pvmm_pt_walk(root, TREE_VA + (1 << 21)).stopped_at, 2);
	assert_int_equal(pvmm_pt_walk(root, TREE_VA + (1 << 30)).stopped_at, 3);
	assert_int_equal(pvmm_pt_walk(root, 0).stopped_at, 4);
	assert_int_equal(pvmm_pt_lookup(root, TREE_VA + (1 << 21)), 0);

	pvmm_pt_set(l2, 9, pvmm_pte(model_frame_owned(MODEL_FOREIGN, 0), PVMM_PROT_TABLE));
	w = pvmm_pt_walk(root, TREE_VA + (6ULL << 21));
	assert_int_equal(w.stopped_at, 2);
	assert_true(pvmm_pte_present(w.step[2].entry));
	assert_int_equal(pvmm_pt_lookup(root, TREE_VA + (6ULL << 21)), 0);
}

struct visited {
	unsigned int nr, stop_at;
	pfn_t table[16];
	unsigned int level[16];
	pvmm_va_t va[16];
};

static int note(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	struct visited *v = ctx;

	v->table[v->nr] = table;
	v->level[v->nr] = level;
	v->va[v->nr] = va;
	v->nr++;
	return v->nr == v->stop_at ? 17 : 0;
}

/* Children come before their parent, each with the first address it translates. */
static void visit_order(void **state)
{
	const unsigned int levels[] = {1, 1, 2, 3, 4};
	struct visited v = {0};
	pfn_t l1b = pvmm_page_pfn(pvmm_table_alloc(1));

	(void)state;
	pvmm_pt_set(l2, 511, unit_pte(l1b, PVMM_PROT_TABLE));
	assert_int_equal(pvmm_pt_visit(root, 4, 0, 0, 511, note, &v), 0);
	assert_int_equal(v.nr, 5);
	assert_true(pfn_eq(v.table[0], l1) && pfn_eq(v.table[1], l1b) && pfn_eq(v.table[2], l2) &&
		    pfn_eq(v.table[3], l3) && pfn_eq(v.table[4], root));
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(v.level[i], levels[i]);
	assert_int_equal(v.va[0], TREE_VA & ~((1ULL << 21) - 1));
	assert_int_equal(v.va[1], (TREE_VA & ~((1ULL << 30) - 1)) + (511ULL << 21));
	assert_int_equal(v.va[2], TREE_VA & ~((1ULL << 30) - 1));
	assert_int_equal(v.va[4], 0);
}

/* Only the slots asked for are entered; the table itself is visited in any case. */
static void visit_range(void **state)
{
	struct visited v = {0};

	(void)state;
	assert_int_equal(pvmm_pt_visit(root, 4, 0, 2, 511, note, &v), 0);
	assert_int_equal(v.nr, 1);
	v.nr = 0;
	assert_int_equal(pvmm_pt_visit(root, 4, 0, 1, 1, note, &v), 0);
	assert_int_equal(v.nr, 4);
	v.nr = 0;
	assert_int_equal(pvmm_pt_visit(l1, 1, 0, 0, 511, note, &v), 0);
	assert_int_equal(v.nr, 1);
}

/* A high slot's address is canonical; an answer other than 0 stops; strangers are passed by. */
static void visit_stops(void **state)
{
	struct visited v = {.stop_at = 2};

	(void)state;
	assert_int_equal(pvmm_pt_visit(root, 4, 0, 0, 511, note, &v), 17);
	assert_int_equal(v.nr, 2);

	v = (struct visited){0};
	pvmm_pt_set(root, 1, 0);
	pvmm_pt_set(root, 300, unit_pte(l3, PVMM_PROT_TABLE));
	pvmm_pt_set(root, 2, pvmm_pte(model_frame_owned(MODEL_FOREIGN, 0), PVMM_PROT_TABLE));
	pvmm_pt_set(root, 3, pvmm_pte(model_frame_owned(MODEL_HOLE, 700), PVMM_PROT_TABLE));
	assert_int_equal(pvmm_pt_visit(root, 4, 0, 0, 511, note, &v), 0);
	assert_int_equal(v.nr, 4);
	assert_int_equal(v.va[2], 0xffff960000000000ULL);
}

static int free_table(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	(void)level, (void)va, (void)ctx;
	memset(pvmm_pfn_to_virt(table), 0xcc, PVMM_PAGE_SIZE);
	pvmm_table_free(pvmm_page(table));
	return 0;
}

/* The visit may free (and lose the contents of) the table it is called for. */
static void visit_may_free(void **state)
{
	uint64_t free = unit_free_pages();

	(void)state;
	assert_int_equal(pvmm_pt_visit(root, 4, 0, 0, 511, free_table, NULL), 0);
	assert_int_equal(unit_free_pages(), free + 4);
	assert_clean();
}

/* A new table is zeroed, of its kind and writable; when memory is out there is none. */
static void tables_are_allocated_and_freed(void **state)
{
	struct pvmm_page *page = pvmm_table_alloc(3);

	(void)state;
	memset(pvmm_page_virt(page), 0xff, PVMM_PAGE_SIZE);
	pvmm_table_free(page);
	for (unsigned int level = 1; level <= 4; level++) {
		page = pvmm_table_alloc(level);
		assert_int_equal(pvmm_page_table_level(page), level);
		for (unsigned int slot = 0; slot < 512; slot++)
			assert_int_equal(pvmm_pt_entries(pvmm_page_pfn(page))[slot], 0);
		assert_false(model_write_faults(pvmm_page_virt(page)));
	}
	while (pvmm_page_alloc(0, PVMM_PAGE_USER))
		;
	assert_null(pvmm_table_alloc(1));
}

/* What was an upper table is one again before it is anything else: some, and unmapped ones. */
static void upper_tables_are_tables_again(void **state)
{
	enum { NR = 50, KEPT = 32 };
	struct pvmm_page *tables[NR], *l1_page = pvmm_table_alloc(1), *page;
	uint64_t free;
	void *addr;

	(void)state;
	for (unsigned int i = 0; i < NR; i++)
		tables[i] = pvmm_table_alloc(2 + i % 3);
	assert_int_equal(pvmm_vmap(tables, 1, PVMM_PROT_RO, NULL, &addr), 0);
	assert_int_equal(pvmm_vunmap(addr), 0);
	assert_int_equal(tables[0]->stale, 1);
	free = pvmm_free_pages();
	pvmm_table_free(l1_page);
	pvmm_table_free(tables[0]);
	assert_int_equal(pvmm_free_pages(), free + 2);
	for (unsigned int i = 1; i < NR; i++) {
		memset(pvmm_page_virt(tables[i]), 0xcc, PVMM_PAGE_SIZE);
		pvmm_table_free(tables[i]);
	}
	assert_int_equal(pvmm_free_pages(), free + 2 + NR - 1 - KEPT);
	assert_int_equal(pvmm_table_cache_stats().nr_pages, KEPT);

	assert_non_null(pvmm_table_alloc(1));
	assert_int_equal(pvmm_table_cache_stats().nr_pages, KEPT);
	for (unsigned int i = 0; i < 3; i++) {
		page = pvmm_table_alloc(2 + i);
		assert_ptr_equal(page, tables[KEPT - i]);
		assert_int_equal(pvmm_page_table_level(page), 2 + i);
		for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++)
			assert_int_equal(pvmm_pt_entries(pvmm_page_pfn(page))[slot], 0);
	}
	assert_int_equal(pvmm_table_cache_stats().nr_pages, KEPT - 3);

	while (pvmm_free_pages())
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	assert_int_equal(pvmm_table_cache_stats().nr_pages, 0);
	assert_true(pvmm_free_pages() >= KEPT - 4);
	assert_clean();
}

static void free_no_table(void *page)
{
	pvmm_table_free(page);
}

static void free_readonly_table(void *page)
{
	pvmm_table_mark(page, true);
	pvmm_table_free(page);
}

static void store_into_readonly(void *ctx)
{
	(void)ctx;
	pvmm_table_mark(pvmm_page(l1), true);
	pvmm_pt_set(l1, 0, 0); /* not inside a batch */
}

static void misuse_panics(void **state)
{
	(void)state;
	assert_true(model_panics(free_no_table, pvmm_page(data), "page table"));
	assert_true(model_panics(free_readonly_table, pvmm_page(l1), "page table"));
	assert_true(model_panics(store_into_readonly, NULL, "outside a batch"));
}

/*
 * R1: building → read-only. A plain store costs no hypercall; a protected table cannot be stored to
 * and its entries go through Xen.
 */
static void building_and_readonly(void **state)
{
	struct pvmm_page *page = pvmm_page(l1);

	(void)state;
	model_counters_reset();
	pvmm_pt_set(l1, 5, unit_pte(data, PVMM_PROT_RO));
	assert_int_equal(model_counters().traps, 0);
	assert_int_equal(unit_peek(l1, 5), unit_pte(data, PVMM_PROT_RO));

	pvmm_batch_begin();
	pvmm_table_queue_protect(page);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	pvmm_table_mark(page, true);
	assert_true(page->flags & PVMM_PAGE_READONLY);
	assert_true(model_write_faults(pvmm_page_virt(page)));
	assert_clean();
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);

	pvmm_batch_begin();
	pvmm_pt_set(l1, 6, unit_pte(data, PVMM_PROT_RO));
	assert_int_equal(unit_peek(l1, 6), 0);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_true(pvmm_pte_present(unit_peek(l1, 6)));

	pvmm_batch_begin();
	pvmm_batch_mmuext(&(struct mmuext_op){.cmd = MMUEXT_UNPIN_TABLE,
					      .arg1.mfn = mfn_x(pvmm_pfn_to_mfn(l1))});
	pvmm_table_queue_unprotect(page);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	pvmm_table_mark(page, false);
	assert_false(page->flags & PVMM_PAGE_READONLY);
	assert_false(model_write_faults(pvmm_page_virt(page)));
	assert_clean();
}

static void entry_addresses(void **state)
{
	(void)state;
	assert_int_equal(pvmm_pt_entry_maddr(l1, 0), mfn_x(pvmm_pfn_to_mfn(l1)) << 12);
	assert_int_equal(pvmm_pt_entry_maddr(l1, 511), (mfn_x(pvmm_pfn_to_mfn(l1)) << 12) + 4088);
}

#define TREE_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, unit_shutdown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(address_split),
		TREE_TEST(walk),
		TREE_TEST(visit_order),
		TREE_TEST(visit_range),
		TREE_TEST(visit_stops),
		TREE_TEST(visit_may_free),
		TREE_TEST(tables_are_allocated_and_freed),
		UNIT_TEST(upper_tables_are_tables_again),
		TREE_TEST(misuse_panics),
		TREE_TEST(building_and_readonly),
		TREE_TEST(entry_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
