/* SPDX-License-Identifier: MIT */
/*
 * Address spaces on real Xen: built with plain stores, pinned in one trap, loaded, changed, taken
 * apart, and nothing left behind. (R1; XEN-RULES: pin, mmu_update, base pointer)
 */
#include <pvmm/stats.h>
#include <pvmm/alloc.h>
#include <pvmm/check.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include "probe.h"
#include "suites.h"

#define USER_VA	 0x0000000000400000ULL
#define OTHER_VA 0x00007f0000000000ULL

static struct pvmm_space space;

static struct pvmm_page *user_page(uint64_t first_word)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_USER);

	if (CHECK(page))
		*(uint64_t *)pvmm_page_virt(page) = first_word;
	return page;
}

static void an_empty_space_leaves_nothing(void)
{
	CHECK_EQUAL(pvmm_space_create(&space, "empty"), 0);
	CHECK_EQUAL(space.nr_tables, 2); /* a root for each mode */
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
}

static void what_is_mapped_can_be_used(void)
{
	struct pvmm_page *page = user_page(0x1234);
	uint64_t *word = pvmm_page_virt(page);

	CHECK_EQUAL(pvmm_space_create(&space, "use"), 0);
	CHECK_EQUAL(pvmm_space_map(&space, USER_VA, page, PVMM_PROT_RW), 0);
	CHECK(probe_read(USER_VA).faulted);
	CHECK_EQUAL(pvmm_space_activate(&space), 0);
	CHECK_EQUAL(*(volatile uint64_t *)USER_VA, 0x1234);
	*(volatile uint64_t *)USER_VA = 0x5678;
	CHECK_EQUAL(*word, 0x5678);

	CHECK_EQUAL(pvmm_space_protect(&space, USER_VA, PVMM_PROT_RO), 0);
	CHECK(probe_write(USER_VA, 1).faulted);
	CHECK_EQUAL(pvmm_space_protect(&space, USER_VA, PVMM_PROT_RW), 0);
	CHECK(!probe_write(USER_VA, 1).faulted);
	CHECK_EQUAL(pvmm_space_unmap(&space, USER_VA), 0);
	CHECK(probe_read(USER_VA).faulted);

	CHECK_EQUAL(pvmm_space_activate(&pvmm_kernel_space), 0);
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
	pvmm_page_put(page);
}

static void the_pin_is_one_trap(void)
{
	struct pvmm_page *page = user_page(0);
	struct pvmm_batch_stats before, after;
	/* Asking Xen about the pages would be traps too. */
	const struct pvmm_check_config config = pvmm_check_config(), unchecked = {0};
	enum { REGIONS = 33 }; /* an L1 and an L2 each, one L3, two roots: 69 tables */

	pvmm_check_configure(&unchecked);
	CHECK_EQUAL(pvmm_space_create(&space, "trap"), 0);
	before = pvmm_batch_stats();
	for (uint64_t i = 0; i < REGIONS; i++)
		CHECK_EQUAL(pvmm_space_map(&space, USER_VA + i * pvmm_level_bytes(3), page,
					   PVMM_PROT_RW),
			    0);
	after = pvmm_batch_stats();
	CHECK_EQUAL(space.nr_tables, 2 * REGIONS + 3);
	CHECK_EQUAL(after.traps - before.traps, 0);

	CHECK_EQUAL(pvmm_space_pin(&space), 0);
	CHECK_EQUAL(pvmm_batch_stats().traps - after.traps, 1);
	CHECK_EQUAL(pvmm_space_unpin(&space), 0);
	CHECK_EQUAL(pvmm_batch_stats().traps - after.traps, 2);
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
	CHECK_EQUAL(pvmm_batch_stats().traps - after.traps, 2);
	pvmm_check_configure(&config);
	pvmm_page_put(page);
}

