/* SPDX-License-Identifier: MIT */
/*
 * Refused pins (include/pvmm/stray.h): Xen says no, the guest says where. Whatever maps a table
 * writable is found and named, everything is undone, and once the mapping is gone the pin succeeds.
 * R1, R14, R42, R43; XEN-RULES 3, 11, 13.
 */
#include "tests/unit/unit.h"

#define MIB2 (1ULL << 21)

static struct pvmm_space space; /* the one whose pin is refused */
static uint64_t free_before;

static struct pvmm_page *user_page(void)
{
	return pvmm_page(unit_page_of(PVMM_PAGE_USER));
}

static void map_new(struct pvmm_space *s, pvmm_va_t va, uint64_t prot)
{
	struct pvmm_page *page = user_page();

	assert_int_equal(pvmm_space_map(s, va, page, prot), 0);
	pvmm_page_put(page);
}

static int boot(void **state)
{
	unit_boot(state);
	assert_int_equal(pvmm_space_create(&space, "victim"), 0);
	for (unsigned int i = 0; i < 5; i++)
		map_new(&space, UNIT_VA + i * MIB2, PVMM_PROT_RW);
	return 0;
}

/* The L1 table that maps an address of a space. */
static struct pvmm_walk_step l1_of(const struct pvmm_space *s, pvmm_va_t va)
{
	struct pvmm_walk w = pvmm_pt_walk(s->root, va);

	assert_int_equal(w.stopped_at, 1);
	return w.step[1];
}

/* The pin is refused with err, the record names this mapping, and nothing has changed. */
static void assert_refused(int err, pfn_t pfn, pvmm_va_t va, const struct pvmm_space *where)
{
	uint64_t refused = pvmm_stray_last().refused_pins;
	struct pvmm_walk_step l1 = l1_of(where, va);
	struct pvmm_stray_record record;
	char text[64];

	free_before = unit_free_pages();
	model_output_clear();
	assert_int_equal(pvmm_space_pin(&space), err);

	record = pvmm_stray_last();
	assert_int_equal(record.refused_pins, refused + 1);
	assert_int_equal(record.nr_found, 1);
	assert_true(pfn_eq(record.first.pfn, pfn));
	assert_int_equal(record.first.va, va);
	assert_true(pfn_eq(record.first.table, l1.table));
	assert_int_equal(record.first.slot, l1.slot);
	assert_ptr_equal(record.first.space, where);
	assert_true(pvmm_pte_writable(record.first.entry));

	/* The report, as one would grep for it. */
	assert_said(err == -XEN_EINVAL ? "-EINVAL (-22)" : "-EBUSY (-16)");
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)va);
	assert_said(text);
	snprintf(text, sizeof(text), "pfn 0x%llx slot %u", (unsigned long long)pfn_x(l1.table),
		 l1.slot);
	assert_said(text);
	snprintf(text, sizeof(text), "pfn 0x%llx (mfn 0x%llx)", (unsigned long long)pfn_x(pfn),
		 (unsigned long long)mfn_x(pvmm_pfn_to_mfn(pfn)));
	assert_said(text);
	assert_said("allocated by 0x");

	assert_int_equal(space.state, PVMM_SPACE_BUILDING);
	assert_int_equal(space.nr_loaded, 0);
	assert_int_equal(unit_free_pages(), free_before);
	assert_false(model_write_faults(pvmm_pfn_to_virt(space.root)));
	assert_int_equal(model_frame_of(space.root).type, MODEL_WRITABLE);
	assert_model_clean();
}

/* Without the stray mapping the same pin succeeds, the space works, and all of it can go. */
static void assert_works_now(void)
{
	uint64_t refused = pvmm_stray_last().refused_pins;

	assert_clean();
	model_output_clear();
	assert_int_equal(pvmm_space_pin(&space), 0);
	assert_int_equal(pvmm_stray_last().refused_pins, refused);
	assert_string_equal(model_output(), "");
	assert_clean();
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_false(model_write_faults((void *)(uintptr_t)UNIT_VA));
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	assert_int_equal(pvmm_space_destroy(&space), 0);
	assert_clean();
}

