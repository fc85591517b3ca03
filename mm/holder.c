/* SPDX-License-Identifier: MIT */
/*
 * Owns the list of holders, and what becomes of a page that is freed while one of them holds it.
 *
 * Invariant: a page of kind GRANTED was freed by its owner, and has exactly its holders'
 * references.
 *
 * The list only grows, so it is read without a lock.
 */
#include <pvmm/alloc.h>
#include <pvmm/holder.h>
#include <pvmm/log.h>
#include <pvmm/spinlock.h>
#include "mm.h"

static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT; /* among those who add; innermost */
static struct pvmm_holder *holders;

void holders_init(void)
{
	holders = NULL;
}

void pvmm_holder_add(struct pvmm_holder *holder)
{
	pvmm_spin_lock(&lock);
	holder->next = holders;
	__atomic_store_n(&holders, holder, __ATOMIC_RELEASE);
	pvmm_spin_unlock(&lock);
}

bool pvmm_page_describe_hold(pfn_t pfn, unsigned int n, char *buf, size_t len_bytes)
{
	for (struct pvmm_holder *h = __atomic_load_n(&holders, __ATOMIC_ACQUIRE); h; h = h->next) {
		unsigned int own = 0;

		if (h->describe(pfn, n, buf, len_bytes))
			return true;
		while (h->describe(pfn, own, buf, len_bytes))
			own++;
		n -= own;
	}
	return false;
}

unsigned int pvmm_page_holds(pfn_t pfn)
{
	char text[PVMM_HOLD_BYTES];
	unsigned int n = 0;

	while (pvmm_page_describe_hold(pfn, n, text, sizeof(text)))
		n++;
	return n;
}

/*
 * The holds are looked at first: one that ends meanwhile gives its reference back before it is not
 * described any more.
 */
bool page_has_other_refs(const struct pvmm_page *page)
{
	unsigned int holds;

	if (__atomic_load_n(&page->refs, __ATOMIC_ACQUIRE) == 1)
		return false;
	holds = pvmm_page_holds(pvmm_page_pfn(page));
	return __atomic_load_n(&page->refs, __ATOMIC_ACQUIRE) - 1 > holds;
}

/* Says who has the page, and leaves it to them. */
static void leave_to_holders(struct pvmm_page *page, const void *caller)
{
	char text[PVMM_HOLD_BYTES] = "a hold that has just ended";
	pfn_t pfn = pvmm_page_pfn(page);
	unsigned int holds = pvmm_page_holds(pfn);

	(void)pvmm_page_describe_hold(pfn, 0, text, sizeof(text));
	pvmm_log(
		PVMM_WARN,
		"page freed that others hold: pfn 0x%llx (%s), held by %s (holds %u), freed by %pS: it is kept until they let go",
		(unsigned long long)pfn_x(pfn),
		pvmm_page_kind_name((enum pvmm_page_kind)page->kind), text, holds, caller);
	__atomic_store_n(&page->kind, PVMM_PAGE_GRANTED, __ATOMIC_RELAXED);
	pvmm_page_put(page);
}

void free_held(struct pvmm_page *page, unsigned int order, const void *caller)
{
	for (uint64_t i = 0; i < 1ULL << order; i++)
		page[i].order = 0;
	for (uint64_t i = 0; i < 1ULL << order; i++)
		if (__atomic_load_n(&page[i].refs, __ATOMIC_ACQUIRE) == 1)
			pvmm_page_free(&page[i], 0);
		else
			leave_to_holders(&page[i], caller);
}
