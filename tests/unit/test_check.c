/* SPDX-License-Identifier: MIT */
/*
 * The checker: asking Xen about pages, what happens to those that are refused, and that a failure
 * in the middle loses nothing. R14, R16, R45; each kind of stray mapping is test_matrix' business.
 */
#include <pvmm/check.h>
#include <pvmm/ledger.h>
#include <pvmm/stats.h>
#include <pvmm/vmap.h>
#include "tests/unit/unit.h"

#define STRAY_VA (PVMM_VMAP_BASE + 100 * PVMM_PAGE_SIZE)

static void configure(unsigned int modes, enum pvmm_check_action action)
{
	const struct pvmm_check_config config = {
		.modes = modes,
		.action = action,
		.report = PVMM_REPORT_TEXT,
	};

	pvmm_check_configure(&config);
}

static int boot(void **state)
{
	unit_boot(state);
	configure(PVMM_CHECK_PIN, PVMM_ACTION_REPORT);
	return 0;
}

static int done(void **state)
{
	configure(PVMM_CHECK_PIN, PVMM_ACTION_REPORT);
	return unit_shutdown(state);
}

/* The L1 table that strays are made in: it comes with a mapping made the manager's way. */
static void prepare_strays(void)
{
	struct pvmm_page *page = pvmm_page(unit_page());

	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, STRAY_VA, page, PVMM_PROT_RO), 0);
}

static void map_stray(unsigned int i, pfn_t pfn)
{
	pvmm_va_t va = STRAY_VA + (1 + i) * PVMM_PAGE_SIZE;

	assert_int_equal(pvmm_hc_update_va_mapping(va, unit_pte(pfn, PVMM_PROT_RW),
						   UVMF_INVLPG | UVMF_ALL),
			 0);
}

static void unmap_stray(unsigned int i)
{
	pvmm_va_t va = STRAY_VA + (1 + i) * PVMM_PAGE_SIZE;

	assert_int_equal(pvmm_hc_update_va_mapping(va, 0, UVMF_INVLPG | UVMF_ALL), 0);
}

/* --- asking --- */

/*
 * Many pages are one trap and two flushes: the first pin's, and the first page's that is made
 * writable again. Page by page it would be two for each.
 */
static void many_pages_are_one_trap(void **state)
{
	struct model_counters c;

	(void)state;
	assert_int_equal(pvmm_check_range(_pfn(UNIT_PAGES - 64), 31), 0); /* every type is set */
	model_counters_reset();
	assert_int_equal(pvmm_check_range(_pfn(UNIT_PAGES - 64), 31), 0);
	c = model_counters();
	assert_int_equal(c.traps, 1);
	assert_int_equal(c.mmuext[MMUEXT_PIN_L1_TABLE], 31);
	assert_int_equal(c.mmuext[MMUEXT_UNPIN_TABLE], 31);
	assert_int_equal(c.type_flushes, 2);
	assert_clean();
}

/* The stray ones among many are found, all of them and no other; afterwards all can be written. */
static void each_stray_among_many_is_found(void **state)
{
	const unsigned int strays[] = {0, 1, 7, 30, 31, 32, 63};
	uint64_t first = UNIT_PAGES - 64, reports = pvmm_stray_last().reports;

	(void)state;
	prepare_strays();
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(strays); i++)
		map_stray(i, _pfn(first + strays[i]));
	assert_int_equal(pvmm_check_range(_pfn(first), 64), PVMM_ARRAY_SIZE(strays));
	assert_int_equal(pvmm_stray_last().reports, reports + PVMM_ARRAY_SIZE(strays));
	for (unsigned int i = 0; i < 64; i++) {
		assert_false(model_write_faults(pvmm_pfn_to_virt(_pfn(first + i))));
		assert_int_equal(model_frame_of(_pfn(first + i)).type, MODEL_WRITABLE);
	}
	assert_model_clean();
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(strays); i++)
		unmap_stray(i);
	assert_clean();
}

