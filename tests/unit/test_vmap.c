/* SPDX-License-Identifier: MIT */
/*
 * vmap areas (include/pvmm/vmap.h): what is mapped can be used and nothing else, in one trap; what
 * is given up lazily costs none; the policies; what is refused is undone. R2, R3, R10, R11, R18.
 */
#include <pvmm/batch.h>
#include <pvmm/ledger.h>
#include <pvmm/owner.h>
#include <pvmm/vmap.h>
#include "tests/unit/unit.h"

enum { PAGES = 200 };

static struct pvmm_page *pages[PAGES];

/* Pages that say which they are, and the default parameters. */
static int boot(void **state)
{
	unit_boot(state);
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i] = pvmm_page(unit_page());
		*(uint64_t *)pvmm_page_virt(pages[i]) = i;
	}
	return 0;
}

#define VMAP_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, unit_shutdown)

static void *map(unsigned int nr)
{
	void *addr = NULL;

	assert_int_equal(pvmm_vmap(pages, nr, PVMM_PROT_RW, NULL, &addr), 0);
	assert_int_equal((uintptr_t)addr & ~PVMM_PAGE_MASK, 0);
	return addr;
}

static uint64_t *word(void *addr, unsigned int i)
{
	return (uint64_t *)((char *)addr + i * PVMM_PAGE_SIZE);
}

/* R11, R18: each size in one trap, readable and writable, with guards; given up without one. */
static void every_size(void **state)
{
	static const unsigned int sizes[] = {1, 2, 16, 63, 64, 65, 200};

	(void)state;
	map(1); /* its chunk has a table now */
	for (size_t s = 0; s < PVMM_ARRAY_SIZE(sizes); s++) {
		unsigned int nr = sizes[s];
		void *addr = map(nr); /* makes the tables there are to be made */

		assert_int_equal(pvmm_vunmap(addr), 0);
		assert_int_equal(pvmm_purge(), nr);
		model_counters_reset();
		addr = map(nr);
		assert_int_equal(model_counters().traps, 1);
		for (unsigned int i = 0; i < nr; i++) {
			assert_int_equal(*word(addr, i), i);
			*word(addr, i) = i + 1000;
			assert_int_equal(*(uint64_t *)pvmm_page_virt(pages[i]), i + 1000);
			*word(addr, i) = i;
			assert_int_equal(pages[i]->refs, i ? 2 : 3);
			assert_int_equal(pages[i]->live, i ? 1 : 2);
			assert_ptr_equal(pvmm_vmap_page(word(addr, i)), pages[i]);
		}
		assert_true(model_read_faults(word(addr, nr)));
		assert_clean();
		model_counters_reset();
		assert_int_equal(pvmm_vunmap(addr), 0);
		assert_int_equal(model_counters().traps, 0);
		assert_int_equal(pages[nr - 1]->stale, 1);
		assert_int_equal(pvmm_vunmap(addr), -XEN_ENOENT);
		assert_clean();
		assert_int_equal(pvmm_purge(), nr);
		assert_int_equal(model_counters().traps, 1);
		assert_true(model_read_faults(addr));
		assert_int_equal(pages[nr - 1]->stale, 0);
		assert_int_equal(pvmm_vunmap(addr), -XEN_ENOENT);
		assert_clean();
	}
}

/* A page many times, twice in one area, read-only, executable; nothing is lost in the end. */
static void a_page_many_times(void **state)
{
	struct pvmm_page *same[3] = {pages[5], pages[5], pages[6]};
	uint64_t free = pvmm_free_pages() + pvmm_kernel_space.nr_tables;
	void *a, *b;

	(void)state;
	assert_int_equal(pvmm_vmap(same, 3, PVMM_PROT_RO, NULL, &a), 0);
	assert_int_equal(pvmm_vmap(same, 3, PVMM_PROT_RX, NULL, &b), 0);
	assert_int_equal(pages[5]->live, 4);
	assert_int_equal(pages[5]->refs, 5);
	assert_int_equal(*word(a, 1), 5);
	assert_true(model_write_faults(word(a, 1)));
	assert_false(pvmm_pt_lookup(pvmm_kernel_space.root, (uintptr_t)b) & PVMM_PTE_NX);
	assert_clean();
	assert_int_equal(pvmm_vunmap(a), 0);
	assert_int_equal(pvmm_vunmap(b), 0);
	assert_int_equal(pages[5]->stale, 4);
	assert_int_equal(pages[5]->refs, 1);
	pvmm_purge();
	assert_clean();
	/* Descriptors and chunks are given back with the last area. */
	assert_int_equal(pvmm_free_pages() + pvmm_kernel_space.nr_tables, free);
	assert_int_equal(pvmm_vmap_stats().chunks, 0);
}

