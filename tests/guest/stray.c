/* SPDX-License-Identifier: MIT */
/*
 * A writable mapping that nobody knows of, of a page that is to become a page table: Xen refuses,
 * the report names the mapping, everything is as it was before, and once the mapping is gone the
 * same pin succeeds. (R1, R14; and its twin: without a stray mapping nothing is reported)
 *
 * A fault here looks like a pin that succeeds although the mapping stands (Xen was not asked), a
 * report with another address, or a space that cannot be pinned afterwards (something not undone).
 */
#include <pvmm/alloc.h>
#include <pvmm/check.h>
#include <pvmm/p2m.h>
#include <pvmm/stray.h>
#include "suites.h"

#define USER_VA	  0x0000000000400000ULL
#define STRAY_VA  0x0000000020000000ULL
#define KERNEL_VA (PVMM_VMAP_BASE + 5 * PVMM_PAGE_SIZE)

/* A space whose L1 table is the victim, and what is mapped in it. */
static struct pvmm_space space;
static struct pvmm_page *user, *bystander;
static pfn_t victim;
static uint64_t refused_before;
static struct pvmm_check_config config_before;

/* Whatever the command line says of the checker, these tests are about the search after a pin. */
static bool set_up(void)
{
	const struct pvmm_check_config config = {.modes = PVMM_CHECK_PIN,
						 .report = PVMM_REPORT_TEXT};

	config_before = pvmm_check_config();
	pvmm_check_configure(&config);
	user = pvmm_page_alloc(0, PVMM_PAGE_USER);
	bystander = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	if (!CHECK(user && bystander))
		return false;
	CHECK_EQUAL(pvmm_space_create(&space, "victim"), 0);
	CHECK_EQUAL(pvmm_space_map(&space, USER_VA, user, PVMM_PROT_RW), 0);
	victim = pvmm_pt_walk(space.root, USER_VA).step[1].table;
	refused_before = pvmm_stray_last().refused_pins;
	return true;
}

static void tear_down(void)
{
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
	pvmm_page_put(user);
	pvmm_page_put(bystander);
	pvmm_check_configure(&config_before);
}

static pvmm_pte_t stray_entry(void)
{
	return pvmm_pte(pvmm_pfn_to_mfn(victim), PVMM_PROT_RW);
}

/* Xen says no, and the record says where, and that no entry but this one was at fault. */
static void pin_is_refused_for(struct pvmm_space *root, pvmm_va_t va)
{
	struct pvmm_walk w = pvmm_pt_walk(root->root, va);
	struct pvmm_stray_record record;
	pvmm_pte_t before = pvmm_pt_lookup(space.root, USER_VA);

	CHECK_EQUAL(pvmm_space_pin(&space), -XEN_EINVAL);
	record = pvmm_stray_last();
	CHECK_EQUAL(record.refused_pins, refused_before + 1);
	CHECK_EQUAL(record.nr_found, 1);
	CHECK_EQUAL(record.first.va, va);
	CHECK_EQUAL(pfn_x(record.first.pfn), pfn_x(victim));
	CHECK_EQUAL(pfn_x(record.first.table), pfn_x(w.step[1].table));
	CHECK_EQUAL(record.first.slot, w.step[1].slot);
	CHECK(record.first.space == root);

	CHECK_EQUAL(space.state, PVMM_SPACE_BUILDING);
	CHECK_EQUAL(pvmm_pt_lookup(space.root, USER_VA), before);
	/* Its tables are writable memory again. */
	pvmm_pt_entries(victim)[500] = 0;
}

static void pin_succeeds_now(void)
{
	CHECK_EQUAL(pvmm_space_pin(&space), 0);
	CHECK_EQUAL(pvmm_space_activate(&space), 0);
	CHECK_EQUAL(pvmm_space_activate(&pvmm_kernel_space), 0);
}

static void without_one_nothing_is_reported(void)
{
	if (!set_up())
		return;
	pin_succeeds_now();
	CHECK_EQUAL(pvmm_stray_last().refused_pins, refused_before);
	tear_down();
}

/* The place of another page in the direct map leads to the victim. */
static void in_the_direct_map(void)
{
	pvmm_va_t va;
	mfn_t own;

	if (!set_up())
		return;
	va = (uintptr_t)pvmm_page_virt(bystander);
	own = pvmm_pfn_to_mfn(pvmm_page_pfn(bystander));
	CHECK_EQUAL(pvmm_hc_update_va_mapping(va, stray_entry(), UVMF_INVLPG), 0);
	pin_is_refused_for(&pvmm_kernel_space, va);
	CHECK_EQUAL(pvmm_hc_update_va_mapping(va, pvmm_pte(own, PVMM_PROT_RW), UVMF_INVLPG), 0);
	pin_succeeds_now();
	tear_down();
}

/* A driver's own mapping, made behind the manager's back in a table of the kernel's. */
static void in_another_table(void)
{
	pvmm_va_t va = KERNEL_VA + PVMM_PAGE_SIZE;

	if (!set_up())
		return;
	/* The neighbour's mapping only sees to it that the table exists. */
	CHECK_EQUAL(pvmm_space_map(&pvmm_kernel_space, KERNEL_VA, bystander, PVMM_PROT_RW), 0);
	CHECK_EQUAL(pvmm_hc_update_va_mapping(va, stray_entry(), UVMF_INVLPG), 0);
	pin_is_refused_for(&pvmm_kernel_space, va);
	CHECK_EQUAL(pvmm_hc_update_va_mapping(va, 0, UVMF_INVLPG), 0);
	pin_succeeds_now();
	CHECK_EQUAL(pvmm_space_unmap(&pvmm_kernel_space, KERNEL_VA), 0);
	tear_down();
}

