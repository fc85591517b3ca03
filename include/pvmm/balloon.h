/* SPDX-License-Identifier: MIT */
/*
 * The balloon: giving the domain's pages back to Xen and getting others (xen/memory.h; rules 42, 45
 * and 46 of docs/xen-rules.md). What xl mem-set asks for is in xenstore, which a kernel watches;
 * guest/balloon.c is one that does.
 *
 *	allocated ── ready to leave ── given ──► ballooned ── populated ──► free
 *	    ▲             │                          ▲
 *	    └── refused ──┘              grown: a pfn that never had a frame
 *
 * A page that leaves has no mapping of any kind (R40): it is counted out as a page table is (its
 * kind first, then a look at the ledger's counts, R15), its stale mappings and its place in the
 * direct map go in one trap with one flush, and its p2m entry is PVMM_INVALID_FRAME when Xen has
 * taken it. Contents are not cleared: Xen scrubs what it gives to others.
 *
 * Xen itself takes a page that is still mapped and frees it with its last mapping. So what it says
 * is judged (pvmm_balloon_judge): by its count of the domain's pages afterwards, or by exchanging
 * each frame for another one first, which fails with any reference left. A page that is held is
 * reported with its holder (docs/checker.md), and check-action= says what is done.
 *
 * The domain may grow beyond what it was booted with: the records and the direct map grow in place,
 * 512 pages at a time, from free memory (some 7 pages each).
 *
 * One caller at a time: -XEN_EBUSY for another. A page that stays and that Xen does not let us map
 * again (which it has no reason for) goes to quarantine, whoever's it was. No function of this
 * header may be called from an event handler, with a batch open or with a lock held. Giving
 * allocates nothing.
 */
#ifndef PVMM_BALLOON_H
#define PVMM_BALLOON_H

#include <pvmm/page.h>

/*
 * Gives nr_pages free pages to Xen, as far as more than keep_pages are free (of what others keep
 * for speed, they are asked to give up). *done is how many went. 0, or why it were not all:
 *	-XEN_ENOMEM	no more than keep_pages are free
 *	-XEN_EBUSY	a page is held, and stays: there is a report; or another is at it
 *
 * or Xen's refusal, with a line.
 */
PVMM_API int pvmm_balloon_give(uint64_t nr_pages, uint64_t keep_pages, uint64_t *done);

/*
 * The same with one page that the caller has, KERNEL or USER, single, its only reference the
 * caller's. 0: it is gone. -XEN_EINVAL for another page; -XEN_EBUSY or Xen's refusal as above, and
 * the page is the caller's as before.
 */
PVMM_API int pvmm_balloon_give_page(struct pvmm_page *page);

/*
 * Takes nr_pages pages; they go to the allocator. *done is how many came. 0, or why it were not
 * all:
 *	-XEN_E2BIG	the domain may have no more (Xen's maximum is asked for each time)
 *	-XEN_ENOMEM	Xen has no more memory now, or what is free is too little for records
 *	-XEN_ENOSPC	the direct map ends here
 *	-XEN_EBUSY	another is at it
 *
 * or Xen's refusal.
 */
PVMM_API int pvmm_balloon_take(uint64_t nr_pages, uint64_t *done);

/*
 * Puts another frame behind the page, whose contents are lost: what Xen does only if nothing else
 * refers to the frame. 0; -XEN_EINVAL for a page as above; -XEN_EBUSY when it is held, with a
 * report; Xen's refusal (-XEN_ENOMEM: it has no other frame). On errors the page is as before.
 */
PVMM_API int pvmm_page_exchange(struct pvmm_page *page);

/* How it is found out whether pages that are given are held (balloon-check=). */
enum pvmm_balloon_judge {
	PVMM_BALLOON_COUNT,    /* Xen's count of the domain's pages: two traps for 512 pages */
	PVMM_BALLOON_TRUST,    /* not at all */
	PVMM_BALLOON_EXCHANGE, /* each is exchanged before it is given, besides the count */
};

/* COUNT at boot. */
PVMM_API void pvmm_balloon_judge(enum pvmm_balloon_judge judge);

/* What Xen says now: the domain's pages, and the most that it may have. Xen's error. */
PVMM_API int pvmm_balloon_reservation(uint64_t *current, uint64_t *maximum);

struct pvmm_balloon_stats {
	uint64_t nr_frames;    /* pages that have a frame, now */
	uint64_t nr_ballooned; /* pages that have none, now */
	/* since boot */
	uint64_t given, taken;
	uint64_t exchanged; /* frames, by either way */
	uint64_t held;	    /* pages that somebody still mapped */
	uint64_t grown;	    /* pages whose records were made */
	uint64_t records;   /* pages of memory that those took */
};

PVMM_API struct pvmm_balloon_stats pvmm_balloon_stats(void);

/*
 * Whether Xen counts as many pages of the domain as have a frame (one trap): 0, or 1 and a line. A
 * page that was given away and is still mapped is one more for Xen.
 */
PVMM_API unsigned int pvmm_balloon_audit(void);

#endif
