/* SPDX-License-Identifier: MIT */
/*
 * demo=migrate: a load that the toolstack may save, restore, copy and migrate at any time, and a
 * judge who looks at all memory before and after, while everything stands still. On every vCPU a
 * file system's tree is walked and a thread sleeps and looks at the clock; processes fork, exec,
 * end, and check their own memory; beside them are a space that is building, pages that are not in
 * the direct map, areas live and stale. Until xl shutdown; then it is all taken down, and every
 * page must be back.
 *
 * Lines begin with "migrate:"; the last one says "passed" or "FAILED". What is wrong after a
 * suspend is also counted in data/pvmm/resume-problems (tests/xl/suspend.sh reads both).
 */
#include <pvmm/alloc.h>
#include <pvmm/check.h>
#include <pvmm/clock.h>
#include <pvmm/directmap.h>
#include <pvmm/kmap.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/mm.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/vmap.h>
#include "control.h"
#include "demo.h"
#include "process.h"
#include "services.h"
#include "snapshot.h"
#include "suite.h"
#include "suspend.h"
#include "xfs.h"

#define ULL(v)	 ((unsigned long long)(v))
#define NAP_NS	 10000000ULL
#define ALARM_NS 3000000ULL

/* How late a sleeper may wake on a machine that is emulated and has other things to do. */
#define LATE_NS 60000000000ULL

#define XFS_LEVELS    5
#define RESERVE_PAGES 512

#define CHURNERS   2
#define KEEPERS	   3
#define CHILDREN   10	/* of each churner */
#define KEEPERS_MS 1500 /* that a keeper goes on */

#define AREA_PAGES  16u
#define KMAP_PAGES  4u
#define SPACE_PAGES 24u
#define SPACE_VA    0x0000000000400000ULL
#define STRIDE	    (1ULL << 20)

static struct {
	bool stop;
	unsigned int at_work;
	uint64_t walks, naps, processes, uses;
	uint64_t latest_ns; /* of all sleepers */
	const char *trouble;
} migrate;

static bool is_stopping(void)
{
	return __atomic_load_n(&migrate.stop, __ATOMIC_RELAXED);
}

static void stop(void)
{
	__atomic_store_n(&migrate.stop, true, __ATOMIC_RELAXED);
}

static void count(uint64_t *figure)
{
	__atomic_fetch_add(figure, 1, __ATOMIC_RELAXED);
}