static void a_pinned_space_can_be_changed(void)
{
	struct pvmm_page *page = user_page(0x77);

	CHECK_EQUAL(pvmm_space_create(&space, "late"), 0);
	CHECK_EQUAL(pvmm_space_activate(&space), 0);
	CHECK_EQUAL(pvmm_space_map(&space, USER_VA, page, PVMM_PROT_RW), 0);
	CHECK_EQUAL(pvmm_space_map(&space, OTHER_VA, page, PVMM_PROT_RO), 0);
	CHECK_EQUAL(*(volatile uint64_t *)USER_VA, 0x77);
	CHECK_EQUAL(*(volatile uint64_t *)OTHER_VA, 0x77);
	CHECK(probe_write(OTHER_VA, 1).faulted);
	CHECK_EQUAL(page->live, 2);
	CHECK_EQUAL(pvmm_space_activate(&pvmm_kernel_space), 0);
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
	CHECK_EQUAL(page->live, 0);
	pvmm_page_put(page);
}

static void pinned_tables_are_read_only(void)
{
	struct pvmm_page *page = user_page(0);
	struct pvmm_walk w;

	CHECK_EQUAL(pvmm_space_create(&space, "read-only"), 0);
	CHECK_EQUAL(pvmm_space_map(&space, USER_VA, page, PVMM_PROT_RW), 0);
	w = pvmm_pt_walk(space.root, USER_VA);
	CHECK_EQUAL(w.stopped_at, 1);
	for (unsigned int level = 1; level <= PVMM_PT_LEVELS; level++)
		CHECK(!probe_write((uintptr_t)&pvmm_pt_entries(w.step[level].table)[500], 0)
			       .faulted);
	CHECK_EQUAL(pvmm_space_pin(&space), 0);
	for (unsigned int level = 1; level <= PVMM_PT_LEVELS; level++)
		CHECK(probe_write((uintptr_t)&pvmm_pt_entries(w.step[level].table)[500], 0)
			      .faulted);
	CHECK_EQUAL(pvmm_space_unpin(&space), 0);
	for (unsigned int level = 1; level <= PVMM_PT_LEVELS; level++)
		CHECK(!probe_write((uintptr_t)&pvmm_pt_entries(w.step[level].table)[500], 0)
			       .faulted);
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
	pvmm_page_put(page);
}

/* By the manager, and by Xen when the manager is not asked. */
static void a_table_cannot_be_mapped_writable(void)
{
	static struct pvmm_space other;
	struct pvmm_page *table, *page = user_page(0);
	pvmm_va_t va = PVMM_VMAP_BASE;

	CHECK_EQUAL(pvmm_space_create(&space, "victim"), 0);
	CHECK_EQUAL(pvmm_space_pin(&space), 0);
	table = pvmm_page(space.root);
	CHECK_EQUAL(pvmm_space_create(&other, "offender"), 0);
	CHECK_EQUAL(pvmm_space_map(&other, USER_VA, table, PVMM_PROT_RW), -XEN_EBUSY);
	CHECK_EQUAL(pvmm_space_map(&pvmm_kernel_space, va, table, PVMM_PROT_RW), -XEN_EBUSY);

	/* Make sure that there is an L1 table for the address, then ask Xen. */
	CHECK_EQUAL(pvmm_space_map(&pvmm_kernel_space, va, page, PVMM_PROT_RW), 0);
	CHECK(pvmm_hc_update_va_mapping(va, pvmm_pte(pvmm_pfn_to_mfn(space.root), PVMM_PROT_RW),
					UVMF_INVLPG) < 0);
	CHECK_EQUAL(pvmm_space_unmap(&pvmm_kernel_space, va), 0);

	/* Read-only is legal. */
	CHECK_EQUAL(pvmm_space_map(&pvmm_kernel_space, va, table, PVMM_PROT_RO), 0);
	CHECK_EQUAL(pvmm_space_unmap(&pvmm_kernel_space, va), 0);
	CHECK_EQUAL(pvmm_space_destroy(&other), 0);
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
	pvmm_page_put(page);
}

