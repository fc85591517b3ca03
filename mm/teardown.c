/* SPDX-License-Identifier: MIT */
/*
 * Owns the end of tables. One batch takes the entries that lead to them away and flushes; tables
 * with few entries are emptied and go to the cache (mm/table_cache.c), the others become writable
 * again; only then are the pages that they mapped given up, and then they themselves. Nothing here
 * allocates or can be refused.
 *
 * Invariant: a table is freed only after the TLBs and paging-structure caches that could lead
 * through it have been flushed (R25).
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "ledger.h"
#include "space.h"

static const unsigned int pin_command[] = {
	[1] = MMUEXT_PIN_L1_TABLE,
	[2] = MMUEXT_PIN_L2_TABLE,
	[3] = MMUEXT_PIN_L3_TABLE,
	[4] = MMUEXT_PIN_L4_TABLE,
};

static void queue_table_op(const struct pvmm_page *page, unsigned int cmd)
{
	pvmm_batch_mmuext(&(struct mmuext_op){
		.cmd = cmd,
		.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(pvmm_page_pfn(page))),
	});
}

void table_queue_pin(const struct pvmm_page *page)
{
	queue_table_op(page, pin_command[pvmm_page_table_level(page)]);
}

void table_queue_unpin(const struct pvmm_page *page)
{
	queue_table_op(page, MMUEXT_UNPIN_TABLE);
}

static void push(uint32_t *first, struct pvmm_page *page)
{
	page->next = *first;
	*first = (uint32_t)pfn_x(pvmm_page_pfn(page));
}

static struct pvmm_page *pop(uint32_t *first)
{
	struct pvmm_page *page;

	if (*first == PVMM_PAGE_NONE)
		return NULL;
	page = pvmm_page(_pfn(*first));
	*first = page->next;
	return page;
}

/* The next of a list that is gone through without taking from it. */
static struct pvmm_page *at(uint32_t pfn)
{
	return pfn == PVMM_PAGE_NONE ? NULL : pvmm_page(_pfn(pfn));
}

unsigned int nr_present(const pvmm_pte_t *entries)
{
	unsigned int nr = 0;

	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++)
		nr += pvmm_pte_present(entries[slot]);
	return nr;
}

/* Takes down what an L1 table maps, before its entries are cleared. */
static void note_pages(struct dying *dying, const pvmm_pte_t *entries)
{
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++)
		if (pvmm_pte_present(entries[slot]))
			dying->pages[dying->nr_pages++] = page_of_leaf(entries[slot]);
}

/* Whether to empty the table and keep it, rather than to let Xen go through all of it. */
static bool is_worth_keeping(const struct dying *dying, const struct pvmm_page *page,
			     unsigned int level)
{
	unsigned int nr;

	if (!(page->flags & PVMM_PAGE_READONLY) || page->live || level == PVMM_PT_LEVELS)
		return false;
	nr = nr_present(pvmm_page_virt(page));
	if (!table_has_few(nr) || (level == 1 && dying->nr_pages + nr > DYING_PAGES))
		return false;
	return table_cache_reserve(level);
}

int dying_visit(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	struct pvmm_page *page = pvmm_page(table);
	struct dying *dying = ctx;

	(void)va;
	if (!is_worth_keeping(dying, page, level)) {
		push(&dying->gone, page);
		return 0;
	}
	if (!(page->flags & PVMM_PAGE_KEPT))
		table_queue_pin(page);
	if (level == 1)
		note_pages(dying, pvmm_page_virt(page));
	push(&dying->kept, page);
	return 0;
}

void dying_add(struct dying *dying, pfn_t table, unsigned int level)
{
	pvmm_pt_visit(table, level, 0, 0, PVMM_PT_ENTRIES - 1, dying_visit, dying);
}

static void queue_empty(const struct pvmm_page *page)
{
	const pvmm_pte_t *entries = pvmm_page_virt(page);

	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++)
		if (pvmm_pte_present(entries[slot]))
			pvmm_pt_set(pvmm_page_pfn(page), slot, 0);
}

/* A table can become writable only when no table that is kept leads to it any more. */
void dying_queue(const struct dying *dying)
{
	struct pvmm_page *page;

	for (page = at(dying->gone); page; page = at(page->next))
		if (page->flags & PVMM_PAGE_KEPT)
			table_queue_unpin(page);
	for (page = at(dying->kept); page; page = at(page->next))
		queue_empty(page);
	for (page = at(dying->gone); page; page = at(page->next))
		if (page->flags & PVMM_PAGE_READONLY)
			pvmm_table_queue_unprotect(page);
}

/* Gives up the pages that a table which goes maps. */
static void release_pages(struct pvmm_space *space, const pvmm_pte_t *entries)
{
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		struct pvmm_page *page = page_of_leaf(entries[slot]);

		space->nr_pages -= pvmm_pte_present(entries[slot]);
		if (page)
			release_page(page);
	}
}

void dying_free(struct pvmm_space *space, struct dying *dying)
{
	struct pvmm_page *page;

	while ((page = pop(&dying->gone))) {
		table_mark_kept(page, false);
		pvmm_table_mark(page, false);
		if (pvmm_page_table_level(page) == 1)
			release_pages(space, pvmm_page_virt(page));
		pvmm_table_free(page);
		space->nr_tables--;
	}
	while ((page = pop(&dying->kept))) {
		table_mark_kept(page, true);
		table_cache_give(page);
		space->nr_tables--;
	}
	space->nr_pages -= dying->nr_pages;
	for (unsigned int i = 0; i < dying->nr_pages; i++)
		if (dying->pages[i])
			release_page(dying->pages[i]);
}

void table_mark_kept(struct pvmm_page *page, bool kept)
{
	if (kept)
		__atomic_fetch_or(&page->flags, PVMM_PAGE_KEPT, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&page->flags, (uint8_t)~PVMM_PAGE_KEPT, __ATOMIC_RELAXED);
}