/* The first one is the verdict; the load goes on, so that the toolstack finds a guest to ask. */
static void trouble(const char *what)
{
	const char *none = NULL;

	if (__atomic_compare_exchange_n(&migrate.trouble, &none, what, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		pvmm_print("migrate: trouble: %s\n", what);
}

/* --- threads --- */

static struct xfs file_systems[PVMM_MAX_VCPUS];

static void walker(void *ctx)
{
	struct xfs *fs = ctx;

	while (!is_stopping()) {
		if (xfs_walk(fs) && !is_stopping())
			trouble("a file system gets no memory");
		count(&migrate.walks);
	}
}

/* The clock, seen from all vCPUs, goes forward; who sleeps is woken, and not too early. */
static void sleeper(void *ctx)
{
	(void)ctx;
	while (!is_stopping()) {
		uint64_t before = pvmm_clock_ns(), now, latest;

		thread_sleep(ALARM_NS);
		latest = __atomic_load_n(&migrate.latest_ns, __ATOMIC_ACQUIRE);
		now = pvmm_clock_ns();
		if (now < latest || now < before)
			trouble("the clock has run backwards");
		if (now - before < ALARM_NS)
			trouble("a sleeper was woken too early");
		if (now - before > LATE_NS)
			trouble("a sleeper was woken too late");
		__atomic_store_n(&migrate.latest_ns, now, __ATOMIC_RELEASE);
		count(&migrate.naps);
	}
}

static void reap(unsigned int *alive)
{
	int status = 0;

	if (process_wait(NULL, &status) < 0) {
		trouble("a process is lost");
		return;
	}
	(*alive)--;
	count(&migrate.processes);
	if (!status)
		return;
	pvmm_print("migrate: a process ended with status 0x%x\n", status);
	trouble("a process failed");
}

static void parent(void *ctx)
{
	unsigned int alive = 0, turn = 0;

	(void)ctx;
	while (!is_stopping()) {
		bool keeps = turn++ % (CHURNERS + KEEPERS) < KEEPERS;
		int pid = -XEN_EAGAIN;

		if (alive < CHURNERS + KEEPERS)
			pid = process_spawn(keeps ? "keeper" : "churner",
					    keeps ? KEEPERS_MS : CHILDREN);
		if (pid > 0)
			alive++;
		else if (pid != -XEN_EAGAIN && pid != -XEN_ENOMEM)
			trouble("a process cannot be started");
		else if (alive)
			reap(&alive);
		else
			thread_sleep(NAP_NS);
	}
	while (alive)
		reap(&alive);
}

static struct thread walkers[PVMM_MAX_VCPUS], sleepers[PVMM_MAX_VCPUS], parenting;

static void gone(void *ctx)
{
	(void)ctx;
	__atomic_sub_fetch(&migrate.at_work, 1, __ATOMIC_RELEASE);
}

static void start(struct thread *thread, const char *name, int vcpu, void (*run)(void *ctx),
		  void *ctx)
{
	*thread = (struct thread){
		.name = name,
		.only_on = vcpu,
		.run = run,
		.gone = gone,
		.ctx = ctx,
	};
	__atomic_add_fetch(&migrate.at_work, 1, __ATOMIC_RELAXED);
	if (thread_start(thread))
		pvmm_panic("migrate: no memory for the first threads");
}

/* --- things that are kept as they are --- */

static struct {
	struct pvmm_space space; /* building */
	struct pvmm_page *space_pages[SPACE_PAGES];
	struct pvmm_page *area_pages[AREA_PAGES];
	uint64_t *area; /* of them, live */
	struct pvmm_page *kmap_pages[KMAP_PAGES];
	uint64_t *kmaps[KMAP_PAGES];
} kept;

static struct pvmm_page *must_alloc(enum pvmm_page_kind kind, uint64_t salt)
{
	struct pvmm_page *page = pvmm_page_alloc(0, kind);
	uint64_t *words;

	if (!page)
		pvmm_panic("migrate: no memory to begin with");
	words = pvmm_page_virt(page);
	for (unsigned int i = 0; i < PVMM_PAGE_SIZE / sizeof(*words); i++)
		words[i] = salt + i;
	return page;
}

static pvmm_va_t space_va(unsigned int i)
{
	return SPACE_VA + i * STRIDE;
}

static void keep_space(void)
{
	if (pvmm_space_create(&kept.space, "building"))
		pvmm_panic("migrate: no memory for a space");
	for (unsigned int i = 0; i < SPACE_PAGES; i++) {
		kept.space_pages[i] = must_alloc(PVMM_PAGE_USER, 1000 * i);
		if (pvmm_space_map(&kept.space, space_va(i), kept.space_pages[i], PVMM_PROT_RW))
			pvmm_panic("migrate: no memory for a space");
	}
}

static void keep(void)
{
	const struct pvmm_vmap_how how = {.name = "migrate"};

	keep_space();
	for (unsigned int i = 0; i < AREA_PAGES; i++)
		kept.area_pages[i] = must_alloc(PVMM_PAGE_KERNEL, 100000 + i);
	for (unsigned int i = 0; i < KMAP_PAGES; i++)
		kept.kmap_pages[i] = must_alloc(PVMM_PAGE_KERNEL, 200000 + i);
	if (pvmm_vmap(kept.area_pages, AREA_PAGES, PVMM_PROT_RW, &how, (void **)&kept.area) ||
	    pvmm_directmap_remove(kept.kmap_pages, KMAP_PAGES))
		pvmm_panic("migrate: no memory for mappings");
	for (unsigned int i = 0; i < KMAP_PAGES; i++)
		if (!(kept.kmaps[i] = pvmm_kmap(kept.kmap_pages[i])))
			pvmm_panic("migrate: no kmap");
}

static void keep_no_longer(void)
{
	for (unsigned int i = 0; i < KMAP_PAGES; i++)
		pvmm_kunmap(kept.kmaps[i]);
	if (pvmm_vunmap(kept.area) || pvmm_directmap_restore(kept.kmap_pages, KMAP_PAGES) ||
	    pvmm_space_destroy(&kept.space))
		pvmm_panic("migrate: what was kept cannot be given up");
	for (unsigned int i = 0; i < KMAP_PAGES; i++)
		pvmm_page_put(kept.kmap_pages[i]);
	for (unsigned int i = 0; i < AREA_PAGES; i++)
		pvmm_page_put(kept.area_pages[i]);
	for (unsigned int i = 0; i < SPACE_PAGES; i++)
		pvmm_page_put(kept.space_pages[i]);
}

/* The space is used now and then, and is building again before anybody else runs here. */
static void use_space(void)
{
	unsigned int wrong = 0;

	if (pvmm_space_activate(&kept.space)) {
		trouble("the space cannot be loaded");
		return;
	}
	for (unsigned int i = 0; i < SPACE_PAGES; i++)
		wrong += ((volatile uint64_t *)(uintptr_t)space_va(i))[i] != 1000 * i + i;
	if (wrong)
		trouble("the space's pages have wrong contents");
	if (pvmm_space_activate(&pvmm_kernel_space) || pvmm_space_unpin(&kept.space))
		trouble("the space cannot be left");
	count(&migrate.uses);
}

/* --- the judge: nothing else runs --- */

static struct {
	uint64_t clock_ns, free, kept_tables, stale_areas, stale_pages;
} before;

/* An area that is stale when the domain stops: its entries stand, its pages are free. */
static void leave_stale_area(void)
{
	const struct pvmm_vmap_how how = {.name = "migrate", .policy = PVMM_VMAP_LAZY};
	void *area;

	if (pvmm_vmalloc(AREA_PAGES * PVMM_PAGE_SIZE, &how, &area))
		return; /* memory is short; there are the file systems' */
	(void)pvmm_vfree(area);
}

/*
 * Spaces that are building (processes about to begin) are pinned for a suspend, which may take away
 * stale mappings of their tables. That is to have happened when the sums are made.
 */
static void drop_what_pins_drop(void)
{
	(void)pvmm_mm_pin_all(); /* the suspend that comes says what is wrong */
	pvmm_mm_resume();
}

static void judge_before(void)
{
	leave_stale_area();
	drop_what_pins_drop();
	before.free = pvmm_free_pages();
	before.kept_tables = pvmm_table_cache_stats().nr_pages;
	before.stale_areas = pvmm_vmap_stats().stale_areas;
	before.stale_pages = pvmm_vmap_stats().stale_pages;
	snapshot_take();
	before.clock_ns = pvmm_clock_ns();
}

static unsigned int is_wrong(bool is_right, const char *what)
{
	if (!is_right)
		pvmm_print("migrate: wrong after the suspend: %s\n", what);
	return !is_right;
}

static unsigned int judge_space(void)
{
	unsigned int nr =
		is_wrong(kept.space.state == PVMM_SPACE_BUILDING, "the building space's state");

	for (unsigned int i = 0; i < SPACE_PAGES; i++) {
		pvmm_pte_t entry = pvmm_pt_lookup(kept.space.root, space_va(i));
		pfn_t pfn = pvmm_mfn_to_pfn(pvmm_pte_mfn(entry));

		nr += is_wrong(pfn_eq(pfn, pvmm_page_pfn(kept.space_pages[i])),
			       "an entry of the building space");
	}
	return nr;
}

static unsigned int judge_mappings(void)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < AREA_PAGES; i++)
		nr += is_wrong(kept.area[i * PVMM_PAGE_SIZE / 8 + 7] == 100000 + i + 7,
			       "a page of a live area");
	for (unsigned int i = 0; i < KMAP_PAGES; i++)
		for (unsigned int word = 0; word < PVMM_PAGE_SIZE / 8; word++)
			nr += is_wrong(kept.kmaps[i][word] == 200000 + i + word,
				       "a page that is not in the direct map");
	return nr;
}

