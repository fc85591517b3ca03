/* SPDX-License-Identifier: MIT */
/*
 * Owns the tables that nothing leads to and that Xen has validated all the same: each is pinned for
 * itself, read-only and empty. To use one costs no change of type, no validation and no TLB flush,
 * but every entry goes through Xen; so it pays for tables with few entries, which is what faults
 * and copies of small processes make and what their ends give back.
 *
 * Refilled by tables that would be freed (mm/teardown.c), up to a limit for each level; given back
 * when memory runs out.
 *
 * Invariant: a page of a stock has PVMM_PAGE_KEPT, PVMM_PAGE_READONLY, one reference, no mapping,
 * and nothing but zeroes in it.
 */
#include <pvmm/alloc.h>
#include <pvmm/p2m.h>
#include "ledger.h"
#include "space.h"
#include "stock.h"

/*
 * How many of each level: what some ten to twenty small processes give back, each with three L1
 * tables, two L2 and one or two L3; 480 KiB in all.
 */
static const unsigned int limits[PVMM_PT_LEVELS] = {[1] = 64, [2] = 32, [3] = 24};

/*
 * Entries up to which a table is kept: each is set and cleared by an operation of its own then,
 * while Xen looks at all 512 of a table that it validates, and at all of them again when it gives
 * it up. "make bench" has the figures, docs/design.md the table.
 */
static unsigned int few_entries = 32;

static struct stock stocks[PVMM_PT_LEVELS];
static uint64_t hits, misses;

void table_cache_init(void)
{
	for (unsigned int level = 0; level < PVMM_PT_LEVELS; level++)
		stocks[level] = (struct stock)STOCK_INIT(limits[level]);
	hits = misses = 0;
}

int pvmm_table_keep(unsigned int nr_entries)
{
	if (nr_entries > PVMM_PT_ENTRIES)
		return -XEN_EINVAL;
	few_entries = nr_entries;
	return 0;
}

bool table_has_few(unsigned int nr_entries)
{
	return few_entries && nr_entries <= few_entries;
}

struct pvmm_page *table_cache_take(unsigned int level)
{
	struct pvmm_page *page = stock_take(&stocks[level]);

	__atomic_fetch_add(page ? &hits : &misses, 1, __ATOMIC_RELAXED);
	return page;
}

struct pvmm_page *table_obtain(unsigned int level, bool may_be_kept)
{
	struct pvmm_page *page = may_be_kept ? table_cache_take(level) : NULL;

	return page ? page : pvmm_table_alloc(level);
}

void table_release(struct pvmm_page *page)
{
	if (!(page->flags & PVMM_PAGE_KEPT)) {
		pvmm_table_free(page);
		return;
	}
	/* One more than the limit, if others have filled the stock meanwhile. */
	stock_reserve_always(&stocks[pvmm_page_table_level(page)]);
	table_cache_give(page);
}

bool table_cache_reserve(unsigned int level)
{
	return stock_reserve(&stocks[level]);
}

void table_cache_give(struct pvmm_page *page)
{
	stock_put(&stocks[pvmm_page_table_level(page)], page);
}

struct pvmm_table_cache_stats pvmm_table_cache_stats(void)
{
	struct pvmm_table_cache_stats now = {
		.hits = __atomic_load_n(&hits, __ATOMIC_RELAXED),
		.misses = __atomic_load_n(&misses, __ATOMIC_RELAXED),
		.nr_pages = table_spare_nr(),
	};

	for (unsigned int level = 1; level < PVMM_PT_LEVELS; level++)
		now.nr_pages += stock_nr(&stocks[level]);
	return now;
}

/* Takes everything out of the stocks, linked into one list. */
static uint32_t take_all(void)
{
	uint32_t all = PVMM_PAGE_NONE;
	struct pvmm_page *page;

	for (unsigned int level = 1; level < PVMM_PT_LEVELS; level++)
		while ((page = stock_take(&stocks[level]))) {
			page->next = all;
			all = (uint32_t)pfn_x(pvmm_page_pfn(page));
		}
	return all;
}

static void for_each_of_list(const void *first, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	uint32_t pfn = *(const uint32_t *)first;

	while (pfn != PVMM_PAGE_NONE) {
		struct pvmm_page *page = pvmm_page(_pfn(pfn));

		pfn = page->next;
		fn(page, ctx);
	}
}

static void queue_unpin(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	table_queue_unpin(page);
}

static void queue_unprotect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	pvmm_table_queue_unprotect(page);
}

static void free_one(struct pvmm_page *page, void *nr)
{
	table_mark_kept(page, false);
	pvmm_table_mark(page, false);
	table_dismiss(page);
	++*(unsigned int *)nr;
}

unsigned int pvmm_table_cache_shrink(void)
{
	uint32_t all = take_all();
	unsigned int nr = 0;

	pvmm_batch_begin();
	for_each_of_list(&all, queue_unpin, NULL);
	for_each_of_list(&all, queue_unprotect, NULL);
	pvmm_batch_end(NULL);
	for_each_of_list(&all, free_one, &nr);
	return nr + table_spare_shrink();
}
