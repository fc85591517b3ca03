/* SPDX-License-Identifier: MIT */
/*
 * The balloon and the exchange against the model: pages leave with no mapping of any kind, others
 * come, the domain grows; and whatever is refused, no page is lost. R5, R9, R15, R40.
 *
 * A fault here looks like an audit that counts another number of pages than Xen, an exchange that
 * Xen refuses for a page that was ready, or a page that is free and has no frame.
 */
#include "tests/unit/unit.h"
#include <pvmm/balloon.h>
#include <pvmm/check.h>
#include <pvmm/kmap.h>
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>

/* Xen's count, too. */
#define assert_all_clean()                                 \
	do {                                               \
		assert_clean();                            \
		assert_int_equal(pvmm_balloon_audit(), 0); \
	} while (0)

static uint64_t given(uint64_t nr, int expected)
{
	uint64_t done;

	assert_int_equal(pvmm_balloon_give(nr, 0, &done), expected);
	return done;
}

static uint64_t taken(uint64_t nr, int expected)
{
	uint64_t done;

	assert_int_equal(pvmm_balloon_take(nr, &done), expected);
	return done;
}

/* All that is anybody's: what a test begins with and ends with. */
static uint64_t pages_there_are(void)
{
	struct pvmm_balloon_stats s = pvmm_balloon_stats();

	return unit_free_pages() + pvmm_kernel_space.nr_tables + pvmm_check_stats().quarantined +
	       s.records + s.given - s.taken;
}

static uint64_t reservation(void)
{
	uint64_t current, maximum;

	assert_int_equal(pvmm_balloon_reservation(&current, &maximum), 0);
	return current;
}

static void configure(enum pvmm_check_action action)
{
	pvmm_check_configure(&(struct pvmm_check_config){
		.modes = PVMM_CHECK_PIN, .action = action, .report = PVMM_REPORT_TEXT});
}

/* --- there and back --- */

/* As many as do not fit in one call; each has no place in the direct map, and its own again. */
static void pages_go_and_come(void **state)
{
	uint64_t before = pages_there_are(), free = pvmm_free_pages();
	struct model_counters c;

	(void)state;
	model_counters_reset();
	assert_int_equal(given(600, 0), 600);
	c = model_counters();
	/* Two rounds: unmap and flush, count, give, count. */
	assert_int_equal(c.traps, 8);
	assert_int_equal(reservation(), UNIT_PAGES - 600);
	assert_int_equal(pvmm_free_pages(), free - 600);
	assert_int_equal(pvmm_balloon_stats().nr_ballooned, 600);
	assert_all_clean();
	for (uint64_t i = 0; i < UNIT_PAGES; i++)
		if (pvmm_page(_pfn(i))->kind == PVMM_PAGE_BALLOONED) {
			assert_false(mfn_valid(pvmm_pfn_to_mfn(_pfn(i))));
			assert_true(model_read_faults(pvmm_pfn_to_virt(_pfn(i))));
		}

	assert_int_equal(taken(600, 0), 600);
	assert_int_equal(pvmm_free_pages(), free);
	assert_int_equal(reservation(), UNIT_PAGES);
	assert_int_equal(pages_there_are(), before);
	assert_all_clean();
}

/* The frame that comes back is usable as anything: it is written to, and becomes a table. */
static void what_comes_is_usable(void **state)
{
	struct pvmm_page *pages[UNIT_PAGES];
	unsigned int nr = 0;

	(void)state;
	given(300, 0);
	taken(300, 0);
	while ((pages[nr] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL))) {
		memset(pvmm_page_virt(pages[nr]), 0, PVMM_PAGE_SIZE);
		nr++;
	}
	for (unsigned int i = 0; i < nr; i++) {
		assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, pvmm_page_pfn(pages[i])),
				 -XEN_EINVAL); /* it is writable */
		pvmm_page_put(pages[i]);
	}
	assert_int_equal(pvmm_check_free(), 0);
	assert_all_clean();
}

/* So many stay free, and giving says that there were no more. */
static void some_are_kept(void **state)
{
	uint64_t free = pvmm_free_pages(), done;

	(void)state;
	assert_int_equal(pvmm_balloon_give(UNIT_PAGES, 100, &done), -XEN_ENOMEM);
	assert_int_equal(done, free - 100);
	assert_int_equal(pvmm_free_pages(), 100);
	assert_int_equal(pvmm_balloon_give(1, 100, &done), -XEN_ENOMEM);
	assert_int_equal(done, 0);
	assert_all_clean();
	assert_int_equal(taken(free - 100, 0), free - 100);
	assert_all_clean();
}

