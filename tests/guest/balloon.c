/* SPDX-License-Identifier: MIT */
/*
 * The balloon on real Xen, with Xen as the judge: its count of the domain's pages, and the exchange
 * that it refuses for a frame with any reference left. R5, R15, R40.
 *
 * A fault here looks like an exchange that is refused for a page without mappings, a direct-map
 * address that can be read though its page is gone, or another count than Xen's.
 */
#include <pvmm/alloc.h>
#include <pvmm/balloon.h>
#include <pvmm/check.h>
#include <pvmm/kernel.h>
#include <pvmm/ledger.h>
#include <pvmm/p2m.h>
#include <pvmm/stats.h>
#include <pvmm/stray.h>
#include <pvmm/vmap.h>
#include "probe.h"
#include "suites.h"

static uint64_t reservation(void)
{
	uint64_t current = 0, maximum;

	CHECK_EQUAL(pvmm_balloon_reservation(&current, &maximum), 0);
	return current;
}

static uint64_t maximum(void)
{
	uint64_t current, most = 0;

	CHECK_EQUAL(pvmm_balloon_reservation(&current, &most), 0);
	return most;
}

/* As many as there is room for in a small domain. */
static uint64_t some_pages(uint64_t wanted)
{
	uint64_t half = pvmm_free_pages() / 2;

	return half < wanted ? half : wanted;
}

static void give(uint64_t nr)
{
	uint64_t done;

	CHECK_EQUAL(pvmm_balloon_give(nr, 0, &done), 0);
	CHECK_EQUAL(done, nr);
}

static void take(uint64_t nr)
{
	uint64_t done;

	CHECK_EQUAL(pvmm_balloon_take(nr, &done), 0);
	CHECK_EQUAL(done, nr);
}

/* A ballooned page's pfn. */
static pfn_t any_ballooned(void)
{
	for (uint64_t i = 0; i < pvmm_max_pfn(); i++)
		if (pvmm_page(_pfn(i))->kind == PVMM_PAGE_BALLOONED)
			return _pfn(i);
	return PVMM_INVALID_PFN;
}

static void there_and_back(void)
{
	uint64_t nr = some_pages(1500), before = reservation(), traps = pvmm_hypercall_traps();
	bool checked = pvmm_check_config().modes & PVMM_CHECK_ALLOC;
	pfn_t pfn;

	CHECK_EQUAL(before, pvmm_balloon_stats().nr_frames);
	give(nr);
	/* In each round of 512: unmap and flush, count, give, count. */
	CHECK(checked || pvmm_hypercall_traps() - traps <= 4 * ((nr + 511) / 512));
	CHECK_EQUAL(reservation(), before - nr);
	CHECK_EQUAL(pvmm_audit() + pvmm_balloon_audit(), 0);

	pfn = any_ballooned();
	CHECK(!mfn_valid(pvmm_pfn_to_mfn(pfn)));
	CHECK(probe_read((uintptr_t)pvmm_pfn_to_virt(pfn)).faulted);
	CHECK_EQUAL(pvmm_check_page(pfn), PVMM_CHECK_IN_USE);

	take(nr);
	CHECK_EQUAL(reservation(), before);
	CHECK(mfn_valid(pvmm_pfn_to_mfn(pfn)));
	CHECK(!probe_write((uintptr_t)pvmm_pfn_to_virt(pfn), 1).faulted);
	CHECK_EQUAL(pvmm_check_free(), 0);
}

/* Each page goes through Xen's stricter check first. */
static void judged_one_by_one(void)
{
	uint64_t nr = some_pages(700), exchanged = pvmm_balloon_stats().exchanged;

	pvmm_balloon_judge(PVMM_BALLOON_EXCHANGE);
	give(nr);
	pvmm_balloon_judge(PVMM_BALLOON_COUNT);
	CHECK_EQUAL(pvmm_balloon_stats().exchanged - exchanged, nr);
	take(nr);
}

static struct pvmm_page *page_with_stale_mapping(void)
{
	const struct pvmm_vmap_how how = {.name = "stale", .policy = PVMM_VMAP_LAZY};
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	void *addr;

	CHECK(page);
	CHECK_EQUAL(pvmm_vmap(&page, 1, PVMM_PROT_RW, &how, &addr), 0);
	CHECK_EQUAL(pvmm_vunmap(addr), 0);
	CHECK(page->stale);
	return page;
}

static void stale_mappings_go_first(void)
{
	struct pvmm_page *page = page_with_stale_mapping();
	mfn_t before = pvmm_pfn_to_mfn(pvmm_page_pfn(page));
	uint64_t traps = pvmm_hypercall_traps(), held = pvmm_balloon_stats().held;

	CHECK_EQUAL(pvmm_page_exchange(page), 0);
	CHECK_EQUAL(pvmm_hypercall_traps() - traps, 3);
	CHECK(!mfn_eq(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), before));
	CHECK_EQUAL(page->stale, 0);
	CHECK(!probe_write((uintptr_t)pvmm_page_virt(page), 1).faulted);
	pvmm_page_put(page);

	page = page_with_stale_mapping();
	CHECK_EQUAL(pvmm_balloon_give_page(page), 0);
	CHECK_EQUAL(pvmm_balloon_stats().held, held);
	take(1);
	pvmm_purge();
}