/* R3: when a page given up can be used by others, and when the entry goes. */
static void the_policies(void **state)
{
	static const struct {
		enum pvmm_vmap_policy policy;
		unsigned int traps, refs, stale;
	} cases[] = {
		{PVMM_VMAP_LAZY, 1, 1, 1},
		{PVMM_VMAP_HOLD, 1, 2, 1},
		{PVMM_VMAP_EAGER, 2, 1, 0},
	};
	struct pvmm_vmap_params params = pvmm_vmap_params();
	void *addr;

	(void)state;
	map(1);
	for (unsigned int per_area = 0; per_area < 2; per_area++)
		for (size_t i = 0; i < PVMM_ARRAY_SIZE(cases); i++) {
			struct pvmm_vmap_how how = {.policy = cases[i].policy};
			struct pvmm_vmap_params set = params;

			set.policy = per_area ? PVMM_VMAP_LAZY : cases[i].policy;
			assert_int_equal(pvmm_vmap_set_params(&set), 0);
			model_counters_reset();
			assert_int_equal(pvmm_vmap(&pages[9], 16, PVMM_PROT_RW,
						   per_area ? &how : NULL, &addr),
					 0);
			assert_int_equal(*word(addr, 3), 12);
			assert_int_equal(pvmm_vunmap(addr), 0);
			assert_int_equal(model_counters().traps, cases[i].traps);
			assert_int_equal(pages[9]->refs, cases[i].refs);
			assert_int_equal(pages[9]->stale, cases[i].stale);
			assert_int_equal(pages[9]->live, 0);
			assert_int_equal(model_read_faults(addr), !cases[i].stale);
			assert_clean();
			pvmm_purge();
			assert_int_equal(pages[9]->refs, 1);
			assert_clean();
		}
	pvmm_vmap_set_params(&params);
}

/* With a batch open, eager waits: the entries would stand behind the return. */
static void eager_inside_a_batch(void **state)
{
	struct pvmm_vmap_how how = {.policy = PVMM_VMAP_EAGER};
	void *addr;

	(void)state;
	assert_int_equal(pvmm_vmap(pages, 4, PVMM_PROT_RW, &how, &addr), 0);
	pvmm_batch_begin();
	assert_int_equal(pvmm_vunmap(addr), 0);
	assert_int_equal(pages[0]->stale, 1);
	pvmm_batch_end(NULL);
	assert_clean();
	pvmm_purge();
	assert_int_equal(pages[0]->stale, 0);
}

/* A lazily unmapped page may be freed and used; the entry goes later. R8, R10. */
static void freed_while_stale(void **state)
{
	void *addr = map(8);
	struct pvmm_page *page = pages[3];

	(void)state;
	pvmm_page_put(page);
	assert_int_equal(page->kind, PVMM_PAGE_KERNEL);
	assert_int_equal(pvmm_vunmap(addr), 0);
	assert_int_equal(page->kind, PVMM_PAGE_FREE);
	assert_int_equal(page->stale, 1);
	assert_clean();
	pvmm_purge();
	assert_int_equal(page->stale, 0);
	assert_clean();
}

