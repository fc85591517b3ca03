/* SPDX-License-Identifier: MIT */
/*
 * Reaching a page that may not be in the direct map, for a while. For one that is there, all of
 * these are its direct-map address and cost nothing.
 *
 * pvmm_kmap keeps mappings cached by page: one that nobody uses any more is stale until its slot is
 * wanted for another page, the page is kmapped again (which then costs no trap), or the alias
 * ledger takes it away, for a pin or in a purge. pvmm_kmap_local takes a slot of this vCPU's own,
 * without a lock, and lets it go at once: strictly nested, not kept across anything that could move
 * the caller to another vCPU.
 *
 * The caller holds a reference on the page. None of these allocates, none may be called from an
 * event handler, and none but pvmm_kunmap with a batch open.
 */
#ifndef PVMM_KMAP_H
#define PVMM_KMAP_H

#include <pvmm/page.h>

/* Slots of the region: this many of each vCPU's own, the rest shared. */
#define PVMM_KMAP_LOCAL_SLOTS 8u

#define PVMM_KMAP_SLOTS ((unsigned int)(PVMM_KMAP_BYTES >> PVMM_PAGE_SHIFT))

/*
 * Where the page can be read and written; counted, so that each call needs its own pvmm_kunmap.
 * NULL when all slots are in use, when the page is a page table, or when Xen refuses.
 */
PVMM_API void *pvmm_kmap(struct pvmm_page *page);
PVMM_API void pvmm_kunmap(const void *addr);

/*
 * The same for a moment on this vCPU; NULL as above. addr is what pvmm_kmap_local has returned, the
 * last one not given back yet.
 */
PVMM_API void *pvmm_kmap_local(struct pvmm_page *page);
PVMM_API void pvmm_kunmap_local(const void *addr);

struct pvmm_kmap_stats {
	uint64_t hits, misses;	/* of pvmm_kmap, for pages that are not in the direct map */
	uint64_t reused;	/* misses that took another page's slot */
	uint64_t in_use, stale; /* shared slots, now */
};

PVMM_API struct pvmm_kmap_stats pvmm_kmap_stats(void);

#endif
