/* SPDX-License-Identifier: MIT */
/*
 * Owns the taking away of stray mappings, for check-action=fix. Allocates nothing.
 *
 * An entry is changed only with the lock of its address space, so that nobody else is changing it.
 * The search holds the list of spaces locked meanwhile, which comes behind a space's lock: so that
 * one is tried for, never waited for.
 *
 * What becomes of an entry: in the direct map, the page whose place it is; where the ledger knows
 * of mappings of the page, the same without the right to write, since which of them it counts
 * cannot be told; otherwise nothing.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "check.h"

/* A space that is busy is tried for this often: pinning a large one takes a while. */
#define TRIES 16

struct repair {
	struct pvmm_space *held;
	unsigned int nr_removed, nr_busy;
};

/* The entry that belongs at this place of the direct map. */
static pvmm_pte_t directmap_entry(pvmm_va_t va)
{
	pfn_t pfn = _pfn((va - PVMM_DIRECTMAP_BASE) >> PVMM_PAGE_SHIFT);
	uint8_t flags = pvmm_page(pfn)->flags;

	if ((flags & PVMM_PAGE_NODIRECT) || !mfn_valid(pvmm_pfn_to_mfn(pfn)))
		return 0;
	return pvmm_pte(pvmm_pfn_to_mfn(pfn),
			flags & PVMM_PAGE_READONLY ? PVMM_PROT_RO : PVMM_PROT_RW);
}

/* What is to stand in place of a stray entry; false where it is not ours to say. */
static bool right_entry(const struct pvmm_mapping *m, pvmm_pte_t *entry)
{
	const struct pvmm_page *page = pvmm_page(m->pfn);

	if (space_is_kernel(m->space) && m->va - PVMM_DIRECTMAP_BASE < PVMM_DIRECTMAP_BYTES) {
		*entry = directmap_entry(m->va);
		return true;
	}
	if (space_is_kernel(m->space) && m->va - PVMM_VMAP_BASE >= PVMM_VMAP_BYTES &&
	    m->va - PVMM_KMAP_BASE >= PVMM_KMAP_BYTES)
		return false;
	*entry = page->live || page->stale ? m->entry & ~PVMM_PTE_RW : 0;
	return true;
}

/*
 * Applies one change; Xen may refuse it (a page that is a table in the direct map's place). Always
 * through Xen: a table that is about to be handed over is read-only already, and Xen writes one
 * that it has not validated as it writes any page (docs/xen-rules.md, 25).
 */
static bool change(const struct pvmm_mapping *m, pvmm_pte_t entry)
{
	struct pvmm_batch_failure failure;

	pvmm_batch_begin();
	pvmm_batch_mmu_update(pvmm_pt_entry_maddr(m->table, m->slot), entry);
	pvmm_batch_flush_va(m->va);
	if (!pvmm_batch_end(&failure))
		return true;
	report_refusal(&failure, "repair of the mapping at 0x%llx refused by Xen",
		       (unsigned long long)m->va);
	return false;
}

static void repair_mapping(const struct pvmm_mapping *m, void *ctx)
{
	struct repair *r = ctx;
	pvmm_pte_t entry;

	if (m->space != r->held && !pvmm_spin_trylock(&m->space->lock)) {
		r->nr_busy++;
		return;
	}
	/* It may have changed before the lock was had. */
	if (__atomic_load_n(&pvmm_pt_entries(m->table)[m->slot], __ATOMIC_RELAXED) == m->entry &&
	    right_entry(m, &entry) && change(m, entry))
		r->nr_removed++;
	if (m->space != r->held)
		pvmm_spin_unlock(&m->space->lock);
}

static unsigned int repair(const struct search *search)
{
	struct repair *r = search->ctx;

	for (unsigned int i = 0; i < TRIES; i++) {
		r->nr_busy = 0;
		stray_search(search);
		if (!r->nr_busy)
			break;
		__builtin_ia32_pause();
	}
	return r->nr_removed;
}

unsigned int repair_mappings(enum wanted wanted, pfn_t pfn, struct pvmm_space *within,
			     struct pvmm_space *held)
{
	struct repair r = {.held = held};

	return repair(&(struct search){
		.wanted = wanted,
		.pfn = pfn,
		.writable = true,
		.skip_own = true,
		.space = within,
		.match = repair_mapping,
		.ctx = &r,
	});
}

unsigned int repair_holders(pfn_t pfn)
{
	struct repair r = {0};

	return repair(&(struct search){
		.wanted = WANTED_PAGE,
		.pfn = pfn,
		.skip_own = true,
		.match = repair_mapping,
		.ctx = &r,
	});
}

bool repair_place(pfn_t pfn)
{
	pvmm_va_t va = (uintptr_t)pvmm_pfn_to_virt(pfn);
	struct pvmm_walk w = pvmm_pt_walk(pvmm_kernel_space.root, va);
	struct pvmm_mapping m = {.table = w.step[1].table, .slot = w.step[1].slot, .va = va};

	return w.stopped_at == 1 && change(&m, directmap_entry(va));
}
