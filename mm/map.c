/* SPDX-License-Identifier: MIT */
/*
 * Owns the making of entries in an address space, and of the tables that they need; and the single
 * mapping: made, changed, removed.
 *
 * Invariant: an entry stands exactly if the page has its reference and its live count; when Xen
 * refuses, the tables and the counts are as before. Callers of the locked functions hold the
 * space's lock.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "check.h"
#include "ledger.h"
#include "space.h"

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

/* One of the new tables is another page now. */
static void exchange_in_chain(void *of, struct pvmm_page *old, struct pvmm_page *new)
{
	struct chain *chain = of;

	for (unsigned int level = 1; level <= chain->levels; level++)
		if (chain->table[level] == old)
			chain->table[level] = new;
}

static void chain_free(const struct chain *chain)
{
	for (unsigned int level = 1; level <= chain->levels; level++)
		table_release(chain->table[level]);
}

/* Tables for nr entries in the lowest of them; for a space that Xen holds, kept ones if it pays. */
static int chain_alloc(struct chain *chain, const struct pvmm_space *space, unsigned int levels,
		       unsigned int nr)
{
	/* The kernel's tables fill up and stay. */
	bool kept = space->state == PVMM_SPACE_PINNED && !space_is_kernel(space);

	chain->levels = 0;
	for (unsigned int level = 1; level <= levels; level++) {
		chain->table[level] =
			table_obtain(level, kept && table_has_few(level > 1 ? 1 : nr));
		if (!chain->table[level]) {
			chain_free(chain);
			return -XEN_ENOMEM;
		}
		chain->levels = level;
	}
	return 0;
}

pvmm_pte_t entry_of_table(const struct pvmm_page *table)
{
	return pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(table)), PVMM_PROT_TABLE);
}

/* Links the new tables into each other, the leaves in the lowest; a kept one's in the batch. */
static void chain_fill(const struct chain *chain, pvmm_va_t va, const pvmm_pte_t *leaves,
		       unsigned int nr)
{
	if (!chain->levels)
		return;
	for (unsigned int i = 0; i < nr; i++)
		pvmm_pt_set(pvmm_page_pfn(chain->table[1]), pvmm_pt_slot(va, 1) + i, leaves[i]);
	for (unsigned int level = 2; level <= chain->levels; level++)
		pvmm_pt_set(pvmm_page_pfn(chain->table[level]), pvmm_pt_slot(va, level),
			    entry_of_table(chain->table[level - 1]));
}

void set_leaf(struct pvmm_space *space, const struct pvmm_walk_step *at, pvmm_va_t va,
	      pvmm_pte_t entry)
{
	bool present = pvmm_pte_present(at->entry);

	if (space->state == PVMM_SPACE_BUILDING) {
		pvmm_pt_set(at->table, at->slot, entry);
	} else if (space_is_kernel(space) || space == pvmm_space_current()) {
		pvmm_batch_va_mapping(va, pvmm_pt_entry_maddr(at->table, at->slot), entry, present);
	} else {
		pvmm_pt_set(at->table, at->slot, entry);
		if (present && space_is_loaded(space))
			pvmm_batch_flush_va(va);
	}
}

void set_upper(const struct pvmm_space *space, const struct pvmm_walk *w, unsigned int level,
	       pvmm_pte_t entry)
{
	const struct pvmm_walk_step *at = &w->step[level];

	pvmm_pt_set(at->table, at->slot, entry);
	if (level == PVMM_PT_LEVELS && pfn_valid(space->user_root))
		pvmm_pt_set(space->user_root, at->slot, entry);
}

/* Queues the leaves that there are. */
static void set_leaves(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
		       const pvmm_pte_t *leaves, unsigned int nr)
{
	struct pvmm_walk_step at = w->step[1];

	for (unsigned int i = 0; i < nr; i++, at.slot++, va += PVMM_PAGE_SIZE)
		if (leaves[i])
			set_leaf(space, &at, va, leaves[i]);
}

