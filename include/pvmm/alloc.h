/* SPDX-License-Identifier: MIT */
/*
 * The page allocator: a buddy system over the page database. A block of order n is 2^n pages,
 * aligned to its size in pfns. Contents are not cleared.
 *
 * Freed single pages come back first (they are warm and need no splitting), except pages with stale
 * mappings, which are reached last, and which page tables are not made of while there are others
 * near (R8).
 *
 * One lock, the innermost of the memory manager. Not for event handlers.
 */
#ifndef PVMM_ALLOC_H
#define PVMM_ALLOC_H

#include <pvmm/page.h>

#define PVMM_MAX_ORDER 10

/*
 * 2^order pages of the given kind (not FREE), with one reference on each, or NULL if there is no
 * such block. Before it fails it asks the notifiers (pvmm/ledger.h) for what they can spare and
 * purges, unless a batch is open.
 */
PVMM_API struct pvmm_page *pvmm_page_alloc(unsigned int order, enum pvmm_page_kind kind);

/*
 * Gives a block back: same page and order as allocated, no references but the allocator's. A page
 * that is a page table still, or that has a live mapping, is a panic: Xen would find it later. A
 * page that was granted, and that its peer may map, is not free before that ends: a line says so
 * (pvmm/holder.h).
 */
PVMM_API void pvmm_page_free(struct pvmm_page *page, unsigned int order);

/* Pages in the allocator's hands. */
PVMM_API uint64_t pvmm_free_pages(void);

/* Free blocks of one order. */
PVMM_API uint64_t pvmm_free_blocks(unsigned int order);

#endif