/* R1: no writable mapping of a page table; the pages before it are as they were. */
static void a_table_among_them(void **state)
{
	struct pvmm_space space;
	struct pvmm_page *with[4] = {pages[0], pages[1], NULL, pages[3]};
	void *addr = NULL;

	(void)state;
	assert_int_equal(pvmm_space_create(&space, "pinned"), 0);
	with[2] = pvmm_page(space.root);
	for (unsigned int pinned = 0; pinned < 2; pinned++) {
		model_counters_reset();
		assert_int_equal(pvmm_vmap(with, 4, PVMM_PROT_RW, NULL, &addr), -XEN_EBUSY);
		assert_null(addr);
		assert_int_equal(pages[0]->refs, 1);
		assert_int_equal(pages[0]->live, 0);
		assert_int_equal(with[2]->live, 0);
		assert_clean();
		assert_int_equal(pvmm_space_pin(&space), 0);
	}
	assert_int_equal(pvmm_vmap(with, 4, PVMM_PROT_RO, NULL, &addr), 0);
	assert_int_equal(pvmm_space_destroy(&space), -XEN_EBUSY);
	assert_int_equal(pvmm_vunmap(addr), 0);
	pvmm_purge();
	assert_int_equal(pvmm_space_destroy(&space), 0);
	assert_clean();
}

/* Device frames are mapped and not counted; the domain's own count; what Xen refuses is undone. */
static void frames(void **state)
{
	mfn_t mfns[4] = {pvmm_pfn_to_mfn(pvmm_page_pfn(pages[0])), model_frame_owned(MODEL_IO, 0),
			 pvmm_pfn_to_mfn(pvmm_page_pfn(pages[2])), model_frame_owned(MODEL_IO, 1)};
	void *addr = NULL;

	(void)state;
	assert_true(pvmm_vmap_frames(mfns, 4, PVMM_PROT_RW, NULL, &addr) < 0);
	assert_null(addr);
	assert_int_equal(pages[0]->live, 0);
	assert_int_equal(pages[0]->refs, 1);
	assert_said("refused by Xen");
	assert_clean();

	unit_reboot(&(struct model_options){.has_iomem = true});
	pages[0] = pvmm_page(unit_page());
	mfns[0] = mfns[2] = pvmm_pfn_to_mfn(pvmm_page_pfn(pages[0]));
	mfns[1] = model_frame_owned(MODEL_IO, 0);
	mfns[3] = model_frame_owned(MODEL_IO, 1);
	assert_int_equal(pvmm_vmap_frames(mfns, 4, PVMM_PROT_RW, NULL, &addr), 0);
	assert_int_equal(pages[0]->live, 2);
	assert_ptr_equal(pvmm_vmap_page(addr), pages[0]);
	assert_null(pvmm_vmap_page(word(addr, 1)));
	assert_clean();
	assert_int_equal(pvmm_vunmap(addr), 0);
	assert_clean();
	assert_int_equal(pvmm_purge(), 4);
	assert_clean();
}

static void vmalloc(void **state)
{
	uint64_t free = pvmm_free_pages() + pvmm_kernel_space.nr_tables;
	static const uint64_t sizes[] = {1, 4096, 65536, 65537, 1 << 20};
	void *addr;

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(sizes); i++) {
		assert_int_equal(pvmm_vmalloc(sizes[i], NULL, &addr), 0);
		memset(addr, 0x5a, sizes[i]);
		assert_clean();
		assert_int_equal(pvmm_vunmap(addr), -XEN_ENOENT);
		assert_int_equal(pvmm_vfree(addr), 0);
		assert_clean();
	}
	pvmm_purge();
	assert_int_equal(pvmm_free_pages() + pvmm_kernel_space.nr_tables, free);
	assert_int_equal(pvmm_vmalloc(0, NULL, &addr), -XEN_EINVAL);
	assert_int_equal(pvmm_vmalloc(UINT64_MAX, NULL, &addr), -XEN_ENOMEM);
	assert_int_equal(pvmm_vfree(map(1)), -XEN_ENOENT);
	assert_clean();
}

