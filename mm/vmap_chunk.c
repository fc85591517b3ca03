/* SPDX-License-Identifier: MIT */
/*
 * Owns chunks: the L1 tables' worth of addresses that each vCPU carves its small areas from,
 * without a tree, a search for a table, or a lock that others want.
 *
 * A chunk's free slots are used once from its start to its end, then it is left alone until at
 * least half of it is free again: so an address comes back late, and what is searched is mostly
 * free. With its last area it goes back to the tree; its L1 table stays in the kernel's tables for
 * good.
 *
 * Invariant, under the pool's lock: nr_free slots are PFN_FREE; nr_areas are in at[]; the L1
 * table's private field is the chunk's handle exactly while the pool has it.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include "ledger.h"
#include "vmap.h"

/* Free slots that make it worth searching a chunk again: half. Chosen, not measured. */
#define CHUNK_REUSE_SLOTS (CHUNK_SLOTS / 2)

static struct object_cache chunks = OBJECT_CACHE_INIT(struct vmap_chunk);

_Static_assert(sizeof(struct chunk_table) == PVMM_PAGE_SIZE, "a chunk's records are one page");

void chunk_init(void)
{
	chunks = (struct object_cache)OBJECT_CACHE_INIT(struct vmap_chunk);
}

uint64_t chunk_nr(void)
{
	return count_read(&chunks.nr_objects);
}

/* --- the L1 table leads to the chunk --- */

/* The records' address with the pool's number in its low bits. */
uint64_t chunk_handle(const struct vmap_chunk *chunk)
{
	return (uintptr_t)chunk->table | chunk->pool;
}

static void set_handle(const struct vmap_chunk *chunk, uint64_t handle)
{
	__atomic_store_n(&pvmm_page(chunk->l1)->private, handle, __ATOMIC_RELEASE);
}

static struct vmap_chunk *chunk_of_handle(uint64_t handle)
{
	const struct pvmm_page *records = pvmm_virt_to_page((void *)(handle & PVMM_PAGE_MASK));

	return (struct vmap_chunk *)(uintptr_t)records->private;
}

/* The area that begins at or before a slot, and its guard page or it contains the slot. */
static struct vmap_area *area_at(const struct vmap_chunk *chunk, unsigned int slot)
{
	for (int i = (int)slot / 2; i >= 0; i--) {
		struct vmap_area *area = chunk->table->at[i];
		unsigned int first;

		if (!area)
			continue;
		first = pvmm_pt_slot(area->va, 1);
		if (first <= slot)
			return slot <= first + area->nr_pages ? area : NULL;
	}
	return NULL;
}

bool chunk_find_locked(pvmm_va_t va, struct vmap_area **area)
{
	struct pvmm_walk w = pvmm_pt_walk(pvmm_kernel_space.root, va);
	const uint64_t *private;

	if (w.stopped_at != 1)
		return false;
	private = &pvmm_page(w.step[1].table)->private;
	for (;;) {
		uint64_t handle = __atomic_load_n(private, __ATOMIC_ACQUIRE);
		struct vmap_pool *pool;

		if (!handle)
			return false;
		pool = &vmap_pools[handle & ~PVMM_PAGE_MASK];
		pvmm_spin_lock(&pool->lock);
		/* Under the lock the chunk cannot go; it may have gone before. */
		if (__atomic_load_n(private, __ATOMIC_ACQUIRE) != handle) {
			pvmm_spin_unlock(&pool->lock);
			continue;
		}
		*area = area_at(chunk_of_handle(handle), pvmm_pt_slot(va, 1));
		if (!*area || (*area)->state == PVMM_VMAP_FREE) {
			*area = NULL;
			pvmm_spin_unlock(&pool->lock);
		}
		return true;
	}
}

/* --- making one, and its end --- */

static void chunk_free(struct vmap_chunk *chunk)
{
	struct pvmm_page *records = pvmm_virt_to_page(chunk->table);

	vmap_tree_give(&chunk->range);
	pvmm_page_free(records, 0);
	object_free(&chunks, chunk);
}

static bool take_range(struct vmap_chunk *chunk)
{
	const struct vmap_wish wish = {
		.nr_pages = CHUNK_SLOTS,
		.align = CHUNK_SLOTS,
		.low = (PVMM_VMAP_BASE + PVMM_VMAP_FIXED_BYTES) >> PVMM_PAGE_SHIFT,
		.high = (PVMM_VMAP_BASE + PVMM_VMAP_BYTES) >> PVMM_PAGE_SHIFT,
	};

	if (vmap_tree_take(&chunk->range, &wish))
		return true;
	ledger_purge(PVMM_PURGE_ADDRESSES);
	return vmap_tree_take(&chunk->range, &wish);
}

static int chunk_create(unsigned int pool, struct vmap_chunk **new)
{
	struct vmap_chunk *chunk = object_alloc(&chunks);
	struct pvmm_page *records = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	unsigned int levels = 0;
	int err = -XEN_ENOMEM;

	if (!chunk || !records)
		goto no_memory;
	chunk->range.is_chunk = true;
	if (!take_range(chunk))
		goto no_memory;
	err = map_kernel_l1(chunk->range.start << PVMM_PAGE_SHIFT, &chunk->l1, &levels);
	if (err) {
		vmap_tree_give(&chunk->range);
		goto no_memory;
	}
	chunk->pool = (uint8_t)pool;
	chunk->nr_free = CHUNK_SLOTS;
	chunk->table = pvmm_page_virt(records);
	records->private = (uintptr_t)chunk;
	for (unsigned int i = 0; i < CHUNK_SLOTS / 2; i++)
		chunk->table->at[i] = NULL;
	for (unsigned int i = 0; i < CHUNK_SLOTS; i++)
		chunk->table->pfn[i] = PFN_FREE;
	*new = chunk;
	return 0;

no_memory:
	if (records)
		pvmm_page_free(records, 0);
	if (chunk)
		object_free(&chunks, chunk);
	return err;
}

