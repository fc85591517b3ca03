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
		[PVMM_PAGE_FREE] = "free",	 [PVMM_PAGE_KERNEL] = "kernel",
		[PVMM_PAGE_L1] = "L1 table",	 [PVMM_PAGE_L2] = "L2 table",
		[PVMM_PAGE_L3] = "L3 table",	 [PVMM_PAGE_L4] = "L4 table",
		[PVMM_PAGE_USER] = "user",	 [PVMM_PAGE_BALLOONED] = "ballooned",
		[PVMM_PAGE_GRANTED] = "granted", [PVMM_PAGE_RESERVED] = "reserved",
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

/* Adds to a count; a count that would wrap is a bug that must not become a use after free. */
static void count_inc(struct pvmm_page *page, uint32_t *count, const char *what, void *caller)
{
	if (__atomic_fetch_add(count, 1, __ATOMIC_RELAXED) == UINT32_MAX)
		pvmm_panic("%s count of pfn 0x%llx overflows, by %pS", what,
			   (unsigned long long)pfn_x(pvmm_page_pfn(page)), caller);
}

/* Takes one from a count and returns what is left. */
static uint32_t count_dec(struct pvmm_page *page, uint32_t *count, const char *what, void *caller)
{
	uint32_t before = __atomic_fetch_sub(count, 1, __ATOMIC_ACQ_REL);

	if (!before)
		pvmm_panic("%s count of pfn 0x%llx (%s) falls below 0, by %pS", what,
			   (unsigned long long)pfn_x(pvmm_page_pfn(page)),
			   pvmm_page_kind_name(page->kind), caller);
	return before - 1;
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
	page->refs = 1;
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
