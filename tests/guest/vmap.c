/* SPDX-License-Identifier: MIT */
/*
 * vmap on real Xen: areas of every size in one trap, given up in none; a purge of many in one;
 * what Xen says of a stale mapping, and after the purge. (R2, R3, R5, R11, R13, R35, R36, R38)
 *
 * A fault here looks like a count of traps that is too high, a pin that is refused after the purge
 * (an entry stands that the books do not have) or not before it (nothing was mapped).
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/clock.h>
#include <pvmm/ledger.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/stats.h>
#include <pvmm/vmap.h>
#include "probe.h"
#include "suites.h"

enum { PAGES = 256 };

static struct pvmm_page *pages[PAGES];
static struct pvmm_vmap_params defaults;

static bool set_up(void)
{
	bool good = true;

	defaults = pvmm_vmap_params();
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		good = good && pages[i];
		if (pages[i])
			*(uint64_t *)pvmm_page_virt(pages[i]) = i;
	}
	return CHECK(good);
}

static void tear_down(void)
{
	pvmm_purge();
	CHECK_EQUAL(pvmm_vmap_set_params(&defaults), 0);
	for (unsigned int i = 0; i < PAGES; i++)
		if (pages[i])
			pvmm_page_put(pages[i]);
}

static uint64_t traps(void)
{
	return pvmm_batch_stats().traps;
}

static volatile uint64_t *map(unsigned int nr, const struct pvmm_vmap_how *how)
{
	void *addr = NULL;

	CHECK_EQUAL(pvmm_vmap(pages, nr, PVMM_PROT_RW, how, &addr), 0);
	return addr;
}

static void give_up(volatile uint64_t *addr)
{
	CHECK_EQUAL(pvmm_vunmap((void *)(uintptr_t)addr), 0);
}

static void every_size_in_one_trap(void)
{
	static const unsigned int sizes[] = {1, 2, 16, 64, 65, 256};

	volatile uint64_t *first;

	if (!set_up())
		return;
	first = map(1, NULL); /* keeps a chunk there */
	for (unsigned int s = 0; s < PVMM_ARRAY_SIZE(sizes); s++) {
		unsigned int nr = sizes[s], wrong = 0;
		volatile uint64_t *addr = map(nr, NULL); /* makes the tables */
		uint64_t before;

		give_up(addr);
		pvmm_purge();
		before = traps();
		addr = map(nr, NULL);
		CHECK_EQUAL(traps() - before, 1);
		for (unsigned int i = 0; i < nr; i++) {
			wrong += addr[i * 512] != i;
			addr[i * 512] = i;
		}
		CHECK_EQUAL(wrong, 0);
		CHECK(probe_read((uintptr_t)&addr[nr * 512]).faulted);
		before = traps();
		give_up(addr);
		CHECK_EQUAL(traps() - before, 0);
		CHECK_EQUAL(pages[nr - 1]->stale, 1);
		pvmm_purge();
		CHECK_EQUAL(traps() - before, 1);
		CHECK(probe_read((uintptr_t)addr).faulted);
	}
	give_up(first);
	tear_down();
}

/* What it comes to when it goes on: purges included. */
static void the_steady_state(void)
{
	static const struct {
		unsigned int nr;
		enum pvmm_vmap_policy policy;
		uint64_t most; /* traps of a thousand pairs */
	} cases[] = {
		{1, PVMM_VMAP_LAZY, 1050},  {16, PVMM_VMAP_LAZY, 1050}, {64, PVMM_VMAP_LAZY, 1050},
		{16, PVMM_VMAP_HOLD, 1050}, {1, PVMM_VMAP_EAGER, 2000}, {16, PVMM_VMAP_EAGER, 2000},
	};

	if (!set_up())
		return;
	for (unsigned int c = 0; c < PVMM_ARRAY_SIZE(cases); c++) {
		struct pvmm_vmap_how how = {.policy = cases[c].policy};
		uint64_t before, after;

		for (unsigned int i = 0; i < 500; i++)
			give_up(map(cases[c].nr, &how));
		before = traps();
		for (unsigned int i = 0; i < 1000; i++)
			give_up(map(cases[c].nr, &how));
		after = traps();
		if (!CHECK(after - before <= cases[c].most))
			CHECK_EQUAL(after - before, cases[c].most);
		pvmm_purge();
	}
	tear_down();
}

static void a_purge_of_many(void)
{
	enum { AREAS = 64 };
	volatile uint64_t *addr[AREAS];
	uint64_t before;

	if (!set_up())
		return;
	for (unsigned int i = 0; i < AREAS; i++)
		addr[i] = map(16, NULL);
	for (unsigned int i = 0; i < AREAS; i++)
		give_up(addr[i]);
	CHECK_EQUAL(pages[0]->stale, AREAS);
	before = traps();
	CHECK_EQUAL(pvmm_purge(), AREAS * 16);
	CHECK_EQUAL(traps() - before, 1);
	CHECK_EQUAL(pages[0]->stale, 0);
	tear_down();
}

