/* SPDX-License-Identifier: MIT */
/*
 * demo=xfs: what was found out in 2007, with figures. A file system's buffers (xfs.h) fill the
 * memory; a buffer that goes leaves its mapping behind for a while, and its pages are a process's
 * page tables the next moment. The same work four times: every mapping removed at once; lazily, and
 * Xen refuses the tables; lazily, with what is stale removed before a pin; lazily, with the pages
 * kept until their mappings are gone.
 *
 * One thread does everything in turn, so the work and the figures do not depend on the time.
 * tests/xl/story.sh reads the lines that begin with "demo:".
 */
#include <pvmm/alloc.h>
#include <pvmm/check.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/stats.h>
#include <pvmm/trap.h>
#include "demo.h"
#include "suite.h"
#include "xfs.h"

#define ULL(v)	   ((unsigned long long)(v))
#define USER_VA	   0x0000000000400000ULL
#define XFS_LEVELS 5

/* Less than is read between two processes: their tables come from what buffers have given up. */
#define RESERVE_PAGES 64

/* A process writes a page that it shares. */
#define WRITE_FAULT (PVMM_PF_PRESENT | PVMM_PF_WRITE | PVMM_PF_USER)

struct figures {
	uint64_t traps, operations, flushes, refused;
	uint64_t held;	     /* pages that nobody could use, at worst */
	uint64_t used, read; /* buffers */
	uint64_t processes;
	uint64_t purges, drops;
};

static struct run {
	const char *name, *about;
	enum pvmm_vmap_policy policy;
	bool is_unguarded;
	struct figures figures;
} runs[] = {
	{"eager", "every mapping is removed when its buffer goes", PVMM_VMAP_EAGER, false, {0}},
	{"lazy, unguarded",
	 "mappings stay for a while, and a pin knows nothing of them",
	 PVMM_VMAP_LAZY,
	 true,
	 {0}},
	{"lazy, flush before pin",
	 "what is stale is removed in the trap of the pin that needs it",
	 PVMM_VMAP_LAZY,
	 false,
	 {0}},
	{"lazy, holding pages",
	 "a buffer's pages stay its own until its mapping is removed",
	 PVMM_VMAP_HOLD,
	 false,
	 {0}},
};

static struct run *this_run;
static bool has_failed;

/* --- processes --- */

/*
 * Hands the space's tables to Xen. When Xen refuses, the purge that a kernel of 2007 might have
 * come to sooner or later comes now.
 */
static int pin(struct pvmm_space *space)
{
	int err = pvmm_space_pin(space);
	struct pvmm_check_config config = pvmm_check_config();

	if (err != -XEN_EINVAL || !this_run->is_unguarded)
		return err;
	if (!this_run->figures.refused++) {
		pvmm_print(
			"demo: what is stale is purged and the pin tried again; no more reports in this run\n");
		config.report = 0;
		pvmm_check_configure(&config);
	}
	pvmm_purge();
	return pvmm_space_pin(space);
}

/* Its memory can be written and read. */
static int use(struct pvmm_space *space, uint64_t value)
{
	volatile uint64_t *word = (volatile uint64_t *)USER_VA;
	int err = pvmm_space_activate(space);

	if (err)
		return err;
	*word = value;
	has_failed |= *word != value;
	return pvmm_space_activate(&pvmm_kernel_space);
}

/* A process is made, runs, forks; both end. */
static int process_life(void)
{
	static struct pvmm_space parent, child;
	int err = pvmm_space_create(&parent, "process");

	if (err)
		return err;
	err = pvmm_space_region(&parent, USER_VA, 4, PVMM_PROT_RW);
	if (!err)
		err = pvmm_space_populate(&parent, USER_VA, 4);
	if (!err)
		err = pin(&parent);
	if (!err)
		err = use(&parent, 1);
	if (!err)
		err = pvmm_space_clone(&child, &parent, "child");
	if (!err) {
		err = pvmm_space_fault(&child, USER_VA, WRITE_FAULT);
		if (!err)
			err = use(&child, 2);
		has_failed |= pvmm_space_destroy(&child) != 0;
	}
	has_failed |= pvmm_space_destroy(&parent) != 0;
	return err;
}

