/* SPDX-License-Identifier: MIT */
/*
 * Owns areas as objects: their making and their end, wherever their addresses come from, what they
 * remember of their pages, and finding the one that an address belongs to.
 *
 * Invariant: an area is in its chunk's records or in the tree from before its first entry is made
 * until no TLB can hold its last one.
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/clock.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "ledger.h"
#include "vmap.h"

#define PFNS_PER_PAGE (PVMM_PAGE_SIZE / sizeof(uint32_t))

/* More addresses than this are flushed as everything, which the batch would do too, one by one. */
#define FLUSH_SINGLY 16

struct vmap_pool vmap_pools[NR_POOLS];

static struct object_cache large_areas = OBJECT_CACHE_INIT(struct vmap_large);

void vmap_init(void)
{
	for (unsigned int i = 0; i < NR_POOLS; i++)
		vmap_pools[i] = (struct vmap_pool){.areas = OBJECT_CACHE_INIT(struct vmap_area)};
	large_areas = (struct object_cache)OBJECT_CACHE_INIT(struct vmap_large);
	vmap_tree_init();
	chunk_init();
}

static struct vmap_large *large_of(struct vmap_area *area)
{
	return (struct vmap_large *)((char *)area - offsetof(struct vmap_large, area));
}

/* --- its pages --- */

void area_start(struct area_cursor *c, const struct vmap_area *area)
{
	*c = (struct area_cursor){.area = area, .pfn_page = area->pfn_pages};
	if (area->chunk)
		c->pfn = &area->chunk->table->pfn[pvmm_pt_slot(area->va, 1)];
	else
		c->pfn = pvmm_page_virt(c->pfn_page);
}

void area_next(struct area_cursor *c)
{
	c->i++;
	c->pfn++;
	if (!area_more(c))
		return;
	if (!c->area->chunk && c->i % PFNS_PER_PAGE == 0) {
		c->pfn_page = pvmm_page(_pfn(c->pfn_page->next));
		c->pfn = pvmm_page_virt(c->pfn_page);
	}
	if (!pvmm_pt_slot(area_cursor_va(c), 1))
		c->l1_maddr = 0;
}

uint64_t area_entry_maddr(struct area_cursor *c)
{
	pvmm_va_t va = area_cursor_va(c);

	if (!c->l1_maddr) {
		pfn_t l1 = c->area->chunk ? c->area->chunk->l1
					  : pvmm_pt_walk(pvmm_kernel_space.root, va).step[1].table;

		c->l1_maddr = pvmm_pt_entry_maddr(l1, 0);
	}
	return c->l1_maddr + pvmm_pt_slot(va, 1) * sizeof(pvmm_pte_t);
}

unsigned int area_queue_clear(const struct vmap_area *area)
{
	bool flush_singly = area->nr_pages <= FLUSH_SINGLY;
	struct area_cursor c;
	unsigned int nr = 0;

	area_for_each_page(&c, area)
	{
		if (*c.pfn == PFN_NONE || pfn_is_pending(*c.pfn))
			continue;
		pvmm_batch_mmu_update(area_entry_maddr(&c), 0);
		if (flush_singly)
			pvmm_batch_flush_va(area_cursor_va(&c));
		nr++;
	}
	if (nr && !flush_singly)
		pvmm_batch_flush_all();
	return nr;
}

void area_drop_pages(const struct vmap_area *area, void (*count_out)(struct pvmm_page *page),
		     bool put)
{
	struct area_cursor c;

	area_for_each_page(&c, area)
	{
		struct pvmm_page *page = pfn_is_page(*c.pfn) ? pvmm_page(_pfn(*c.pfn)) : NULL;

		*c.pfn = PFN_NONE;
		if (!page)
			continue;
		count_out(page);
		if (put)
			pvmm_page_put(page);
	}
}

/* --- large areas --- */

static void free_pfn_pages(struct vmap_area *area)
{
	while (area->pfn_pages) {
		struct pvmm_page *page = area->pfn_pages;
		uint32_t next = page->next;

		page->next = PVMM_PAGE_NONE;
		area->pfn_pages = next == PVMM_PAGE_NONE ? NULL : pvmm_page(_pfn(next));
		pvmm_page_free(page, 0);
	}
}

static int alloc_pfn_pages(struct vmap_area *area)
{
	for (uint64_t nr = 0; nr < area->nr_pages; nr += PFNS_PER_PAGE) {
		struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		uint32_t *pfns;

		if (!page) {
			free_pfn_pages(area);
			return -XEN_ENOMEM;
		}
		pfns = pvmm_page_virt(page);
		for (unsigned int i = 0; i < PFNS_PER_PAGE; i++)
			pfns[i] = PFN_NONE;
		page->next = area->pfn_pages ? (uint32_t)pfn_x(pvmm_page_pfn(area->pfn_pages))
					     : PVMM_PAGE_NONE;
		area->pfn_pages = page;
	}
	return 0;
}

/* Where an area may be. The first part of the region is left to fixed addresses. */
static struct vmap_wish wish_for(uint64_t nr_pages, const struct pvmm_vmap_how *how)
{
	struct vmap_wish wish = {
		.nr_pages = nr_pages + 1, /* the guard page */
		.align = how->align_bytes ? how->align_bytes >> PVMM_PAGE_SHIFT : 1,
		.low = (PVMM_VMAP_BASE + PVMM_VMAP_FIXED_BYTES) >> PVMM_PAGE_SHIFT,
		.high = (PVMM_VMAP_BASE + PVMM_VMAP_BYTES) >> PVMM_PAGE_SHIFT,
	};

