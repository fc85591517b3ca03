/* SPDX-License-Identifier: MIT */
/*
 * Owns the copying of an address space: the copy shares the pages of regions until somebody writes
 * (mm/fault.c), and all that was mapped by hand for good.
 *
 * First everything is allocated, then nothing can fail but Xen: the copy's tables are filled, and
 * one batch makes the shared pages read-only in the original, hands the copy's tables to Xen and
 * flushes. When Xen refuses, the copy is given up; that the original's pages are read-only by then
 * does no harm: its next write finds itself the only owner.
 */
#include <pvmm/log.h>
#include "ledger.h"
#include "space.h"

/*
 * The copy's tables that nothing was put into yet, by level, in the order in which they are needed,
 * linked through the page database.
 */
struct supply {
	uint32_t first[PVMM_PT_LEVELS], last[PVMM_PT_LEVELS];
};

struct copying {
	struct pvmm_space *from, *to;
	struct supply supply;
	struct pvmm_page *table[PVMM_PT_LEVELS + 1]; /* the copy's, on the way to where we are */
};

static struct pvmm_page *take(struct supply *supply, unsigned int level)
{
	struct pvmm_page *page = pvmm_page(_pfn(supply->first[level]));

	supply->first[level] = page->next;
	return page;
}

static void supply_free(struct supply *supply)
{
	for (unsigned int level = 1; level < PVMM_PT_LEVELS; level++)
		while (supply->first[level] != PVMM_PAGE_NONE)
			table_release(take(supply, level));
}

/*
 * One table of the copy for each of the original's that maps something, but the roots. Kept ones
 * only for the lowest level: an upper table is filled by stores, whatever it leads to.
 */
static int visit_supply(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	unsigned int nr = nr_present(pvmm_pt_entries(table));
	struct supply *supply = ctx;
	struct pvmm_page *page;
	uint32_t pfn;

	(void)va;
	if (level == PVMM_PT_LEVELS || !nr)
		return 0;
	page = table_obtain(level, level == 1 && table_has_few(nr));
	if (!page)
		return -XEN_ENOMEM;
	page->next = PVMM_PAGE_NONE;
	pfn = (uint32_t)pfn_x(pvmm_page_pfn(page));
	if (supply->first[level] == PVMM_PAGE_NONE)
		supply->first[level] = pfn;
	else
		pvmm_page(_pfn(supply->last[level]))->next = pfn;
	supply->last[level] = pfn;
	return 0;
}

/* The copy's table of this level for va, linked in below its parents; made if it is not there. */
static struct pvmm_page *copy_table(struct copying *c, pvmm_va_t va, unsigned int level)
{
	struct pvmm_page *parent, *page = c->table[level];
	unsigned int slot = pvmm_pt_slot(va, level + 1);

	if (page)
		return page;
	parent = copy_table(c, va, level + 1);
	page = c->table[level] = take(&c->supply, level);
	c->to->nr_tables++;
	pvmm_pt_set(pvmm_page_pfn(parent), slot, entry_of_table(page));
	if (level + 1 == PVMM_PT_LEVELS && pfn_valid(c->to->user_root))
		pvmm_pt_set(c->to->user_root, slot, entry_of_table(page));
	return page;
}

/* Copies one entry; a page of a region loses its writability, in both spaces. */
static void copy_leaf(struct copying *c, const struct pvmm_walk_step *at, pvmm_va_t va)
{
	struct pvmm_page *page = page_of_leaf(at->entry);
	pvmm_pte_t entry = at->entry;

	if (!page)
		return;
	if (pvmm_pte_writable(entry) && region_at(c->from, va)) {
		entry &= ~(PVMM_PTE_RW | PVMM_PTE_DIRTY);
		pvmm_pt_set(at->table, at->slot, entry);
	}
	pvmm_page_get(page);
	/* It is mapped already, just like that. */
	pvmm_page_live_inc(page);
	pvmm_pt_set(pvmm_page_pfn(copy_table(c, va, 1)), at->slot, entry);
	c->to->nr_pages++;
}

