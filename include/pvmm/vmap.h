/* SPDX-License-Identifier: MIT */
/*
 * Virtually contiguous mappings of any pages, in the vmap region.
 *
 *	live ── vunmap, lazy or hold ──► stale ── purge ──► cleared ── flushed ──► free
 *	  └──── vunmap, eager: entries cleared and flushed at once ──────────────►┘
 *
 * live: in use. stale: given up, but its entries still stand (the page database counts them, the
 * alias ledger takes them away). cleared: entries gone, a TLB may still have them. free: the
 * address can be used again. Behind every area is an unmapped guard page.
 *
 * The addresses of the region that a hypercall is given are good in every address space: all roots
 * share the kernel's slots, which were filled at boot (R37, R38).
 *
 * Mapping may allocate and trap once, for an area of any ordinary size; giving up lazily does
 * neither. No function may be called from an event handler, and none but pvmm_vunmap, pvmm_vfree
 * and the lookups with a batch open. Errors are -XEN_EINVAL (an argument), -XEN_ENOMEM (memory or
 * address space), -XEN_EBUSY (a writable mapping of a page table), -XEN_ENOENT (no such area), or
 * Xen's refusal.
 */
#ifndef PVMM_VMAP_H
#define PVMM_VMAP_H

#include <pvmm/page.h>
#include <pvmm/paging.h>

/* When the entries go, and how long the pages stay referenced. */
enum pvmm_vmap_policy {
	PVMM_VMAP_DEFAULT, /* the system's: pvmm_vmap_params */
	PVMM_VMAP_LAZY,	   /* entries at the next purge, references at once */
	PVMM_VMAP_EAGER,   /* entries, with a flush, and references at once */
	PVMM_VMAP_HOLD,	   /* both at the next purge: the pages cannot be used before it */
};

/* How an area is to be. All zero, or a NULL pointer to it, is what one usually wants. */
struct pvmm_vmap_how {
	const char *name; /* for reports; a constant: the text is not copied */
	enum pvmm_vmap_policy policy;
	uint64_t align_bytes; /* a power of two, at least a page; 0 for a page */
	pvmm_va_t start, end; /* only between these; 0 for anywhere */
};

/*
 * Maps pages next to each other. Takes a reference on each page, and counts it as live. prot:
 * PVMM_PROT_RO, _RW, _RX. A page may be mapped many times, also twice in one area. All or nothing.
 */
PVMM_API int pvmm_vmap(struct pvmm_page *const *pages, uint64_t nr_pages, uint64_t prot,
		       const struct pvmm_vmap_how *how, void **addr);

/*
 * The same for machine frames: a device's, another domain's, or the domain's own, which count as
 * its pages. prot may carry caching bits.
 */
PVMM_API int pvmm_vmap_frames(const mfn_t *mfns, uint64_t nr_pages, uint64_t prot,
			      const struct pvmm_vmap_how *how, void **addr);

/*
 * Gives an area up: addr is what pvmm_vmap or pvmm_vmap_frames or pvmm_vmap_reserve returned.
 * Allocates nothing. With a batch open, eager areas are given up like lazy ones.
 */
PVMM_API int pvmm_vunmap(const void *addr);

/* Memory of its own, mapped writable; contents are not cleared. */
PVMM_API int pvmm_vmalloc(uint64_t len_bytes, const struct pvmm_vmap_how *how, void **addr);
PVMM_API int pvmm_vfree(const void *addr);

/* --- areas that the caller fills in --- */

/* Reserves a range without a mapping, tables as they come; pvmm_vunmap ends it at any stage. */
PVMM_API int pvmm_vmap_reserve(uint64_t nr_pages, const struct pvmm_vmap_how *how, void **addr);

/*
 * Called with an entry's address and value, which it may change: 0, or a page or frame with a
 * PVMM_PROT_*. Non-zero stops.
 */
typedef int pvmm_vmap_entry_fn(pvmm_va_t va, pvmm_pte_t *entry, void *ctx);

/*
 * Applies fn to every entry of a range of a reserved area that is not done yet, building what
 * tables are missing, and sends the changes in as few traps as that takes. Pages are counted and
 * referenced as by pvmm_vmap. *levels, if not NULL, gets a bit (1 << level) for each level at which
 * an entry was changed. When fn stops or something is refused, what the last PVMM_VMAP_GROUP
 * entries or fewer had been made is taken back, and earlier ones stand.
 */
