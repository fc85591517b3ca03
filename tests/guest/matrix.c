/* SPDX-License-Identifier: MIT */
/*
 * The stray-mapping matrix (tests/matrix/matrix.h) on real Xen, and the two pages that Xen's own
 * daemons map: the console ring and the store's. The matrix' sources are taken in as they are, like
 * those of tests/guest/diff.c.
 */
#include <pvmm/kernel.h>
#include <pvmm/mm.h>
#include <pvmm/console.h>
#include "suites.h"
#include "../matrix/kinds.c"
#include "../matrix/matrix.c"

bool matrix_check(bool ok, const char *name, const char *text, int line)
{
	return suite_check(ok, text, name, line);
}

/* Which cells somebody in dom0 wants to look at: the suites "outside" and "outside-all". */
static enum { SHOW_NONE, SHOW_FEW, SHOW_ALL } shown;
static unsigned int nr_shown;

/* Of each kind: as it is when a pin meets it, and when that has been repaired. */
static bool is_among_few(void)
{
	return cell.way == MATRIX_PIN && cell.action != PVMM_ACTION_QUARANTINE;
}

/* Says what there is to be seen, and waits for a line on the console (tests/xl/tools.t). */
void matrix_show(const char *name, const struct matrix_kind *kind, pfn_t page, bool is_mapped)
{
	struct pvmm_walk w;
	char key = 0;

	if (shown == SHOW_NONE || (shown == SHOW_FEW && !is_among_few()))
		return;
	if (kind->unseen) {
		pvmm_print("outside: %u unseen pfn 0x%llx of %s.\n", ++nr_shown,
			   (unsigned long long)pfn_x(page), name);
	} else {
		w = pvmm_pt_walk(kind->space->root, kind->va());
		pvmm_print("outside: %u %s pfn 0x%llx va 0x%llx table 0x%llx slot %u of %s.\n",
			   ++nr_shown, is_mapped ? "mapped" : "gone",
			   (unsigned long long)pfn_x(page), (unsigned long long)kind->va(),
			   (unsigned long long)pfn_x(w.step[1].table), w.step[1].slot, name);
	}
	while (key != '\n' && key != '\r')
		if (!pvmm_console_read(&key, 1))
			pvmm_console_wait(1000000000);
}

/* One test for each kind, in the order of matrix_kinds. */
static void in_the_direct_map(void)
{
	matrix_run(&matrix_kinds[0]);
}

static void behind_the_back(void)
{
	matrix_run(&matrix_kinds[1]);
}

static void kmap_slot(void)
{
	matrix_run(&matrix_kinds[2]);
}

static void live_vmap(void)
{
	matrix_run(&matrix_kinds[3]);
}

static void stale_vmap(void)
{
	matrix_run(&matrix_kinds[4]);
}

static void not_loaded(void)
{
	matrix_run(&matrix_kinds[5]);
}

static void loaded(void)
{
	matrix_run(&matrix_kinds[6]);
}

static void not_pinned(void)
{
	matrix_run(&matrix_kinds[7]);
}

static void hidden(void)
{
	matrix_run(&matrix_kinds[8]);
}

static void freed_table(void)
{
	matrix_run(&matrix_kinds[9]);
}

static void local_kmap_slot(void)
{
	matrix_run(&matrix_kinds[10]);
}

static void twins(void)
{
	uint64_t strays = pvmm_check_stats().strays;

	matrix_run(NULL);
	CHECK_EQUAL(pvmm_check_stats().strays, strays);
}

/* --- pages that a daemon in dom0 maps --- */

/* They are in use, so nobody asks about them, whatever is asked for. */
static void rings_are_left_alone(void)
{
	const struct start_info *si = pvmm_start_info();
	pfn_t store = pvmm_mfn_to_pfn(_mfn(si->store_mfn));
	pfn_t console = pvmm_mfn_to_pfn(_mfn(si->console.domU.mfn));
	uint64_t reports = pvmm_stray_last().reports;

	CHECK_EQUAL(pvmm_check_page(store), PVMM_CHECK_IN_USE);
	CHECK_EQUAL(pvmm_check_page(console), PVMM_CHECK_IN_USE);
	CHECK_EQUAL(pvmm_check_range(_pfn(0), 1000), 0);
	pvmm_check_sweep_at(_pfn(0));
	CHECK_EQUAL(pvmm_check_sweep(100), 0);
	CHECK_EQUAL(pvmm_stray_last().reports, reports);
}