	if (how->start >> PVMM_PAGE_SHIFT > wish.low)
		wish.low = (how->start + PVMM_PAGE_SIZE - 1) >> PVMM_PAGE_SHIFT;
	if (how->end && how->end >> PVMM_PAGE_SHIFT < wish.high)
		wish.high = how->end >> PVMM_PAGE_SHIFT;
	return wish;
}

/* Makes sure of the L1 tables of a large area. */
static int ensure_tables(const struct vmap_area *area)
{
	pvmm_va_t end = area->va + (area->nr_pages << PVMM_PAGE_SHIFT);
	unsigned int levels = 0;
	pfn_t l1;
	int err = 0;

	for (pvmm_va_t va = area->va; !err && va < end;
	     va = (va & ~(pvmm_level_bytes(2) - 1)) + pvmm_level_bytes(2))
		err = map_kernel_l1(va, &l1, &levels);
	return err;
}

static int large_create(const struct area_request *r, struct vmap_area **area)
{
	struct vmap_wish wish = wish_for(r->nr_pages, r->how);
	struct vmap_large *large;
	int err;

	if (r->nr_pages >= PVMM_VMAP_BYTES >> PVMM_PAGE_SHIFT)
		return -XEN_ENOMEM;
	large = object_alloc(&large_areas);
	if (!large)
		return -XEN_ENOMEM;
	large->area.nr_pages = r->nr_pages;
	large->area.pool = POOL_LARGE;
	err = alloc_pfn_pages(&large->area);
	if (err) {
		object_free(&large_areas, large);
		return err;
	}
	if (!vmap_tree_take(&large->range, &wish)) {
		/* Full, perhaps of stale areas. */
		ledger_purge(PVMM_PURGE_ADDRESSES);
		if (!vmap_tree_take(&large->range, &wish)) {
			free_pfn_pages(&large->area);
			object_free(&large_areas, large);
			return -XEN_ENOMEM;
		}
	}
	large->area.va = large->range.start << PVMM_PAGE_SHIFT;
	err = r->use == AREA_RESERVED ? 0 : ensure_tables(&large->area);
	if (err) {
		vmap_tree_give(&large->range);
		free_pfn_pages(&large->area);
		object_free(&large_areas, large);
		return err;
	}
	*area = &large->area;
	return 0;
}

static int small_create(uint64_t nr_pages, struct vmap_area **area)
{
	unsigned int pool = pvmm_this_vcpu();
	struct vmap_area *new = object_alloc(&vmap_pools[pool].areas);
	int err;

	if (!new)
		return -XEN_ENOMEM;
	new->nr_pages = nr_pages;
	new->pool = (uint8_t)pool;
	err = chunk_carve(new, pool);
	if (err) {
		object_free(&vmap_pools[pool].areas, new);
		return err;
	}
	*area = new;
	return 0;
}

/* --- any area --- */

int area_create(const struct area_request *r, struct vmap_area **area)
{
	const struct pvmm_vmap_params params = pvmm_vmap_params();
	const struct pvmm_vmap_how *how = r->how;
	struct vmap_area *new;
	int err;

	if (r->nr_pages <= params.small_pages && !how->align_bytes && !how->start && !how->end)
		err = small_create(r->nr_pages, &new);
	else
		err = large_create(r, &new);
	if (err)
		return err;

	new->name = how->name ? how->name : "(no name)";
	new->policy = (uint8_t)(how->policy == PVMM_VMAP_DEFAULT ? params.policy : how->policy);
	new->prot = r->prot;
	new->is_vmalloc = r->use == AREA_VMALLOC;
	new->is_open = r->use == AREA_RESERVED;
	new->maker = r->maker;
	new->made_ns = pvmm_clock_ns();
	pvmm_spin_lock(&pool_of(new)->lock);
	new->state = PVMM_VMAP_LIVE;
	count_add(&pool_of(new)->maps, 1);
	count_add(&pool_of(new)->live_areas, 1);
	count_add(&pool_of(new)->live_pages, r->nr_pages);
	pvmm_spin_unlock(&pool_of(new)->lock);
	*area = new;
	return 0;
}

void area_destroy(struct vmap_area *area)
{
	struct vmap_pool *pool = pool_of(area);

	if (area->chunk) {
		chunk_uncarve(area);
		object_free(&pool->areas, area);
		return;
	}
	/* Under the pool's lock, or who has just found the area would lose it. */
	pvmm_spin_lock(&pool->lock);
	vmap_tree_give(&large_of(area)->range);
	pvmm_spin_unlock(&pool->lock);
	free_pfn_pages(area);
	object_free(&large_areas, large_of(area));
}

static struct vmap_area *large_find_locked(pvmm_va_t va)
{
	struct vmap_pool *pool = &vmap_pools[POOL_LARGE];
	struct vmap_range *range;
	struct vmap_area *area = NULL;

	pvmm_spin_lock(&pool->lock);
	range = vmap_tree_find(va >> PVMM_PAGE_SHIFT);
	if (range && !range->is_chunk)
		area = &((struct vmap_large *)range)->area;
	/* One that is being made, and not yet to be seen, has no state. */
	if (!area || area->state == PVMM_VMAP_FREE) {
		pvmm_spin_unlock(&pool->lock);
		return NULL;
	}
	return area;
}

struct vmap_area *area_find_locked(pvmm_va_t va)
{
	struct vmap_area *area;

	if (va - PVMM_VMAP_BASE >= PVMM_VMAP_BYTES)
		return NULL;
	return chunk_find_locked(va, &area) ? area : large_find_locked(va);
}
