/* SPDX-License-Identifier: MIT */
/* Which parts of the vmap region are taken: an ordered tree of ranges that finds gaps. */
#ifndef PVMM_MM_VMAP_TREE_H
#define PVMM_MM_VMAP_TREE_H

#include <pvmm/types.h>

/* A chunk is as much as one L1 table translates, aligned to it, so that it has a table of its own.
 */
#define CHUNK_SLOTS 512u

/*
 * A range of pages, [start, end), embedded in what it belongs to. Pages are addresses shifted by
 * PVMM_PAGE_SHIFT. Everything but start and end is the tree's.
 */
struct vmap_range {
	struct vmap_range *left, *right;
	uint64_t start, end;
	uint64_t first, last; /* what the subtree spans */
	uint64_t gap;	      /* the largest gap between two ranges of the subtree, in pages */
	uint64_t chunk_gap;   /* the same in whole, aligned chunks */
	uint8_t height;
	bool is_chunk;
};

/* A wish for a range. */
struct vmap_wish {
	uint64_t nr_pages;
	uint64_t align;	    /* in pages, a power of two */
	uint64_t low, high; /* only between these pages */
};

/* Where a range was when it was asked for. */
struct vmap_place {
	uint64_t start, end;
	bool is_chunk;
};

/* For mm/inspect.c: nobody else's. */
extern struct vmap_range *vmap_tree_root;

/* Empties the tree. */
void vmap_tree_init(void);

/* Finds the lowest place that will do and inserts the range there; false if there is none. */
bool vmap_tree_take(struct vmap_range *range, const struct vmap_wish *wish);
void vmap_tree_give(struct vmap_range *range);

/* The range that has this page, or NULL. It stands as long as the caller keeps it from going. */
struct vmap_range *vmap_tree_find(uint64_t page);

/* Where the range that has this page is, or the first above it; false if there is none. */
bool vmap_tree_next(uint64_t page, struct vmap_place *place);

/* Calls visit for every range, in order; visit must leave the tree alone. */
void vmap_tree_visit(void (*visit)(const struct vmap_range *range, void *ctx), void *ctx);

/* Ranges in the tree, and nodes looked at by searches, insertions and removals since boot. */
uint64_t vmap_tree_nr(void);
uint64_t vmap_tree_steps(void);

/* Works every node out again; returns how many are wrong. */
unsigned int vmap_tree_audit(void);

#endif
