/* SPDX-License-Identifier: MIT */
/*
 * What the files of vmap tell each other: areas, where they live (chunks, or the tree), and pools.
 *
 * There is a pool for each vCPU, with its chunks and the small areas in them, and one more for all
 * large areas. A pool's lock guards the state of its areas, its stale list and its chunks. The
 * common path takes no lock but that of the vCPU's own pool.
 *
 * Lock order: the ledger's, a pool's, then any of the tree's, the object caches' and the page
 * allocator's. No memory is allocated under a pool's lock.
 */
#ifndef PVMM_MM_VMAP_H
#define PVMM_MM_VMAP_H

#include <pvmm/vcpu.h>
#include <pvmm/vmap.h>
#include "object.h"
#include "vmap_tree.h"

/*
 * What an area remembers for each of its pages: a pfn, or one of these. While its entry is being
 * taken away by itself, PFN_PENDING is added.
 */
#define PFN_NONE    0xffffffffu /* no entry */
#define PFN_FOREIGN 0xfffffffeu /* an entry, for a frame that is not the domain's */
#define PFN_GUARD   0xfffffffdu /* in a chunk: the page behind an area */
#define PFN_FREE    0xfffffffcu /* in a chunk: nobody's */
#define PFN_PENDING 0x80000000u

static inline bool pfn_is_page(uint32_t pfn)
{
	return pfn < PFN_PENDING;
}

static inline bool pfn_is_pending(uint32_t pfn)
{
	return (pfn & PFN_PENDING) && pfn < PFN_FREE;
}

struct vmap_area {
	struct vmap_area *next;	      /* in the one list of areas that it is in */
	struct vmap_area *next_holed; /* vmap_purge.c */
	struct vmap_chunk *chunk;     /* NULL for a large area */
	struct pvmm_page *pfn_pages;  /* of a large area: pages full of pfns, linked by next */
	pvmm_va_t va;
	uint64_t nr_pages;
	const char *name;
	uint64_t prot;
	uint64_t made_ns, given_up_ns;
	uint32_t maker, giver_up;
	uint8_t state;	/* enum pvmm_vmap_state */
	uint8_t policy; /* enum pvmm_vmap_policy, never DEFAULT */
	uint8_t pool;
	bool is_open;	 /* reserved, not done */
	bool is_vmalloc; /* its pages are its own */
	bool is_holed;	 /* in the list of vmap_purge.c */
};

struct vmap_large {
	struct vmap_range range;
	struct vmap_area area;
};

/* The records of a chunk, one page: which area begins at slot 2n or 2n + 1, and its pfns. */
struct chunk_table {
	struct vmap_area *at[CHUNK_SLOTS / 2];
	uint32_t pfn[CHUNK_SLOTS];
};

/*
 * An L1 table's worth of addresses, carved into small areas. The L1 table's private field says
 * which pool it is for, and leads to the records and so to the chunk.
 */
struct vmap_chunk {
	struct vmap_range range;
	struct chunk_table *table;
	struct vmap_chunk *next, *prev; /* in the pool's list of reusable chunks */
	pfn_t l1;
	uint8_t pool;
	bool is_listed;
	uint16_t cursor; /* where the search for free slots goes on */
	uint16_t nr_areas, nr_free;
};

struct area_list {
	struct vmap_area *first, *last;
};

struct vmap_pool {
	struct pvmm_spinlock lock;
	struct vmap_chunk *current, *reusable;
	struct area_list stale; /* oldest first */
	struct object_cache areas;
	/* Written under the lock, read without: */
	uint64_t stale_areas, stale_pages;
	uint64_t live_areas, live_pages;
	uint64_t maps, unmaps;
} __attribute__((aligned(64)));

enum { POOL_LARGE = PVMM_MAX_VCPUS, NR_POOLS };

extern struct vmap_pool vmap_pools[NR_POOLS];

static inline struct vmap_pool *pool_of(const struct vmap_area *area)
{
	return &vmap_pools[area->pool];
}

static inline void count_add(uint64_t *count, uint64_t add)
{
	__atomic_store_n(count, *count + add, __ATOMIC_RELAXED);
}

