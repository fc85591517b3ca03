/* SPDX-License-Identifier: MIT */
/*
 * Answers questions about areas: which one an address belongs to, which page it maps, how many
 * there are. Owns nothing.
 */
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include "vmap.h"

const char *pvmm_vmap_state_name(enum pvmm_vmap_state state)
{
	static const char *const names[] = {
		[PVMM_VMAP_FREE] = "free",
		[PVMM_VMAP_LIVE] = "live",
		[PVMM_VMAP_STALE] = "stale",
		[PVMM_VMAP_CLEARED] = "cleared",
	};

	return (unsigned int)state < PVMM_ARRAY_SIZE(names) ? names[state] : "unknown";
}

bool pvmm_vmap_find(pvmm_va_t va, struct pvmm_vmap_info *info)
{
	const struct vmap_area *area = area_find_locked(va);

	if (!area)
		return false;
	*info = (struct pvmm_vmap_info){
		.va = area->va,
		.nr_pages = area->nr_pages,
		.name = area->name,
		.state = (enum pvmm_vmap_state)area->state,
		.policy = (enum pvmm_vmap_policy)area->policy,
		.prot = area->prot,
		.is_guard = va - area->va >= area->nr_pages << PVMM_PAGE_SHIFT,
		.made_ns = area->made_ns,
		.given_up_ns = area->given_up_ns,
		.maker = area->maker,
		.giver_up = area->giver_up,
	};
	pvmm_spin_unlock(&pool_of(area)->lock);
	return true;
}

/* The first area in a range of the tree, at page or behind it; areas come and go meanwhile. */
static bool find_in(const struct vmap_place *place, uint64_t page, struct pvmm_vmap_info *info)
{
	uint64_t end = place->is_chunk ? place->end : place->start + 1;

	if (page < place->start || !place->is_chunk)
		page = place->start;
	for (; page < end; page++)
		if (pvmm_vmap_find(page << PVMM_PAGE_SHIFT, info))
			return true;
	return false;
}

bool pvmm_vmap_next(pvmm_va_t va, struct pvmm_vmap_info *info)
{
	uint64_t page = va >> PVMM_PAGE_SHIFT;
	struct vmap_place place;

	for (; vmap_tree_next(page, &place); page = place.end)
		if (find_in(&place, page, info))
			return true;
	return false;
}

struct pvmm_page *pvmm_vmap_page(const void *addr)
{
	pvmm_va_t va = (uintptr_t)addr;
	const struct vmap_area *area = area_find_locked(va);
	struct pvmm_page *page = NULL;
	struct area_cursor c;

	if (!area)
		return NULL;
	area_start(&c, area);
	while (area_more(&c) && area_cursor_va(&c) != (va & PVMM_PAGE_MASK))
		area_next(&c);
	if (area->state == PVMM_VMAP_LIVE && area_more(&c) && pfn_is_page(*c.pfn))
		page = pvmm_page(_pfn(*c.pfn));
	pvmm_spin_unlock(&pool_of(area)->lock);
	return page;
}

struct pvmm_vmap_stats pvmm_vmap_stats(void)
{
	struct pvmm_vmap_stats s = {.chunks = chunk_nr()};

	for (unsigned int i = 0; i < NR_POOLS; i++) {
		const struct vmap_pool *pool = &vmap_pools[i];

		s.maps += count_read(&pool->maps);
		s.unmaps += count_read(&pool->unmaps);
		s.live_areas += count_read(&pool->live_areas);
		s.live_pages += count_read(&pool->live_pages);
		s.stale_areas += count_read(&pool->stale_areas);
		s.stale_pages += count_read(&pool->stale_pages);
	}
	return s;
}