static void wishes(void **state)
{
	const pvmm_va_t low = PVMM_VMAP_BASE + PVMM_VMAP_FIXED_BYTES;
	struct pvmm_vmap_how how = {.align_bytes = 1 << 16};
	void *addr, *other;

	(void)state;
	assert_int_equal(pvmm_vmap(pages, 3, PVMM_PROT_RW, NULL, &other), 0);
	assert_int_equal(pvmm_vmap(pages, 3, PVMM_PROT_RW, &how, &addr), 0);
	assert_int_equal((uintptr_t)addr & 0xffff, 0);
	how = (struct pvmm_vmap_how){.start = low + (8ULL << 30) + 5};
	assert_int_equal(pvmm_vmap(pages, 3, PVMM_PROT_RW, &how, &addr), 0);
	assert_int_equal((uintptr_t)addr, low + (8ULL << 30) + PVMM_PAGE_SIZE);
	how.end = how.start + 5 * PVMM_PAGE_SIZE;
	assert_int_equal(pvmm_vmap(pages, 3, PVMM_PROT_RW, &how, &addr), -XEN_ENOMEM);
	how = (struct pvmm_vmap_how){.align_bytes = 3000};
	assert_int_equal(pvmm_vmap(pages, 3, PVMM_PROT_RW, &how, &addr), -XEN_EINVAL);
	how = (struct pvmm_vmap_how){.align_bytes = 12288};
	assert_int_equal(pvmm_vmap(pages, 3, PVMM_PROT_RW, &how, &addr), -XEN_EINVAL);
	how = (struct pvmm_vmap_how){.policy = 9};
	assert_int_equal(pvmm_vmap(pages, 3, PVMM_PROT_RW, &how, &addr), -XEN_EINVAL);
	assert_int_equal(pvmm_vmap(pages, 0, PVMM_PROT_RW, NULL, &addr), -XEN_EINVAL);
	assert_int_equal(pvmm_vmap(pages, 1, 0, NULL, &addr), -XEN_EINVAL);
	assert_int_equal(pvmm_vmap(pages, 1, PVMM_PROT_RW | PVMM_PTE_PCD, NULL, &addr),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_vunmap((char *)other + PVMM_PAGE_SIZE), -XEN_ENOENT);
	assert_int_equal(pvmm_vunmap((void *)8), -XEN_ENOENT);
	assert_int_equal(pvmm_vunmap((void *)(uintptr_t)PVMM_VMAP_BASE), -XEN_ENOENT);
	assert_clean();
}

/* R11: as many areas as that, small ones: the tree has their chunks only, and none gets dear. */
static void a_hundred_thousand(void **state)
{
	enum { NR = 100000, TABLES = NR / (PVMM_PT_ENTRIES / 2) + 8 };
	void **addr = calloc(NR, sizeof(*addr));
	uint64_t accounted;

	(void)state;
	model_shutdown();
	model_boot(16384, 1);
	accounted = pvmm_free_pages() + pvmm_kernel_space.nr_tables;
	assert_non_null(addr);
	for (unsigned int i = 0; i < NR; i++)
		assert_int_equal(pvmm_vmap_reserve(1, NULL, &addr[i]), 0);
	assert_int_equal(pvmm_vmap_stats().live_areas, NR);
	assert_in_range(pvmm_kernel_space.nr_tables, NR / (PVMM_PT_ENTRIES / 2), 2 * TABLES);
	assert_int_equal(pvmm_audit(), 0);
	for (unsigned int i = 0; i < NR; i++)
		assert_int_equal(pvmm_vunmap(addr[(i * 7919ULL) % NR]), 0);
	pvmm_purge();
	assert_int_equal(pvmm_vmap_stats().chunks, 0);
	assert_int_equal(pvmm_free_pages() + pvmm_kernel_space.nr_tables, accounted);
	free(addr);
}

static bool said_by(uint32_t number, uintptr_t function)
{
	const struct pvmm_owner_stack *stack = pvmm_owner_stack(number);

	return stack && stack->callers[0] - function < 2000;
}

