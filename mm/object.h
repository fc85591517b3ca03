/* SPDX-License-Identifier: MIT */
/*
 * Small objects of one size, cut from pages of kind KERNEL: what the manager's own bookkeeping is
 * made of (regions of address spaces, vmap areas). A page whose objects are all free goes back to
 * the allocator, so freeing never costs memory and never fails.
 */
#ifndef PVMM_MM_OBJECT_H
#define PVMM_MM_OBJECT_H

#include <pvmm/page.h>
#include <pvmm/spinlock.h>

struct object_cache {
	struct pvmm_spinlock lock; /* guards the lists; outside the allocator's lock */
	uint32_t object_bytes;	   /* a multiple of 8, at most half a page */
	uint32_t partial;	   /* first page with a free object, linked by next and prev */
	uint64_t nr_objects;	   /* in use */
};

#define OBJECT_CACHE_INIT(type)                                           \
	{                                                                 \
		.lock = PVMM_SPINLOCK_INIT, .object_bytes = sizeof(type), \
		.partial = PVMM_PAGE_NONE                                 \
	}

/* A zeroed object, or NULL when memory is out. */
void *object_alloc(struct object_cache *cache);
void object_free(struct object_cache *cache, void *object);

#endif
