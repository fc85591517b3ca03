/* SPDX-License-Identifier: MIT */
/*
 * Owns the page database's counts: references and mappings. What the other fields mean is up to
 * the room that holds the page.
 *
 * Invariant: a free page has no references and no mappings; live equals the number of L1 entries
 * outside the direct map and the kernel image that map the page for somebody.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "mm.h"

const char *pvmm_page_kind_name(enum pvmm_page_kind kind)
{
	static const char *const names[PVMM_PAGE_KINDS] = {
		[PVMM_PAGE_FREE] = "free",
		[PVMM_PAGE_KERNEL] = "kernel",
		[PVMM_PAGE_L1] = "L1 table",
		[PVMM_PAGE_L2] = "L2 table",
		[PVMM_PAGE_L3] = "L3 table",
		[PVMM_PAGE_L4] = "L4 table",
		[PVMM_PAGE_USER] = "user",
		[PVMM_PAGE_BALLOONED] = "ballooned",
		[PVMM_PAGE_GRANTED] = "granted",
		[PVMM_PAGE_RESERVED] = "reserved",
		[PVMM_PAGE_QUARANTINED] = "quarantined",
	};

	return (unsigned int)kind < PVMM_PAGE_KINDS ? names[kind] : "unknown";
}

void pages_init(uint64_t nr_pages)
{
	for (uint64_t i = 0; i < nr_pages; i++)
		*pvmm_page(_pfn(i)) = (struct pvmm_page){
			.next = PVMM_PAGE_NONE,
			.prev = PVMM_PAGE_NONE,
			.refs = 1,
			.kind = PVMM_PAGE_RESERVED,
		};
}

/* Takes one from a count and returns what is left. */
static uint32_t count_dec(struct pvmm_page *page, uint32_t *count, const char *what, void *caller)
{
	uint32_t before = __atomic_load_n(count, __ATOMIC_RELAXED);

	do {
		if (before == PVMM_COUNT_SATURATED)
			return before;
		if (!before)
			pvmm_panic("%s count of pfn 0x%llx (%s) falls below 0, by %pS", what,
				   (unsigned long long)pfn_x(pvmm_page_pfn(page)),
				   pvmm_page_kind_name(page->kind), caller);
	} while (!__atomic_compare_exchange_n(count, &before, before - 1, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return before - 1;
}

/* Adds to a count, which stays where it is once it is full. */
static void count_inc(struct pvmm_page *page, uint32_t *count, const char *what, void *caller)
{
	uint32_t before = __atomic_load_n(count, __ATOMIC_RELAXED);

	do {
		if (before == PVMM_COUNT_SATURATED)
			return;
	} while (!__atomic_compare_exchange_n(count, &before, before + 1, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	if (before + 1 == PVMM_COUNT_SATURATED)
		pvmm_log(
			PVMM_ERROR,
			"%s count of pfn 0x%llx (%s) is full and stays so, by %pS: the page is lost",
			what, (unsigned long long)pfn_x(pvmm_page_pfn(page)),
			pvmm_page_kind_name(page->kind), caller);
}

void pvmm_page_get(struct pvmm_page *page)
{
	count_inc(page, &page->refs, "reference", __builtin_return_address(0));
}

void pvmm_page_put(struct pvmm_page *page)
{
	if (count_dec(page, &page->refs, "reference", __builtin_return_address(0)))
		return;

	/* pvmm_page_free wants to see the last holder's reference. */
	__atomic_store_n(&page->refs, 1, __ATOMIC_RELAXED);
	pvmm_page_free(page, page->order);
}

void pvmm_page_live_inc(struct pvmm_page *page)
{
	count_inc(page, &page->live, "live mapping", __builtin_return_address(0));
}

void pvmm_page_live_dec(struct pvmm_page *page)
{
	count_dec(page, &page->live, "live mapping", __builtin_return_address(0));
}

void pvmm_page_stale_inc(struct pvmm_page *page)
{
	count_inc(page, &page->stale, "stale mapping", __builtin_return_address(0));
}

void pvmm_page_stale_dec(struct pvmm_page *page)
{
	count_dec(page, &page->stale, "stale mapping", __builtin_return_address(0));
}