static unsigned int give_up_pages(struct pvmm_page *page, void *ctx)
{
	struct pvmm_page **kept = ctx;

	if (!page && *kept) {
		pvmm_page_put(*kept);
		*kept = NULL;
	}
	return 0;
}

/* What others keep for speed is asked for before that is said. */
static void the_others_are_asked(void **state)
{
	struct pvmm_page *kept = pvmm_page(unit_page());
	struct pvmm_notifier notifier = {"cache", give_up_pages, &kept, NULL};
	uint64_t free = pvmm_free_pages();

	(void)state;
	pvmm_notifier_add(&notifier);
	assert_int_equal(given(free + 1, 0), free + 1);
	assert_null(kept);
	pvmm_notifier_remove(&notifier);
	taken(free + 1, 0);
	assert_all_clean();
}

/* --- mappings --- */

static struct pvmm_page *page_with_stale_mapping(void)
{
	struct pvmm_page *page = pvmm_page(unit_page());
	const struct pvmm_vmap_how how = {.name = "stale", .policy = PVMM_VMAP_LAZY};
	void *addr;

	assert_int_equal(pvmm_vmap(&page, 1, PVMM_PROT_RW, &how, &addr), 0);
	assert_int_equal(pvmm_vunmap(addr), 0);
	assert_true(page->stale); /* one more, if it has been here before */
	return page;
}

/* R5, R40: the ledger takes them away, in the trap that unmaps the page. */
static void stale_mappings_go_first(void **state)
{
	struct pvmm_page *page = page_with_stale_mapping();
	struct model_counters c;

	(void)state;
	model_counters_reset();
	assert_int_equal(pvmm_page_exchange(page), 0);
	c = model_counters();
	assert_int_equal(c.traps, 3);
	assert_int_equal(page->stale, 0);
	assert_int_equal(pvmm_balloon_stats().exchanged, 1);
	pvmm_page_put(page);

	page = page_with_stale_mapping();
	assert_int_equal(pvmm_balloon_give_page(page), 0);
	assert_int_equal(page->stale, 0);
	assert_int_equal(pvmm_balloon_stats().held, 0);
	assert_all_clean();
	taken(1, 0);
	assert_all_clean();
}

/* Without the ledger's guard the strict judge says no, and the lax one is found out. */
static void without_the_guard_xen_refuses(void **state)
{
	struct pvmm_page *page = page_with_stale_mapping();
	mfn_t mfn = pvmm_pfn_to_mfn(pvmm_page_pfn(page));

	(void)state;
	pvmm_ledger_guard(false);
	assert_int_equal(pvmm_page_exchange(page), -XEN_EBUSY);
	assert_said("cannot leave the domain: Xen says -EINVAL");
	assert_said("\"stale\"");
	assert_said("undone");
	assert_true(mfn_eq(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), mfn));
	assert_int_equal(page->kind, PVMM_PAGE_KERNEL);
	assert_all_clean();

	model_output_clear();
	assert_int_equal(pvmm_balloon_give_page(page), 0);
	assert_said("was given away, and Xen still counts it as this domain's");
	assert_said("Xen frees it with its last mapping");
	assert_int_equal(pvmm_balloon_stats().held, 2);
	assert_int_equal(reservation(), UNIT_PAGES);
	pvmm_ledger_guard(true);
	pvmm_purge();
	assert_int_equal(reservation(), UNIT_PAGES - 1);
	taken(1, 0);
	assert_all_clean();
}

/* R15: what the ledger counts as live is not even asked about. */
static void live_mappings_are_a_refusal(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page());
	const struct pvmm_vmap_how how = {.name = "in use"};
	uint64_t calls;
	void *addr;

	(void)state;
	assert_int_equal(pvmm_vmap(&page, 1, PVMM_PROT_RO, &how, &addr), 0);
	calls = model_counters().traps;
	assert_int_equal(pvmm_page_exchange(page), -XEN_EBUSY);
	assert_int_equal(model_counters().traps, calls);
	assert_said("it counts 1 live mappings");
	assert_said("\"in use\", live");
	assert_int_equal(pvmm_balloon_give_page(page), -XEN_EINVAL); /* others have it, too */
	assert_int_equal(page->kind, PVMM_PAGE_KERNEL);
	pvmm_vunmap(addr);
	pvmm_purge();
	assert_int_equal(pvmm_page_exchange(page), 0);
	pvmm_page_put(page);
	assert_all_clean();
}