static inline uint64_t count_read(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

/* --- vmap_area.c: areas --- */

/* Goes through an area's pages in order. */
struct area_cursor {
	const struct vmap_area *area;
	struct pvmm_page *pfn_page;
	uint64_t i;	   /* the page that it is at */
	uint32_t *pfn;	   /* and what is remembered of it */
	uint64_t l1_maddr; /* of its L1 table, or 0 if nobody has asked */
};

#define area_for_each_page(cursor, of) \
	for (area_start(cursor, of); area_more(cursor); area_next(cursor))
void area_start(struct area_cursor *c, const struct vmap_area *area);
void area_next(struct area_cursor *c);

static inline bool area_more(const struct area_cursor *c)
{
	return c->i < c->area->nr_pages;
}

static inline pvmm_va_t area_cursor_va(const struct area_cursor *c)
{
	return c->area->va + (c->i << PVMM_PAGE_SHIFT);
}

/* The machine address of its entry; the L1 table must be there. */
uint64_t area_entry_maddr(struct area_cursor *c);

/* What an area is made for. */
enum area_use {
	AREA_PAGES,    /* somebody's pages or frames */
	AREA_VMALLOC,  /* pages of its own */
	AREA_RESERVED, /* nothing yet: its tables are made when it is filled in */
};

struct area_request {
	uint64_t nr_pages;
	uint64_t prot;
	const struct pvmm_vmap_how *how;
	enum area_use use;
	uint32_t maker; /* pvmm_owner_note_stack, of the public function */
};

/* A live area without mappings, in a chunk of this vCPU or in the tree; 0, or an error. */
int area_create(const struct area_request *r, struct vmap_area **area);

/* Frees an area that no list has and whose addresses no TLB has. */
void area_destroy(struct vmap_area *area);

/*
 * The area of this address, guard page included, with its pool's lock taken; or NULL, and no lock.
 */
struct vmap_area *area_find_locked(pvmm_va_t va);

/* Queues the removal of all entries of an area and the flush they need; how many. */
unsigned int area_queue_clear(const struct vmap_area *area);

/* What is remembered of its pages is forgotten: how each is counted out is up to the caller. */
void area_drop_pages(const struct vmap_area *area, void (*count_out)(struct pvmm_page *page),
		     bool put);

/* --- vmap_chunk.c --- */

/* Takes slots for the area and its guard page from the vCPU's chunks. */
int chunk_carve(struct vmap_area *area, unsigned int pool);

/* Gives them back, and the chunk with the last of them. The pool's lock must not be held. */
void chunk_uncarve(struct vmap_area *area);

/* Gives the pool's chunk back if it has no area. */
void chunk_give_back(struct vmap_pool *pool);

/* The area of this address, which is in a chunk; or NULL, and no lock. false: it is in none. */
bool chunk_find_locked(pvmm_va_t va, struct vmap_area **area);

/* What its L1 table's private field holds while a pool has it. */
uint64_t chunk_handle(const struct vmap_chunk *chunk);

uint64_t chunk_nr(void);
void chunk_init(void);

/* --- vmap.c --- */

/*
 * Checks what every maker of areas is asked, and makes one; how may be NULL. Panics with a batch
 * open.
 */
int vmap_create(struct area_request *r, struct vmap_area **area);

/*
 * Counts the page for a new mapping and remembers it; takes a reference if get. An error of
 * ledger_live, and nothing done.
 */
int vmap_take_page(uint32_t *pfn, struct pvmm_page *page, uint64_t prot, bool get);

/* --- vmap_purge.c --- */

/* To the end of its pool's stale list; the pool's lock is held. */
void stale_add(struct vmap_area *area);

/* Purges if this pool has gathered enough. No lock is held. */
void purge_if_enough(const struct vmap_pool *pool);

/* --- for init.c and audit.c --- */

struct keeper;
extern const struct keeper vmap_keeper;

void vmap_init(void);

/* Whether no area is on its way between stale and free. */
bool purge_is_idle(void);
unsigned int vmap_audit(void);

#endif
