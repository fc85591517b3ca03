/* SPDX-License-Identifier: MIT */
/*
 * The page-owner records (include/pvmm/owner.h): who allocated a page, who freed it, each different
 * stack once. R34.
 */
#include <pvmm/owner.h>
#include "tests/unit/unit.h"

static struct pvmm_owner_stack stacks[8];

static int boot(void **state)
{
	unit_boot(state);
	memset(stacks, 0, sizeof(stacks));
	pvmm_owner_init(stacks, PVMM_ARRAY_SIZE(stacks));
	return 0;
}

__attribute__((noinline)) static struct pvmm_page *alloc_here(void)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_USER);

	__asm__ volatile("");
	return page;
}

__attribute__((noinline)) static void free_here(struct pvmm_page *page)
{
	pvmm_page_free(page, 0);
	__asm__ volatile("");
}

static bool is_in(uintptr_t caller, uintptr_t function)
{
	return caller - function < 400;
}

static unsigned int stacks_used(void)
{
	unsigned int nr = 0;

	for (size_t i = 0; i < PVMM_ARRAY_SIZE(stacks); i++)
		nr += stacks[i].nr != 0;
	return nr;
}

/* Both stacks begin with who called the allocator, not with the allocator itself. */
static void stacks_name_the_caller(void **state)
{
	struct pvmm_page *page = alloc_here();
	pfn_t pfn = pvmm_page_pfn(page);
	const struct pvmm_owner_stack *stack = pvmm_owner_allocated(pfn);

	(void)state;
	assert_non_null(stack);
	assert_in_range(stack->nr, 2, PVMM_OWNER_DEPTH);
	assert_true(is_in(stack->callers[0], (uintptr_t)alloc_here));
	assert_true(is_in(stack->callers[1], (uintptr_t)stacks_name_the_caller));
	assert_null(pvmm_owner_freed(pfn));

	free_here(page);
	stack = pvmm_owner_freed(pfn);
	assert_non_null(stack);
	assert_true(is_in(stack->callers[0], (uintptr_t)free_here));
	assert_true(is_in(pvmm_owner_allocated(pfn)->callers[0], (uintptr_t)alloc_here));
}

/* Every page of a block has them. */
static void blocks_are_recorded_whole(void **state)
{
	struct pvmm_page *page = pvmm_page_alloc(4, PVMM_PAGE_USER);
	pfn_t pfn = pvmm_page_pfn(page);

	(void)state;
	for (unsigned int i = 0; i < 16; i++)
		assert_ptr_equal(pvmm_owner_allocated(pfn_add(pfn, i)), pvmm_owner_allocated(pfn));
	pvmm_page_free(page, 4);
	for (unsigned int i = 0; i < 16; i++)
		assert_non_null(pvmm_owner_freed(pfn_add(pfn, i)));
}

/* The same stack a thousand times is kept once; another one is another. */
static void stacks_are_kept_once(void **state)
{
	struct pvmm_page *page, *first = NULL;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		page = alloc_here();
		if (!first)
			first = page;
		assert_ptr_equal(pvmm_owner_allocated(pvmm_page_pfn(page)),
				 pvmm_owner_allocated(pvmm_page_pfn(first)));
	}
	assert_int_equal(stacks_used(), 1);
	page = pvmm_page_alloc(0, PVMM_PAGE_USER);
	assert_int_equal(stacks_used(), 2);
	assert_ptr_not_equal(pvmm_owner_allocated(pvmm_page_pfn(page)),
			     pvmm_owner_allocated(pvmm_page_pfn(first)));
}

/* Eight calls from as many places. */
#define ALLOC_AT(n)                                        \
	case n:                                            \
		page = pvmm_page_alloc(0, PVMM_PAGE_USER); \
		__asm__ volatile("" ::"i"(n));             \
		break

__attribute__((noinline)) static struct pvmm_page *alloc_at(unsigned int place)
{
	struct pvmm_page *page = NULL;

	switch (place) {
		ALLOC_AT(0);
		ALLOC_AT(1);
		ALLOC_AT(2);
		ALLOC_AT(3);
		ALLOC_AT(4);
		ALLOC_AT(5);
		ALLOC_AT(6);
		ALLOC_AT(7);
		ALLOC_AT(8);
		ALLOC_AT(9);
	}
	return page;
}

/* A full table: further stacks are not known, those that are in it stay good. */
static void full_table(void **state)
{
	const unsigned int places[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3};
	const struct pvmm_owner_stack *of[PVMM_ARRAY_SIZE(places)];

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(places); i++)
		of[i] = pvmm_owner_allocated(pvmm_page_pfn(alloc_at(places[i])));
	for (unsigned int i = 0; i < 8; i++) {
		assert_non_null(of[i]);
		for (unsigned int k = 0; k < i; k++)
			assert_ptr_not_equal(of[i], of[k]);
	}
	assert_int_equal(stacks_used(), 8);
	assert_null(of[8]);
	assert_null(of[9]);
	assert_ptr_equal(of[10], of[3]);
}

static void words(void **state)
{
	struct pvmm_owner_stack stack = {.nr = 2, .callers = {0x1234, 0xabcd}};
	char text[64];

	(void)state;
	pvmm_owner_describe(NULL, text, sizeof(text));
	assert_string_equal(text, "(not known)");
	pvmm_owner_describe(&stack, text, sizeof(text));
	assert_string_equal(text, "0x1234 < 0xabcd");
	memset(text, 'x', sizeof(text));
	pvmm_owner_describe(&stack, text, 10);
	assert_string_equal(text, "0x1234 < ");
	assert_int_equal(text[10], 'x');
}

static void init_odd(void *ctx)
{
	(void)ctx;
	pvmm_owner_init(stacks, 6);
}

static void init_empty(void *ctx)
{
	(void)ctx;
	pvmm_owner_init(stacks, 0);
}

static void table_size_is_checked(void **state)
{
	(void)state;
	assert_true(model_panics(init_odd, NULL, "power of two"));
	assert_true(model_panics(init_empty, NULL, "power of two"));
}

/* Off, before anybody turned them on: nothing is known and nothing is touched. First of all tests.
 */
static void off_costs_nothing(void **state)
{
	(void)state;
	assert_null(pvmm_owner_allocated(_pfn(0)));
	assert_null(pvmm_owner_freed(_pfn(5)));
}

#define OWNER_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, unit_shutdown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_costs_nothing),
		OWNER_TEST(stacks_name_the_caller),
		OWNER_TEST(blocks_are_recorded_whole),
		OWNER_TEST(stacks_are_kept_once),
		OWNER_TEST(full_table),
		OWNER_TEST(words),
		OWNER_TEST(table_size_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