/* What is in the balloon cannot be mapped. */
static void ballooned_pages_are_not_mapped(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page());
	const struct pvmm_vmap_how how = {.name = "too late"};
	void *addr;

	(void)state;
	assert_int_equal(pvmm_balloon_give_page(page), 0);
	assert_int_equal(pvmm_vmap(&page, 1, PVMM_PROT_RW, &how, &addr), -XEN_EINVAL);
	assert_null(pvmm_kmap(page));
	assert_int_equal(pvmm_check_page(pvmm_page_pfn(page)), PVMM_CHECK_IN_USE);
	assert_int_equal(pvmm_page_exchange(page), -XEN_EINVAL);
	assert_int_equal(pvmm_balloon_give_page(page), -XEN_EINVAL);
	taken(1, 0);
	assert_all_clean();
}

/* Only single pages that are the caller's alone may go. */
static void others_pages_do_not_go(void **state)
{
	struct pvmm_page *block = pvmm_page_alloc(1, PVMM_PAGE_KERNEL);
	struct pvmm_page *shared = pvmm_page(unit_page());

	(void)state;
	pvmm_page_get(shared);
	assert_int_equal(pvmm_balloon_give_page(shared), -XEN_EINVAL);
	assert_int_equal(pvmm_balloon_give_page(block), -XEN_EINVAL);
	assert_int_equal(pvmm_balloon_give_page(block + 1), -XEN_EINVAL);
	assert_int_equal(pvmm_balloon_give_page(pvmm_page(_pfn(0))), -XEN_EINVAL);
	assert_int_equal(pvmm_page_exchange(pvmm_page(pvmm_kernel_space.root)), -XEN_EINVAL);
	assert_int_equal(pvmm_page_exchange(shared), 0);
	pvmm_page_put(shared);
	pvmm_page_put(shared);
	pvmm_page_free(block, 1);
	assert_all_clean();
}

/* --- the judge asks of each page --- */

/* A free page with a read-only mapping that nobody counts: no pin would mind it. */
static pfn_t hold_a_free_page(pfn_t *holder)
{
	uintptr_t va;
	pfn_t pfn;

	*holder = unit_page();
	pfn = unit_page();
	va = (uintptr_t)pvmm_pfn_to_virt(*holder);
	assert_int_equal(pvmm_hc_update_va_mapping(va, unit_pte(pfn, PVMM_PROT_RO),
						   UVMF_INVLPG | UVMF_ALL),
			 0);
	pvmm_page_free(pvmm_page(pfn), 0);
	return pfn;
}

static void every_page_is_judged(void **state)
{
	pfn_t pfn, holder;
	uint64_t done;

	(void)state;
	pvmm_balloon_judge(PVMM_BALLOON_EXCHANGE);
	assert_int_equal(given(600, 0), 600);
	assert_int_equal(pvmm_balloon_stats().exchanged, 600);
	assert_all_clean();
	assert_int_equal(taken(600, 0), 600);
	assert_all_clean();

	/* Reported, the page stays; the others of its batch go. */
	pfn = hold_a_free_page(&holder);
	assert_int_equal(pvmm_balloon_give(10, 0, &done), -XEN_EBUSY);
	assert_int_equal(done, 9);
	assert_int_equal(pvmm_page(pfn)->kind, PVMM_PAGE_FREE);
	assert_true(pfn_eq(pvmm_stray_last().pfn, pfn));
	assert_int_equal(pvmm_stray_last().how, PVMM_CHECK_BY_EXCHANGE);
	assert_int_equal(pvmm_stray_last().nr_found, 1);
	assert_said("in the place of pfn");

	/* Taken out of use. */
	configure(PVMM_ACTION_QUARANTINE);
	assert_int_equal(pvmm_balloon_give(10, 0, &done), -XEN_EBUSY);
	assert_int_equal(pvmm_page(pfn)->kind, PVMM_PAGE_QUARANTINED);
	unit_writable(holder);
	assert_all_clean();

	/* Or freed of its mapping, read-only as it is. */
	configure(PVMM_ACTION_FIX);
	pfn = hold_a_free_page(&holder);
	assert_int_equal(pvmm_balloon_give(10, 0, &done), 0);
	assert_int_equal(pvmm_page(pfn)->kind, PVMM_PAGE_BALLOONED);
	assert_true(pvmm_stray_last().done);
	assert_all_clean();
	configure(PVMM_ACTION_REPORT);
	pvmm_balloon_judge(PVMM_BALLOON_COUNT);
}