static void one_page_and_what_it_says(void **state)
{
	pfn_t page = unit_page(), free = _pfn(UNIT_PAGES - 1);

	(void)state;
	prepare_strays();
	assert_int_equal(pvmm_check_page(free), PVMM_CHECK_CLEAN);
	assert_int_equal(pvmm_check_page(page), PVMM_CHECK_IN_USE);
	assert_int_equal(pvmm_check_page(_pfn(UNIT_PAGES)), PVMM_CHECK_NO_ANSWER);
	map_stray(0, free);
	assert_int_equal(pvmm_check_page(free), PVMM_CHECK_STRAY);
	assert_said("pvmm: stray writable mapping: pfn 0x7ff");
	assert_said("is free, and is mapped writable: Xen says -EINVAL (-22)");
	unmap_stray(0);
	assert_int_equal(pvmm_check_page(free), PVMM_CHECK_CLEAN);
	assert_clean();
}

/* Only -EINVAL is about the page: any other refusal is no verdict. */
static void other_errors_say_nothing(void **state)
{
	uint64_t reports = pvmm_stray_last().reports;

	(void)state;
	model_fail_operation(__HYPERVISOR_mmuext_op, 1, -XEN_ENOMEM);
	assert_int_equal(pvmm_check_page(_pfn(UNIT_PAGES - 1)), PVMM_CHECK_NO_ANSWER);
	assert_true(model_fail_fired());
	assert_int_equal(pvmm_stray_last().reports, reports);
	assert_int_equal(pvmm_check_stats().errors, 1);
	assert_clean();
}

/* Known stale mappings are no strays: a call purges them, the others leave the page alone. */
static void stale_pages_are_told_apart(void **state)
{
	const struct pvmm_vmap_how how = {.policy = PVMM_VMAP_LAZY};
	struct pvmm_page *page = pvmm_page(unit_page());
	uint64_t reports = pvmm_stray_last().reports;
	void *addr;

	(void)state;
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE | PVMM_CHECK_ALLOC, PVMM_ACTION_REPORT);
	assert_int_equal(pvmm_vmap(&page, 1, PVMM_PROT_RW, &how, &addr), 0);
	assert_int_equal(pvmm_vunmap(addr), 0);
	assert_int_equal(page->stale, 1);
	pvmm_page_put(page);
	pvmm_check_flush();
	assert_int_equal(pvmm_check_stats().skipped_stale, 1);
	pvmm_check_sweep(UNIT_PAGES);
	assert_int_equal(pvmm_check_stats().skipped_stale, 2);
	assert_int_equal(page->stale, 1);
	assert_int_equal(pvmm_check_page(pvmm_page_pfn(page)), PVMM_CHECK_CLEAN);
	assert_int_equal(page->stale, 0);
	assert_int_equal(pvmm_stray_last().reports, reports);
	assert_clean();
}

/* --- freed pages wait for company --- */

static void freed_pages_wait(void **state)
{
	struct pvmm_page *pages[31];
	uint64_t free;

	(void)state;
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE, PVMM_ACTION_REPORT);
	for (unsigned int i = 0; i < 31; i++)
		pages[i] = pvmm_page(unit_page());
	free = pvmm_free_pages();
	model_counters_reset();
	for (unsigned int i = 0; i < 30; i++)
		pvmm_page_put(pages[i]);
	assert_int_equal(model_counters().traps, 0);
	assert_int_equal(pvmm_free_pages(), free + 30);
	assert_clean(); /* the books say that they wait */
	pvmm_page_put(pages[30]);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(pvmm_check_stats().probed[PVMM_CHECK_BY_FREE], 31);
	assert_clean();
}

/* Memory that waits is not missing when it is needed; other vCPUs' neither. */
static void waiting_pages_can_be_had(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page());
	uint64_t nr = 0;

	(void)state;
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE, PVMM_ACTION_REPORT);
	model_vcpu_up(1);
	model_set_vcpu(1);
	pvmm_page_put(page);
	model_set_vcpu(0);
	nr = pvmm_free_pages();
	while (nr--)
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
	assert_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
	assert_clean();
}

/* A page freed twice is caught while it waits, too. */
static void free_it(void *page)
{
	pvmm_page_free(page, 0);
}

