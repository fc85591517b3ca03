/* SPDX-License-Identifier: MIT */
/*
 * Owns what is done to ranges of a user half: regions made, unmapped, protected; and all of it
 * cleared.
 *
 * Invariant: a page of a region is mapped writable only if no other address space has it; a range
 * that is unmapped gives its pages back after they are flushed, and its tables with them where
 * nothing else is in them.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "ledger.h"
#include "space.h"

/* Pages taken out of one table in one trap; bounds the stack that remembering them takes. */
#define UNMAP_PAGES 128

int check_range(pvmm_va_t start, uint64_t nr_pages)
{
	pvmm_va_t end = start + (nr_pages << PVMM_PAGE_SHIFT);

	if ((start & ~PVMM_PAGE_MASK) || !nr_pages || nr_pages > PVMM_USER_END >> PVMM_PAGE_SHIFT ||
	    !pvmm_va_is_user(start) || end <= start || end > PVMM_USER_END)
		return -XEN_EINVAL;
	return 0;
}

pvmm_va_t next_table(pvmm_va_t va)
{
	return (va | (pvmm_level_bytes(2) - 1)) + 1;
}

/* Where to look on: behind what the walk has found to be empty, at most end. */
static pvmm_va_t skip_hole(const struct pvmm_walk *w, pvmm_va_t va, pvmm_va_t end)
{
	pvmm_va_t next = (va | (pvmm_level_bytes(w->stopped_at) - 1)) + 1;

	return next < end ? next : end;
}

int pvmm_space_region(struct pvmm_space *space, pvmm_va_t start, uint64_t nr_pages, uint64_t prot)
{
	int err = check_range(start, nr_pages);
	uint64_t leaf = leaf_prot(space, prot);

	if (err || !leaf || space_is_kernel(space))
		return -XEN_EINVAL;
	pvmm_spin_lock(&space->lock);
	err = region_add(space, start, start + (nr_pages << PVMM_PAGE_SHIFT), leaf);
	pvmm_spin_unlock(&space->lock);
	return err;
}

/* --- unmapping --- */

/* Whether nothing is mapped in the table but in slots first to last. */
static bool only_in(const pvmm_pte_t *entries, unsigned int first, unsigned int last)
{
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		bool inside = slot >= first && slot <= last;

		if (!inside && pvmm_pte_present(entries[slot]))
			return false;
	}
	return true;
}

/* Takes a whole L1 table out: one entry cleared instead of its many. */
static void unmap_table(struct pvmm_space *space, const struct pvmm_walk *w)
{
	struct dying dying;

	dying_init(&dying);
	pvmm_batch_begin();
	dying_add(&dying, w->step[1].table, 1);
	set_upper(space, w, 2, 0);
	dying_queue(&dying);
	if (space_is_loaded(space))
		pvmm_batch_flush_all();
	pvmm_batch_end(NULL);
	dying_free(space, &dying);
}

/* Clears the entries from va on, at most UNMAP_PAGES of them; returns where to go on. */
static pvmm_va_t unmap_some(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
			    pvmm_va_t end)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(w->step[1].table);
	struct pvmm_walk_step at = w->step[1];
	struct pvmm_page *pages[UNMAP_PAGES];
	unsigned int nr = 0;

	pvmm_batch_begin();
	for (; va < end && nr < UNMAP_PAGES; va += PVMM_PAGE_SIZE, at.slot++) {
		at.entry = entries[at.slot];
		if (!pvmm_pte_present(at.entry))
			continue;
		pages[nr++] = page_of_leaf(at.entry);
		set_leaf(space, &at, va, 0);
	}
	pvmm_batch_end(NULL);

	space->nr_pages -= nr;
	for (unsigned int i = 0; i < nr; i++)
		if (pages[i])
			release_page(pages[i]);
	return va;
}

static void unmap_locked(struct pvmm_space *space, pvmm_va_t va, pvmm_va_t end)
{
	while (va < end) {
		struct pvmm_walk w = pvmm_pt_walk(space->root, va);
		pvmm_va_t stop = next_table(va) < end ? next_table(va) : end;

		if (w.stopped_at > 1) {
			va = skip_hole(&w, va, end);
		} else if (only_in(pvmm_pt_entries(w.step[1].table), w.step[1].slot,
				   pvmm_pt_slot(stop - 1, 1))) {
			unmap_table(space, &w);
			va = stop;
		} else {
			va = unmap_some(space, &w, va, stop);
		}
	}
}