/* Whether Xen would take a page as an L1 table: zeroed, read-only in the direct map, pinned. */
static int pin_probe(struct pvmm_page *page)
{
	uint64_t *words = pvmm_page_virt(page);
	pfn_t pfn = pvmm_page_pfn(page);
	struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = mfn_x(pvmm_pfn_to_mfn(pfn))};
	pvmm_pte_t entry = pvmm_pte(pvmm_pfn_to_mfn(pfn), PVMM_PROT_RO);
	int err;

	for (unsigned int i = 0; i < 512; i++)
		words[i] = 0;
	CHECK_EQUAL(pvmm_hc_update_va_mapping((uintptr_t)words, entry, UVMF_INVLPG), 0);
	err = pvmm_hc_mmuext_op(&op, 1, NULL);
	op.cmd = MMUEXT_UNPIN_TABLE;
	if (!err)
		CHECK_EQUAL(pvmm_hc_mmuext_op(&op, 1, NULL), 0);
	entry = pvmm_pte(pvmm_pfn_to_mfn(pfn), PVMM_PROT_RW);
	CHECK_EQUAL(pvmm_hc_update_va_mapping((uintptr_t)words, entry, UVMF_INVLPG), 0);
	return err;
}

static void what_xen_says(void)
{
	volatile uint64_t *addr;

	if (!set_up())
		return;
	CHECK_EQUAL(pin_probe(pages[3]), 0);
	addr = map(8, NULL);
	CHECK_EQUAL(pin_probe(pages[3]), -XEN_EINVAL);
	give_up(addr);
	CHECK(!pvmm_page_is_clean(pages[3]));
	CHECK_EQUAL(pin_probe(pages[3]), -XEN_EINVAL);
	pvmm_purge();
	CHECK(pvmm_page_is_clean(pages[3]));
	CHECK_EQUAL(pin_probe(pages[3]), 0);
	addr = map(8, &(struct pvmm_vmap_how){.policy = PVMM_VMAP_EAGER});
	give_up(addr);
	CHECK_EQUAL(pin_probe(pages[3]), 0);
	tear_down();
}

static void the_triggers(void)
{
	struct pvmm_vmap_params params;
	uint64_t start;

	if (!set_up())
		return;
	params = defaults;
	params.lazy_areas = 4;
	CHECK_EQUAL(pvmm_vmap_set_params(&params), 0);
	for (unsigned int i = 0; i < 4; i++)
		give_up(map(1, NULL));
	CHECK_EQUAL(pages[0]->stale, 4);
	give_up(map(1, NULL));
	CHECK_EQUAL(pages[0]->stale, 0);

	give_up(map(1, NULL));
	pvmm_purge_if_older(1000000000);
	CHECK_EQUAL(pages[0]->stale, 1);
	start = pvmm_clock_ns();
	while (pvmm_clock_ns() - start < 2000000)
		;
	pvmm_purge_if_older(1000000);
	CHECK_EQUAL(pages[0]->stale, 0);
	tear_down();
}

/* Of a large domain memory does not run out in a test's time. */
static void memory_that_is_held_comes_back(void)
{
	struct pvmm_page *list = NULL, *page;

	if (pvmm_free_pages() > 65536 || !set_up())
		return;
	give_up(map(PAGES, &(struct pvmm_vmap_how){.policy = PVMM_VMAP_HOLD}));
	for (unsigned int i = 0; i < PAGES; i++) {
		pvmm_page_put(pages[i]);
		pages[i] = NULL;
	}
	/* Each page holds a link to the one before. */
	while (pvmm_free_pages() && (page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL))) {
		*(uint64_t *)pvmm_page_virt(page) = (uintptr_t)list;
		list = page;
	}
	page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	CHECK(page);
	CHECK(pvmm_free_pages() >= PAGES - 1);
	if (page)
		pvmm_page_free(page, 0);
	while ((page = list)) {
		list = (struct pvmm_page *)(uintptr_t) * (uint64_t *)pvmm_page_virt(page);
		pvmm_page_free(page, 0);
	}
	tear_down();
}

static void what_is_refused_is_undone(void)
{
	struct pvmm_page *with[3];
	mfn_t mfns[2];
	void *addr = NULL;

	if (!set_up())
		return;
	with[0] = pages[0];
	with[1] = pvmm_page(pvmm_kernel_space.root);
	with[2] = pages[2];
	CHECK_EQUAL(pvmm_vmap(with, 3, PVMM_PROT_RW, NULL, &addr), -XEN_EBUSY);
	CHECK_EQUAL(pages[0]->live, 0);
	CHECK_EQUAL(pvmm_vmap(with, 3, PVMM_PROT_RO, NULL, &addr), 0);
	CHECK_EQUAL(pvmm_vunmap(addr), 0);

	/* A frame that is not the domain's, nor memory. */
	mfns[0] = pvmm_pfn_to_mfn(pvmm_page_pfn(pages[0]));
	mfns[1] = _mfn(0xfee00);
	CHECK(pvmm_vmap_frames(mfns, 2, PVMM_PROT_RW, NULL, &addr) < 0);
	CHECK_EQUAL(pages[0]->live, 0);
	mfns[1] = mfns[0];
	CHECK_EQUAL(pvmm_vmap_frames(mfns, 2, PVMM_PROT_RW, NULL, &addr), 0);
	CHECK_EQUAL(pages[0]->live, 2);
	CHECK_EQUAL(pvmm_vunmap(addr), 0);
	tear_down();
}

