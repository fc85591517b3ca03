/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator (include/pvmm/alloc.h): blocks are aligned and never overlap, everything
 * given back merges again, and what must not be freed is not. R8, R9; DESIGN's first promise.
 */
#include <pvmm/mm.h>
#include "tests/unit/unit.h"

/* Free blocks by order: what must be the same again after everything came back. */
struct shape {
	uint64_t free, blocks[PVMM_MAX_ORDER + 1];
};

static struct shape shape_now(void)
{
	struct shape s = {.free = pvmm_free_pages()};

	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++)
		s.blocks[order] = pvmm_free_blocks(order);
	return s;
}

static void assert_shape(const struct shape *was)
{
	struct shape is = shape_now();

	assert_int_equal(is.free, was->free);
	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++)
		assert_int_equal(is.blocks[order], was->blocks[order]);
}

/* The blocks add up to the free pages, before and after. */
static void blocks_add_up(void **state)
{
	struct shape s = shape_now();
	uint64_t pages = 0;

	(void)state;
	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++)
		pages += s.blocks[order] << order;
	assert_int_equal(pages, s.free);
	assert_true(s.free > UNIT_PAGES / 2);
	assert_int_equal(pvmm_free_blocks(PVMM_MAX_ORDER + 1), 0);
}

/* Each order until there is no more: aligned, disjoint, all of the kind asked for; then all back.
 */
static void exhaust_each_order(void **state)
{
	struct shape before = shape_now();

	(void)state;
	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++) {
		static uint8_t taken[UNIT_PAGES];
		struct pvmm_page *blocks[UNIT_PAGES];
		uint64_t nr = 0;

		memset(taken, 0, sizeof(taken));
		for (;;) {
			struct pvmm_page *page = pvmm_page_alloc(order, PVMM_PAGE_USER);
			uint64_t pfn;

			if (!page)
				break;
			pfn = pfn_x(pvmm_page_pfn(page));
			assert_int_equal(pfn & ((1ULL << order) - 1), 0);
			assert_true(pfn + (1ULL << order) <= UNIT_PAGES);
			assert_int_equal(page->refs, 1);
			assert_int_equal(page->order, order);
			for (uint64_t i = 0; i < 1ULL << order; i++) {
				assert_int_equal(taken[pfn + i]++, 0);
				assert_int_equal(page[i].kind, PVMM_PAGE_USER);
			}
			blocks[nr++] = page;
		}
		assert_int_equal(pvmm_free_pages(), before.free - (nr << order));
		for (unsigned int larger = order; larger <= PVMM_MAX_ORDER; larger++)
			assert_int_equal(pvmm_free_blocks(larger), 0);
		assert_clean();
		while (nr)
			pvmm_page_free(blocks[--nr], order);
		assert_shape(&before);
		assert_clean();
	}
}

