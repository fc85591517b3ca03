/* SPDX-License-Identifier: MIT */
/*
 * demo=soak: everything at once for as long as soak-seconds= says, or until somebody writes "stop"
 * to data/soak in the domain's part of xenstore, with memory short all the time. For every vCPU
 * that is up at the start a file system's tree is walked (xfs.h) and areas of all sizes are mapped,
 * checked and given up in any order, by threads that run anywhere; processes fork, touch, exec and
 * end; stale mappings are purged and free pages swept now and then; vCPUs come and go as the
 * toolstack says. In the end it is all taken down, and every page must be back.
 *
 * Lines begin with "soak:"; the last one says "passed" or "FAILED" (tests/xl/soak-work.sh reads
 * it).
 */
#include <pvmm/alloc.h>
#include <pvmm/balloon.h>
#include <pvmm/check.h>
#include <pvmm/clock.h>
#include <pvmm/cmdline.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/vmap.h>
#include <pvmm/xenstore.h>
#include "balloon.h"
#include "demo.h"
#include "process.h"
#include "services.h"
#include "suite.h"
#include "xfs.h"

#define ULL(v)	 ((unsigned long long)(v))
#define SECOND	 1000000000ULL
#define NAP_NS	 10000000ULL
#define TURN_NS	 10000000ULL
#define PROGRESS (10 * SECOND)

/* 37,449 blocks of 64 KiB: 2.3 GiB of metadata for each vCPU. */
#define XFS_LEVELS 6

/*
 * Pages that the file systems leave to the others before those have to ask; as many as the balloon
 * leaves, if those are more, or the file systems would take what it waits for.
 */
#define RESERVE_PAGES 256

#define PROCESSES 4  /* that the kernel keeps going */
#define CHILDREN  10 /* of each */
#define MAX_SLOTS 12 /* areas of a vCPU's at once */
#define MAX_AREA  200

static uint64_t seconds = 60;

const char *soak_parse(const char *value)
{
	return pvmm_parse_number(value, &seconds) && seconds && seconds < 1000000
		       ? NULL
		       : "is not a number of seconds from 1 to 999999";
}

/* Shared by all workers. */
static struct {
	bool stop;
	unsigned int at_work;
	uint64_t start_ns;
	/* figures */
	uint64_t walks, areas, areas_short, processes;
	const char *trouble; /* the first that went wrong */
} soak;

static bool is_stopping(void)
{
	return __atomic_load_n(&soak.stop, __ATOMIC_RELAXED);
}

static void count(uint64_t *figure)
{
	__atomic_fetch_add(figure, 1, __ATOMIC_RELAXED);
}

/* The first trouble ends it. */
static void trouble(const char *what)
{
	const char *none = NULL;

	__atomic_compare_exchange_n(&soak.trouble, &none, what, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	__atomic_store_n(&soak.stop, true, __ATOMIC_RELAXED);
}

/* A worker has its vCPU for as long at a time as user code has. */
static void take_turns(uint64_t *ends_ns)
{
	if (pvmm_clock_ns() < *ends_ns)
		return;
	thread_yield();
	*ends_ns = pvmm_clock_ns() + TURN_NS;
}

/* --- the file systems --- */

static struct thread walkers[PVMM_MAX_VCPUS];
static struct xfs file_systems[PVMM_MAX_VCPUS];
static uint64_t walkers_turn_ends[PVMM_MAX_VCPUS];
static unsigned int nr_each; /* walkers, and mappers */

static void between_directories(void)
{
	take_turns(&walkers_turn_ends[thread_current() - walkers]);
}

static void walker(void *ctx)
{
	struct xfs *fs = ctx;

	while (!is_stopping()) {
		if (xfs_walk(fs))
			trouble("a file system gets no memory");
		if (!is_stopping())
			count(&soak.walks);
	}
}

/* --- areas --- */

struct slot {
	void *addr; /* NULL: no area */
	unsigned int nr_pages;
	uint64_t salt;
};

static struct mapper {
	uint64_t random, turn_ends_ns;
	struct slot slots[MAX_SLOTS];
} mappers[PVMM_MAX_VCPUS];

static uint64_t any(struct mapper *m, uint64_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % below;
}

static volatile uint64_t *first_word(const struct slot *s, unsigned int page)
{
	return (volatile uint64_t *)((char *)s->addr + page * PVMM_PAGE_SIZE);
}

/* Each page holds its number twice: written through the direct map, and through the area. */
static void check_area(const struct slot *s)
{
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < s->nr_pages; i++)
		wrong += first_word(s, i)[0] != s->salt + i || first_word(s, i)[511] != s->salt + i;
	if (!wrong)
		return;
	pvmm_print("soak: %u of %u pages at 0x%llx have wrong contents\n", wrong, s->nr_pages,
		   ULL((uintptr_t)s->addr));
	trouble("an area's contents are wrong");
}

