/* SPDX-License-Identifier: MIT */
/*
 * A file system's metadata, as far as it is a matter of memory (R17): directory blocks of 16 pages,
 * read into buffers that are mapped as one by vmap for as long as they are cached. The cache grows
 * until memory is short and then gives up what was not used for longest: its mapping, lazily or
 * not, and at once its pages, which may be a process's page tables a moment later.
 *
 * There is one cache for all file systems. The disk is a function of a block's number and of how
 * often it was written, so that every buffer's contents can be judged: when it is used, through its
 * mapping; when it is given up, through the direct map.
 */
#ifndef GUEST_XFS_H
#define GUEST_XFS_H

#include <pvmm/vmap.h>

#define XFS_BUF_PAGES 16u

struct xfs_cache_stats {
	uint64_t gets, hits, evictions, writes; /* since xfs_cache_start */
	uint64_t cached;			/* buffers, now */
	uint64_t wrong;				/* contents that were not as they should be */
	uint64_t short_of_memory;
};

/*
 * Mappings are made and given up by this policy. As long as fewer pages than reserve_pages are
 * free, a buffer is given up for each that is read. -XEN_ENOMEM.
 */
int xfs_cache_start(enum pvmm_vmap_policy policy, uint64_t reserve_pages);

/* Writes everything back and gives all memory back. No file system is mounted. */
void xfs_cache_stop(void);

struct xfs_cache_stats xfs_cache_stats(void);

/* A tree of directories, each with XFS_FANOUT blocks below it; used by one thread at a time. */
#define XFS_FANOUT 8u

struct xfs {
	uint32_t nr_blocks, nr_inner; /* inner ones have others below them */
	uint64_t seed;
	struct xfs_block *blocks;
	const bool *stop; /* set by others: a walk ends early */
	/* Called between directories, if not NULL, instead of letting other threads run. */
	void (*between)(void);
};

/* levels: 1 is the root alone. -XEN_ENOMEM. */
int xfs_mount(struct xfs *fs, unsigned int levels, uint64_t seed);
void xfs_unmount(struct xfs *fs);

/*
 * Walks the whole tree once: lists each directory, then goes down into what is in it, writes some
 * of the blocks, and lets others run in between. 0, or -XEN_ENOMEM when no buffer can be had.
 */
int xfs_walk(struct xfs *fs);

#endif
