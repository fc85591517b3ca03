/* SPDX-License-Identifier: MIT */
/*
 * Owns the pages that small objects are cut from. A page's private field is its object_page: the
 * free objects, linked through their first word by offset, and how many are in use.
 *
 * Invariant, under the cache's lock: a page is on the partial list exactly if it has a free object
 * and one in use.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include "object.h"

#define NO_OBJECT 0xffff /* no offset in a page: objects are multiples of 8 */

/* What page->private holds. */
struct object_page {
	uint16_t free; /* offset of the first free object, or NO_OBJECT */
	uint16_t nr_used;
};

static struct object_page get_state(const struct pvmm_page *page)
{
	return (struct object_page){(uint16_t)page->private, (uint16_t)(page->private >> 16)};
}

static void set_state(struct pvmm_page *page, struct object_page state)
{
	page->private = state.free | (uint64_t)state.nr_used << 16;
}

static void list_add(struct object_cache *cache, struct pvmm_page *page)
{
	page->prev = PVMM_PAGE_NONE;
	page->next = cache->partial;
	if (cache->partial != PVMM_PAGE_NONE)
		pvmm_page(_pfn(cache->partial))->prev = (uint32_t)pfn_x(pvmm_page_pfn(page));
	cache->partial = (uint32_t)pfn_x(pvmm_page_pfn(page));
}

static void list_del(struct object_cache *cache, struct pvmm_page *page)
{
	if (page->prev != PVMM_PAGE_NONE)
		pvmm_page(_pfn(page->prev))->next = page->next;
	else
		cache->partial = page->next;
	if (page->next != PVMM_PAGE_NONE)
		pvmm_page(_pfn(page->next))->prev = page->prev;
	page->next = page->prev = PVMM_PAGE_NONE;
}

static uint16_t *link_at(struct pvmm_page *page, uint16_t offset)
{
	return (uint16_t *)((char *)pvmm_page_virt(page) + offset);
}

/* Cuts a new page into free objects. */
static struct pvmm_page *grow(const struct object_cache *cache)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	uint32_t nr = PVMM_PAGE_SIZE / cache->object_bytes;

	if (!page)
		return NULL;
	for (uint32_t i = 0; i < nr; i++)
		*link_at(page, (uint16_t)(i * cache->object_bytes)) =
			i + 1 < nr ? (uint16_t)((i + 1) * cache->object_bytes) : NO_OBJECT;
	set_state(page, (struct object_page){0, 0});
	return page;
}

/* Under the lock; read without. */
static void count_objects(struct object_cache *cache, uint64_t change)
{
	__atomic_store_n(&cache->nr_objects, cache->nr_objects + change, __ATOMIC_RELAXED);
}

/* Takes an object from the first page that has one. */
static void *take(struct object_cache *cache)
{
	struct pvmm_page *page = pvmm_page(_pfn(cache->partial));
	struct object_page state = get_state(page);
	uint16_t *object = link_at(page, state.free);

	state.free = *object;
	state.nr_used++;
	set_state(page, state);
	if (state.free == NO_OBJECT)
		list_del(cache, page);
	count_objects(cache, 1);
	return object;
}

void *object_alloc(struct object_cache *cache)
{
	struct pvmm_page *new = NULL;
	uint64_t *object = NULL;

	pvmm_spin_lock(&cache->lock);
	if (cache->partial == PVMM_PAGE_NONE) {
		/* Not under the lock: an allocation may purge, and a purge frees objects. */
		pvmm_spin_unlock(&cache->lock);
		new = grow(cache);
		pvmm_spin_lock(&cache->lock);
		if (new)
			list_add(cache, new);
	}
	if (cache->partial != PVMM_PAGE_NONE)
		object = take(cache);
	pvmm_spin_unlock(&cache->lock);

	for (uint32_t i = 0; object && i < cache->object_bytes / sizeof(*object); i++)
		object[i] = 0;
	return object;
}

void object_free(struct object_cache *cache, void *object)
{
	struct pvmm_page *page = pvmm_virt_to_page(object);
	uint16_t offset = (uint16_t)((uintptr_t)object & ~PVMM_PAGE_MASK);
	struct object_page state;
	bool is_empty;

	pvmm_spin_lock(&cache->lock);
	state = get_state(page);
	if (!state.nr_used || offset % cache->object_bytes)
		pvmm_panic("object at %p freed that is none of its cache (%u bytes each), by %pS",
			   object, cache->object_bytes, __builtin_return_address(0));
	if (state.free == NO_OBJECT)
		list_add(cache, page);
	*link_at(page, offset) = state.free;
	state.free = offset;
	state.nr_used--;
	set_state(page, state);
	count_objects(cache, -1ULL);
	is_empty = !state.nr_used;
	if (is_empty)
		list_del(cache, page);
	pvmm_spin_unlock(&cache->lock);

	if (is_empty)
		pvmm_page_free(page, 0);
}