/* --- a pool's chunks, under its lock --- */

static void list_add(struct vmap_pool *pool, struct vmap_chunk *chunk)
{
	chunk->is_listed = true;
	chunk->prev = NULL;
	chunk->next = pool->reusable;
	if (pool->reusable)
		pool->reusable->prev = chunk;
	pool->reusable = chunk;
}

static void list_del(struct vmap_pool *pool, struct vmap_chunk *chunk)
{
	chunk->is_listed = false;
	if (chunk->prev)
		chunk->prev->next = chunk->next;
	else
		pool->reusable = chunk->next;
	if (chunk->next)
		chunk->next->prev = chunk->prev;
}

/*
 * The first of nr free slots from the cursor on, or CHUNK_SLOTS. By the areas that begin there: what
 * the slots of an area say is written without the lock.
 */
static unsigned int find_free(const struct vmap_chunk *chunk, unsigned int nr)
{
	unsigned int first = chunk->cursor;

	for (unsigned int slot = first; slot < CHUNK_SLOTS; slot++) {
		const struct vmap_area *area = chunk->table->at[slot / 2];

		if (area && pvmm_pt_slot(area->va, 1) == slot) {
			slot += (unsigned int)area->nr_pages; /* to its guard page */
			first = slot + 1;
		} else if (slot + 1 - first == nr) {
			return first;
		}
	}
	return CHUNK_SLOTS;
}

static bool carve(struct vmap_chunk *chunk, struct vmap_area *area)
{
	unsigned int nr = (unsigned int)area->nr_pages, slot = find_free(chunk, nr + 1);
	uint32_t *pfn = &chunk->table->pfn[slot];

	if (slot == CHUNK_SLOTS)
		return false;
	for (unsigned int i = 0; i < nr; i++)
		pfn[i] = PFN_NONE;
	pfn[nr] = PFN_GUARD;
	area->chunk = chunk;
	area->va = (chunk->range.start + slot) << PVMM_PAGE_SHIFT;
	chunk->table->at[slot / 2] = area;
	chunk->cursor = (uint16_t)(slot + nr + 1);
	chunk->nr_free = (uint16_t)(chunk->nr_free - nr - 1);
	chunk->nr_areas++;
	return true;
}

/* From the chunk in use, from its start again, or from one that has become half free. */
static bool carve_from_pool(struct vmap_pool *pool, struct vmap_area *area)
{
	struct vmap_chunk *chunk = pool->current;

	if (chunk && carve(chunk, area))
		return true;
	if (chunk && chunk->nr_free >= CHUNK_REUSE_SLOTS) {
		chunk->cursor = 0;
		if (carve(chunk, area))
			return true;
	}
	while ((chunk = pool->reusable)) {
		list_del(pool, chunk);
		chunk->cursor = 0;
		pool->current = chunk;
		if (carve(chunk, area))
			return true;
	}
	return false;
}

int chunk_carve(struct vmap_area *area, unsigned int nr)
{
	struct vmap_pool *pool = &vmap_pools[nr];
	struct vmap_chunk *new;
	bool carved;
	int err;

	pvmm_spin_lock(&pool->lock);
	carved = carve_from_pool(pool, area);
	pvmm_spin_unlock(&pool->lock);
	if (carved)
		return 0;

	err = chunk_create(nr, &new);
	if (err)
		return err;
	pvmm_spin_lock(&pool->lock);
	pool->current = new;
	set_handle(new, chunk_handle(new));
	carved = carve(new, area);
	pvmm_spin_unlock(&pool->lock);
	if (!carved)
		pvmm_panic("an area of %llu pages does not fit in an empty chunk",
			   (unsigned long long)area->nr_pages);
	return 0;
}

void chunk_uncarve(struct vmap_area *area)
{
	struct vmap_pool *pool = pool_of(area);
	struct vmap_chunk *chunk = area->chunk;
	unsigned int slot = pvmm_pt_slot(area->va, 1);
	bool is_empty;

	pvmm_spin_lock(&pool->lock);
	for (unsigned int i = 0; i <= area->nr_pages; i++)
		chunk->table->pfn[slot + i] = PFN_FREE;
	chunk->table->at[slot / 2] = NULL;
	chunk->nr_free = (uint16_t)(chunk->nr_free + area->nr_pages + 1);
	chunk->nr_areas--;
	/* The one in use stays until a purge: making it anew costs more than a mapping. */
	is_empty = !chunk->nr_areas && pool->current != chunk;
	if (is_empty) {
		if (chunk->is_listed)
			list_del(pool, chunk);
		set_handle(chunk, 0);
	} else if (pool->current != chunk && !chunk->is_listed &&
		   chunk->nr_free >= CHUNK_REUSE_SLOTS) {
		list_add(pool, chunk);
	}
	pvmm_spin_unlock(&pool->lock);
	if (is_empty)
		chunk_free(chunk);
}

void chunk_give_back(struct vmap_pool *pool)
{
	struct vmap_chunk *chunk;

	pvmm_spin_lock(&pool->lock);
	chunk = pool->current;
	if (chunk && !chunk->nr_areas) {
		pool->current = NULL;
		set_handle(chunk, 0);
	} else {
		chunk = NULL;
	}
	pvmm_spin_unlock(&pool->lock);
	if (chunk)
		chunk_free(chunk);
}