/* Between two directories. */
static void between(void)
{
	struct figures *f = &this_run->figures;
	uint64_t stale = pvmm_vmap_stats().stale_pages;
	int err = process_life();

	if (err)
		pvmm_print("demo: a process cannot be made: %d\n", err);
	has_failed |= err != 0;
	f->processes++;
	if (this_run->policy == PVMM_VMAP_HOLD && stale > f->held)
		f->held = stale;
}

/* --- one run --- */

/* Counted since boot; without the console's events. */
static struct figures counted(void)
{
	struct pvmm_batch_stats batch = pvmm_batch_stats();
	struct pvmm_ledger_stats ledger = pvmm_ledger_stats();

	return (struct figures){
		.traps = batch.traps,
		.operations = batch.mmu_updates + batch.mmuext_ops,
		.flushes = batch.flushes,
		.purges = ledger.purges,
		.drops = ledger.drops,
	};
}

static void note(struct figures *f, const struct figures *before)
{
	struct figures now = counted();

	f->traps = now.traps - before->traps;
	f->operations = now.operations - before->operations;
	f->flushes = now.flushes - before->flushes;
	f->purges = now.purges - before->purges;
	f->drops = now.drops - before->drops;
	f->used = xfs_cache_stats().gets;
	f->read = f->used - xfs_cache_stats().hits;
}

/* Walks the tree once, from nothing cached to nothing left. */
static bool go(struct run *run)
{
	struct figures before;
	struct xfs fs;

	this_run = run;
	pvmm_ledger_guard(!run->is_unguarded);
	if (xfs_cache_start(run->policy, RESERVE_PAGES) || xfs_mount(&fs, XFS_LEVELS, 2007))
		return false;
	fs.between = between;
	before = counted();
	has_failed |= xfs_walk(&fs) != 0;
	note(&run->figures, &before);
	xfs_unmount(&fs);
	xfs_cache_stop();
	pvmm_purge();
	pvmm_ledger_guard(true);
	return !has_failed && !xfs_cache_stats().wrong;
}

/* --- telling --- */

static void print_table(void)
{
	pvmm_print("demo: %-23s %7s %10s %7s %6s %5s %7s %9s\n", "", "traps", "operations",
		   "flushes", "purges", "drops", "refused", "held back");
	for (const struct run *r = runs; r < runs + PVMM_ARRAY_SIZE(runs); r++) {
		const struct figures *f = &r->figures;

		pvmm_print("demo: %-23s %7llu %10llu %7llu %6llu %5llu %7llu %9llu\n", r->name,
			   ULL(f->traps), ULL(f->operations), ULL(f->flushes), ULL(f->purges),
			   ULL(f->drops), ULL(f->refused), ULL(f->held));
	}
}

/* Each run was as much work as the first. */
static bool were_alike(void)
{
	const struct figures *first = &runs[0].figures;
	bool are = true;

	for (const struct run *r = runs; r < runs + PVMM_ARRAY_SIZE(runs); r++)
		are = are && r->figures.used == first->used &&
		      r->figures.processes == first->processes;
	pvmm_print(
		"demo: in each run %llu buffers of 64 KiB are used, %llu read, and %llu processes come and go\n",
		ULL(first->used), ULL(first->read), ULL(first->processes));
	return are;
}

static bool tell(void)
{
	const struct pvmm_check_config config = pvmm_check_config();
	bool good = true;

	pvmm_print(
		"demo: a file system walks its directories in little memory, while processes begin, fork and end\n");
	for (unsigned int i = 0; good && i < PVMM_ARRAY_SIZE(runs); i++) {
		pvmm_print("demo: %u. %s: %s\n", i + 1, runs[i].name, runs[i].about);
		good = go(&runs[i]);
	}
	pvmm_check_configure(&config);
	if (!good)
		return false;
	print_table();
	return were_alike();
}

static bool run(void)
{
	uint64_t pages = pages_accounted_for();
	bool good = tell();

	pvmm_table_cache_shrink();
	if (!good)
		return false;
	good = pages_accounted_for() == pages && !pvmm_audit();
	pvmm_print("demo: %s\n", good ? "every page is back where it was" : "pages are missing");
	return good;
}

const struct demo demo_xfs = {"xfs",
			      "a file system's stale mappings meet page tables, with figures", run};
