/* SPDX-License-Identifier: MIT */
/*
 * No false positive, ever: the checker asks about all that is freed and allocated, and sweeps, while
 * pages, areas and spaces come and go at random; the first thing that it reports is a panic. R14.
 */
#include <pvmm/check.h>
#include <pvmm/vmap.h>
#include "tests/unit/unit.h"

enum { SPACES = 3, PAGES = 24, AREAS = 12, STEPS = 5000 };

static struct work {
	uint64_t seed;
	struct pvmm_space spaces[SPACES];
	bool exists[SPACES];
	struct pvmm_page *pages[PAGES];
	unsigned int order[PAGES];
	void *areas[AREAS];
} work;

static unsigned int any(unsigned int nr)
{
	return unit_random(&work.seed) % nr;
}

static void step_page(unsigned int i)
{
	if (!work.pages[i]) {
		work.order[i] = any(4) ? 0 : any(4);
		work.pages[i] = pvmm_page_alloc(work.order[i], PVMM_PAGE_USER);
	} else if (!work.order[i]) {
		pvmm_page_put(work.pages[i]); /* mappings may keep it */
		work.pages[i] = NULL;
	} else {
		pvmm_page_free(work.pages[i], work.order[i]);
		work.pages[i] = NULL;
	}
}

/* Areas are given up lazily or at once, their pages sooner or later than they are. */
static void step_area(unsigned int i)
{
	const struct pvmm_vmap_how how = {.policy = (enum pvmm_vmap_policy)any(4)};
	struct pvmm_page *page = work.pages[any(PAGES)];

	if (work.areas[i]) {
		assert_int_equal(pvmm_vunmap(work.areas[i]), 0);
		work.areas[i] = NULL;
	} else if (page && !page->order) {
		if (pvmm_vmap(&page, 1, PVMM_PROT_RW, &how, &work.areas[i]))
			work.areas[i] = NULL;
	}
}

static void step_space(unsigned int i)
{
	struct pvmm_space *space = &work.spaces[i];
	struct pvmm_page *page = work.pages[any(PAGES)];
	pvmm_va_t va = UNIT_VA + any(6) * (1ULL << 21);

	if (!work.exists[i])
		work.exists[i] = !pvmm_space_create(space, "work");
	else if (any(8) == 0 && pvmm_space_current() != space)
		work.exists[i] = pvmm_space_destroy(space) != 0;
	else if (any(4) == 0)
		assert_int_equal(pvmm_space_activate(space), 0);
	else if (any(6) == 0)
		assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	else if (page && !page->order && any(2))
		(void)pvmm_space_map(space, va, page, PVMM_PROT_RW);
	else
		(void)pvmm_space_unmap(space, va);
}

static void work_step(void)
{
	switch (any(8)) {
	case 0:
		pvmm_check_sweep(any(8));
		break;
	case 1:
	case 2:
	case 3:
		step_page(any(PAGES));
		break;
	case 4:
	case 5:
		step_area(any(AREAS));
		break;
	default:
		step_space(any(SPACES));
	}
}

static void nothing_false(void **state)
{
	uint64_t reports = pvmm_stray_last().reports;
	const struct pvmm_check_config usual = pvmm_check_config(),
				       strict = {
					       .modes = PVMM_CHECK_PIN | PVMM_CHECK_FREE |
							PVMM_CHECK_ALLOC,
					       .action = PVMM_ACTION_PANIC,
					       .report = PVMM_REPORT_TEXT,
				       };
	struct pvmm_check_stats stats;

	(void)state;
	memset(&work, 0, sizeof(work));
	work.seed = 7;
	pvmm_check_configure(&strict);
	for (unsigned int i = 0; i < STEPS; i++) {
		work_step();
		if (i % 1000 == 0)
			assert_clean();
	}
	stats = pvmm_check_stats();
	assert_int_equal(pvmm_stray_last().reports, reports);
	assert_true(stats.probed[PVMM_CHECK_BY_FREE] > 200);
	assert_true(stats.probed[PVMM_CHECK_BY_ALLOC] > 200);
	assert_true(stats.probed[PVMM_CHECK_BY_SWEEP] > 200);
	assert_true(stats.skipped_stale > 100);
	pvmm_space_activate(&pvmm_kernel_space);
	assert_clean();
	pvmm_check_configure(&usual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(nothing_false),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
