/* SPDX-License-Identifier: MIT */
/*
 * Owns a few pages that were tables of an upper level and are to be such again before they are
 * anything else. They are ours, writable, and empty: nothing in them says what frames there were.
 *
 * A live migration is why: the toolstack asks for the types of some pages and reads them a moment
 * later. What was an upper table and is data by then may look like one with a superpage in it,
 * which ends the migration; as any other table it is sent once more (docs/design.md).
 *
 * Invariant: a page of the stock is of the kind of an upper table, has one reference, no flag, no
 * mapping of any sort besides the direct map's, nothing but zeroes in it, and is in no tree.
 */
#include <pvmm/alloc.h>
#include <pvmm/owner.h>
#include "mm.h"
#include "stock.h"

/* What some ten small processes have, two roots each and an L3 or L2 of which nothing was kept. */
#define LIMIT 32u

static struct stock spare = STOCK_INIT(LIMIT);

void table_spare_init(void)
{
	spare = (struct stock)STOCK_INIT(LIMIT);
}

static bool is_fit(const struct pvmm_page *page)
{
	return pvmm_page_table_level(page) > 1 &&
	       !__atomic_load_n(&page->flags, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&page->refs, __ATOMIC_ACQUIRE) == 1 &&
	       !__atomic_load_n(&page->live, __ATOMIC_RELAXED) &&
	       !__atomic_load_n(&page->stale, __ATOMIC_RELAXED);
}

bool table_spare_give(struct pvmm_page *page)
{
	if (!is_fit(page) || !stock_reserve(&spare))
		return false;
	pvmm_owner_note_free(pvmm_page_pfn(page), 1);
	page_zero(page);
	stock_put(&spare, page);
	return true;
}

struct pvmm_page *table_spare_take(unsigned int level)
{
	struct pvmm_page *page = level > 1 ? stock_take(&spare) : NULL;

	if (!page)
		return NULL;
	__atomic_store_n(&page->kind, (uint8_t)(PVMM_PAGE_L1 + level - 1), __ATOMIC_RELAXED);
	pvmm_owner_note_alloc(pvmm_page_pfn(page), 1);
	return page;
}

unsigned int table_spare_nr(void)
{
	return stock_nr(&spare);
}

unsigned int table_spare_shrink(void)
{
	struct pvmm_page *page;
	unsigned int nr_freed = 0;

	while ((page = stock_take(&spare))) {
		table_dismiss(page);
		nr_freed++;
	}
	return nr_freed;
}
