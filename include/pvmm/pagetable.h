/* SPDX-License-Identifier: MIT */
/*
 * Page tables: the one walk, the one place that changes an entry, and the life of a table's page.
 *
 *	building    allocated, zeroed, writable in the direct map; entries are plain stores
 *	read-only   read-only in the direct map; entries change through Xen, in a batch
 *	kept        read-only, and pinned for itself: it need not be validated when it is used
 *
 * A table is read-only from just before Xen validates it (pin, or hooking into a validated table)
 * until it is validated no more.
 *
 * Locks: whoever changes the tables of a space holds that space's lock. Walking needs none as long
 * as the tables are not freed meanwhile.
 */
#ifndef PVMM_PAGETABLE_H
#define PVMM_PAGETABLE_H

#include <pvmm/batch.h>
#include <pvmm/page.h>
#include <pvmm/paging.h>

/* One entry on the way from a root to a page. */
struct pvmm_walk_step {
	pfn_t table;
	unsigned int slot;
	pvmm_pte_t entry;
};

/*
 * step[level] for level = PVMM_PT_LEVELS down to stopped_at; the entry there is either the L1 entry
 * (stopped_at == 1), not present, or leads to a frame that is not the domain's.
 */
struct pvmm_walk {
	unsigned int stopped_at;
	struct pvmm_walk_step step[PVMM_PT_LEVELS + 1];
};

PVMM_API struct pvmm_walk pvmm_pt_walk(pfn_t root, pvmm_va_t va);

/* The L1 entry that maps va, or 0. */
PVMM_API pvmm_pte_t pvmm_pt_lookup(pfn_t root, pvmm_va_t va);

/*
 * Calls visit for each table below (and including) the table given, children before their parent.
 * va is the first address that the table translates. Only slots first to last of the given table
 * are entered. A non-zero answer stops and is returned. visit may free the table.
 */
typedef int pvmm_pt_visit_fn(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx);
PVMM_API int pvmm_pt_visit(pfn_t table, unsigned int level, pvmm_va_t va, unsigned int first,
			   unsigned int last, pvmm_pt_visit_fn *visit, void *ctx);

/* The entries of a table, through the direct map. */
static inline pvmm_pte_t *pvmm_pt_entries(pfn_t table)
{
	return pvmm_pfn_to_virt(table);
}

/* The machine address of one entry: what MMU_NORMAL_PT_UPDATE wants. */
PVMM_API uint64_t pvmm_pt_entry_maddr(pfn_t table, unsigned int slot);

/* A zeroed page for a table of this level, in state "building"; NULL when memory is out. */
PVMM_API struct pvmm_page *pvmm_table_alloc(unsigned int level);

/*
 * Frees a table's page, which must be in state "building" and no part of any tree. If somebody has
 * it mapped, it stays until the last mapping goes.
 */
PVMM_API void pvmm_table_free(struct pvmm_page *page);

/* Pages that are kept to be tables again, validated ones and some that only were tables. */
struct pvmm_table_cache_stats {
	uint64_t nr_pages;     /* now */
	uint64_t hits, misses; /* of those that are validated */
};

PVMM_API struct pvmm_table_cache_stats pvmm_table_cache_stats(void);

/*
 * Tables with up to this many entries are kept when they are no longer used, and taken for as many;
 * 0: none. -XEN_EINVAL above PVMM_PT_ENTRIES. Those that are kept stay so
 * (pvmm_table_cache_shrink).
 */
PVMM_API int pvmm_table_keep(unsigned int nr_entries);

/*
 * Gives them all back to the allocator, in one trap; returns how many. For when memory runs short.
 * No batch may be open.
 */
PVMM_API unsigned int pvmm_table_cache_shrink(void);

/*
 * Stores an entry: a plain store into a table that is building, a queued update (inside a batch)
 * into one that is read-only.
 */
PVMM_API void pvmm_pt_set(pfn_t table, unsigned int slot, pvmm_pte_t pte);

/*
 * Queue "read-only" or "writable" for the page's direct-map entry. The flag PVMM_PAGE_READONLY
 * follows when the batch has succeeded: pvmm_table_mark.
 */
PVMM_API void pvmm_table_queue_protect(struct pvmm_page *page);
PVMM_API void pvmm_table_queue_unprotect(struct pvmm_page *page);
PVMM_API void pvmm_table_mark(struct pvmm_page *page, bool readonly);

#endif
