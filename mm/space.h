/* SPDX-License-Identifier: MIT */
/*
 * What the rooms that work inside an address space share: its lock is held by the caller of
 * everything here.
 */
#ifndef PVMM_MM_SPACE_H
#define PVMM_MM_SPACE_H

#include "mm.h"

/* Whether some vCPU runs on it, so that a change of its user half must be flushed. */
static inline bool space_is_loaded(const struct pvmm_space *space)
{
	return __atomic_load_n(&space->nr_loaded, __ATOMIC_ACQUIRE) != 0;
}

struct region;

/* --- the space as a whole (space.c) --- */

/* The last root slot of the user half. */
unsigned int space_last_user_slot(void);

/*
 * Queues the pin of a building space, behind what the hand-over's batch holds already, and ends the
 * batch. When Xen refuses, the caller goes on with handover_undo.
 */
int pin_end_batch(struct pvmm_space *space, struct handover *h);

/* --- entries (map.c) --- */

/* What the leaf entry of this space carries; 0 for a prot that is none. */
uint64_t leaf_prot(const struct pvmm_space *space, uint64_t prot);

/* The entry that leads to a table. */
pvmm_pte_t entry_of_table(const struct pvmm_page *table);

/*
 * Stores the L1 entry for va, in a batch. A translation that may be in a TLB is flushed: one of the
 * kernel's, or of a space that some vCPU runs on (to leave a space is to flush it).
 */
void set_leaf(struct pvmm_space *space, const struct pvmm_walk_step *at, pvmm_va_t va,
	      pvmm_pte_t entry);

/* The same in a batch of its own, a refusal said and returned. */
int change_leaf(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
		pvmm_pte_t entry);

/* Stores the entry of this level of a walk, in a batch; one of the root stands in both roots. */
void set_upper(const struct pvmm_space *space, const struct pvmm_walk *w, unsigned int level,
	       pvmm_pte_t entry);

/*
 * Puts nr leaves (0: none for this slot) into the slots of va's L1 table from va on, which the walk
 * has found empty or without tables. All or nothing, one trap; the pages' counts are the caller's.
 */
int map_leaves(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
	       const pvmm_pte_t *leaves, unsigned int nr);

/* The page that an L1 entry maps; NULL if it maps none of the domain's. */
struct pvmm_page *page_of_leaf(pvmm_pte_t entry);

/* Gives up what a mapping held: its count and its reference. */
void release_page(struct pvmm_page *page);

/* --- pages that appear (fault.c) --- */

/*
 * Fills the slots that are empty, from va on, all in one L1 table and one region: a zeroed page
 * each. leaves is room for nr entries. -XEN_ENOMEM, or Xen's refusal; then nothing was filled.
 */
int fill(struct pvmm_space *space, const struct region *region, pvmm_va_t va, pvmm_pte_t *leaves,
	 unsigned int nr);

/* --- ranges (range.c) --- */

/* -XEN_EINVAL if it is not a page-aligned, not empty part of the user half. */
int check_range(pvmm_va_t start, uint64_t nr_pages);

/* Where the next L1 table's range begins. */
pvmm_va_t next_table(pvmm_va_t va);

/* Whether all of the range is in regions. */
bool is_all_regions(const struct pvmm_space *space, pvmm_va_t start, pvmm_va_t end);

/* --- tables that go (teardown.c) --- */

/* Pages that the emptied tables of one batch may have mapped; bounds the stack it takes. */
#define DYING_PAGES 128

/*
 * Tables that nothing leads to once the batch is sent, linked through the page database: those that
 * go back to the allocator, and those that are emptied and kept.
 */
struct dying {
	uint32_t gone, kept;
	unsigned int nr_pages;
	struct pvmm_page *pages[DYING_PAGES]; /* what the kept ones mapped */
};

static inline void dying_init(struct dying *dying)
{
	dying->gone = dying->kept = PVMM_PAGE_NONE;
	dying->nr_pages = 0;
}

/*
 * In one batch: dying_add takes a table and all below it (dying_visit: one table, as a visit; ctx
 * is the struct dying), then the caller queues what takes the entries away that lead to them, then
 * dying_queue the rest, and a flush of what could hold them.
 */
void dying_add(struct dying *dying, pfn_t table, unsigned int level);
int dying_visit(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx);
void dying_queue(const struct dying *dying);

/* The batch is sent: gives up the pages that they mapped, then the tables. */
void dying_free(struct pvmm_space *space, struct dying *dying);

/* How many entries of a table are present. */
unsigned int nr_present(const pvmm_pte_t *entries);

/* Queue the pin of a table for itself, or its end; note it when that has succeeded. */
void table_queue_pin(const struct pvmm_page *page);
void table_queue_unpin(const struct pvmm_page *page);
void table_mark_kept(struct pvmm_page *page, bool kept);

/* --- tables kept for use (table_cache.c) --- */

void table_cache_init(void);

/* Whether a table with so many entries is better kept than validated when it is next used. */
bool table_has_few(unsigned int nr_entries);

/* An empty table that Xen has validated, or NULL. Its entries are changed in a batch. */
struct pvmm_page *table_cache_take(unsigned int level);

/* A table for a space, kept or building; and back, empty, to where it came from. */
struct pvmm_page *table_obtain(unsigned int level, bool may_be_kept);
void table_release(struct pvmm_page *page);

/* Whether there is room for one more, which then must be given. */
bool table_cache_reserve(unsigned int level);
void table_cache_give(struct pvmm_page *page);

/* --- regions (region.c) --- */

/* A private, demand-zero range of a space. */
struct region {
	pvmm_va_t start, end;
	uint64_t prot;	     /* of its leaf entries; a page that is shared may have less */
	struct region *next; /* by address */
};

/* The region that va is in, or NULL. */
struct region *region_at(const struct pvmm_space *space, pvmm_va_t va);

/* Adds one. -XEN_EEXIST if another is in the way, -XEN_ENOMEM. */
int region_add(struct pvmm_space *space, pvmm_va_t start, pvmm_va_t end, uint64_t prot);

/* Makes region boundaries at start and end. -XEN_ENOMEM, with nothing changed but one boundary. */
int region_split(struct pvmm_space *space, pvmm_va_t start, pvmm_va_t end);

/*
 * Takes a range out of the regions. Needs memory only to leave both ends of one region standing:
 * -XEN_ENOMEM, with nothing changed.
 */
int region_cut(struct pvmm_space *space, pvmm_va_t start, pvmm_va_t end);

/* Copies all of them to a space that has none; on -XEN_ENOMEM it has none. */
int region_copy(struct pvmm_space *to, const struct pvmm_space *from);

#endif