static int fill(pvmm_va_t va, pvmm_pte_t *entry, void *ctx)
{
	uint64_t i = (va - *(const pvmm_va_t *)ctx) / PVMM_PAGE_SIZE;

	if (i % 2)
		*entry = pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(pages[i])), PVMM_PROT_RW);
	return 0;
}

static void filled_in_by_the_caller(void)
{
	unsigned int levels = 0, wrong = 0;
	pvmm_va_t base;
	void *addr = NULL;

	if (!set_up())
		return;
	CHECK_EQUAL(pvmm_vmap_reserve(PAGES, NULL, &addr), 0);
	base = (uintptr_t)addr;
	CHECK_EQUAL(pvmm_vmap_apply(addr, PAGES, fill, &base, &levels), 0);
	CHECK(levels & 2);
	CHECK_EQUAL(pvmm_vmap_done(addr), 0);
	for (unsigned int i = 1; i < PAGES; i += 2)
		wrong += ((volatile uint64_t *)addr)[i * 512] != i;
	CHECK_EQUAL(wrong, 0);
	CHECK(probe_read(base).faulted);
	CHECK_EQUAL(pvmm_vunmap(addr), 0);
	tear_down();
}

/* R38: what a hypercall is given may lie in vmap memory, whatever space the vCPU runs on. */
static void arguments_of_hypercalls(void)
{
	static struct pvmm_space space;
	struct mmuext_op *op;
	void *addr = NULL;

	CHECK_EQUAL(pvmm_space_create(&space, "made before the area"), 0);
	CHECK_EQUAL(pvmm_space_activate(&space), 0);
	CHECK_EQUAL(pvmm_vmalloc(65536, NULL, &addr), 0);
	op = (struct mmuext_op *)((char *)addr + 4 * PVMM_PAGE_SIZE - 8); /* across a border */
	op[0] = (struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_LOCAL};
	CHECK_EQUAL(pvmm_hc_mmuext_op(op, 1, NULL), 0);
	CHECK_EQUAL(pvmm_space_activate(&pvmm_kernel_space), 0);
	CHECK_EQUAL(pvmm_vfree(addr), 0);
	pvmm_purge();
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
}

/* Live all at once, as many as memory is good for, then given up: nothing is missing. */
static void very_many_areas(void)
{
	bool is_large = pvmm_free_pages() > 8192;
	unsigned int nr = is_large ? 20000 : 1000, order = is_large ? 6 : 1, wrong = 0;
	struct pvmm_page *block = pvmm_page_alloc(order, PVMM_PAGE_KERNEL);
	volatile uint64_t **addr = block ? pvmm_page_virt(block) : NULL;
	uint64_t before = pvmm_vmap_stats().live_areas;

	if (!CHECK(block && nr * sizeof(*addr) <= PVMM_PAGE_SIZE << order) || !set_up())
		return;
	for (unsigned int i = 0; i < nr; i++) {
		void *a = NULL;

		wrong += pvmm_vmap(&pages[i % PAGES], 1, PVMM_PROT_RW, NULL, &a) != 0;
		addr[i] = a;
	}
	for (unsigned int i = 0; i < nr; i++)
		wrong += *addr[i] != i % PAGES;
	CHECK_EQUAL(pvmm_vmap_stats().live_areas, before + nr);
	for (unsigned int i = 0; i < nr; i++)
		wrong += pvmm_vunmap((void *)(uintptr_t)addr[i]) != 0;
	CHECK_EQUAL(wrong, 0);
	pvmm_page_free(block, order);
	tear_down();
}

const struct suite suite_vmap = {
	.name = "vmap",
	.about = "virtually contiguous mappings, given up lazily",
	.tests =
		(const struct test[]){
			{"an area of any size takes one trap, giving it up none",
			 every_size_in_one_trap},
			{"a thousand pairs take 1,050 traps lazily, 2,000 eagerly",
			 the_steady_state},
			{"64 areas are purged in one trap", a_purge_of_many},
			{"a stale mapping forbids a pin until the purge", what_xen_says},
			{"thresholds and age lead to purges", the_triggers},
			{"memory that stale areas hold comes back before an allocation fails",
			 memory_that_is_held_comes_back},
			{"page tables and strange frames are refused, and all is undone",
			 what_is_refused_is_undone},
			{"the caller can fill a reserved area in", filled_in_by_the_caller},
			{"hypercalls take arguments from vmap memory", arguments_of_hypercalls},
			{"twenty thousand areas live at once", very_many_areas},
			{NULL, NULL},
		},
};