/*
 * The store's page, given to the allocator by mistake: a daemon maps it writable, which no table of
 * ours shows. What was in it is put back, since a probe empties the page.
 */
static void a_ring_that_is_freed(void)
{
	struct pvmm_page *page = pvmm_page(pvmm_mfn_to_pfn(_mfn(pvmm_start_info()->store_mfn)));
	struct pvmm_check_config before = pvmm_check_config(), config = before;
	static uint64_t words[PVMM_PAGE_SIZE / sizeof(uint64_t)];
	volatile uint64_t *ring = pvmm_page_virt(page);
	struct pvmm_stray_record r;

	config.action = PVMM_ACTION_FIX; /* nothing can be fixed, so: quarantine */
	pvmm_check_configure(&config);
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(words); i++)
		words[i] = ring[i];
	pvmm_mm_add_free(pvmm_page_pfn(page), 1);
	CHECK_EQUAL(pvmm_check_page(pvmm_page_pfn(page)), PVMM_CHECK_STRAY);
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(words); i++)
		ring[i] = words[i];
	r = pvmm_stray_last();
	CHECK(pfn_eq(r.pfn, pvmm_page_pfn(page)));
	CHECK_EQUAL(r.nr_found, 0);
	CHECK_EQUAL(r.err, -XEN_EINVAL);
	CHECK_EQUAL(page->kind, PVMM_PAGE_QUARANTINED);
	pvmm_check_configure(&before);

	/* It is the store's again; as a page has come, one goes, for the count at the test's end.
	 */
	page->kind = PVMM_PAGE_RESERVED;
	CHECK(pvmm_page_alloc(0, PVMM_PAGE_RESERVED));
}

const struct suite suite_matrix = {
	.name = "matrix",
	.about = "stray mappings of each kind x each way to notice them x each action",
	.tests =
		(const struct test[]){
			{"a second direct-map entry", in_the_direct_map},
			{"a table changed behind the manager's back", behind_the_back},
			{"a kmap slot", kmap_slot},
			{"a short-lived kmap slot of another vCPU", local_kmap_slot},
			{"a live vmap", live_vmap},
			{"a stale vmap that a purge has missed", stale_vmap},
			{"a user mapping, pinned and not loaded", not_loaded},
			{"a user mapping, loaded", loaded},
			{"a user mapping, not pinned", not_pinned},
			{"a table that no space leads to", hidden},
			{"a table that was freed itself", freed_table},
			{"without a stray mapping nothing is reported", twins},
			{"the console's and the store's pages are left alone",
			 rings_are_left_alone},
			{"the store's page, freed by mistake, goes to quarantine",
			 a_ring_that_is_freed},
			{NULL, NULL},
		},
};

/* Each cell stands still until dom0 has looked. */
static void show(bool all)
{
	shown = all ? SHOW_ALL : SHOW_FEW;
	for (const struct matrix_kind *kind = matrix_kinds; kind->name; kind++)
		matrix_run(kind);
	shown = SHOW_NONE;
}

static void some_for_dom0(void)
{
	show(false);
}

static void all_for_dom0(void)
{
	show(true);
}

const struct suite suite_outside = {
	.name = "outside",
	.about = "cells of the matrix for somebody in dom0 to look at; not part of \"all\"",
	.on_request = true,
	.tests = (const struct test[]){{"cells of each kind", some_for_dom0}, {NULL, NULL}},
};

const struct suite suite_outside_all = {
	.name = "outside-all",
	.about = "all cells of the matrix for somebody in dom0; not part of \"all\"",
	.on_request = true,
	.tests = (const struct test[]){{"every cell", all_for_dom0}, {NULL, NULL}},
};