/* A second entry of the direct map: another page's place shows the table. */
static void stray_in_the_direct_map(void **state)
{
	pfn_t victim = l1_of(&space, UNIT_VA + MIB2).table, other = unit_page();
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(other);

	(void)state;
	assert_int_equal(pvmm_hc_update_va_mapping(va, unit_pte(victim, PVMM_PROT_RW), UVMF_INVLPG),
			 0);
	assert_refused(-XEN_EINVAL, victim, va, &pvmm_kernel_space);
	assert_said("direct map, in the place of pfn");
	unit_writable(other);
	assert_works_now();
}

/* In the vmap region, the classic: a mapping that its maker forgot. */
static void stray_in_the_vmap_region(void **state)
{
	pfn_t victim = space.root;
	pvmm_va_t va = PVMM_VMAP_BASE + 17 * PVMM_PAGE_SIZE;
	struct pvmm_walk_step l1;

	(void)state;
	map_new(&pvmm_kernel_space, va, PVMM_PROT_RW);
	l1 = l1_of(&pvmm_kernel_space, va);
	assert_int_equal(unit_set(l1.table, l1.slot + 1, unit_pte(victim, PVMM_PROT_RW)), 0);
	assert_refused(-XEN_EINVAL, victim, va + PVMM_PAGE_SIZE, &pvmm_kernel_space);
	assert_said("vmap region");
	assert_int_equal(unit_set(l1.table, l1.slot + 1, 0), 0);
	assert_works_now();
}

/* In another address space that Xen has validated, loaded or not. */
static void stray_in_another_space(void **state)
{
	pfn_t victim = l1_of(&space, UNIT_VA).table;
	struct pvmm_walk_step l1;
	struct pvmm_space other;

	(void)state;
	assert_int_equal(pvmm_space_create(&other, "holder"), 0);
	map_new(&other, UNIT_VA + 7 * MIB2, PVMM_PROT_RW);
	assert_int_equal(pvmm_space_pin(&other), 0);
	l1 = l1_of(&other, UNIT_VA + 7 * MIB2);
	assert_int_equal(unit_set(l1.table, l1.slot + 3, unit_pte(victim, PVMM_PROT_RW)), 0);
	assert_refused(-XEN_EINVAL, victim, UNIT_VA + 7 * MIB2 + 3 * PVMM_PAGE_SIZE, &other);
	assert_said("\"holder\" (pinned, not loaded)");

	assert_int_equal(pvmm_space_activate(&other), 0);
	assert_refused(-XEN_EINVAL, victim, UNIT_VA + 7 * MIB2 + 3 * PVMM_PAGE_SIZE, &other);
	assert_said("\"holder\" (pinned, loaded)");
	assert_int_equal(unit_set(l1.table, l1.slot + 3, 0), 0);
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	assert_works_now();
}

/*
 * In a space that Xen has not validated nothing refuses the pin. It is that space's own pin which
 * is refused then, and with the other error: an entry, not the table (XEN-RULES, "What follows" 3).
 */
static void conflict_when_the_holder_is_pinned(void **state)
{
	struct pvmm_space other;
	pvmm_va_t va = UNIT_VA + 2 * MIB2 + 9 * PVMM_PAGE_SIZE;
	pfn_t victim;

	(void)state;
	assert_int_equal(pvmm_space_create(&other, "first"), 0);
	map_new(&other, UNIT_VA, PVMM_PROT_RW);
	victim = l1_of(&other, UNIT_VA).table;
	pvmm_pt_set(l1_of(&space, UNIT_VA + 2 * MIB2).table, pvmm_pt_slot(va, 1),
		    unit_pte(victim, PVMM_PROT_RW | PVMM_PTE_USER));
	assert_int_equal(pvmm_space_pin(&other), 0);
	assert_refused(-XEN_EBUSY, victim, va, &space);
	assert_said("writable mapping of a page table");

	pvmm_pt_set(l1_of(&space, UNIT_VA + 2 * MIB2).table, pvmm_pt_slot(va, 1), 0);
	assert_works_now();
}