/* The kept ones of the new tables are to be empty again. */
static void chain_empty(const struct chain *chain, pvmm_va_t va, unsigned int nr)
{
	for (unsigned int level = chain->levels; level > 0; level--) {
		struct pvmm_page *table = chain->table[level];

		for (unsigned int i = 0;
		     (table->flags & PVMM_PAGE_KEPT) && i < (level == 1 ? nr : 1); i++)
			pvmm_pt_set(pvmm_page_pfn(table), pvmm_pt_slot(va, level) + i, 0);
	}
}

/* Xen refused: takes away what of it may stand, and may have been used by another vCPU. */
static void unset(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
		  const struct chain *chain, const pvmm_pte_t *leaves, unsigned int nr)
{
	pvmm_batch_begin();
	if (w->stopped_at > 1)
		set_upper(space, w, w->stopped_at, 0);
	chain_empty(chain, va, nr);
	for (unsigned int i = 0; w->stopped_at == 1 && i < nr; i++)
		if (leaves[i])
			pvmm_pt_set(w->step[1].table, w->step[1].slot + i, 0);
	pvmm_batch_flush_all();
	pvmm_batch_end(NULL);
}

/* New tables are handed over in the batch that hooks them in, if Xen has the space's already. */
static bool hands_over(const struct handover *h)
{
	const struct chain *chain = h->of;

	return chain->levels && h->space->state == PVMM_SPACE_PINNED;
}

static int open_batch(struct handover *h)
{
	if (hands_over(h)) {
		int err = handover_begin(h);

		if (!err)
			handover_queue(h);
		return err;
	}
	pvmm_batch_begin();
	return 0;
}

/*
 * Puts leaves into the slots from va on, of one L1 table: the entries themselves, or the new tables
 * that hold them. All or nothing.
 */
static int insert(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
		  struct chain *chain, const pvmm_pte_t *leaves, unsigned int nr)
{
	struct handover h = {
		.space = space,
		.for_each = for_each_of_chain,
		.exchange = exchange_in_chain,
		.of = chain,
	};
	int err;

	do {
		err = open_batch(&h);
		if (err)
			return err;
		chain_fill(chain, va, leaves, nr);
		if (chain->levels)
			set_upper(space, w, w->stopped_at,
				  entry_of_table(chain->table[chain->levels]));
		else
			set_leaves(space, w, va, leaves, nr);
		err = hands_over(&h) ? handover_end(&h) : pvmm_batch_end(&h.failure);
		if (err)
			unset(space, w, va, chain, leaves, nr);
	} while (err && chain->levels && handover_undo(&h));

	if (err && !chain->levels)
		report_refusal(&h.failure, "mapping in space \"%s\" refused by Xen", space->name);
	return err;
}

int map_leaves(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
	       const pvmm_pte_t *leaves, unsigned int nr)
{
	struct chain chain;
	int err;

	if (w->stopped_at > 1 && pvmm_pte_present(w->step[w->stopped_at].entry))
		return -XEN_EINVAL;
	err = chain_alloc(&chain, space, w->stopped_at - 1, nr);
	if (err)
		return err;
	err = insert(space, w, va, &chain, leaves, nr);
	if (err) {
		chain_free(&chain);
		return err;
	}
	space->nr_tables += chain.levels;
	for (unsigned int i = 0; i < nr; i++)
		space->nr_pages += leaves[i] != 0;
	return 0;
}

/* --- single mappings --- */

/* Whether a mapping at va may be made in this space at all. */
static int check_va(const struct pvmm_space *space, pvmm_va_t va)
{
	if (va & ~PVMM_PAGE_MASK)
		return -XEN_EINVAL;
	if (space_is_kernel(space))
		return va - PVMM_VMAP_BASE < PVMM_VMAP_BYTES ? 0 : -XEN_EINVAL;
	return pvmm_va_is_user(va) ? 0 : -XEN_EINVAL;
}