static void wrong_requests_are_refused(void)
{
	struct pvmm_page *page = user_page(0);

	CHECK_EQUAL(pvmm_space_create(&space, "wrong"), 0);
	CHECK_EQUAL(pvmm_space_map(&space, USER_VA + 1, page, PVMM_PROT_RW), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_space_map(&space, 0, page, PVMM_PROT_RW), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_space_map(&space, PVMM_USER_END, page, PVMM_PROT_RW), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_space_map(&space, PVMM_VMAP_BASE, page, PVMM_PROT_RW), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_space_map(&pvmm_kernel_space, USER_VA, page, PVMM_PROT_RW), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_space_map(&space, USER_VA, page, 0), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_space_map(&space, USER_VA, page, PVMM_PROT_RW | PVMM_PTE_PAT),
		    -XEN_EINVAL);
	CHECK_EQUAL(pvmm_space_unmap(&space, USER_VA), -XEN_ENOENT);
	CHECK_EQUAL(pvmm_space_protect(&space, USER_VA, PVMM_PROT_RO), -XEN_ENOENT);
	CHECK_EQUAL(pvmm_space_unpin(&space), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_space_map(&space, USER_VA, page, PVMM_PROT_RW), 0);
	CHECK_EQUAL(pvmm_space_map(&space, USER_VA, page, PVMM_PROT_RW), -XEN_EEXIST);
	CHECK_EQUAL(pvmm_space_activate(&space), 0);
	CHECK_EQUAL(pvmm_space_unpin(&space), -XEN_EBUSY);
	CHECK_EQUAL(pvmm_space_destroy(&space), -XEN_EBUSY);
	CHECK_EQUAL(pvmm_space_activate(&pvmm_kernel_space), 0);
	CHECK_EQUAL(pvmm_space_destroy(&pvmm_kernel_space), -XEN_EBUSY);
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
	pvmm_page_put(page);
}

/* Twenty at once, each with a page of its own, switched among in every order. */
static void spaces_do_not_see_each_other(void)
{
	enum { NR = 20 };
	static struct pvmm_space many[NR];
	struct pvmm_page *page[NR];
	unsigned int at = 0, wrong = 0;

	for (unsigned int i = 0; i < NR; i++) {
		page[i] = user_page(i);
		CHECK_EQUAL(pvmm_space_create(&many[i], "one of many"), 0);
		CHECK_EQUAL(pvmm_space_map(&many[i], USER_VA, page[i], PVMM_PROT_RW), 0);
		pvmm_page_put(page[i]); /* the mapping's own reference keeps it */
	}
	for (unsigned int round = 0; round < 200; round++) {
		at = (at * 7 + round + 3) % NR;
		CHECK_EQUAL(pvmm_space_activate(&many[at]), 0);
		wrong += *(volatile uint64_t *)USER_VA != at;
	}
	CHECK_EQUAL(wrong, 0);
	CHECK_EQUAL(pvmm_space_activate(&pvmm_kernel_space), 0);
	for (unsigned int i = 0; i < NR; i++)
		CHECK_EQUAL(pvmm_space_destroy(&many[i]), 0);
}

const struct suite suite_space = {
	.name = "space",
	.about = "address spaces: build, pin, load, change, destroy",
	.tests =
		(const struct test[]){
			{"an empty space leaves nothing behind", an_empty_space_leaves_nothing},
			{"what is mapped can be used, as far as it is allowed",
			 what_is_mapped_can_be_used},
			{"building costs no trap, a pin of 69 tables one", the_pin_is_one_trap},
			{"a pinned, loaded space can be changed", a_pinned_space_can_be_changed},
			{"tables are read-only exactly while pinned", pinned_tables_are_read_only},
			{"a page table cannot be mapped writable",
			 a_table_cannot_be_mapped_writable},
			{"wrong requests are refused", wrong_requests_are_refused},
			{"twenty spaces do not see each other", spaces_do_not_see_each_other},
			{NULL, NULL},
		},
};
