/* SPDX-License-Identifier: MIT */
/*
 * The audit of vmap's own books: tree, chunks, areas, what is remembered of their pages against
 * the entries, and the counters. For tests, with nothing else running.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include "vmap.h"

struct audit {
	unsigned int problems;
	struct {
		uint64_t live_areas, live_pages, stale_areas, stale_pages;
	} pools[NR_POOLS];
};

static void problem(struct audit *a, const struct vmap_area *area, const char *what)
{
	a->problems++;
	pvmm_log(PVMM_ERROR, "audit: vmap area 0x%llx \"%s\", %llu pages, %s: %s",
		 (unsigned long long)area->va, area->name, (unsigned long long)area->nr_pages,
		 pvmm_vmap_state_name((enum pvmm_vmap_state)area->state), what);
}

/* Whether the entry is what is remembered. */
static bool entry_is_right(pvmm_pte_t entry, uint32_t pfn)
{
	if (pfn_is_page(pfn))
		return pvmm_pte_present(entry) &&
		       mfn_eq(pvmm_pte_mfn(entry), pvmm_pfn_to_mfn(_pfn(pfn)));
	return pfn == PFN_FOREIGN ? pvmm_pte_present(entry) : pfn == PFN_NONE && !entry;
}

static void audit_area(const struct vmap_area *area, struct audit *a)
{
	pvmm_va_t guard = area->va + (area->nr_pages << PVMM_PAGE_SHIFT);
	struct area_cursor c;

	area_for_each_page(&c, area)
	{
		pvmm_pte_t entry = pvmm_pt_lookup(pvmm_kernel_space.root, area_cursor_va(&c));

		if (!entry_is_right(entry, *c.pfn))
			problem(a, area, "an entry is not what is remembered of it");
	}
	if (pvmm_pt_lookup(pvmm_kernel_space.root, guard))
		problem(a, area, "its guard page is mapped");

	if (area->state == PVMM_VMAP_LIVE) {
		a->pools[area->pool].live_areas++;
		a->pools[area->pool].live_pages += area->nr_pages;
	} else if (area->state == PVMM_VMAP_STALE) {
		a->pools[area->pool].stale_areas++;
		a->pools[area->pool].stale_pages += area->nr_pages;
	} else {
		problem(a, area, "it should not be there any more");
	}
}

static void audit_chunk(const struct vmap_chunk *chunk, struct audit *a)
{
	unsigned int nr_areas = 0, nr_free = 0, nr_taken = 0;

	for (unsigned int i = 0; i < CHUNK_SLOTS / 2; i++) {
		const struct vmap_area *area = chunk->table->at[i];

		if (!area)
			continue;
		nr_areas++;
		nr_taken += (unsigned int)area->nr_pages + 1;
		audit_area(area, a);
		if (area->chunk != chunk || area->pool != chunk->pool ||
		    pvmm_pt_slot(area->va, 1) / 2 != i)
			problem(a, area, "it is not at its place in its chunk");
	}
	for (unsigned int slot = 0; slot < CHUNK_SLOTS; slot++)
		nr_free += chunk->table->pfn[slot] == PFN_FREE;
	/* Only the one in use may be empty. */
	if ((nr_areas || vmap_pools[chunk->pool].current == chunk) && nr_areas == chunk->nr_areas &&
	    nr_free == chunk->nr_free && nr_free + nr_taken == CHUNK_SLOTS &&
	    pvmm_page(chunk->l1)->private == chunk_handle(chunk))
		return;
	a->problems++;
	pvmm_log(PVMM_ERROR,
		 "audit: vmap chunk 0x%llx has %u areas (%u counted), %u free slots (%u counted)",
		 (unsigned long long)chunk->range.start << PVMM_PAGE_SHIFT, nr_areas,
		 chunk->nr_areas, nr_free, chunk->nr_free);
}

static void audit_range(const struct vmap_range *range, void *ctx)
{
	if (range->is_chunk)
		audit_chunk((const struct vmap_chunk *)range, ctx);
	else
		audit_area(&((const struct vmap_large *)range)->area, ctx);
}

/* The stale list and the counters of a pool against the areas that were found. */
static void audit_pool(unsigned int i, struct audit *a)
{
	const struct vmap_pool *pool = &vmap_pools[i];
	uint64_t nr = 0;

	for (const struct vmap_area *area = pool->stale.first; area; area = area->next) {
		nr++;
		if (area->state != PVMM_VMAP_STALE || area->pool != i)
			problem(a, area, "it is in a list of stale areas");
	}
	if (nr == pool->stale_areas && nr == a->pools[i].stale_areas &&
	    pool->stale_pages == a->pools[i].stale_pages &&
	    pool->live_areas == a->pools[i].live_areas &&
	    pool->live_pages == a->pools[i].live_pages)
		return;
	a->problems++;
	pvmm_log(
		PVMM_ERROR,
		"audit: vmap pool %u counts %llu live, %llu stale areas; there are %llu, %llu, and %llu listed",
		i, (unsigned long long)pool->live_areas, (unsigned long long)pool->stale_areas,
		(unsigned long long)a->pools[i].live_areas,
		(unsigned long long)a->pools[i].stale_areas, (unsigned long long)nr);
}

unsigned int vmap_audit(void)
{
	static struct audit a;

	a = (struct audit){.problems = vmap_tree_audit()};
	vmap_tree_visit(audit_range, &a);
	for (unsigned int i = 0; i < NR_POOLS; i++)
		audit_pool(i, &a);
	if (!purge_is_idle()) {
		a.problems++;
		pvmm_log(PVMM_ERROR, "audit: vmap areas are on their way between stale and free");
	}
	return a.problems;
}
