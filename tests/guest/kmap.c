/* SPDX-License-Identifier: MIT */
/*
 * Pages out of the direct map on real Xen, reached by kmap; a cached kmap is gone before its page
 * is pinned. (R7, R32)
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/directmap.h>
#include <pvmm/kmap.h>
#include <pvmm/ledger.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/stats.h>
#include "probe.h"
#include "suites.h"

enum { PAGES = 300, SHARED = 256 };

static struct pvmm_page *pages[PAGES];

static bool set_up(void)
{
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i] = pvmm_page_alloc(0, PVMM_PAGE_USER);
		if (!CHECK(pages[i]))
			return false;
		*(uint64_t *)pvmm_page_virt(pages[i]) = i;
	}
	return CHECK(!pvmm_directmap_remove(pages, PAGES));
}

static void tear_down(void)
{
	pvmm_purge();
	CHECK_EQUAL(pvmm_directmap_restore(pages, PAGES), 0);
	for (unsigned int i = 0; i < PAGES; i++)
		pvmm_page_put(pages[i]);
}

static void out_and_back_in_one_trap(void)
{
	uint64_t before = pvmm_batch_stats().traps;
	unsigned int wrong = 0;

	if (!set_up())
		return;
	CHECK_EQUAL(pvmm_batch_stats().traps - before, 1);
	for (unsigned int i = 0; i < PAGES; i++)
		wrong += !probe_read((uintptr_t)pvmm_page_virt(pages[i])).faulted;
	CHECK_EQUAL(wrong, 0);
	tear_down();
}

static void the_cache(void)
{
	volatile uint64_t *p, *q;
	uint64_t before;

	if (!set_up())
		return;
	before = pvmm_batch_stats().traps;
	p = pvmm_kmap(pages[5]);
	CHECK(p && *p == 5);
	CHECK_EQUAL(pvmm_batch_stats().traps - before, 1);
	pvmm_kunmap((void *)(uintptr_t)p);
	CHECK_EQUAL(pages[5]->stale, 1);
	q = pvmm_kmap(pages[5]);
	CHECK(q && p == q && *q == 5);
	CHECK_EQUAL(pvmm_batch_stats().traps - before, 1);
	pvmm_kunmap((void *)(uintptr_t)q);

	/* Round and round through more pages than slots: each its own contents. */
	for (unsigned int i = 0; i < 3 * PAGES; i++) {
		q = pvmm_kmap(pages[i % PAGES]);
		CHECK(q && *q == i % PAGES);
		pvmm_kunmap((void *)(uintptr_t)q);
	}
	CHECK(pvmm_kmap_stats().reused >= PAGES - SHARED);
	tear_down();
}

static void local_ones_nest(void)
{
	volatile uint64_t *p[PVMM_KMAP_LOCAL_SLOTS];

	if (!set_up())
		return;
	for (unsigned int i = 0; i < PVMM_KMAP_LOCAL_SLOTS; i++) {
		p[i] = pvmm_kmap_local(pages[i]);
		CHECK(p[i] && *p[i] == i);
	}
	CHECK(!pvmm_kmap_local(pages[20]));
	for (unsigned int i = PVMM_KMAP_LOCAL_SLOTS; i > 0; i--) {
		CHECK(*p[i - 1] == i - 1);
		pvmm_kunmap_local((void *)(uintptr_t)p[i - 1]);
		CHECK(probe_read((uintptr_t)p[i - 1]).faulted);
	}
	tear_down();
}

static int pin(struct pvmm_page *page, unsigned int cmd)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn_x(pvmm_pfn_to_mfn(pvmm_page_pfn(page)))};

	return pvmm_hc_mmuext_op(&op, 1, NULL);
}

static void a_cached_one_forbids_a_pin(void)
{
	struct pvmm_page *page;
	uint64_t *p;

	if (!set_up())
		return;
	page = pages[9];
	p = pvmm_kmap(page);
	for (unsigned int i = 0; p && i < 512; i++)
		p[i] = 0;
	pvmm_kunmap(p);
	CHECK_EQUAL(pin(page, MMUEXT_PIN_L1_TABLE), -XEN_EINVAL);
	pvmm_purge();
	CHECK(pvmm_page_is_clean(page));
	CHECK_EQUAL(pin(page, MMUEXT_PIN_L1_TABLE), 0);
	CHECK_EQUAL(pin(page, MMUEXT_UNPIN_TABLE), 0);
	tear_down();
}

const struct suite suite_kmap = {
	.name = "kmap",
	.about = "pages out of the direct map, and how they are reached",
	.tests =
		(const struct test[]){
			{"300 pages leave the direct map in one trap", out_and_back_in_one_trap},
			{"a kmap is cached until its slot is wanted", the_cache},
			{"a vCPU's own kmaps nest and go at once", local_ones_nest},
			{"a cached kmap forbids a pin until the purge", a_cached_one_forbids_a_pin},
			{NULL, NULL},
		},
};