static struct pvmm_space other;

/* Stores an entry in the other space's L1 table through Xen, as the manager would not. */
static int store_in_other(pvmm_va_t va, pvmm_pte_t entry)
{
	struct pvmm_walk w = pvmm_pt_walk(other.root, va);
	struct mmu_update update = {
		.ptr = pvmm_pt_entry_maddr(w.step[1].table, w.step[1].slot),
		.val = entry,
	};

	return pvmm_hc_mmu_update(&update, 1, NULL);
}

static void in_a_space_not_loaded(void)
{
	pvmm_va_t va = STRAY_VA + PVMM_PAGE_SIZE;

	if (!set_up())
		return;
	CHECK_EQUAL(pvmm_space_create(&other, "culprit"), 0);
	CHECK_EQUAL(pvmm_space_map(&other, STRAY_VA, bystander, PVMM_PROT_RW), 0);
	CHECK_EQUAL(pvmm_space_pin(&other), 0);
	CHECK_EQUAL(store_in_other(va, stray_entry() | PVMM_PTE_USER), 0);
	pin_is_refused_for(&other, va);
	CHECK_EQUAL(store_in_other(va, 0), 0);
	pin_succeeds_now();
	CHECK_EQUAL(pvmm_space_destroy(&other), 0);
	tear_down();
}

/*
 * The same mapping in a space that Xen has not validated counts for nothing until that space is
 * pinned: then it is that pin that fails, with -EBUSY, for an entry of its own.
 */
static void in_the_space_being_pinned(void)
{
	struct pvmm_stray_record record;
	struct pvmm_walk w;

	if (!set_up())
		return;
	CHECK_EQUAL(pvmm_space_create(&other, "culprit"), 0);
	CHECK_EQUAL(pvmm_space_map(&other, STRAY_VA, bystander, PVMM_PROT_RW), 0);
	w = pvmm_pt_walk(other.root, STRAY_VA);
	pvmm_pt_entries(w.step[1].table)[w.step[1].slot + 1] = stray_entry() | PVMM_PTE_USER;
	pin_succeeds_now();

	CHECK_EQUAL(pvmm_space_pin(&other), -XEN_EBUSY);
	record = pvmm_stray_last();
	CHECK_EQUAL(record.refused_pins, refused_before + 1);
	CHECK_EQUAL(record.nr_found, 1);
	CHECK_EQUAL(record.first.va, STRAY_VA + PVMM_PAGE_SIZE);
	CHECK_EQUAL(pfn_x(record.first.pfn), pfn_x(victim));
	CHECK(record.first.space == &other);

	pvmm_pt_entries(w.step[1].table)[w.step[1].slot + 1] = 0;
	CHECK_EQUAL(pvmm_space_pin(&other), 0);
	CHECK_EQUAL(pvmm_space_destroy(&other), 0);
	tear_down();
}

/* A new table for a space that is pinned already is refused in the same way. */
static void of_a_table_added_later(void)
{
	struct pvmm_page *page[8];
	pvmm_va_t va = KERNEL_VA + PVMM_PAGE_SIZE;

	if (!set_up())
		return;
	CHECK_EQUAL(pvmm_space_pin(&space), 0);
	CHECK_EQUAL(pvmm_space_map(&pvmm_kernel_space, KERNEL_VA, bystander, PVMM_PROT_RW), 0);

	/* Every page that the next table could be has a stray mapping; none is kept for use. */
	pvmm_table_cache_shrink();
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(page); i++) {
		page[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		if (!CHECK(page[i]))
			return;
		victim = pvmm_page_pfn(page[i]);
		CHECK_EQUAL(pvmm_hc_update_va_mapping(va + i * PVMM_PAGE_SIZE, stray_entry(),
						      UVMF_INVLPG),
			    0);
	}
	/* Last freed is first reused: the table is page[0]. */
	for (unsigned int i = PVMM_ARRAY_SIZE(page); i-- > 0;)
		pvmm_page_put(page[i]);
	CHECK_EQUAL(pvmm_space_map(&space, STRAY_VA, user, PVMM_PROT_RW), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_stray_last().refused_pins, refused_before + 1);
	CHECK(pvmm_stray_last().nr_found >= 1);
	CHECK_EQUAL(pvmm_pt_lookup(space.root, STRAY_VA), 0);

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(page); i++)
		CHECK_EQUAL(pvmm_hc_update_va_mapping(va + i * PVMM_PAGE_SIZE, 0, UVMF_INVLPG), 0);
	CHECK_EQUAL(pvmm_space_map(&space, STRAY_VA, user, PVMM_PROT_RW), 0);
	CHECK_EQUAL(pvmm_space_unmap(&pvmm_kernel_space, KERNEL_VA), 0);
	tear_down();
}

const struct suite suite_stray = {
	.name = "stray",
	.about = "stray writable mappings are found and named",
	.tests =
		(const struct test[]){
			{"without one, nothing is reported", without_one_nothing_is_reported},
			{"one in the direct map is named", in_the_direct_map},
			{"one in another table of the kernel is named", in_another_table},
			{"one in a pinned space that is not loaded is named",
			 in_a_space_not_loaded},
			{"one in the space being pinned is named", in_the_space_being_pinned},
			{"one of a table added later is named", of_a_table_added_later},
			{NULL, NULL},
		},
};
