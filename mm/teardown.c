/* SPDX-License-Identifier: MIT */
/*
 * Owns the end of tables: one batch takes the entries that lead to them away, makes them writable
 * again and flushes; only then are the pages that they mapped given up, and then they themselves.
 * Nothing here allocates or can be refused.
 *
 * Invariant: a table is freed only after the TLBs and paging-structure caches that could lead
 * through it have been flushed (R25).
 */
#include <pvmm/log.h>
#include "ledger.h"
#include "space.h"

int dying_visit(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	struct pvmm_page *page = pvmm_page(table);
	struct dying *dying = ctx;

	(void)level, (void)va;
	if (page->flags & PVMM_PAGE_READONLY)
		pvmm_table_queue_unprotect(page);
	page->next = dying->first;
	dying->first = (uint32_t)pfn_x(table);
	return 0;
}

void dying_add(struct dying *dying, pfn_t table, unsigned int level)
{
	pvmm_pt_visit(table, level, 0, 0, PVMM_PT_ENTRIES - 1, dying_visit, dying);
}

/* Gives up the pages that an L1 table maps. */
static void release_pages(struct pvmm_space *space, const pvmm_pte_t *entries)
{
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		struct pvmm_page *page = page_of_leaf(entries[slot]);

		if (!pvmm_pte_present(entries[slot]))
			continue;
		space->nr_pages--;
		if (page)
			release_page(page);
	}
}

void dying_free(struct pvmm_space *space, struct dying *dying)
{
	while (dying->first != PVMM_PAGE_NONE) {
		struct pvmm_page *page = pvmm_page(_pfn(dying->first));

		dying->first = page->next;
		pvmm_table_mark(page, false);
		if (pvmm_page_table_level(page) == 1)
			release_pages(space, pvmm_page_virt(page));
		pvmm_table_free(page);
		space->nr_tables--;
	}
}
