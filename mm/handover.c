/* SPDX-License-Identifier: MIT */
/*
 * Owns the moment at which tables change hands between the kernel and Xen: whether the direct map
 * may write them, as the page database says, and what happens when Xen does not take them.
 *
 * Invariant: outside these functions a table carries PVMM_PAGE_READONLY exactly if it is read-only
 * in the direct map, and no page carries PVMM_PAGE_SUSPECT.
 */
#include <pvmm/log.h>
#include <pvmm/spinlock.h>
#include "mm.h"

/*
 * Guards the marks of suspect pages and the record of the last refusal: one search at a time, or
 * one vCPU's report would name another's stray. Inside a space's lock, outside the list's.
 */
static struct pvmm_spinlock suspect_lock = PVMM_SPINLOCK_INIT;

/* A table that is kept is Xen's already, and stays so. */
static bool changes_hands(const struct pvmm_page *page)
{
	return !(page->flags & PVMM_PAGE_KEPT);
}

static void queue_protect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (changes_hands(page))
		pvmm_table_queue_protect(page);
}

static void queue_unprotect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (changes_hands(page))
		pvmm_table_queue_unprotect(page);
}

static void mark_readonly(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	pvmm_table_mark(page, true);
}

static void mark_writable(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (changes_hands(page))
		pvmm_table_mark(page, false);
}

static void mark_suspect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (changes_hands(page))
		__atomic_fetch_or(&page->flags, PVMM_PAGE_SUSPECT, __ATOMIC_RELAXED);
}

static void clear_suspect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	__atomic_fetch_and(&page->flags, (uint8_t)~PVMM_PAGE_SUSPECT, __ATOMIC_RELAXED);
}

void handover_queue(for_each_table_fn *for_each, const void *tables)
{
	for_each(tables, queue_protect, NULL);
}

void handover_done(for_each_table_fn *for_each, const void *tables)
{
	for_each(tables, mark_readonly, NULL);
}

void handback_queue(for_each_table_fn *for_each, const void *tables)
{
	for_each(tables, queue_unprotect, NULL);
}

void handback_done(for_each_table_fn *for_each, const void *tables)
{
	for_each(tables, mark_writable, NULL);
}

/*
 * Xen refused a batch that makes tables read-only and hands them over: says who is to blame, then
 * makes them all writable again. That cannot fail: none of them is a page table for Xen, and making
 * a page writable that already is changes nothing. The flush is needed because the search has read
 * the tables through read-only translations, and the next plain store must not fault.
 */
void handover_undo(struct pvmm_space *space, const struct pvmm_batch_failure *failure,
		   for_each_table_fn *for_each, const void *tables)
{
	pvmm_spin_lock(&suspect_lock);
	for_each(tables, mark_suspect, NULL);
	stray_refused(space, failure);
	for_each(tables, clear_suspect, NULL);
	pvmm_spin_unlock(&suspect_lock);

	pvmm_batch_begin();
	handback_queue(for_each, tables);
	pvmm_batch_flush_all();
	pvmm_batch_end(NULL);
}