static void freed_twice(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page());

	(void)state;
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE, PVMM_ACTION_REPORT);
	pvmm_page_free(page, 0);
	assert_true(model_panics(free_it, page, "is free already"));
}

/* In an open batch Xen cannot be asked: the pages go on as without the checker, and are counted. */
static void not_in_a_batch(void **state)
{
	struct pvmm_page *block = pvmm_page_alloc(6, PVMM_PAGE_KERNEL);

	(void)state;
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE | PVMM_CHECK_ALLOC, PVMM_ACTION_REPORT);
	pvmm_batch_begin();
	pvmm_page_free(block, 6);
	block = pvmm_page_alloc(6, PVMM_PAGE_KERNEL);
	pvmm_batch_end(NULL);
	assert_non_null(block);
	assert_int_equal(pvmm_check_stats().skipped_busy, 128);
	assert_clean();
}

/* What was refused is dealt with when no lock is held: the search takes those of the spaces. */
static void not_under_a_lock(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page());
	uint64_t reports = pvmm_stray_last().reports;
	struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;

	(void)state;
	prepare_strays();
	map_stray(0, pvmm_page_pfn(page));
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE, PVMM_ACTION_FIX);
	pvmm_spin_lock(&lock);
	pvmm_page_put(page);
	pvmm_check_flush();
	assert_int_equal(pvmm_stray_last().reports, reports);
	pvmm_spin_unlock(&lock);
	pvmm_check_flush();
	assert_int_equal(pvmm_stray_last().reports, reports + 1);
	assert_true(pvmm_stray_last().done);
	assert_clean();
}

/* --- what is done --- */

/* A page in quarantine is never handed out, and cannot be given back. */
static void quarantine_is_for_good(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page()), *other;

	(void)state;
	prepare_strays();
	map_stray(0, pvmm_page_pfn(page));
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE, PVMM_ACTION_QUARANTINE);
	pvmm_page_put(page);
	pvmm_check_flush();
	assert_int_equal(page->kind, PVMM_PAGE_QUARANTINED);
	assert_int_equal(pvmm_check_stats().quarantined, 1);
	assert_true(model_panics(free_it, page, "is in quarantine"));
	configure(PVMM_CHECK_PIN, PVMM_ACTION_REPORT);
	while ((other = pvmm_page_alloc(0, PVMM_PAGE_KERNEL)))
		assert_ptr_not_equal(other, page);
	assert_clean();
}

static void free_and_flush(void *page)
{
	pvmm_page_put(page);
	pvmm_check_flush();
}

static void panic_says_why(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page());

	(void)state;
	prepare_strays();
	map_stray(0, pvmm_page_pfn(page));
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE, PVMM_ACTION_PANIC);
	assert_true(model_panics(free_and_flush, page, "check-action=panic"));
	unmap_stray(0);
}

/* A mapping that goes between the free and the report: said, and nothing is done to the page. */
static void gone_by_now(void **state)
{
	struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
	struct pvmm_page *page = pvmm_page(unit_page());

	(void)state;
	prepare_strays();
	map_stray(0, pvmm_page_pfn(page));
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE, PVMM_ACTION_QUARANTINE);
	pvmm_spin_lock(&lock);
	pvmm_page_put(page);
	pvmm_check_flush();
	unmap_stray(0);
	pvmm_spin_unlock(&lock);
	pvmm_check_flush();
	assert_said("Xen takes it now");
	assert_int_equal(page->kind, PVMM_PAGE_FREE);
	assert_clean();
}

/* A page whose place in the direct map leads elsewhere is not written to: that would be another's.
 */
static void broken_place(void **state)
{
	pfn_t victim = unit_page(), free = _pfn(UNIT_PAGES - 1);
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(free);

	(void)state;
	*(uint64_t *)pvmm_pfn_to_virt(victim) = 42;
	assert_int_equal(pvmm_hc_update_va_mapping(va, unit_pte(victim, PVMM_PROT_RW), UVMF_INVLPG),
			 0);
	configure(PVMM_CHECK_PIN, PVMM_ACTION_FIX);
	assert_int_equal(pvmm_check_page(free), PVMM_CHECK_STRAY);
	assert_said("pvmm: broken direct map: pfn 0x7ff");
	assert_int_equal(*(uint64_t *)pvmm_pfn_to_virt(victim), 42);
	assert_true(pvmm_stray_last().done);
	assert_clean();
}