/* --- growing --- */

#define MAXIMUM (3 * UNIT_PAGES)

static void boot_small(void)
{
	unit_reboot(&(struct model_options){.max_pages = MAXIMUM, .free_frames = MAXIMUM});
}

static void the_domain_grows(void **state)
{
	uint64_t before, free;

	(void)state;
	boot_small();
	before = pages_there_are();
	free = pvmm_free_pages();
	assert_int_equal(taken(1000, 0), 1000);
	assert_int_equal(pvmm_max_pfn(), UNIT_PAGES + 1024);
	assert_int_equal(model_published_pfns, UNIT_PAGES + 1024);
	assert_int_equal(pvmm_balloon_stats().nr_frames, UNIT_PAGES + 1000);
	/* Two steps: six pages of records and a table of the direct map each. */
	assert_int_equal(pvmm_balloon_stats().records, 12);
	assert_int_equal(pvmm_free_pages(), free + 1000 - 14);
	assert_all_clean();

	/* To the last page, and not one more. */
	assert_int_equal(taken(MAXIMUM, -XEN_E2BIG), MAXIMUM - UNIT_PAGES - 1000);
	assert_int_equal(reservation(), MAXIMUM);
	assert_int_equal(pages_there_are(), before);
	assert_all_clean();

	/* Until it is asked to have less, and may have more again. */
	given(MAXIMUM - 1000, 0);
	assert_all_clean();
	model_max_pages(1500);
	assert_int_equal(taken(1000, -XEN_E2BIG), 500);
	model_max_pages(2 * MAXIMUM); /* the machine has less */
	assert_int_equal(taken(2 * MAXIMUM, -XEN_ENOMEM), UNIT_PAGES + MAXIMUM - 1500);
	assert_all_clean();
	assert_int_equal(pages_there_are(), before);
}

/* A size that is no multiple of anything: the records begin inside pages that are there. */
static void odd_sizes_grow(void **state)
{
	static const unsigned int sizes[] = {2047, 2049, 1900, 2300, 2559};

	(void)state;
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(sizes); i++) {
		uint64_t done;

		model_shutdown();
		model_boot_with(sizes[i], 1,
				&(struct model_options){.max_pages = 4000, .free_frames = 4000});
		assert_int_equal(pvmm_balloon_take(1400, &done), 0);
		assert_int_equal(pvmm_balloon_stats().nr_frames, sizes[i] + 1400);
		assert_all_clean();
		assert_int_equal(pvmm_balloon_give(1700, 0, &done), 0);
		assert_all_clean();
	}
}