static unsigned int judge_after(enum pvmm_suspended how)
{
	uint64_t now = pvmm_clock_ns();
	unsigned int nr = 0;

	nr += is_wrong(now >= before.clock_ns, "the clock has run backwards");
	nr += is_wrong(how == PVMM_SUSPEND_CANCELLED || now - before.clock_ns < LATE_NS,
		       "the clock has gone on without the domain");
	nr += is_wrong(pvmm_free_pages() == before.free, "the number of free pages");
	nr += is_wrong(pvmm_table_cache_stats().nr_pages == before.kept_tables,
		       "the number of kept tables");
	nr += is_wrong(pvmm_vmap_stats().stale_areas == before.stale_areas &&
			       pvmm_vmap_stats().stale_pages == before.stale_pages,
		       "the number of stale areas or pages");
	nr += is_wrong(!snapshot_compare("migrate"), "checksums");
	nr += is_wrong(!pvmm_audit(), "the audit");
	nr += is_wrong(!pvmm_check_stats().refused_pins, "a pin was refused");
	nr += is_wrong(!pvmm_check_stats().strays, "a stray mapping was found");
	nr += is_wrong(!migrate.trouble, "there was trouble");
	return nr + judge_space() + judge_mappings();
}

static const struct suspend_judge judge = {judge_before, judge_after};

