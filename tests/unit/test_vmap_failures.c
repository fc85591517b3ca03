/* SPDX-License-Identifier: MIT */
/*
 * Everything that vmap asks for is refused in turn: each allocation, each hypercall, each single
 * update. After each the books and the model agree and nothing is lost; giving up and purging need
 * no memory at all. R9, R43.
 */
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>
#include "tests/unit/unit.h"

enum { PAGES = 100 };

static struct pvmm_page *pages[PAGES];
static void *first, *later; /* areas of the operation that is tried */

static void make_pages(void)
{
	for (unsigned int i = 0; i < PAGES; i++)
		pages[i] = pvmm_page(unit_page());
	first = later = NULL;
}

/* --- memory runs out --- */

/* The free memory is held by a notifier-free, purge-free crowd: it does not come back. */
static void drain_to(uint64_t nr)
{
	while (pvmm_free_pages() > nr)
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
}

/*
 * Calls op with 0, 1, 2, ... free pages until it succeeds; before that it must say -ENOMEM and have
 * taken nothing but tables of the kernel's, which stay. Returns with how many it succeeded.
 */
static uint64_t with_little_memory(int (*op)(void))
{
	for (uint64_t nr = 0;; nr++) {
		uint64_t accounted;
		int err;

		unit_reboot(&(struct model_options){0});
		make_pages();
		drain_to(nr);
		accounted = nr + pvmm_kernel_space.nr_tables;
		err = op();
		assert_clean();
		if (!err)
			return nr;
		assert_int_equal(err, -XEN_ENOMEM);
		pvmm_purge(); /* the chunk, which stays in use */
		assert_int_equal(pvmm_free_pages() + pvmm_kernel_space.nr_tables, accounted);
		assert_int_equal(pages[0]->refs, 1);
		assert_int_equal(pages[0]->live, 0);
		assert_true(nr < 64);
	}
}

static int op_small(void)
{
	return pvmm_vmap(pages, 16, PVMM_PROT_RW, NULL, &first);
}

static int op_large(void)
{
	return pvmm_vmap(pages, PAGES, PVMM_PROT_RW, NULL, &first);
}

static int op_vmalloc(void)
{
	return pvmm_vmalloc(16 * PVMM_PAGE_SIZE, NULL, &first);
}

static int op_reserve(void)
{
	return pvmm_vmap_reserve(PAGES, NULL, &first);
}

/* How many allocations there are is known: descriptors, records, tables. */
static void memory_runs_out(void **state)
{
	(void)state;
	/* area, chunk, its records, L2 and L1 table */
	assert_int_equal(with_little_memory(op_small), 5);
	/* area, pfns, L2 and L1 table */
	assert_int_equal(with_little_memory(op_large), 4);
	assert_int_equal(with_little_memory(op_vmalloc), 5 + 16);
	assert_int_equal(with_little_memory(op_reserve), 2);
}

/* R9: with no memory at all areas are given up, purged, and the memory they took is free again. */
static void giving_up_needs_none(void **state)
{
	static const enum pvmm_vmap_policy policies[] = {PVMM_VMAP_LAZY, PVMM_VMAP_HOLD,
							 PVMM_VMAP_EAGER};

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(policies); i++) {
		struct pvmm_vmap_how how = {.policy = policies[i]};
		struct pvmm_vmap_info info;
		void *own;

		unit_reboot(&(struct model_options){0});
		make_pages();
		assert_int_equal(pvmm_vmap(pages, 16, PVMM_PROT_RW, &how, &first), 0);
		assert_int_equal(pvmm_vmap(pages, PAGES, PVMM_PROT_RW, &how, &later), 0);
		assert_int_equal(pvmm_vmalloc(65536, &how, &own), 0);
		drain_to(0);
		assert_int_equal(pvmm_vunmap(first), 0);
		assert_int_equal(pvmm_vunmap(later), 0);
		assert_int_equal(pvmm_vfree(own), 0);
		assert_int_equal(pvmm_vmap_find((uintptr_t)own, &info),
				 policies[i] != PVMM_VMAP_EAGER);
		pvmm_purge();
		assert_int_equal(pvmm_vmap_stats().stale_areas, 0);
		assert_int_equal(pvmm_vmap_stats().chunks, 0);
		assert_true(pvmm_free_pages() >= 16 + 2);
		assert_clean();
	}
}

/* --- hypercalls are refused --- */

static int fill(pvmm_va_t va, pvmm_pte_t *entry, void *ctx)
{
	(void)ctx;
	*entry = unit_pte(pvmm_page_pfn(pages[va >> PVMM_PAGE_SHIFT & 63]), PVMM_PROT_RW);
	return 0;
}

/* Everything there is to ask for, errors taken as they come. */
static void scenario(void)
{
	void *addr = NULL;

	for (unsigned int round = 0; round < 2; round++) {
		static const unsigned int sizes[] = {1, 16, PAGES};

		for (size_t i = 0; i < PVMM_ARRAY_SIZE(sizes); i++)
			for (int policy = PVMM_VMAP_LAZY; policy <= PVMM_VMAP_HOLD; policy++) {
				struct pvmm_vmap_how how = {.policy =
								    (enum pvmm_vmap_policy)policy};

				if (!pvmm_vmap(pages, sizes[i], PVMM_PROT_RW, &how, &addr))
					pvmm_vunmap(addr);
			}
		if (!pvmm_vmalloc(65536, NULL, &addr))
			pvmm_vfree(addr);
		if (!pvmm_vmap_reserve(PAGES, NULL, &addr)) {
			pvmm_vmap_apply(addr, 64, fill, NULL, NULL);
			pvmm_vmap_done(addr);
			pvmm_vunmap(addr);
		}
		pvmm_purge();
	}
}

/* In a process of its own. */
static int run_injected(void *ctx)
{
	const struct unit_refusal *refusal = ctx;
	uint64_t accounted = pvmm_free_pages() + pvmm_kernel_space.nr_tables;
	unsigned int problems;
	bool fired;

	unit_refuse(refusal);
	scenario();
	fired = model_fail_fired();
	model_output_clear();
	problems = model_check() + pvmm_audit();
	if (problems || pvmm_free_pages() + pvmm_kernel_space.nr_tables != accounted ||
	    pvmm_vmap_stats().live_areas) {
		fprintf(stderr, "%u problems, %lld pages lost\n%s", problems,
			(long long)(accounted - pvmm_free_pages() - pvmm_kernel_space.nr_tables),
			model_output());
		return UNIT_BROKEN;
	}
	return fired ? UNIT_CLEAN : UNIT_NOT_REACHED;
}

static unsigned int fail_each(unsigned int op, bool single, int err)
{
	make_pages();
	return unit_refuse_each((struct unit_refusal){.op = op, .single = single, .err = err},
				run_injected, single ? 20 : 0, NULL);
}

static void every_hypercall_fails(void **state)
{
	(void)state;
	assert_true(fail_each(MODEL_ANY_CALL, false, -XEN_EINVAL) >= 25);
}

static void every_hypercall_says_nomem(void **state)
{
	(void)state;
	assert_true(fail_each(MODEL_ANY_CALL, false, -XEN_ENOMEM) >= 25);
}

static void every_update_fails(void **state)
{
	(void)state;
	assert_true(fail_each(__HYPERVISOR_mmu_update, true, -XEN_EINVAL) >= 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(memory_runs_out),	  UNIT_TEST(giving_up_needs_none),
		UNIT_TEST(every_hypercall_fails), UNIT_TEST(every_hypercall_says_nomem),
		UNIT_TEST(every_update_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
