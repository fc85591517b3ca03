/* SPDX-License-Identifier: MIT */
/*
 * Owns the shape of page tables: the walk, the visit, and the storing of an entry. Knows whether a
 * table is Xen's to change or still ours; knows nothing of address spaces.
 *
 * Invariant: a page with PVMM_PAGE_READONLY is read-only in the direct map and is never stored to.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/pagetable.h>
#include <pvmm/space.h>
#include "mm.h"

struct pvmm_walk pvmm_pt_walk(pfn_t root, pvmm_va_t va)
{
	struct pvmm_walk w;
	pfn_t table = root;

	for (unsigned int level = PVMM_PT_LEVELS;; level--) {
		struct pvmm_walk_step *step = &w.step[level];

		step->table = table;
		step->slot = pvmm_pt_slot(va, level);
		/* Others may be hanging a new table in: what is in it comes with the entry. */
		step->entry =
			__atomic_load_n(&pvmm_pt_entries(table)[step->slot], __ATOMIC_ACQUIRE);
		w.stopped_at = level;
		if (level == 1 || !pvmm_pte_present(step->entry))
			return w;
		table = pvmm_mfn_to_pfn(pvmm_pte_mfn(step->entry));
		if (!pfn_valid(table))
			return w;
	}
}

pvmm_pte_t pvmm_pt_lookup(pfn_t root, pvmm_va_t va)
{
	struct pvmm_walk w = pvmm_pt_walk(root, va);

	return w.stopped_at == 1 ? w.step[1].entry : 0;
}

int pvmm_pt_visit(pfn_t table, unsigned int level, pvmm_va_t va, unsigned int first,
		  unsigned int last, pvmm_pt_visit_fn *visit, void *ctx)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(table);

	for (unsigned int slot = first; level > 1 && slot <= last; slot++) {
		pvmm_pte_t entry = __atomic_load_n(&entries[slot], __ATOMIC_ACQUIRE);
		pvmm_va_t below;
		pfn_t child;
		int err;

		if (!pvmm_pte_present(entry))
			continue;
		child = pvmm_mfn_to_pfn(pvmm_pte_mfn(entry));
		if (!pfn_valid(child))
			continue;
		below = pvmm_va_canonical(va + slot * pvmm_level_bytes(level));
		err = pvmm_pt_visit(child, level - 1, below, 0, PVMM_PT_ENTRIES - 1, visit, ctx);
		if (err)
			return err;
	}
	return visit(table, level, va, ctx);
}

uint64_t pvmm_pt_entry_maddr(pfn_t table, unsigned int slot)
{
	return pvmm_mfn_to_maddr(pvmm_pfn_to_mfn(table)) + slot * sizeof(pvmm_pte_t);
}

struct pvmm_page *pvmm_table_alloc(unsigned int level)
{
	struct pvmm_page *page = table_spare_take(level);

	if (page)
		return page;
	page = pvmm_page_alloc(0, (enum pvmm_page_kind)(PVMM_PAGE_L1 + level - 1));
	if (page)
		page_zero(page);
	return page;
}

void pvmm_table_free(struct pvmm_page *page)
{
	if (!pvmm_page_table_level(page))
		pvmm_panic("pfn 0x%llx freed as a page table is %s, by %pS",
			   (unsigned long long)pfn_x(pvmm_page_pfn(page)),
			   pvmm_page_kind_name(page->kind), __builtin_return_address(0));
	if (!table_spare_give(page))
		table_dismiss(page);
}

/* Somebody may have mapped it, read-only: it stays, as an ordinary page, until that goes. */
void table_dismiss(struct pvmm_page *page)
{
	__atomic_store_n(&page->kind, PVMM_PAGE_KERNEL, __ATOMIC_RELAXED);
	pvmm_page_put(page);
}

void pvmm_pt_set(pfn_t table, unsigned int slot, pvmm_pte_t pte)
{
	if (pvmm_page(table)->flags & PVMM_PAGE_READONLY)
		pvmm_batch_mmu_update(pvmm_pt_entry_maddr(table, slot), pte);
	else
		__atomic_store_n(&pvmm_pt_entries(table)[slot], pte, __ATOMIC_RELEASE);
}

void directmap_queue(const struct pvmm_page *page, uint64_t prot)
{
	pfn_t pfn = pvmm_page_pfn(page);
	pvmm_va_t va = (uintptr_t)pvmm_pfn_to_virt(pfn);
	struct pvmm_walk w = pvmm_pt_walk(pvmm_kernel_space.root, va);

	if (w.stopped_at != 1)
		pvmm_panic(
			"pfn 0x%llx has no direct-map entry: the walk of 0x%llx ends at level %u",
			(unsigned long long)pfn_x(pfn), (unsigned long long)va, w.stopped_at);
	pvmm_batch_mmu_update(pvmm_pt_entry_maddr(w.step[1].table, w.step[1].slot),
			      prot ? pvmm_pte(pvmm_pfn_to_mfn(pfn), prot) : 0);
}

void pvmm_table_queue_protect(struct pvmm_page *page)
{
	directmap_queue(page, PVMM_PROT_RO);
}

void pvmm_table_queue_unprotect(struct pvmm_page *page)
{
	directmap_queue(page, PVMM_PROT_RW);
}

void pvmm_table_mark(struct pvmm_page *page, bool readonly)
{
	if (readonly)
		__atomic_fetch_or(&page->flags, PVMM_PAGE_READONLY, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&page->flags, (uint8_t)~PVMM_PAGE_READONLY, __ATOMIC_RELAXED);
}
