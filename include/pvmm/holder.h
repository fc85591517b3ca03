/* SPDX-License-Identifier: MIT */
/*
 * Pages that somebody outside this kernel holds: the manager knows nothing of grants, and asks who
 * does. Each hold is a reference of the page (pvmm_page_get) that its holder took and gives back.
 *
 * A page that is held is not freed: pvmm_page_free says who holds it, and leaves it to the holder,
 * whose last reference frees it. When Xen refuses a page, the report names what holds it.
 */
#ifndef PVMM_HOLDER_H
#define PVMM_HOLDER_H

#include <pvmm/page.h>

/* Room for the description of one hold, with its NUL. */
#define PVMM_HOLD_BYTES 160

struct pvmm_holder {
	/*
	 * Says in words what hold number n (from 0) of the page is, such as "grant ref 12 to domain
	 * 0, mapped writable"; false when there are no more. A hold is described until after its
	 * reference is given back. Called with locks of the manager held: it takes none but its
	 * own, inside which no other is taken.
	 */
	bool (*describe)(pfn_t pfn, unsigned int n, char *buf, size_t len_bytes);
	struct pvmm_holder *next; /* the manager's */
};

/* The storage stays the caller's, for good. Before the holder's first hold. */
PVMM_API void pvmm_holder_add(struct pvmm_holder *holder);

/* Hold number n (from 0) of the page in words, of all holders; false when there are no more. */
PVMM_API bool pvmm_page_describe_hold(pfn_t pfn, unsigned int n, char *buf, size_t len_bytes);

/* How many holds there are. Looks at everything that is held: not for the common path. */
PVMM_API unsigned int pvmm_page_holds(pfn_t pfn);

#endif