/* What happens without the ledger: Xen says no to the exchange, and its count shows the gift. */
static void xen_finds_what_is_left(void)
{
	struct pvmm_page *page = page_with_stale_mapping();
	uint64_t before = reservation(), held = pvmm_balloon_stats().held;

	pvmm_ledger_guard(false);
	CHECK_EQUAL(pvmm_page_exchange(page), -XEN_EBUSY);
	CHECK_EQUAL(pvmm_stray_last().how, PVMM_CHECK_BY_EXCHANGE);
	CHECK_EQUAL(pvmm_stray_last().nr_found, 1);
	CHECK(pfn_eq(pvmm_stray_last().pfn, pvmm_page_pfn(page)));
	CHECK_EQUAL(page->kind, PVMM_PAGE_KERNEL);

	CHECK_EQUAL(pvmm_balloon_give_page(page), 0);
	CHECK_EQUAL(pvmm_stray_last().how, PVMM_CHECK_BY_BALLOON);
	CHECK_EQUAL(pvmm_stray_last().nr_found, 1);
	CHECK_EQUAL(reservation(), before);
	CHECK_EQUAL(pvmm_balloon_stats().held - held, 2);
	pvmm_ledger_guard(true);
	pvmm_purge();
	CHECK_EQUAL(reservation(), before - 1);
	take(1);
}

static void live_mappings_are_a_refusal(void)
{
	const struct pvmm_vmap_how how = {.name = "in use"};
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	uint64_t calls;
	void *addr;

	CHECK_EQUAL(pvmm_vmap(&page, 1, PVMM_PROT_RO, &how, &addr), 0);
	calls = pvmm_hypercall_count(__HYPERVISOR_memory_op);
	CHECK_EQUAL(pvmm_page_exchange(page), -XEN_EBUSY);
	CHECK_EQUAL(pvmm_hypercall_count(__HYPERVISOR_memory_op), calls);
	CHECK_EQUAL(pvmm_stray_last().nr_found, 1);
	CHECK_EQUAL(pvmm_stray_last().first.va, (uintptr_t)addr);
	CHECK_EQUAL(pvmm_balloon_give_page(page), -XEN_EINVAL);
	pvmm_vunmap(addr);
	pvmm_purge();
	pvmm_page_put(page);
}

/* Beyond what the domain was booted with, as far as it may: with xl, 1 MiB at least. */
static void grows_to_its_maximum(void)
{
	uint64_t before = reservation(), most = maximum(), done = 0;
	uint64_t room = most - before < 1500 ? most - before : 1500;

	if (room == 1500) {
		take(room);
	} else {
		CHECK_EQUAL(pvmm_balloon_take(room + 1, &done), -XEN_E2BIG);
		CHECK_EQUAL(done, room);
	}
	CHECK_EQUAL(reservation(), before + room);
	CHECK_EQUAL(pvmm_audit() + pvmm_balloon_audit(), 0);
	CHECK_EQUAL(pvmm_check_free(), 0);
	give(room);
	CHECK_EQUAL(reservation(), before);
}

static void some_are_kept(void)
{
	uint64_t keep, done;

	pvmm_purge();
	pvmm_table_cache_shrink();
	keep = pvmm_free_pages() - some_pages(300);
	CHECK_EQUAL(pvmm_balloon_give(10000, keep, &done), -XEN_ENOMEM);
	CHECK_EQUAL(pvmm_free_pages(), keep);
	take(done);
}

/* Up and down, to any size. */
static void random_sizes(void)
{
	uint64_t before = reservation(), span = some_pages(3000), random = 88172645463325252ULL;

	for (unsigned int i = 0; i < 30; i++) {
		uint64_t target, now = pvmm_balloon_stats().nr_frames;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		target = before - random % span;
		if (target < now)
			give(now - target);
		else
			take(target - now);
		CHECK_EQUAL(reservation(), target);
	}
	take(before - pvmm_balloon_stats().nr_frames);
}

const struct suite suite_balloon = {
	.name = "balloon",
	.about = "pages are given to Xen and taken; Xen judges what is left of them",
	.tests =
		(const struct test[]){
			{"pages go and come, four traps for 512", there_and_back},
			{"each page is exchanged before it goes", judged_one_by_one},
			{"stale mappings go first", stale_mappings_go_first},
			{"what is left is found, by either judge", xen_finds_what_is_left},
			{"a page that is mapped does not go", live_mappings_are_a_refusal},
			{"the domain grows to its maximum", grows_to_its_maximum},
			{"some pages are kept", some_are_kept},
			{"any size, up and down", random_sizes},
			{NULL, NULL},
		},
};