/* Children come before their parents: with a table of the original its counterpart is complete. */
static int visit_copy(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(table);
	struct pvmm_walk_step at = {.table = table};
	struct copying *c = ctx;

	if (level == PVMM_PT_LEVELS)
		return 0;
	for (; level == 1 && at.slot < PVMM_PT_ENTRIES; at.slot++) {
		at.entry = entries[at.slot];
		if (pvmm_pte_present(at.entry))
			copy_leaf(c, &at, va + at.slot * PVMM_PAGE_SIZE);
	}
	c->table[level] = NULL;
	return 0;
}

static void for_each_of_supply(const void *of, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	const struct copying *c = of;
	uint32_t pfn;

	for (unsigned int level = 1; level < PVMM_PT_LEVELS; level++)
		for (pfn = c->supply.first[level]; pfn != PVMM_PAGE_NONE;
		     pfn = pvmm_page(_pfn(pfn))->next)
			fn(pvmm_page(_pfn(pfn)), ctx);
	fn(pvmm_page(c->to->root), ctx);
	if (pfn_valid(c->to->user_root))
		fn(pvmm_page(c->to->user_root), ctx);
}

/*
 * Xen refused, perhaps before it had stored all entries of kept tables: what the copy maps is known
 * from the original.
 */
static int visit_undo(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(table);
	struct copying *c = ctx;
	struct pvmm_walk w;

	if (level != 1)
		return 0;
	w = pvmm_pt_walk(c->to->root, va);
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		struct pvmm_page *page = page_of_leaf(entries[slot]);

		if (!page)
			continue;
		pvmm_pt_set(w.step[1].table, slot, 0);
		release_page(page);
		c->to->nr_pages--;
	}
	return 0;
}

static void undo_copy(struct copying *c)
{
	pvmm_batch_begin();
	space_visit(c->from, visit_undo, c);
	pvmm_batch_end(NULL);
}

/*
 * Fills the copy and pins it, in one batch. The original is flushed where it runs: a page that it
 * could still write to through an old translation would be written in the copy too. True in *again:
 * Xen refused, and the cause is gone.
 */
static int copy_locked(struct copying *c, bool *again)
{
	struct handover h = {.space = c->to, .for_each = for_each_of_supply, .of = c};
	int err = handover_begin(&h);

	if (err)
		return err;
	space_visit(c->from, visit_copy, c);
	if (space_is_loaded(c->from))
		pvmm_batch_flush_all();
	err = pin_end_batch(c->to, &h);
	if (err) {
		*again = handover_undo(&h);
		undo_copy(c);
	}
	return err;
}

static int clone_once(struct pvmm_space *copy, struct pvmm_space *space, const char *name,
		      bool *again)
{
	struct copying c = {.from = space, .to = copy};
	int err;

	*again = false;
	for (unsigned int level = 0; level < PVMM_PT_LEVELS; level++)
		c.supply.first[level] = PVMM_PAGE_NONE;
	err = pvmm_space_create(copy, name);
	if (err)
		return err;
	c.table[PVMM_PT_LEVELS] = pvmm_page(copy->root);

	pvmm_spin_lock(&space->lock);
	err = region_copy(copy, space);
	if (!err)
		err = space_visit(space, visit_supply, &c.supply);
	if (!err)
		err = copy_locked(&c, again);
	pvmm_spin_unlock(&space->lock);

	supply_free(&c.supply);
	if (err)
		(void)pvmm_space_destroy(copy);
	return err;
}

int pvmm_space_clone(struct pvmm_space *copy, struct pvmm_space *space, const char *name)
{
	bool again;
	int err;

	if (space_is_kernel(space) || copy == space)
		return -XEN_EINVAL;
	pvmm_batch_assert_closed("the copying of an address space");
	do {
		err = clone_once(copy, space, name, &again);
	} while (err && again);
	return err;
}