#define PVMM_VMAP_GROUP 64u
PVMM_API int pvmm_vmap_apply(const void *addr, uint64_t nr_pages, pvmm_vmap_entry_fn *fn, void *ctx,
			     unsigned int *levels);

/*
 * For a reserved area, not done yet, whose entries Xen itself makes and clears
 * (GNTTABOP_map_grant_ref). prepare makes the tables that the first pages lack. follow brings the
 * books in line with the entries, without a trap: the domain's own pages are counted and referenced
 * as by pvmm_vmap. After an error they agree up to the entry that it is about; clearing the rest
 * and following again puts it right.
 */
PVMM_API int pvmm_vmap_prepare(const void *addr, uint64_t nr_pages);
PVMM_API int pvmm_vmap_follow(const void *addr, uint64_t nr_pages);

/* The entries are as they are to be: from here on the area is like any other. */
PVMM_API int pvmm_vmap_done(const void *addr);

/* --- looking --- */

enum pvmm_vmap_state {
	PVMM_VMAP_FREE, /* no area there: not seen by pvmm_vmap_find */
	PVMM_VMAP_LIVE,
	PVMM_VMAP_STALE,
	PVMM_VMAP_CLEARED,
};

PVMM_API const char *pvmm_vmap_state_name(enum pvmm_vmap_state state);

struct pvmm_vmap_info {
	pvmm_va_t va;
	uint64_t nr_pages;
	const char *name; /* never NULL */
	enum pvmm_vmap_state state;
	enum pvmm_vmap_policy policy;
	uint64_t prot;
	bool is_guard;		  /* the address is in the guard page behind the area */
	uint64_t made_ns;	  /* pvmm_clock_ns */
	uint64_t given_up_ns;	  /* 0 while live */
	uint32_t maker, giver_up; /* stacks: pvmm_owner_stack */
};

/* The area that an address belongs to, or belonged to while its entries stand. Any address. */
PVMM_API bool pvmm_vmap_find(pvmm_va_t va, struct pvmm_vmap_info *info);

/*
 * The same, or the first area above: for going through all of them, from info->va and nr_pages on.
 * Areas that come and go meanwhile may be missed.
 */
PVMM_API bool pvmm_vmap_next(pvmm_va_t va, struct pvmm_vmap_info *info);

/* The page that a live area maps at this address; NULL for none, or a frame of somebody else's. */
PVMM_API struct pvmm_page *pvmm_vmap_page(const void *addr);

/* --- tuning and counting --- */

/* docs/design.md has the measurements behind the defaults. */
struct pvmm_vmap_params {
	enum pvmm_vmap_policy policy; /* of areas that ask for none: vmap-policy=lazy|eager|hold */
	/* A vCPU purges when it has more stale pages, or areas, than this: vmap-lazy-pages=,
	 * vmap-lazy-areas= */
	uint32_t lazy_pages, lazy_areas;
	/* A pin that needs one page clean takes all stale mappings with it if there are at most
	 * this many pages of them: vmap-drop-all= */
	uint32_t drop_all_pages;
	/* Areas of at most this many pages come from the vCPU's chunk: vmap-small-pages= */
	uint32_t small_pages;
};

#define PVMM_VMAP_LAZY_PAGES	 1984u
#define PVMM_VMAP_LAZY_AREAS	 128u
#define PVMM_VMAP_DROP_ALL_PAGES 1024u
#define PVMM_VMAP_SMALL_PAGES	 64u
#define PVMM_VMAP_SMALL_MAX	 255u /* two fit in a chunk, guards included */

PVMM_API struct pvmm_vmap_params pvmm_vmap_params(void);

/* -XEN_EINVAL if they make no sense. Areas there are keep their policy. */
PVMM_API int pvmm_vmap_set_params(const struct pvmm_vmap_params *params);

/* What a kernel's timer calls about once a second, with a second's worth of nanoseconds. */
PVMM_API void pvmm_purge_if_older(uint64_t ns);

/* Of all vCPUs together. */
struct pvmm_vmap_stats {
	uint64_t maps, unmaps; /* since boot */
	uint64_t live_areas, live_pages;
	uint64_t stale_areas, stale_pages;
	uint64_t chunks; /* in the tree, as large areas are */
};

PVMM_API struct pvmm_vmap_stats pvmm_vmap_stats(void);

/* Prints the memory manager's figures: lines "stat NAME VALUE", like pvmm_stats_print. */
PVMM_API void pvmm_mm_stats_print(void);

#endif