/* Two halves merge only with each other, whichever comes back first. */
static void buddies_merge(void **state)
{
	struct shape before = shape_now();
	struct pvmm_page *pages[512], *block;

	(void)state;
	for (unsigned int i = 0; i < 512; i++)
		pages[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	for (unsigned int i = 0; i < 512; i += 2)
		pvmm_page_free(pages[i], 0);
	for (unsigned int i = 1; i < 512; i += 2)
		pvmm_page_free(pages[i], 0);
	assert_shape(&before);

	block = pvmm_page_alloc(5, PVMM_PAGE_KERNEL);
	pvmm_page_free(block, 5);
	assert_shape(&before);
}

/* What there is not: an order too large, a kind that is none, a block larger than all memory. */
static void impossible_requests(void **state)
{
	(void)state;
	assert_null(pvmm_page_alloc(PVMM_MAX_ORDER + 1, PVMM_PAGE_USER));
	assert_null(pvmm_page_alloc(200, PVMM_PAGE_USER));
	assert_null(pvmm_page_alloc(0, PVMM_PAGE_FREE));
	assert_null(pvmm_page_alloc(0, PVMM_PAGE_KINDS));
	while (pvmm_page_alloc(0, PVMM_PAGE_USER))
		;
	assert_int_equal(pvmm_free_pages(), 0);
	assert_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	assert_clean();
}

/* R8: a freed page comes back first; one with stale mappings comes back last. */
static void stale_pages_come_last(void **state)
{
	struct pvmm_page *warm, *stale, *page, *last = NULL;

	(void)state;
	/* With no other page free, these three cannot merge with anything. */
	while ((last = pvmm_page_alloc(0, PVMM_PAGE_USER)))
		;
	warm = pvmm_page(_pfn(1000));
	page = pvmm_page(_pfn(1004));
	stale = pvmm_page(_pfn(1008));
	stale->stale = 1;
	pvmm_page_free(warm, 0);
	pvmm_page_free(page, 0);
	pvmm_page_free(stale, 0);
	for (unsigned int i = 0; i < 3; i++) {
		last = pvmm_page_alloc(0, PVMM_PAGE_USER);
		assert_non_null(last);
		assert_int_equal(last == stale, i == 2);
	}
	assert_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	assert_ptr_equal(last, stale);

	/* Not stale: the one freed last is the first. */
	stale->stale = 0;
	pvmm_page_free(warm, 0);
	pvmm_page_free(stale, 0);
	assert_ptr_equal(pvmm_page_alloc(0, PVMM_PAGE_USER), stale);
}

struct bad_free {
	struct pvmm_page *page;
	unsigned int order;
};

static void do_free(void *ctx)
{
	const struct bad_free *bad = ctx;

	pvmm_page_free(bad->page, bad->order);
}

/* DESIGN's first promise: what somebody still has is not freed, and the panic says which page. */
static void forbidden_frees_panic(void **state)
{
	struct bad_free bad = {pvmm_page_alloc(0, PVMM_PAGE_USER), 0};
	struct bad_free block = {pvmm_page_alloc(3, PVMM_PAGE_USER), 3};
	char pfn[32];

	(void)state;
	snprintf(pfn, sizeof(pfn), "pfn 0x%llx",
		 (unsigned long long)pfn_x(pvmm_page_pfn(bad.page)));

	bad.page->live = 1;
	assert_true(model_panics(do_free, &bad, "still mapped"));
	assert_true(model_panics(do_free, &bad, pfn));
	bad.page->live = 0;
	bad.page->refs = 2;
	assert_true(model_panics(do_free, &bad, "other references"));
	bad.page->refs = 1;
	bad.page->flags = PVMM_PAGE_READONLY;
	assert_true(model_panics(do_free, &bad, "page table"));
	bad.page->flags = PVMM_PAGE_PINNED;
	assert_true(model_panics(do_free, &bad, "page table"));
	bad.page->flags = 0;
	bad.order = 1;
	assert_true(model_panics(do_free, &bad, "order"));
	bad.order = 0;

	block.page[5].live = 1;
	assert_true(model_panics(do_free, &block, "still mapped"));
	block.page[5].live = 0;
	block.page[7].refs = 2;
	assert_true(model_panics(do_free, &block, "other references"));
	block.page[7].refs = 1;
	block.order = 2;
	assert_true(model_panics(do_free, &block, "order"));

	pvmm_page_free(bad.page, 0);
	assert_true(model_panics(do_free, &bad, "free already"));
	assert_clean();
}

/* Freeing allocates nothing and asks Xen for nothing. */
static void freeing_needs_nothing(void **state)
{
	struct pvmm_page *page;

	(void)state;
	page = pvmm_page_alloc(4, PVMM_PAGE_USER);
	while (pvmm_page_alloc(0, PVMM_PAGE_USER))
		;
	model_counters_reset();
	pvmm_page_free(page, 4);
	assert_int_equal(pvmm_free_pages(), 16);
	assert_int_equal(model_counters().traps, 0);
}

static void add_outside(void *ctx)
{
	(void)ctx;
	pvmm_mm_add_free(_pfn(UNIT_PAGES - 4), 8);
}

static void add_beyond(void *ctx)
{
	(void)ctx;
	pvmm_mm_add_free(_pfn(8), UINT64_MAX - 4);
}

/* Memory that the domain has not is not added. */
static void add_free_checks_its_range(void **state)
{
	(void)state;
	assert_true(model_panics(add_outside, NULL, "outside the domain"));
	assert_true(model_panics(add_beyond, NULL, "outside the domain"));
}

/* 100,000 random allocations and frees: no page twice, all back, same shape. */
static void random_stress(void **state)
{
	enum { HELD = 300 };
	struct shape before = shape_now();
	static struct {
		struct pvmm_page *page;
		unsigned int order;
	} held[HELD];
	static uint8_t taken[UNIT_PAGES];
	uint64_t seed = 42, out = 0;

	(void)state;
	memset(held, 0, sizeof(held));
	memset(taken, 0, sizeof(taken));
	for (unsigned int step = 0; step < 100000; step++) {
		unsigned int at = unit_random(&seed) % HELD;
		unsigned int order = unit_random(&seed) % 8;
		uint64_t pfn;

		if (held[at].page) {
			order = held[at].order;
			pfn = pfn_x(pvmm_page_pfn(held[at].page));
			memset(&taken[pfn], 0, 1ULL << order);
			pvmm_page_free(held[at].page, order);
			out -= 1ULL << order;
			held[at].page = NULL;
		} else if ((held[at].page = pvmm_page_alloc(order, PVMM_PAGE_KERNEL))) {
			held[at].order = order;
			pfn = pfn_x(pvmm_page_pfn(held[at].page));
			for (uint64_t i = 0; i < 1ULL << order; i++)
				assert_int_equal(taken[pfn + i]++, 0);
			out += 1ULL << order;
		}
		assert_int_equal(pvmm_free_pages() + out, before.free);
		if (step % 10000 == 0)
			assert_clean();
	}
	for (unsigned int i = 0; i < HELD; i++)
		if (held[i].page)
			pvmm_page_free(held[i].page, held[i].order);
	assert_shape(&before);
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(blocks_add_up),	  UNIT_TEST(exhaust_each_order),
		UNIT_TEST(buddies_merge),	  UNIT_TEST(impossible_requests),
		UNIT_TEST(stale_pages_come_last), UNIT_TEST(forbidden_frees_panic),
		UNIT_TEST(freeing_needs_nothing), UNIT_TEST(add_free_checks_its_range),
		UNIT_TEST(random_stress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