/* New pages are as good as old ones: mapped, pinned, stale, and given away again. */
static void new_pages_are_used(void **state)
{
	static struct pvmm_space space;
	struct pvmm_page *page;

	(void)state;
	boot_small();
	taken(1024, 0);
	do {
		page = pvmm_page_alloc(0, PVMM_PAGE_USER);
		assert_non_null(page);
	} while (pfn_x(pvmm_page_pfn(page)) < UNIT_PAGES);
	assert_int_equal(pvmm_space_create(&space, "new"), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA, page, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_false(model_write_faults((void *)(uintptr_t)UNIT_VA));
	assert_true(pfn_x(space.root) >= UNIT_PAGES);
	assert_all_clean();
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	pvmm_page_put(page);
	assert_int_equal(pvmm_space_destroy(&space), 0);
	page = page_with_stale_mapping();
	assert_int_equal(pvmm_page_exchange(page), 0);
	assert_int_equal(pvmm_balloon_give_page(page), 0);
	assert_all_clean();
}

/* --- everything fails in turn --- */

/* Growing with 0, 1, 2, ... free pages: the old state stands until there are enough. */
static void growing_needs_memory(void **state)
{
	(void)state;
	for (uint64_t nr = 0;; nr++) {
		uint64_t done, before;
		int err;

		boot_small();
		while (pvmm_free_pages() > nr)
			assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
		before = pages_there_are();
		err = pvmm_balloon_take(1, &done);
		assert_all_clean();
		assert_int_equal(pages_there_are(), before);
		if (!err) {
			assert_int_equal(nr, 7);
			return;
		}
		assert_int_equal(err, -XEN_ENOMEM);
		assert_int_equal(done, 0);
		assert_int_equal(pvmm_max_pfn(), UNIT_PAGES);
		/* A little more is enough then: what was made has stayed. */
		assert_int_equal(reservation(), UNIT_PAGES);
	}
}

/* Some of everything, whatever comes of it. */
static void all_of_it(struct pvmm_page *page)
{
	uint64_t done;
	int err;

	(void)pvmm_balloon_give(20, 0, &done);
	(void)pvmm_balloon_take(1100, &done);
	err = pvmm_page_exchange(page);
	if (!err)
		err = pvmm_balloon_give_page(page);
	if (err && page->kind == PVMM_PAGE_KERNEL)
		pvmm_page_put(page);
	(void)pvmm_balloon_give(30, 0, &done);
}

typedef void inject_fn(unsigned int op, unsigned int nth, int err);

/* With the nth of its kind refused; false when there are not so many. */
static bool survives(inject_fn *inject, unsigned int op, unsigned int nth, int err,
		     enum pvmm_balloon_judge judge)
{
	/* The removal of a stale mapping cannot be refused: that would be a panic. */
	bool is_stale = op == __HYPERVISOR_memory_op;
	struct pvmm_page *page;
	uint64_t before;
	bool fired;

	boot_small();
	pvmm_balloon_judge(judge);
	pvmm_page_put(page_with_stale_mapping());
	pvmm_purge();
	before = pages_there_are();
	page = is_stale ? page_with_stale_mapping() : pvmm_page(unit_page());
	inject(op, nth, err);
	all_of_it(page);
	fired = model_fail_fired();
	pvmm_purge();
	assert_all_clean();
	assert_int_equal(pages_there_are(), before);
	return fired;
}

/* No refusal loses a page: of the whole call, or of a single entry in it. */
static void every_refusal_is_survived(void **state)
{
	static const int errors[] = {-XEN_EINVAL, -XEN_ENOMEM};
	unsigned int nth;

	(void)state;
	for (unsigned int judge = 0; judge <= PVMM_BALLOON_EXCHANGE; judge++)
		for (unsigned int e = 0; e < PVMM_ARRAY_SIZE(errors); e++)
			for (nth = 1; survives(model_fail_call, __HYPERVISOR_memory_op, nth,
					       errors[e], (enum pvmm_balloon_judge)judge);
			     nth++)
				;
	/* Entries: the first ones of each round, and some of the many others. */
	for (nth = 1; survives(model_fail_operation, __HYPERVISOR_mmu_update, nth, -XEN_EINVAL,
			       PVMM_BALLOON_EXCHANGE);
	     nth += nth < 60 ? 1 : 97)
		;
	assert_true(nth > 1000);
	pvmm_balloon_judge(PVMM_BALLOON_COUNT);
}

/* --- */

static void random_targets(void **state)
{
	uint64_t random = 12345, before;

	(void)state;
	boot_small();
	pvmm_page_put(page_with_stale_mapping());
	pvmm_purge();
	before = pages_there_are();
	for (unsigned int i = 0; i < 300; i++) {
		uint64_t target = 100 + unit_random(&random) % MAXIMUM, done;
		uint64_t now = pvmm_balloon_stats().nr_frames;
		int err = target < now ? pvmm_balloon_give(now - target, 50, &done)
				       : pvmm_balloon_take(target - now, &done);

		if (target >= now && err)
			assert_int_equal(err, -XEN_E2BIG);
		if (target < now && err)
			assert_int_equal(err, -XEN_ENOMEM);
		if (!err)
			assert_int_equal(pvmm_balloon_stats().nr_frames, target);
		if (i % 2)
			pvmm_page_put(page_with_stale_mapping());
		assert_int_equal(reservation(), pvmm_balloon_stats().nr_frames);
	}
	pvmm_purge();
	assert_all_clean();
	assert_int_equal(pages_there_are(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(pages_go_and_come),
		UNIT_TEST(what_comes_is_usable),
		UNIT_TEST(some_are_kept),
		UNIT_TEST(the_others_are_asked),
		UNIT_TEST(stale_mappings_go_first),
		UNIT_TEST(without_the_guard_xen_refuses),
		UNIT_TEST(live_mappings_are_a_refusal),
		UNIT_TEST(ballooned_pages_are_not_mapped),
		UNIT_TEST(others_pages_do_not_go),
		UNIT_TEST(every_page_is_judged),
		UNIT_TEST(the_domain_grows),
		UNIT_TEST(odd_sizes_grow),
		UNIT_TEST(new_pages_are_used),
		UNIT_TEST(growing_needs_memory),
		UNIT_TEST(every_refusal_is_survived),
		UNIT_TEST(random_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