/* A space that maps one of its own tables writable. */
static void stray_within_the_space(void **state)
{
	pfn_t victim = l1_of(&space, UNIT_VA + 3 * MIB2).table;
	pvmm_va_t va = UNIT_VA + 4 * MIB2 + 5 * PVMM_PAGE_SIZE;
	pfn_t holder = l1_of(&space, va).table;

	(void)state;
	pvmm_pt_set(holder, pvmm_pt_slot(va, 1), unit_pte(victim, PVMM_PROT_RW | PVMM_PTE_USER));
	assert_int_equal(pvmm_space_pin(&space), -XEN_EBUSY);
	assert_int_equal(pvmm_stray_last().nr_found, 1);
	assert_int_equal(pvmm_stray_last().first.va, va);
	assert_model_clean();
	pvmm_pt_set(holder, pvmm_pt_slot(va, 1), 0);
	assert_works_now();
}

/* More of them than the report shows: all are counted, the first is kept. */
static void many_strays(void **state)
{
	pvmm_va_t va = PVMM_VMAP_BASE + MIB2;
	pfn_t victim = l1_of(&space, UNIT_VA).table;
	struct pvmm_walk_step l1;

	(void)state;
	map_new(&pvmm_kernel_space, va, PVMM_PROT_RW);
	l1 = l1_of(&pvmm_kernel_space, va);
	for (unsigned int i = 1; i <= 20; i++)
		assert_int_equal(unit_set(l1.table, l1.slot + i,
					  unit_pte(i % 2 ? victim : space.root, PVMM_PROT_RW)),
				 0);
	model_output_clear();
	assert_int_equal(pvmm_space_pin(&space), -XEN_EINVAL);
	assert_int_equal(pvmm_stray_last().nr_found, 20);
	assert_int_equal(pvmm_stray_last().first.va, va + PVMM_PAGE_SIZE);
	assert_said("12 more");
	for (unsigned int i = 1; i <= 20; i++)
		assert_int_equal(unit_set(l1.table, l1.slot + i, 0), 0);
	assert_works_now();
}

/* Held by a table that no address space leads to: the report says that it does not know. */
static void stray_that_nobody_knows(void **state)
{
	pfn_t victim = l1_of(&space, UNIT_VA).table, hidden = unit_table();

	(void)state;
	unit_poke(hidden, 0, unit_pte(victim, PVMM_PROT_RW));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, hidden), 0);
	model_output_clear();
	assert_int_equal(pvmm_space_pin(&space), -XEN_EINVAL);
	assert_int_equal(pvmm_stray_last().nr_found, 0);
	/* It says all the same which page it is. */
	assert_true(pfn_eq(pvmm_stray_last().pfn, victim));
	assert_said("no table known here");
	assert_said("a grant that a backend still maps");
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, hidden), 0);
	unit_writable(hidden);
	assert_works_now();
}

/*
 * A mapping in a pinned space needs a new table, and the page that becomes one has a stray mapping:
 * refused, undone, named; afterwards it works.
 */
static void stray_of_a_new_table(void **state)
{
	struct pvmm_page *page = user_page(), *reused = user_page();
	pvmm_va_t va = PVMM_VMAP_BASE + 3 * MIB2, where = UNIT_VA + 100 * MIB2;
	struct pvmm_walk_step l1;
	uint32_t tables = space.nr_tables;

	(void)state;
	assert_int_equal(pvmm_space_activate(&space), 0);
	map_new(&pvmm_kernel_space, va, PVMM_PROT_RW);
	l1 = l1_of(&pvmm_kernel_space, va);
	assert_int_equal(
		unit_set(l1.table, l1.slot + 1, unit_pte(pvmm_page_pfn(reused), PVMM_PROT_RW)), 0);
	pvmm_page_put(reused); /* the next page to be allocated */
	free_before = unit_free_pages();

	assert_int_equal(pvmm_space_map(&space, where, page, PVMM_PROT_RW), -XEN_EINVAL);
	assert_int_equal(pvmm_stray_last().nr_found, 1);
	assert_true(pfn_eq(pvmm_stray_last().first.pfn, pvmm_page_pfn(reused)));
	assert_int_equal(pvmm_stray_last().first.va, va + PVMM_PAGE_SIZE);
	assert_int_equal(unit_free_pages(), free_before);
	assert_int_equal(space.nr_tables, tables);
	assert_int_equal(page->live, 0);
	assert_int_equal(page->refs, 1);
	assert_true(model_read_faults((void *)(uintptr_t)where));
	assert_model_clean();

	assert_int_equal(unit_set(l1.table, l1.slot + 1, 0), 0);
	assert_clean();
	assert_int_equal(pvmm_space_map(&space, where, page, PVMM_PROT_RW), 0);
	assert_false(model_write_faults((void *)(uintptr_t)where));
	assert_clean();
}

