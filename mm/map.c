/* SPDX-License-Identifier: MIT */
/*
 * Owns the making, changing and removing of single mappings in an address space, and of the tables
 * that a new one needs.
 *
 * Invariant: an entry stands exactly if the page has its reference and its live count; when Xen
 * refuses, the tables and the counts are as before. Callers of the locked functions hold the
 * space's lock.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "ledger.h"

/* New tables below an existing one, lowest level first; chain[0] unused. */
struct chain {
	unsigned int levels; /* new tables of level 1 to this */
	struct pvmm_page *table[PVMM_PT_LEVELS];
};

static void for_each_of_chain(const void *tables, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	const struct chain *chain = tables;

	for (unsigned int level = 1; level <= chain->levels; level++)
		fn(chain->table[level], ctx);
}

static void chain_free(const struct chain *chain)
{
	for (unsigned int level = 1; level <= chain->levels; level++)
		pvmm_table_free(chain->table[level]);
}

static int chain_alloc(struct chain *chain, unsigned int levels)
{
	chain->levels = 0;
	for (unsigned int level = 1; level <= levels; level++) {
		chain->table[level] = pvmm_table_alloc(level);
		if (!chain->table[level]) {
			chain_free(chain);
			return -XEN_ENOMEM;
		}
		chain->levels = level;
	}
	return 0;
}

static pvmm_pte_t entry_of_table(const struct pvmm_page *table)
{
	return pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(table)), PVMM_PROT_TABLE);
}

/* Links the new tables into each other, the leaf at the bottom: plain stores. */
static void chain_fill(const struct chain *chain, pvmm_va_t va, pvmm_pte_t leaf)
{
	pvmm_pte_t entry = leaf;

	for (unsigned int level = 1; level <= chain->levels; level++) {
		struct pvmm_page *table = chain->table[level];

		pvmm_pt_set(pvmm_page_pfn(table), pvmm_pt_slot(va, level), entry);
		entry = entry_of_table(table);
	}
}

/*
 * Stores the L1 entry for va. A translation that may be in a TLB is flushed: one of the kernel's,
 * or of a space that some vCPU runs on (to leave a space is to flush it).
 */
static void set_leaf(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
		     pvmm_pte_t entry)
{
	const struct pvmm_walk_step *at = &w->step[1];
	bool present = pvmm_pte_present(at->entry);

	if (space->state == PVMM_SPACE_BUILDING) {
		pvmm_pt_set(at->table, at->slot, entry);
	} else if (space_is_kernel(space) || space == pvmm_space_current()) {
		pvmm_batch_va_mapping(va, pvmm_pt_entry_maddr(at->table, at->slot), entry, present);
	} else {
		pvmm_pt_set(at->table, at->slot, entry);
		if (present && __atomic_load_n(&space->nr_loaded, __ATOMIC_ACQUIRE))
			pvmm_batch_flush_va(va);
	}
}

/*
 * Puts an entry for va into the table where the walk stopped: the leaf itself, or the new tables
 * that lead to it. All or nothing.
 */
static int insert_entry(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
			const struct chain *chain, pvmm_pte_t leaf)
{
	const struct pvmm_walk_step *at = &w->step[w->stopped_at];
	bool live = space->state == PVMM_SPACE_PINNED;
	struct pvmm_batch_failure failure;
	char what[128];
	int err;

	pvmm_batch_begin();
	if (live)
		handover_queue(for_each_of_chain, chain);
	if (chain->levels)
		pvmm_pt_set(at->table, at->slot, entry_of_table(chain->table[chain->levels]));
	else
		set_leaf(space, w, va, leaf);
	err = pvmm_batch_end(&failure);

	if (!err) {
		if (live)
			handover_done(for_each_of_chain, chain);
		return 0;
	}
	if (chain->levels) {
		handover_undo(space, &failure, for_each_of_chain, chain);
	} else {
		pvmm_batch_describe(&failure, what, sizeof(what));
		pvmm_log(PVMM_WARN, "mapping in space \"%s\" refused by Xen: %s", space->name,
			 what);
	}
	return err;
}

/* Whether a mapping at va may be made in this space at all. */
static int check_va(const struct pvmm_space *space, pvmm_va_t va)
{
	if (va & ~PVMM_PAGE_MASK)
		return -XEN_EINVAL;
	if (space_is_kernel(space))
		return va - PVMM_VMAP_BASE < PVMM_VMAP_BYTES ? 0 : -XEN_EINVAL;
	return pvmm_va_is_user(va) ? 0 : -XEN_EINVAL;
}

static int check_page(const struct pvmm_page *page, uint64_t prot)
{
	if (page->kind == PVMM_PAGE_FREE || page->kind == PVMM_PAGE_BALLOONED)
		return -XEN_EINVAL;
	if ((prot & PVMM_PTE_RW) && pvmm_page_table_level(page))
		return -XEN_EBUSY;
	return 0;
}

/* What the leaf entry of this space carries; 0 for a prot that is none. */
static uint64_t leaf_prot(const struct pvmm_space *space, uint64_t prot)
{
	const uint64_t allowed = PVMM_PROT_RW | PVMM_PROT_USER;

	if (!(prot & PVMM_PTE_PRESENT) || (prot & ~allowed))
		return 0;
	return space_is_kernel(space) ? prot & ~PVMM_PTE_USER : prot | PVMM_PTE_USER;
}

