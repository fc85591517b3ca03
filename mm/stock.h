/* SPDX-License-Identifier: MIT */
/*
 * A stock of pages that wait to be used again as what they were: a list with a limit. Who brings a
 * page takes a place for it before he makes it fit, so that nothing is made fit in vain.
 *
 * Invariant: the pages on the list are the stock's, linked by next; nr counts them and the places
 * that have been taken for more.
 */
#ifndef PVMM_MM_STOCK_H
#define PVMM_MM_STOCK_H

#include <pvmm/page.h>
#include <pvmm/spinlock.h>

struct stock {
	struct pvmm_spinlock lock; /* guards the list and nr; outside the allocator's lock */
	uint32_t first;
	unsigned int nr, limit;
};

#define STOCK_INIT(limit_)                                    \
	{                                                     \
		PVMM_SPINLOCK_INIT, PVMM_PAGE_NONE, 0, limit_ \
	}

/* A place for one more page, which must come. False when all are taken. */
bool stock_reserve(struct stock *s);

/* The same, over the limit if need be: for one that has become fit already. */
void stock_reserve_always(struct stock *s);

/* Into the place that was taken for it. */
void stock_put(struct stock *s, struct pvmm_page *page);

/* The last that came, or NULL. It is the caller's. */
struct pvmm_page *stock_take(struct stock *s);

unsigned int stock_nr(struct stock *s);

#endif