/* What a report wants to know of an address, at each stage of its area's life. */
static void what_an_address_was(void **state)
{
	struct pvmm_vmap_how how = {.name = "xfs_buf"};
	struct pvmm_vmap_info info;
	static const unsigned int sizes[] = {16, 100};

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(sizes); i++) {
		unsigned int nr = sizes[i];
		pvmm_va_t va;
		void *addr;

		assert_int_equal(pvmm_vmap(pages, nr, PVMM_PROT_RW, &how, &addr), 0);
		va = (uintptr_t)addr;
		for (unsigned int at = 0; at <= nr; at++) {
			assert_true(pvmm_vmap_find(va + at * PVMM_PAGE_SIZE + 77, &info));
			assert_int_equal(info.va, va);
			assert_int_equal(info.is_guard, at == nr);
		}
		assert_string_equal(info.name, "xfs_buf");
		assert_int_equal(info.nr_pages, nr);
		assert_int_equal(info.state, PVMM_VMAP_LIVE);
		assert_int_equal(info.prot, PVMM_PROT_RW);
		assert_true(said_by(info.maker, (uintptr_t)what_an_address_was));
		assert_int_equal(info.giver_up, 0);
		assert_true(info.made_ns && !info.given_up_ns);
		assert_int_equal(pvmm_vunmap(addr), 0);
		assert_true(pvmm_vmap_find(va, &info));
		assert_int_equal(info.state, PVMM_VMAP_STALE);
		assert_string_equal(pvmm_vmap_state_name(info.state), "stale");
		assert_true(said_by(info.giver_up, (uintptr_t)what_an_address_was));
		assert_true(info.given_up_ns > info.made_ns);
		pvmm_purge();
		assert_false(pvmm_vmap_find(va, &info));
	}
	assert_false(pvmm_vmap_find(0, &info));
	assert_false(pvmm_vmap_find(UINT64_MAX, &info));
	assert_false(pvmm_vmap_find(PVMM_VMAP_BASE, &info));
}

/* Small ones of a chunk, large ones between them, live and stale: in the order of addresses. */
static void one_after_the_other(void **state)
{
	static const uint64_t sizes[] = {1, 100, 3, 64, 65, 1, 300, 2};
	void *addr[PVMM_ARRAY_SIZE(sizes)];
	struct pvmm_vmap_info info;
	unsigned int seen = 0;
	pvmm_va_t va = 0, last = 0;

	(void)state;
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(sizes); i++)
		assert_int_equal(pvmm_vmalloc(sizes[i] * PVMM_PAGE_SIZE, NULL, &addr[i]), 0);
	assert_int_equal(pvmm_vfree(addr[2]), 0);
	while (pvmm_vmap_next(va, &info)) {
		unsigned int i = 0;

		while (i < PVMM_ARRAY_SIZE(sizes) && (uintptr_t)addr[i] != info.va)
			i++;
		assert_in_range(i, 0, PVMM_ARRAY_SIZE(sizes) - 1);
		assert_int_equal(info.nr_pages, sizes[i]);
		assert_int_equal(info.state, i == 2 ? PVMM_VMAP_STALE : PVMM_VMAP_LIVE);
		assert_true(info.va > last);
		last = info.va;
		seen |= 1U << i;
		va = info.va + ((info.nr_pages + 1) << PVMM_PAGE_SHIFT);
	}
	assert_int_equal(seen, (1U << PVMM_ARRAY_SIZE(sizes)) - 1);
	assert_true(pvmm_vmap_next((uintptr_t)addr[1] + 50 * PVMM_PAGE_SIZE, &info));
	assert_int_equal(info.va, (uintptr_t)addr[1]);
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(sizes); i++)
		if (i != 2)
			assert_int_equal(pvmm_vfree(addr[i]), 0);
	pvmm_purge();
	assert_false(pvmm_vmap_next(0, &info));
}

static void map_in_a_batch(void *ctx)
{
	pvmm_batch_begin();
	pvmm_vmap(pages, 1, PVMM_PROT_RW, NULL, ctx);
}

static void not_inside_a_batch(void **state)
{
	void *addr;

	(void)state;
	assert_true(model_panics(map_in_a_batch, &addr, "the making of a vmap area"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMAP_TEST(every_size),
		VMAP_TEST(a_page_many_times),
		VMAP_TEST(the_policies),
		VMAP_TEST(eager_inside_a_batch),
		VMAP_TEST(freed_while_stale),
		VMAP_TEST(a_table_among_them),
		VMAP_TEST(frames),
		VMAP_TEST(vmalloc),
		VMAP_TEST(wishes),
		VMAP_TEST(what_an_address_was),
		VMAP_TEST(one_after_the_other),
		VMAP_TEST(not_inside_a_batch),
		UNIT_TEST(a_hundred_thousand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