/* A stray mapping in another page's place of the direct map: that page has its place back. */
static void place_is_given_back(void **state)
{
	pfn_t other = unit_page(), free = _pfn(UNIT_PAGES - 1);
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(other);

	(void)state;
	assert_int_equal(pvmm_hc_update_va_mapping(va, unit_pte(free, PVMM_PROT_RW), UVMF_INVLPG),
			 0);
	configure(PVMM_CHECK_PIN, PVMM_ACTION_FIX);
	assert_int_equal(pvmm_check_page(free), PVMM_CHECK_STRAY);
	assert_said("in the direct map, in the place of pfn");
	assert_true(pvmm_stray_last().done);
	assert_clean();
}

/* A page that was reported is swept over until somebody has used it. */
static void reported_once(void **state)
{
	uint64_t reports = pvmm_stray_last().reports;
	pfn_t free = _pfn(UNIT_PAGES - 1);

	(void)state;
	prepare_strays();
	map_stray(0, free);
	assert_int_equal(pvmm_check_sweep(UNIT_PAGES), 1);
	assert_int_equal(pvmm_check_sweep(UNIT_PAGES), 0);
	assert_int_equal(pvmm_stray_last().reports, reports + 1);
	/* Who asks about it is told again. */
	assert_int_equal(pvmm_check_page(free), PVMM_CHECK_STRAY);
	unmap_stray(0);
	assert_clean();
}

/* check=off: a refusal is said, and nothing is searched for. */
static void off_searches_nothing(void **state)
{
	struct pvmm_space space;

	(void)state;
	prepare_strays();
	assert_int_equal(pvmm_space_create(&space, "victim"), 0);
	map_stray(0, space.root);
	configure(0, PVMM_ACTION_FIX);
	assert_int_equal(pvmm_space_pin(&space), -XEN_EINVAL);
	assert_said("not searched for (check=off)");
	assert_int_equal(pvmm_stray_last().nr_found, 0);
	unmap_stray(0);
	assert_int_equal(pvmm_space_destroy(&space), 0);
	assert_clean();
}

/* --- R15: check=pin costs nothing until there is something to find --- */