int pvmm_space_unmap_range(struct pvmm_space *space, pvmm_va_t start, uint64_t nr_pages)
{
	pvmm_va_t end = start + (nr_pages << PVMM_PAGE_SHIFT);
	int err = check_range(start, nr_pages);

	if (err || space_is_kernel(space))
		return -XEN_EINVAL;
	pvmm_spin_lock(&space->lock);
	err = region_cut(space, start, end);
	if (!err)
		unmap_locked(space, start, end);
	pvmm_spin_unlock(&space->lock);
	return err;
}

/* One batch takes the user half out of the roots, whatever is in it. */
int pvmm_space_clear(struct pvmm_space *space)
{
	unsigned int last = space_last_user_slot();
	struct dying dying;

	if (space_is_kernel(space))
		return -XEN_EINVAL;

	dying_init(&dying);
	pvmm_spin_lock(&space->lock);
	(void)region_cut(space, 0, PVMM_USER_END);
	pvmm_batch_begin();
	for (unsigned int slot = 0; slot <= last; slot++) {
		pvmm_va_t va = pvmm_va_canonical(slot * pvmm_level_bytes(PVMM_PT_LEVELS));
		pvmm_pte_t entry = pvmm_pt_entries(space->root)[slot];
		struct pvmm_walk w;

		if (!pvmm_pte_present(entry))
			continue;
		w = pvmm_pt_walk(space->root, va);
		dying_add(&dying, pvmm_mfn_to_pfn(pvmm_pte_mfn(entry)), PVMM_PT_LEVELS - 1);
		set_upper(space, &w, PVMM_PT_LEVELS, 0);
	}
	dying_queue(&dying);
	if (space_is_loaded(space))
		pvmm_batch_flush_all();
	pvmm_batch_end(NULL);
	dying_free(space, &dying);
	pvmm_spin_unlock(&space->lock);
	return 0;
}

/* --- protecting --- */

/* What a present entry of a region becomes: a page that others have too stays read-only. */
static pvmm_pte_t protected_entry(pvmm_pte_t entry, uint64_t prot)
{
	const struct pvmm_page *page = page_of_leaf(entry);

	if (!page || __atomic_load_n(&page->refs, __ATOMIC_ACQUIRE) > 1)
		prot &= ~(PVMM_PTE_RW | PVMM_PTE_DIRTY);
	return pvmm_pte(pvmm_pte_mfn(entry), prot);
}

static void protect_table(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
			  pvmm_va_t end, uint64_t prot)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(w->step[1].table);
	struct pvmm_walk_step at = w->step[1];

	for (; va < end; va += PVMM_PAGE_SIZE, at.slot++) {
		at.entry = entries[at.slot];
		if (pvmm_pte_present(at.entry))
			set_leaf(space, &at, va, protected_entry(at.entry, prot));
	}
}

bool is_all_regions(const struct pvmm_space *space, pvmm_va_t start, pvmm_va_t end)
{
	const struct region *r;

	for (; start < end; start = r->end) {
		r = region_at(space, start);
		if (!r)
			return false;
	}
	return true;
}

static void protect_locked(struct pvmm_space *space, pvmm_va_t start, pvmm_va_t end, uint64_t prot)
{
	for (struct region *r = region_at(space, start); r && r->start < end; r = r->next)
		r->prot = prot;

	pvmm_batch_begin();
	while (start < end) {
		struct pvmm_walk w = pvmm_pt_walk(space->root, start);
		pvmm_va_t stop = next_table(start) < end ? next_table(start) : end;

		if (w.stopped_at > 1) {
			start = skip_hole(&w, start, end);
			continue;
		}
		protect_table(space, &w, start, stop, prot);
		start = stop;
	}
	pvmm_batch_end(NULL);
}

int pvmm_space_protect_range(struct pvmm_space *space, pvmm_va_t start, uint64_t nr_pages,
			     uint64_t prot)
{
	pvmm_va_t end = start + (nr_pages << PVMM_PAGE_SHIFT);
	int err = check_range(start, nr_pages);
	uint64_t leaf = leaf_prot(space, prot);

	if (err || !leaf || space_is_kernel(space))
		return -XEN_EINVAL;
	pvmm_spin_lock(&space->lock);
	err = is_all_regions(space, start, end) ? region_split(space, start, end) : -XEN_ENOENT;
	if (!err)
		protect_locked(space, start, end, leaf);
	pvmm_spin_unlock(&space->lock);
	return err;
}