/* Xen refuses a single entry in a pinned space: one line, nothing counted. */
static void refused_mapping(void **state)
{
	pfn_t table = unit_table(); /* a table that the manager does not know for one */
	struct pvmm_page *page = pvmm_page(table);

	(void)state;
	assert_int_equal(pvmm_space_pin(&space), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, table), 0);
	model_output_clear();
	assert_int_equal(pvmm_space_map(&space, UNIT_VA + PVMM_PAGE_SIZE, page, PVMM_PROT_RW),
			 -XEN_EBUSY);
	assert_said("refused by Xen");
	assert_int_equal(page->live, 0);
	assert_int_equal(page->refs, 1);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA + PVMM_PAGE_SIZE, page, PVMM_PROT_RO), 0);
	assert_int_equal(pvmm_space_protect(&space, UNIT_VA + PVMM_PAGE_SIZE, PVMM_PROT_RW),
			 -XEN_EBUSY);
	assert_false(pvmm_pte_writable(pvmm_pt_lookup(space.root, UNIT_VA + PVMM_PAGE_SIZE)));
	assert_model_clean();
}

/* R42: the search on its own: every mapping of a page, its own in the direct map among them. */
static void find_mappings(void **state)
{
	struct pvmm_page *page = user_page();
	pfn_t pfn = pvmm_page_pfn(page);
	struct pvmm_mapping found[4];

	(void)state;
	assert_int_equal(pvmm_find_mappings(pfn, 0, found, 4), 1);
	assert_int_equal(found[0].va, (uintptr_t)pvmm_page_virt(page));
	assert_ptr_equal(found[0].space, &pvmm_kernel_space);

	assert_int_equal(pvmm_space_map(&space, UNIT_VA + 4096, page, PVMM_PROT_RO), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA + 8192, page, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, PVMM_VMAP_BASE, page, PVMM_PROT_RO), 0);
	assert_int_equal(pvmm_find_mappings(pfn, 0, found, 4), 4);
	assert_int_equal(pvmm_find_mappings(pfn, PVMM_FIND_WRITABLE, found, 4), 2);
	assert_int_equal(found[1].va, UNIT_VA + 8192);
	assert_ptr_equal(found[1].space, &space);
	assert_true(pfn_eq(found[1].pfn, pfn));
	assert_int_equal(found[1].entry, pvmm_pt_lookup(space.root, UNIT_VA + 8192));

	/* More than asked for: counted, not stored. */
	found[1].va = 1;
	assert_int_equal(pvmm_find_mappings(pfn, 0, found, 1), 4);
	assert_int_equal(found[1].va, 1);
	assert_int_equal(pvmm_find_mappings(pfn, 0, NULL, 0), 4);
	assert_clean();
}

#define STRAY_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, unit_shutdown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STRAY_TEST(stray_in_the_direct_map), STRAY_TEST(stray_in_the_vmap_region),
		STRAY_TEST(stray_in_another_space),  STRAY_TEST(conflict_when_the_holder_is_pinned),
		STRAY_TEST(stray_within_the_space),  STRAY_TEST(many_strays),
		STRAY_TEST(stray_that_nobody_knows), STRAY_TEST(stray_of_a_new_table),
		STRAY_TEST(refused_mapping),	     STRAY_TEST(find_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