static uint64_t traps_of_a_space(unsigned int modes)
{
	struct pvmm_page *page = pvmm_page(unit_page_of(PVMM_PAGE_USER));
	struct pvmm_space space;

	configure(modes, PVMM_ACTION_REPORT);
	pvmm_table_cache_shrink();
	model_counters_reset();
	assert_int_equal(pvmm_space_create(&space, "counted"), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA, page, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA + (1ULL << 40), page, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	assert_int_equal(pvmm_space_destroy(&space), 0);
	pvmm_page_put(page);
	return model_counters().traps;
}

static void pin_mode_makes_no_trap_more(void **state)
{
	(void)state;
	assert_int_equal(traps_of_a_space(PVMM_CHECK_PIN), traps_of_a_space(0));
}

/* --- every hypercall of it fails --- */

/* Pages go through the checker in every way, one of them with a stray mapping. */
static void scenario(void)
{
	struct pvmm_page *pages[4];
	struct pvmm_space space;

	for (unsigned int i = 0; i < 4; i++)
		pages[i] = pvmm_page_alloc(i / 2, PVMM_PAGE_KERNEL);
	for (unsigned int i = 0; i < 4; i++)
		if (pages[i])
			pvmm_page_free(pages[i], i / 2);
	pvmm_check_flush();
	pvmm_check_sweep(3);
	(void)pvmm_check_page(_pfn(UNIT_PAGES - 1)); /* it has the stray mapping */
	if (!pvmm_space_create(&space, "scenario")) {
		pvmm_space_pin(&space);
		pvmm_space_destroy(&space);
	}
}

/* In a process of its own. */
static int run_injected(void *ctx)
{
	const struct unit_refusal *refusal = ctx;
	uint64_t pages = pvmm_free_pages();
	unsigned int problems;
	bool fired;

	unit_refuse(refusal);
	scenario();
	fired = model_fail_fired();
	pvmm_check_flush();
	pvmm_table_cache_shrink();
	model_output_clear();
	problems = model_check();
	/* With the entry that nobody counts gone, the books are right. */
	unmap_stray(0);
	problems += pvmm_audit();
	if (problems || pvmm_free_pages() + pvmm_check_stats().quarantined != pages) {
		fprintf(stderr, "%u problems, %llu pages, now %llu and %llu\n%s", problems,
			(unsigned long long)pages, (unsigned long long)pvmm_free_pages(),
			(unsigned long long)pvmm_check_stats().quarantined, model_output());
		return UNIT_BROKEN;
	}
	return fired ? UNIT_CLEAN : UNIT_NOT_REACHED;
}

static unsigned int fail_each(unsigned int op, bool single, int err)
{
	return unit_refuse_each((struct unit_refusal){.op = op, .single = single, .err = err},
				run_injected, 0, NULL);
}

static void every_failure_loses_nothing(void **state)
{
	const enum pvmm_check_action actions[] = {PVMM_ACTION_REPORT, PVMM_ACTION_FIX,
						  PVMM_ACTION_QUARANTINE};

	(void)state;
	prepare_strays();
	map_stray(0, _pfn(UNIT_PAGES - 1));
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(actions); i++) {
		configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE | PVMM_CHECK_ALLOC, actions[i]);
		assert_true(fail_each(MODEL_ANY_CALL, false, -XEN_EINVAL) >= 15);
	}
	configure(PVMM_CHECK_PIN | PVMM_CHECK_FREE | PVMM_CHECK_ALLOC, PVMM_ACTION_FIX);
	assert_true(fail_each(__HYPERVISOR_mmuext_op, true, -XEN_EINVAL) >= 15);
	assert_true(fail_each(__HYPERVISOR_mmuext_op, true, -XEN_ENOMEM) >= 15);
	assert_true(fail_each(__HYPERVISOR_mmu_update, true, -XEN_EBUSY) >= 15);
	unmap_stray(0);
}

/* --- the summary --- */

static void summary(void **state)
{
	(void)state;
	model_output_clear();
	pvmm_check_summary();
	assert_string_equal(model_output(), ""); /* nothing was on, nothing was found */
	prepare_strays();
	map_stray(0, _pfn(UNIT_PAGES - 1));
	configure(PVMM_CHECK_PIN, PVMM_ACTION_FIX);
	assert_int_equal(pvmm_check_range(_pfn(UNIT_PAGES - 4), 4), 1);
	model_output_clear();
	pvmm_check_summary();
	assert_said("checker: 4 pages probed (0 free, 0 alloc, 0 sweep, 4 call)");
	assert_said("1 pages with a stray mapping, 1 stray mappings found, 1 repaired, 0 pages "
		    "quarantined");
}

#define CHECK_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK_TEST(many_pages_are_one_trap),
		CHECK_TEST(each_stray_among_many_is_found),
		CHECK_TEST(one_page_and_what_it_says),
		CHECK_TEST(other_errors_say_nothing),
		CHECK_TEST(stale_pages_are_told_apart),
		CHECK_TEST(freed_pages_wait),
		CHECK_TEST(waiting_pages_can_be_had),
		CHECK_TEST(freed_twice),
		CHECK_TEST(not_in_a_batch),
		CHECK_TEST(not_under_a_lock),
		CHECK_TEST(quarantine_is_for_good),
		CHECK_TEST(panic_says_why),
		CHECK_TEST(gone_by_now),
		CHECK_TEST(broken_place),
		CHECK_TEST(place_is_given_back),
		CHECK_TEST(reported_once),
		CHECK_TEST(off_searches_nothing),
		CHECK_TEST(pin_mode_makes_no_trap_more),
		CHECK_TEST(every_failure_loses_nothing),
		CHECK_TEST(summary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
