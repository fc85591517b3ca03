/* SPDX-License-Identifier: MIT */
/*
 * The page database: one struct pvmm_page for every pfn, at PVMM_PAGES_BASE.
 *
 * live and stale count the mappings of a page other than the direct map's: live ones are in use,
 * stale ones were given up by their user but their entries still stand. A page may become a page
 * table only when both are 0; that is what makes the ordinary pin free of any search.
 *
 * Counts change atomically; kind, order and the links belong to whoever owns the page (the
 * allocator's lock while it is free, its holder otherwise).
 */
#ifndef PVMM_PAGE_H
#define PVMM_PAGE_H

#include <pvmm/layout.h>
#include <pvmm/types.h>

enum pvmm_page_kind {
	PVMM_PAGE_FREE,
	PVMM_PAGE_KERNEL,
	PVMM_PAGE_L1, /* page tables, by level */
	PVMM_PAGE_L2,
	PVMM_PAGE_L3,
	PVMM_PAGE_L4,
	PVMM_PAGE_USER,
	PVMM_PAGE_BALLOONED,
	PVMM_PAGE_GRANTED,     /* freed by its owner while somebody else holds it (pvmm/holder.h) */
	PVMM_PAGE_RESERVED,    /* image, start of day, Xen's rings, the manager's own records */
	PVMM_PAGE_QUARANTINED, /* a stray writable mapping leads to it: not handed out any more */
	PVMM_PAGE_KINDS,
};

/* flags */
#define PVMM_PAGE_READONLY 0x01 /* read-only in the direct map, changed through Xen only */
#define PVMM_PAGE_PINNED   0x02 /* a root that Xen has pinned */
#define PVMM_PAGE_SUSPECT  0x04 /* the stray search is looking for mappings of this one */
#define PVMM_PAGE_HEAD	   0x08 /* first page of a free block; order says its size */
#define PVMM_PAGE_NODIRECT 0x10 /* not in the direct map; reached by pvmm_kmap only */
#define PVMM_PAGE_HELD	   0x20 /* free, but in the checker's hands and on no free list */
#define PVMM_PAGE_REPORTED 0x40 /* free, and a stray mapping of it has been reported */
#define PVMM_PAGE_KEPT	   0x80 /* a table that is pinned for itself, whatever leads to it */

struct pvmm_page {
	uint32_t next, prev; /* free list or table list, as pfns */
	uint32_t refs;
	uint32_t live;
	uint32_t stale;
	uint8_t kind;  /* enum pvmm_page_kind */
	uint8_t order; /* of the block this page is the head of; PVMM_ORDER_TAIL behind it */
	uint8_t flags;
	uint8_t attr;	  /* caching attribute, 0 is write-back */
	uint64_t private; /* for the page's owner */
};

_Static_assert(sizeof(struct pvmm_page) == 32, "the page database costs 32 bytes a page");

/* The order of the pages behind the first of an allocated block. */
#define PVMM_ORDER_TAIL 0xff

/* The end of a list of pages. */
#define PVMM_PAGE_NONE UINT32_MAX

/* pfn must be below pvmm_max_pfn(). */
static inline struct pvmm_page *pvmm_page(pfn_t pfn)
{
	return (struct pvmm_page *)(uintptr_t)PVMM_PAGES_BASE + pfn.v;
}

static inline pfn_t pvmm_page_pfn(const struct pvmm_page *page)
{
	return _pfn((uint64_t)(page - (struct pvmm_page *)(uintptr_t)PVMM_PAGES_BASE));
}

/* Where the page is in the direct map. */
static inline void *pvmm_pfn_to_virt(pfn_t pfn)
{
	return (void *)(uintptr_t)(PVMM_DIRECTMAP_BASE + (pfn.v << PVMM_PAGE_SHIFT));
}

static inline void *pvmm_page_virt(const struct pvmm_page *page)
{
	return pvmm_pfn_to_virt(pvmm_page_pfn(page));
}

/* The page of a direct-map address. */
static inline struct pvmm_page *pvmm_virt_to_page(const void *virt)
{
	return pvmm_page(_pfn(((uintptr_t)virt - PVMM_DIRECTMAP_BASE) >> PVMM_PAGE_SHIFT));
}

/* The level of a page-table page, 1 to PVMM_PT_LEVELS; 0 for any other page. */
static inline unsigned int pvmm_page_table_level(const struct pvmm_page *page)
{
	if (page->kind < PVMM_PAGE_L1 || page->kind > PVMM_PAGE_L4)
		return 0;
	return page->kind - PVMM_PAGE_L1 + 1u;
}

/* "free", "kernel", "L1 table", ... */
PVMM_API const char *pvmm_page_kind_name(enum pvmm_page_kind kind);

/*
 * A reference keeps an allocated page; the last put frees it. Every page of a block has its own,
 * one of which is its allocator's; the last put of a page behind the first is a panic, since a
 * block is freed as a whole. Any context but event handlers.
 */
PVMM_API void pvmm_page_get(struct pvmm_page *page);
PVMM_API void pvmm_page_put(struct pvmm_page *page);

/*
 * Counting mappings, for the alias ledger (pvmm/ledger.h), through which everybody else goes. An
 * underflow panics; a count that reaches PVMM_COUNT_SATURATED stays there, with a report: the page
 * never counts as clean again.
 */
#define PVMM_COUNT_SATURATED UINT32_MAX
PVMM_API void pvmm_page_live_inc(struct pvmm_page *page);
PVMM_API void pvmm_page_live_dec(struct pvmm_page *page);
PVMM_API void pvmm_page_stale_inc(struct pvmm_page *page);
PVMM_API void pvmm_page_stale_dec(struct pvmm_page *page);

#endif
