/* SPDX-License-Identifier: MIT */
/*
 * The alias ledger: the one interface to "who maps this page besides the direct map?"
 *
 *	        live ──────── unmapped at once ───────► (none)
 *	         │                                        ▲
 *	         └─ given up lazily ─► stale ─ entry gone ┘
 *
 * A page's live and stale counts answer in constant time whether it may become a page table: both
 * must be 0. The keepers of lazy mappings (vmap, kmap) take their stale entries away when a pin
 * needs it, when memory runs short, or when enough have gathered; keepers outside the manager
 * register a notifier.
 *
 * The window between "checked" and "pinned" is closed by order, without a lock: who maps a page
 * counts first and then looks at the page's kind; who makes a table of it sets the kind first and
 * then looks at the counts. One of the two sees the other.
 *
 * Lock order: a space's lock, the ledger's, a keeper's own, the page allocator's. No function of
 * this header may be called from an event handler.
 */
#ifndef PVMM_LEDGER_H
#define PVMM_LEDGER_H

#include <pvmm/page.h>

/*
 * Somebody outside the manager who keeps pages mapped for speed: a driver's cache, a file system's
 * buffers.
 */
struct pvmm_notifier {
	const char *name;
	/*
	 * Asked to give up its mappings of this page, or, with NULL, what it can spare. Answers how
	 * many of the page's mappings it cannot give up. May call pvmm_vunmap and pvmm_kunmap, and
	 * must not call anything that takes an address space's lock or allocates.
	 */
	unsigned int (*give_up)(struct pvmm_page *page, void *ctx);
	void *ctx;
	struct pvmm_notifier *next; /* the ledger's */
};

/* The notifier's storage stays the caller's, and must stand until it is removed again. */
PVMM_API void pvmm_notifier_add(struct pvmm_notifier *notifier);
PVMM_API void pvmm_notifier_remove(struct pvmm_notifier *notifier);

/*
 * Takes all stale mappings away, in one batch with one flush; returns how many pages' mappings
 * they were. No batch may be open.
 *
 * Called by itself too, for the triggers above; a pin takes away what it must (drops, below).
 */
PVMM_API uint64_t pvmm_purge(void);

/*
 * Unguarded, a page becomes a page table with what stale mappings it has, as in a kernel that knows
 * nothing of this, and Xen refuses. For showing and measuring what the guard is good for; guarded
 * at boot.
 */
PVMM_API void pvmm_ledger_guard(bool is_guarded);

/* Whether the page has no mapping, live or stale, but the direct map's. */
static inline bool pvmm_page_is_clean(const struct pvmm_page *page)
{
	return !__atomic_load_n(&page->live, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&page->stale, __ATOMIC_ACQUIRE);
}

/* What made a purge of everything necessary. */
enum pvmm_purge_trigger {
	PVMM_PURGE_ASKED,     /* pvmm_purge */
	PVMM_PURGE_THRESHOLD, /* enough has gathered (pvmm_vmap_params) */
	PVMM_PURGE_MEMORY,    /* the page allocator would have failed */
	PVMM_PURGE_AGE,	      /* the timer: pvmm_purge_if_older */
	PVMM_PURGE_ADDRESSES, /* the vmap region was full */
	PVMM_PURGE_TRIGGERS,
};

/* What the ledger has done since boot, on all vCPUs. */
struct pvmm_ledger_stats {
	uint64_t purges;			 /* of everything */
	uint64_t purges_by[PVMM_PURGE_TRIGGERS]; /* the same by trigger */
	uint64_t drops;				 /* of single pages, in the batch of a pin */
	uint64_t pages_purged;			 /* stale mappings taken away, by either */
	uint64_t asked;				 /* times that notifiers were asked */
};

PVMM_API struct pvmm_ledger_stats pvmm_ledger_stats(void);

#endif