uint64_t leaf_prot(const struct pvmm_space *space, uint64_t prot)
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
	int err;

	/* Counted before the entry stands, so that a pin of the page never sees too few. */
	err = ledger_live(page, prot);
	if (err)
		return err;
	pvmm_page_get(page);
	if (w.stopped_at == 1 && pvmm_pte_present(w.step[1].entry))
		err = -XEN_EEXIST;
	else
		err = map_leaves(space, &w, va, &leaf, 1);
	if (err)
		release_page(page);
	return err;
}

int pvmm_space_map(struct pvmm_space *space, pvmm_va_t va, struct pvmm_page *page, uint64_t prot)
{
	uint64_t leaf = leaf_prot(space, prot);
	int err = leaf ? check_va(space, va) : -XEN_EINVAL;

	if (err)
		return err;

	pvmm_spin_lock(&space->lock);
	err = map_locked(space, va, page, leaf);
	pvmm_spin_unlock(&space->lock);
	return err;
}

void release_page(struct pvmm_page *page)
{
	ledger_dead(page);
	pvmm_page_put(page);
}

int change_leaf(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va, pvmm_pte_t entry)
{
	struct pvmm_batch_failure failure;
	int err;

	pvmm_batch_begin();
	set_leaf(space, &w->step[1], va, entry);
	err = pvmm_batch_end(&failure);
	if (err)
		report_refusal(&failure, "change of 0x%llx in space \"%s\" refused by Xen",
			       (unsigned long long)va, space->name);
	return err;
}

struct pvmm_page *page_of_leaf(pvmm_pte_t entry)
{
	pfn_t pfn;

	if (!pvmm_pte_present(entry))
		return NULL;
	pfn = pvmm_mfn_to_pfn(pvmm_pte_mfn(entry));
	return pfn_valid(pfn) ? pvmm_page(pfn) : NULL;
}

/* Looks va up for a change; fills in the page it maps. */
static int find_mapped(struct pvmm_space *space, pvmm_va_t va, struct pvmm_walk *w,
		       struct pvmm_page **page)
{
	*w = pvmm_pt_walk(space->root, va);
	if (w->stopped_at != 1 || !pvmm_pte_present(w->step[1].entry))
		return -XEN_ENOENT;
	*page = page_of_leaf(w->step[1].entry);
	return *page ? 0 : -XEN_EINVAL;
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
		err = change_leaf(space, &w, va, 0);
	if (!err)
		space->nr_pages--;
	pvmm_spin_unlock(&space->lock);
	if (!err)
		release_page(page);
	return err;
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
	/* It is counted as live, so it cannot become a page table meanwhile. */
	if (!err && (prot & PVMM_PTE_RW) && pvmm_page_table_level(page))
		err = -XEN_EBUSY;
	if (!err)
		err = change_leaf(space, &w, va, pvmm_pte(pvmm_pte_mfn(w.step[1].entry), leaf));
	pvmm_spin_unlock(&space->lock);
	return err;
}

int map_kernel_l1(pvmm_va_t va, pfn_t *l1, unsigned int *levels)
{
	struct pvmm_walk w;
	int err = 0;

	pvmm_spin_lock(&pvmm_kernel_space.lock);
	w = pvmm_pt_walk(pvmm_kernel_space.root, va);
	if (w.stopped_at > 1) {
		err = map_leaves(&pvmm_kernel_space, &w, va, NULL, 0);
		/* Each new table's entry is one level above it. */
		if (!err)
			*levels |= ((1u << (w.stopped_at - 1)) - 1) << 2;
		w = pvmm_pt_walk(pvmm_kernel_space.root, va);
	}
	*l1 = w.step[w.stopped_at].table;
	pvmm_spin_unlock(&pvmm_kernel_space.lock);
	return err;
}