static void give_up(struct slot *s)
{
	check_area(s);
	if (pvmm_vunmap(s->addr))
		pvmm_panic("soak: no area at 0x%llx", ULL((uintptr_t)s->addr));
	s->addr = NULL;
}

/* As many pages as can be had of those wanted, each with its number. */
static unsigned int take_pages(struct pvmm_page **pages, const struct slot *s)
{
	unsigned int nr = 0;

	while (nr < s->nr_pages && (pages[nr] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL))) {
		*(uint64_t *)pvmm_page_virt(pages[nr]) = s->salt + nr;
		nr++;
	}
	return nr;
}

/* The pages are the area's alone: they go with it. */
static int map_area(struct slot *s, enum pvmm_vmap_policy policy)
{
	const struct pvmm_vmap_how how = {.name = "soak", .policy = policy};
	struct pvmm_page *pages[MAX_AREA] = {NULL};
	unsigned int nr = take_pages(pages, s);
	int err = nr == s->nr_pages ? pvmm_vmap(pages, nr, PVMM_PROT_RW, &how, &s->addr)
				    : -XEN_ENOMEM;

	while (nr)
		pvmm_page_put(pages[--nr]);
	if (err)
		s->addr = NULL;
	for (unsigned int i = 0; !err && i < s->nr_pages; i++)
		first_word(s, i)[511] = s->salt + i;
	return err;
}

/* Of any size, the small ones more often, by any policy. */
static void fill_slot(struct mapper *m, struct slot *s)
{
	int err;

	s->nr_pages = 1 + (unsigned int)any(m, any(m, 4) ? 16 : MAX_AREA);
	s->salt = any(m, UINT64_MAX);
	err = map_area(s, (enum pvmm_vmap_policy)any(m, PVMM_VMAP_HOLD + 1));
	if (!err) {
		count(&soak.areas);
		return;
	}
	if (err != -XEN_ENOMEM)
		trouble("an area cannot be mapped");
	count(&soak.areas_short);
	thread_sleep(NAP_NS);
}

static void mapper(void *ctx)
{
	struct mapper *m = ctx;

	while (!is_stopping()) {
		struct slot *s = &m->slots[any(m, MAX_SLOTS)];

		if (s->addr)
			give_up(s);
		else
			fill_slot(m, s);
		take_turns(&m->turn_ends_ns);
	}
	for (unsigned int i = 0; i < MAX_SLOTS; i++)
		if (m->slots[i].addr)
			give_up(&m->slots[i]);
}

/* --- processes --- */

static void reap(void)
{
	int status = 0;

	if (process_wait(NULL, &status) < 0) {
		trouble("a process is lost");
		return;
	}
	count(&soak.processes);
	if (!status)
		return;
	pvmm_print("soak: a process ended with status 0x%x\n", status);
	trouble("a process failed");
}

static void parent(void *ctx)
{
	unsigned int alive = 0;

	(void)ctx;
	while (!is_stopping()) {
		int pid = alive < PROCESSES ? process_spawn("churner", CHILDREN) : -XEN_EAGAIN;

		if (pid > 0) {
			alive++;
		} else if (pid != -XEN_EAGAIN && pid != -XEN_ENOMEM) {
			trouble("a process cannot be started");
		} else if (alive) {
			reap();
			alive--;
		} else {
			thread_sleep(NAP_NS);
		}
	}
	for (; alive; alive--)
		reap();
}

/* --- the toolstack --- */

static bool hears_stop; /* without a store it soaks all the same */

static struct pvmm_store_watch stop_watch = {.path = "data/soak"};

static bool is_told_to_stop(void)
{
	char word[8];

	return hears_stop && pvmm_store_watch_fired(&stop_watch) &&
	       !pvmm_store_read(PVMM_STORE_NO_TX, stop_watch.path, word, sizeof(word), NULL) &&
	       pvmm_text_equal(word, "stop");
}

/* --- all together --- */

static void gone(void *ctx)
{
	(void)ctx;
	__atomic_sub_fetch(&soak.at_work, 1, __ATOMIC_RELEASE);
}

static struct thread mapping[PVMM_MAX_VCPUS], parenting;

static void start(struct thread *thread, const char *name, void (*run)(void *ctx), void *ctx)
{
	*thread = (struct thread){
		.name = name,
		.only_on = THREAD_ANYWHERE,
		.run = run,
		.gone = gone,
		.ctx = ctx,
	};
	__atomic_add_fetch(&soak.at_work, 1, __ATOMIC_RELAXED);
	if (thread_start(thread))
		pvmm_panic("soak: no memory for the first threads");
}

static uint64_t reserve_pages(void)
{
	return balloon_keep() > RESERVE_PAGES ? balloon_keep() : RESERVE_PAGES;
}

