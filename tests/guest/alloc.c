/* SPDX-License-Identifier: MIT */
/*
 * The page allocator with real memory behind it: every page that it gives out is a different one
 * and can be written. (The bookkeeping itself is tried harder in tests/unit.)
 */
#include <pvmm/alloc.h>
#include "suites.h"

/* Of a large domain this many pages have to do: the rest is the same again. */
#define MOST_PAGES 32768

static void every_page_is_its_own(void)
{
	struct pvmm_page *list = NULL, *page;
	uint64_t nr = 0, wrong = 0;

	/* Each page holds a link to the one before and its own number. */
	while (nr < MOST_PAGES && (page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL))) {
		uint64_t *words = pvmm_page_virt(page);

		words[0] = (uintptr_t)list;
		words[511] = pfn_x(pvmm_page_pfn(page));
		list = page;
		nr++;
	}
	CHECK(nr == MOST_PAGES || pvmm_free_pages() == 0);
	for (page = list; page; page = list) {
		const uint64_t *words = pvmm_page_virt(page);

		wrong += words[511] != pfn_x(pvmm_page_pfn(page));
		list = (struct pvmm_page *)(uintptr_t)words[0];
		pvmm_page_free(page, 0);
	}
	CHECK_EQUAL(wrong, 0);
}

static void blocks_are_aligned_and_merge(void)
{
	uint64_t largest = pvmm_free_blocks(PVMM_MAX_ORDER);
	struct pvmm_page *block[PVMM_MAX_ORDER + 1];

	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++) {
		block[order] = pvmm_page_alloc(order, PVMM_PAGE_KERNEL);
		if (block[order])
			CHECK_EQUAL(pfn_x(pvmm_page_pfn(block[order])) & ((1ULL << order) - 1), 0);
	}
	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++)
		if (block[order])
			pvmm_page_free(block[order], order);
	CHECK_EQUAL(pvmm_free_blocks(PVMM_MAX_ORDER), largest);
}

static void what_is_asked_wrongly_is_refused(void)
{
	CHECK(!pvmm_page_alloc(PVMM_MAX_ORDER + 1, PVMM_PAGE_KERNEL));
	CHECK(!pvmm_page_alloc(0, PVMM_PAGE_FREE));
	CHECK(!pvmm_page_alloc(0, PVMM_PAGE_KINDS));
}

const struct suite suite_alloc = {
	.name = "alloc",
	.about = "the page allocator, on real memory",
	.tests =
		(const struct test[]){
			{"every page given out is its own", every_page_is_its_own},
			{"blocks are aligned, and merge when they come back",
			 blocks_are_aligned_and_merge},
			{"orders and kinds that do not exist are refused",
			 what_is_asked_wrongly_is_refused},
			{NULL, NULL},
		},
};
