/* SPDX-License-Identifier: MIT */
/*
 * The batch on real Xen: order, one trap, flushes that really happen, and a refusal that is told as
 * it was. (R43, R46; docs/xen-rules.md 28, 36. tests/unit/test_batch*.c tries more, on the model.)
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/stats.h>
#include "suites.h"

#define VA (PVMM_VMAP_BASE + 0x40000000ULL)

/* Two pages, and a mapping of the first whose L1 entry is at entry_maddr. */
static struct pvmm_page *one, *two;
static uint64_t entry_maddr;

static bool set_up(void)
{
	struct pvmm_walk w;

	one = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	two = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	if (!CHECK(one && two) ||
	    !CHECK_EQUAL(pvmm_space_map(&pvmm_kernel_space, VA, one, PVMM_PROT_RW), 0))
		return false;
	*(uint64_t *)pvmm_page_virt(one) = 1;
	*(uint64_t *)pvmm_page_virt(two) = 2;
	w = pvmm_pt_walk(pvmm_kernel_space.root, VA);
	entry_maddr = pvmm_pt_entry_maddr(w.step[1].table, w.step[1].slot);
	return true;
}

static void tear_down(void)
{
	CHECK_EQUAL(pvmm_space_unmap(&pvmm_kernel_space, VA), 0);
	pvmm_page_put(one);
	pvmm_page_put(two);
}

static pvmm_pte_t entry_for(const struct pvmm_page *page, uint64_t prot)
{
	return pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), prot);
}

static uint64_t seen_at_va(void)
{
	return *(volatile uint64_t *)VA;
}

/* A translation that is in use changes; with the batch's flush the next read sees it. */
static void flushes_happen(void)
{
	if (!set_up())
		return;
	for (unsigned int i = 0; i < 50; i++) {
		struct pvmm_page *next = i & 1 ? one : two;

		CHECK_EQUAL(seen_at_va(), i & 1 ? 2 : 1);
		pvmm_batch_begin();
		pvmm_batch_mmu_update(entry_maddr, entry_for(next, PVMM_PROT_RW));
		if (i & 2)
			pvmm_batch_flush_va(VA);
		else
			pvmm_batch_flush_all();
		CHECK_EQUAL(pvmm_batch_end(&(struct pvmm_batch_failure){0}), 0);
		CHECK_EQUAL(seen_at_va(), i & 1 ? 1 : 2);
	}
	tear_down();
}

/* Read-only, pin, unpin, writable: each step is possible only behind the one before it. */
static void order_is_kept(void)
{
	struct pvmm_batch_stats before;
	struct pvmm_batch_failure failure;
	struct mmuext_op op = {0};

	if (!set_up())
		return;
	before = pvmm_batch_stats();
	((uint64_t *)pvmm_page_virt(one))[0] = 0;
	for (unsigned int i = 0; i < 512; i++)
		((uint64_t *)pvmm_page_virt(two))[i] = 0;
	op.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(pvmm_page_pfn(two)));
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 10; i++) {
		pvmm_table_queue_protect(two);
		op.cmd = MMUEXT_PIN_L1_TABLE;
		pvmm_batch_mmuext(&op);
		op.cmd = MMUEXT_UNPIN_TABLE;
		pvmm_batch_mmuext(&op);
		pvmm_table_queue_unprotect(two);
	}
	CHECK_EQUAL(pvmm_batch_end(&failure), 0);
	CHECK_EQUAL(pvmm_batch_stats().traps - before.traps, 1);
	tear_down();
}

static unsigned int nr_told;

static void count_fate(const struct pvmm_batch_failure *op, bool tried, void *ctx)
{
	(void)op, (void)tried, (void)ctx;
	nr_told++;
}

/* One that Xen refuses in the middle: which one, what came before it, what Xen did with the rest.
 */
static void a_refusal_is_told_as_it_was(void)
{
	struct pvmm_batch_failure failure;
	struct pvmm_walk w;
	pvmm_pte_t entry;

	if (!set_up())
		return;
	w = pvmm_pt_walk(pvmm_kernel_space.root, VA);
	nr_told = 0;
	pvmm_batch_begin();
	pvmm_batch_on_refusal(count_fate, NULL);
	pvmm_batch_mmu_update(entry_maddr, entry_for(one, PVMM_PROT_RO));
	pvmm_batch_mmu_update(entry_maddr, entry_for(pvmm_page(w.step[1].table), PVMM_PROT_RW));
	pvmm_batch_mmu_update(entry_maddr, 0);
	pvmm_batch_mmuext(&(struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_LOCAL});
	CHECK_EQUAL(pvmm_batch_end(&failure), -XEN_EBUSY);
	CHECK_EQUAL(failure.index, 1);
	CHECK_EQUAL(failure.applied, 1);
	CHECK_EQUAL(failure.kind, PVMM_BATCH_MMU_UPDATE);
	CHECK_EQUAL(failure.op.update.ptr, entry_maddr);
	CHECK_EQUAL(nr_told, 2);
	entry = pvmm_pt_lookup(pvmm_kernel_space.root, VA);
	CHECK(pvmm_pte_present(entry) && !pvmm_pte_writable(entry));
	tear_down();
}

/* Far more than the queue holds, and far longer than Xen works in one go. */
static void long_batches_arrive(void)
{
	enum { ROUNDS = 20000 };
	struct pvmm_batch_stats before;

	if (!set_up())
		return;
	before = pvmm_batch_stats();
	pvmm_batch_begin();
	for (unsigned int i = 0; i < ROUNDS; i++)
		pvmm_batch_mmu_update(entry_maddr, entry_for(i & 1 ? two : one, PVMM_PROT_RW));
	pvmm_batch_flush_va(VA);
	CHECK_EQUAL(pvmm_batch_end(&(struct pvmm_batch_failure){0}), 0);
	CHECK_EQUAL(pvmm_batch_stats().mmu_updates - before.mmu_updates, ROUNDS);
	CHECK(pvmm_batch_stats().traps - before.traps <= ROUNDS / 500 + 1);
	CHECK_EQUAL(seen_at_va(), 2);

	/* The manager's books have one there. */
	pvmm_batch_begin();
	pvmm_batch_mmu_update(entry_maddr, entry_for(one, PVMM_PROT_RW));
	pvmm_batch_flush_va(VA);
	CHECK_EQUAL(pvmm_batch_end(&(struct pvmm_batch_failure){0}), 0);
	tear_down();
}

const struct suite suite_batch = {
	.name = "batch",
	.about = "page-table operations in batches",
	.tests =
		(const struct test[]){
			{"flushes happen before the batch's end", flushes_happen},
			{"order is kept, and all of it is one trap", order_is_kept},
			{"a refusal is told as it was", a_refusal_is_told_as_it_was},
			{"long batches arrive whole", long_batches_arrive},
			{NULL, NULL},
		},
};