/* Starting takes little, and what the file systems have by then they give back when asked. */
static void begin(void)
{
	nr_each = pvmm_nr_vcpus();
	if (xfs_cache_start(PVMM_VMAP_DEFAULT, reserve_pages()) || !services_start())
		pvmm_panic("soak: no memory to begin with");
	hears_stop = services_hear_toolstack() && !pvmm_store_watch(&stop_watch);
	for (unsigned int i = 0; i < nr_each; i++) {
		if (xfs_mount(&file_systems[i], XFS_LEVELS, i))
			pvmm_panic("soak: no memory for a file system");
		file_systems[i].stop = &soak.stop;
		file_systems[i].between = between_directories;
		mappers[i].random = 0x9e3779b97f4a7c15ULL + i;
	}
	start(&parenting, "parent", parent, NULL);
	for (unsigned int i = 0; i < nr_each; i++) {
		start(&walkers[i], "walker", walker, &file_systems[i]);
		start(&mapping[i], "mapper", mapper, &mappers[i]);
	}
}

static void end(void)
{
	while (__atomic_load_n(&soak.at_work, __ATOMIC_ACQUIRE) || processes_alive())
		thread_sleep(NAP_NS);
	if (hears_stop)
		(void)pvmm_store_unwatch(&stop_watch);
	services_stop();
	for (unsigned int i = 0; i < nr_each; i++)
		xfs_unmount(&file_systems[i]);
	xfs_cache_stop();
	pvmm_purge();
	pvmm_table_cache_shrink();
	pvmm_check_flush();
}

/* --- figures --- */

static void print_figures(const char *verdict)
{
	struct xfs_cache_stats xfs = xfs_cache_stats();
	struct pvmm_ledger_stats ledger = pvmm_ledger_stats();
	struct pvmm_check_stats check = pvmm_check_stats();

	pvmm_print(
		"soak: %s%llu s: %llu walks, %llu buffers used (%llu %% cached), %llu given up; %llu vmaps (%llu refused for memory); %llu processes, %llu forks (%llu refused for memory); %llu purges, %llu drops by pins; %llu pages probed; %llu refused pins, %llu strays\n",
		verdict, ULL((pvmm_clock_ns() - soak.start_ns) / SECOND), ULL(soak.walks),
		ULL(xfs.gets), ULL(xfs.gets ? xfs.hits * 100 / xfs.gets : 0), ULL(xfs.evictions),
		ULL(pvmm_vmap_stats().maps), ULL(soak.areas_short), ULL(soak.processes),
		ULL(processes_counts.forks), ULL(processes_counts.forks_refused),
		ULL(ledger.purges), ULL(ledger.drops),
		ULL(check.probed[PVMM_CHECK_BY_FREE] + check.probed[PVMM_CHECK_BY_ALLOC] +
		    check.probed[PVMM_CHECK_BY_SWEEP] + check.probed[PVMM_CHECK_BY_CALL]),
		ULL(check.refused_pins), ULL(check.strays));
}

static void go_on(void)
{
	uint64_t deadline = soak.start_ns + seconds * SECOND, next = soak.start_ns + PROGRESS;

	while (!is_stopping() && pvmm_clock_ns() < deadline && !is_told_to_stop()) {
		thread_sleep(NAP_NS);
		if (pvmm_clock_ns() < next)
			continue;
		next += PROGRESS;
		print_figures("");
	}
	__atomic_store_n(&soak.stop, true, __ATOMIC_RELAXED);
}

/* What is wrong in the end, or NULL. */
static const char *judge(uint64_t pages_before)
{
	uint64_t pages = pages_accounted_for();
	struct pvmm_check_stats check = pvmm_check_stats();

	if (soak.trouble)
		return soak.trouble;
	if (pages != pages_before) {
		pvmm_print("soak: %llu pages at the start, %llu at the end\n", ULL(pages_before),
			   ULL(pages));
		return "pages are missing";
	}
	if (pvmm_audit() || pvmm_balloon_audit())
		return "the audit finds problems";
	if (check.refused_pins)
		return "pins were refused";
	if (check.strays || check.quarantined)
		return "the checker has found stray mappings";
	if (xfs_cache_stats().wrong)
		return "a buffer's contents were wrong";
	if (!xfs_cache_stats().evictions || !soak.areas || !processes_counts.forks)
		return "some of the work was not done";
	return NULL;
}

static bool run(void)
{
	uint64_t pages = pages_accounted_for();
	const char *why;

	soak.start_ns = pvmm_clock_ns();
	pvmm_print("soak: %llu s on %u vCPUs, %llu pages\n", ULL(seconds), pvmm_nr_vcpus(),
		   ULL(pages));
	begin();
	go_on();
	end();
	why = judge(pages);
	if (why) {
		print_figures("");
		pvmm_print("soak: FAILED: %s\n", why);
	} else {
		print_figures("passed: ");
	}
	return !why;
}

const struct demo demo_soak = {"soak", "everything at once, with memory short (soak-seconds=)",
			       run};