/* --- all together --- */

static unsigned int nr_each; /* file systems: a vCPU's each */

static bool begin(void)
{
	nr_each = pvmm_nr_vcpus();
	if (!services_start())
		return false;
	control_on_poweroff(stop);
	if (snapshot_init() || xfs_cache_start(PVMM_VMAP_DEFAULT, RESERVE_PAGES))
		pvmm_panic("migrate: no memory to begin with");
	keep();
	for (unsigned int i = 0; i < nr_each; i++) {
		if (xfs_mount(&file_systems[i], XFS_LEVELS, i))
			pvmm_panic("migrate: no memory for a file system");
		file_systems[i].stop = &migrate.stop;
	}
	suspend_judge_set(&judge);
	start(&parenting, "parent", THREAD_ANYWHERE, parent, NULL);
	for (unsigned int i = 0; i < nr_each; i++) {
		start(&walkers[i], "walker", (int)i, walker, &file_systems[i]);
		start(&sleepers[i], "sleeper", (int)i, sleeper, NULL);
	}
	return true;
}

static void end(void)
{
	while (__atomic_load_n(&migrate.at_work, __ATOMIC_ACQUIRE) || processes_alive())
		thread_sleep(NAP_NS);
	suspend_judge_set(NULL);
	control_on_poweroff(NULL);
	services_stop();
	for (unsigned int i = 0; i < nr_each; i++)
		xfs_unmount(&file_systems[i]);
	xfs_cache_stop();
	keep_no_longer();
	snapshot_free();
	pvmm_purge();
	pvmm_table_cache_shrink();
	pvmm_check_flush();
}

/* What is wrong in the end, or NULL. */
static const char *verdict(uint64_t pages_before)
{
	uint64_t pages = pages_accounted_for();

	if (migrate.trouble)
		return migrate.trouble;
	if (suspend_problems())
		return "there were problems after a suspend";
	if (pages != pages_before) {
		pvmm_print("migrate: %llu pages at the start, %llu at the end\n", ULL(pages_before),
			   ULL(pages));
		return "pages are missing";
	}
	if (pvmm_audit())
		return "the audit finds problems";
	if (pvmm_check_stats().refused_pins || pvmm_check_stats().strays)
		return "pins were refused";
	if (xfs_cache_stats().wrong)
		return "a buffer's contents were wrong";
	if (!migrate.walks || !migrate.naps || !processes_counts.forks || !migrate.uses)
		return "some of the work was not done";
	return NULL;
}

static bool run(void)
{
	uint64_t pages = pages_accounted_for();
	const char *why;

	if (!begin())
		return false;
	pvmm_print("migrate: up on %u vCPUs, until xl shutdown\n", pvmm_nr_vcpus());
	while (!is_stopping()) {
		use_space();
		thread_sleep(NAP_NS);
	}
	end();
	why = verdict(pages);
	pvmm_print(
		"migrate: %s%s: %llu resumes, %llu walks, %llu naps, %llu processes, %llu forks, %llu uses of a space\n",
		why ? "FAILED: " : "passed", why ? why : "", ULL(suspend_resumes()),
		ULL(migrate.walks), ULL(migrate.naps), ULL(migrate.processes),
		ULL(processes_counts.forks), ULL(migrate.uses));
	return !why;
}

const struct demo demo_migrate = {"migrate", "a load to be saved, restored and migrated", run};
