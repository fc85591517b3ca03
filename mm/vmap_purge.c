/* SPDX-License-Identifier: MIT */
/*
 * Owns the way of an area from stale to free: vmap as a keeper of the alias ledger.
 *
 * A purge takes the stale areas of all pools, clears their entries and flushes once. A pin that
 * needs a single page clean does the same if everything fits in the trap that it makes anyway
 * (drop_all_pages): it would all have to be cleared soon, and the trap and the flush are the dear
 * part. If not, only the entries of that page are cleared, and the areas stay stale, with a hole.
 *
 * Invariant, under the ledger's lock: purging and holed are empty but between queue and done.
 */
#include <pvmm/batch.h>
#include <pvmm/clock.h>
#include "ledger.h"
#include "vmap.h"

static struct area_list purging; /* cleared, not flushed; the ledger's lock */
static struct vmap_area *holed;	 /* areas with entries that are being taken away singly */
static bool all;		 /* a purge of everything is under way */

static void list_append(struct area_list *list, const struct area_list *more)
{
	if (!more->first)
		return;
	if (list->last)
		list->last->next = more->first;
	else
		list->first = more->first;
	list->last = more->last;
}

void stale_add(struct vmap_area *area)
{
	struct vmap_pool *pool = pool_of(area);

	area->next = NULL;
	list_append(&pool->stale, &(struct area_list){area, area});
	count_add(&pool->stale_areas, 1);
	count_add(&pool->stale_pages, area->nr_pages);
}

/* --- when --- */

void purge_if_enough(const struct vmap_pool *pool)
{
	struct pvmm_vmap_params params = pvmm_vmap_params();

	if (count_read(&pool->stale_pages) > params.lazy_pages ||
	    count_read(&pool->stale_areas) > params.lazy_areas)
		ledger_purge(PVMM_PURGE_THRESHOLD);
}

void pvmm_purge_if_older(uint64_t ns)
{
	uint64_t now = pvmm_clock_ns();

	for (unsigned int i = 0; i < NR_POOLS; i++) {
		struct vmap_pool *pool = &vmap_pools[i];
		bool is_old;

		if (!count_read(&pool->stale_areas))
			continue;
		pvmm_spin_lock(&pool->lock);
		is_old = pool->stale.first && pool->stale.first->given_up_ns + ns < now;
		pvmm_spin_unlock(&pool->lock);
		if (is_old) {
			ledger_purge(PVMM_PURGE_AGE);
			return;
		}
	}
}

static uint64_t all_stale_pages(void)
{
	uint64_t nr = 0;

	for (unsigned int i = 0; i < NR_POOLS; i++)
		nr += count_read(&vmap_pools[i].stale_pages);
	return nr;
}

/* --- queue --- */

/* Takes a pool's stale areas out of everybody's reach. */
static struct area_list steal(struct vmap_pool *pool)
{
	struct area_list list;

	pvmm_spin_lock(&pool->lock);
	list = pool->stale;
	for (struct vmap_area *area = list.first; area; area = area->next)
		area->state = PVMM_VMAP_CLEARED;
	pool->stale = (struct area_list){NULL, NULL};
	count_add(&pool->stale_areas, -pool->stale_areas);
	count_add(&pool->stale_pages, -pool->stale_pages);
	pvmm_spin_unlock(&pool->lock);
	return list;
}

static unsigned int queue_all(void)
{
	unsigned int nr = 0;

	all = true;
	for (unsigned int i = 0; i < NR_POOLS; i++) {
		struct area_list list;

		if (!count_read(&vmap_pools[i].stale_areas))
			continue;
		list = steal(&vmap_pools[i]);
		for (struct vmap_area *area = list.first; area; area = area->next)
			nr += area_queue_clear(area);
		list_append(&purging, &list);
	}
	return nr;
}

/* Queues the removal of the page's entries in one stale area. */
static unsigned int queue_hole(struct vmap_area *area, uint32_t pfn)
{
	struct area_cursor c;
	unsigned int nr = 0;

	area_for_each_page(&c, area)
	{
		if (*c.pfn != pfn)
			continue;
		pvmm_batch_mmu_update(area_entry_maddr(&c), 0);
		*c.pfn |= PFN_PENDING;
		nr++;
	}
	if (nr && !area->is_holed) {
		area->is_holed = true;
		area->next_holed = holed;
		holed = area;
	}
	return nr;
}

/*
 * No flush: the address is not used again before the area is purged, and Xen flushes when the page
 * changes its type (docs/xen-rules.md, 6).
 */
static unsigned int queue_page(const struct pvmm_page *page)
{
	uint32_t pfn = (uint32_t)pfn_x(pvmm_page_pfn(page));
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NR_POOLS; i++) {
		struct vmap_pool *pool = &vmap_pools[i];

		if (!count_read(&pool->stale_areas))
			continue;
		pvmm_spin_lock(&pool->lock);
		for (struct vmap_area *area = pool->stale.first; area; area = area->next)
			nr += queue_hole(area, pfn);
		pvmm_spin_unlock(&pool->lock);
	}
	return nr;
}

static unsigned int queue(struct pvmm_page *page)
{
	if (!page || all_stale_pages() <= pvmm_vmap_params().drop_all_pages)
		return queue_all();
	return queue_page(page);
}

/* --- done --- */

/* Counts out what was taken from a stale area singly. */
static void finish_holes(struct vmap_area *area)
{
	struct vmap_pool *pool = pool_of(area);
	struct area_cursor c;

	pvmm_spin_lock(&pool->lock);
	area_for_each_page(&c, area)
	{
		struct pvmm_page *page;

		if (!pfn_is_pending(*c.pfn))
			continue;
		page = pvmm_page(_pfn(*c.pfn & ~PFN_PENDING));
		*c.pfn = PFN_NONE;
		ledger_cleared(page);
		if (area->policy == PVMM_VMAP_HOLD)
			pvmm_page_put(page);
	}
	area->is_holed = false;
	pvmm_spin_unlock(&pool->lock);
}

static void done(void)
{
	while (holed) {
		struct vmap_area *area = holed;

		holed = area->next_holed;
		finish_holes(area);
	}
	while (purging.first) {
		struct vmap_area *area = purging.first;

		purging.first = area->next;
		area_drop_pages(area, ledger_cleared, area->policy == PVMM_VMAP_HOLD);
		area_destroy(area);
	}
	purging.last = NULL;
	for (unsigned int i = 0; all && i < POOL_LARGE; i++)
		if (count_read(&vmap_pools[i].maps))
			chunk_give_back(&vmap_pools[i]);
	all = false;
}

bool purge_is_idle(void)
{
	return !purging.first && !purging.last && !holed;
}

const struct keeper vmap_keeper = {.queue = queue, .done = done};