static int map_locked(struct pvmm_space *space, pvmm_va_t va, struct pvmm_page *page, uint64_t prot)
{
	struct pvmm_walk w = pvmm_pt_walk(space->root, va);
	pvmm_pte_t leaf = pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), prot);
	struct chain chain;
	int err;

	if (pvmm_pte_present(w.step[w.stopped_at].entry))
		return w.stopped_at == 1 ? -XEN_EEXIST : -XEN_EINVAL;
	err = chain_alloc(&chain, w.stopped_at - 1);
	if (err)
		return err;
	chain_fill(&chain, va, leaf);

	/* Counted before the entry stands, so that a pin of the page never sees too few. */
	pvmm_page_get(page);
	pvmm_page_live_inc(page);
	err = insert_entry(space, &w, va, &chain, leaf);
	if (err) {
		chain_free(&chain);
		pvmm_page_live_dec(page);
		pvmm_page_put(page);
		return err;
	}
	space->nr_tables += chain.levels;
	space->nr_pages++;
	return 0;
}

int pvmm_space_map(struct pvmm_space *space, pvmm_va_t va, struct pvmm_page *page, uint64_t prot)
{
	uint64_t leaf = leaf_prot(space, prot);
	int err = leaf ? check_va(space, va) : -XEN_EINVAL;

	if (!err)
		err = check_page(page, prot);
	if (err)
		return err;

	pvmm_spin_lock(&space->lock);
	err = map_locked(space, va, page, leaf);
	pvmm_spin_unlock(&space->lock);
	return err;
}

/* Replaces the present leaf entry for va and flushes it where a TLB may hold it. */
static int change_entry(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
			pvmm_pte_t entry)
{
	struct pvmm_batch_failure failure;
	char what[128];
	int err;

	pvmm_batch_begin();
	set_leaf(space, w, va, entry);
	err = pvmm_batch_end(&failure);
	if (!err)
		return 0;

	pvmm_batch_describe(&failure, what, sizeof(what));
	pvmm_log(PVMM_WARN, "change of 0x%llx in space \"%s\" refused by Xen: %s",
		 (unsigned long long)va, space->name, what);
	return err;
}

/* Looks va up for a change; fills in the page it maps. */
static int find_mapped(struct pvmm_space *space, pvmm_va_t va, struct pvmm_walk *w,
		       struct pvmm_page **page)
{
	pfn_t pfn;

	*w = pvmm_pt_walk(space->root, va);
	if (w->stopped_at != 1 || !pvmm_pte_present(w->step[1].entry))
		return -XEN_ENOENT;
	pfn = pvmm_mfn_to_pfn(pvmm_pte_mfn(w->step[1].entry));
	if (!pfn_valid(pfn))
		return -XEN_EINVAL;
	*page = pvmm_page(pfn);
	return 0;
}

int pvmm_space_unmap(struct pvmm_space *space, pvmm_va_t va)
{
	struct pvmm_page *page;
	struct pvmm_walk w;
	int err = check_va(space, va);

	if (err)
		return err;

	pvmm_spin_lock(&space->lock);
	err = find_mapped(space, va, &w, &page);
	if (!err)
		err = change_entry(space, &w, va, 0);
	if (!err)
		space->nr_pages--;
	pvmm_spin_unlock(&space->lock);
	if (err)
		return err;

	pvmm_page_live_dec(page);
	pvmm_page_put(page);
	return 0;
}

int pvmm_space_protect(struct pvmm_space *space, pvmm_va_t va, uint64_t prot)
{
	uint64_t leaf = leaf_prot(space, prot);
	int err = leaf ? check_va(space, va) : -XEN_EINVAL;
	struct pvmm_page *page;
	struct pvmm_walk w;

	if (err)
		return err;

	pvmm_spin_lock(&space->lock);
	err = find_mapped(space, va, &w, &page);
	if (!err)
		err = check_page(page, prot);
	if (!err)
		err = change_entry(space, &w, va, pvmm_pte(pvmm_pte_mfn(w.step[1].entry), leaf));
	pvmm_spin_unlock(&space->lock);
	return err;
}

static void purge_for(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (__atomic_load_n(&page->stale, __ATOMIC_ACQUIRE))
		ledger_purge(PVMM_PURGE_ASKED);
}

int map_kernel_l1(pvmm_va_t va, pfn_t *l1, unsigned int *levels)
{
	struct chain chain;
	struct pvmm_walk w;
	int err = 0;

	pvmm_spin_lock(&pvmm_kernel_space.lock);
	w = pvmm_pt_walk(pvmm_kernel_space.root, va);
	*l1 = w.step[w.stopped_at].table;
	if (w.stopped_at > 1)
		err = chain_alloc(&chain, w.stopped_at - 1);
	if (!err && w.stopped_at > 1) {
		/* Seldom: the allocator prefers clean pages for tables. */
		for_each_of_chain(&chain, purge_for, NULL);
		chain_fill(&chain, va, 0);
		err = insert_entry(&pvmm_kernel_space, &w, va, &chain, 0);
		if (err) {
			chain_free(&chain);
		} else {
			pvmm_kernel_space.nr_tables += chain.levels;
			*l1 = pvmm_page_pfn(chain.table[1]);
			/* Each new table's entry is one level above it. */
			*levels |= ((1u << chain.levels) - 1) << 2;
		}
	}
	pvmm_spin_unlock(&pvmm_kernel_space.lock);
	return err;
}
