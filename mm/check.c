/* SPDX-License-Identifier: MIT */
/*
 * Owns the checker's configuration and counts, and free pages on their way through it:
 *
 *	freed ──► pending ──┐             ┌─ clean ──────────────► free lists
 *	free ───► isolated ─┼─► asked ────┤
 *	allocated ──────────┘             └─ refused ─► custody ─► reported ─► free lists
 *	                                                             or quarantine
 *
 * Pending pages wait on the vCPU that freed them until there are enough to ask about together: in
 * the record of that vCPU, so freeing allocates nothing and cannot fail. Asking takes no lock and
 * happens anywhere, but in an open batch. What Xen has refused goes to mm/check_custody.c.
 *
 * Invariant: a page that is pending, isolated or in custody is FREE with PVMM_PAGE_HELD, on no free
 * list, and gets out of it by alloc_give_back or alloc_quarantine. No page with a stray mapping
 * that was noticed is handed out before it is reported.
 */
#include <pvmm/alloc.h>
#include <pvmm/clock.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/spinlock.h>
#include "check.h"

struct pvmm_check_config check_config = {.modes = PVMM_CHECK_PIN, .report = PVMM_REPORT_TEXT};
struct pvmm_check_stats check_stats;

/* Freed blocks that were not asked about yet; one vCPU fills its own, any may empty it. */
static struct pending {
	struct pvmm_spinlock lock; /* guards the rest; innermost */
	unsigned int nr_blocks;
	uint64_t nr_pages;
	struct block {
		uint32_t pfn;
		uint32_t order;
	} blocks[PROBE_PAGES];
} pending[PVMM_MAX_VCPUS];

/* Where the sweep goes on, and when it was last time for it. */
static struct pvmm_spinlock sweep_lock = PVMM_SPINLOCK_INIT;
static uint64_t sweep_next, sweep_time;

void check_init(void)
{
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++) {
		pending[i] = (struct pending){.lock = PVMM_SPINLOCK_INIT};
		pvmm_locks[i] = 0;
	}
	custody_init();
	sweep_next = sweep_time = 0;
	check_stats = (struct pvmm_check_stats){0};
}

struct pvmm_check_config pvmm_check_config(void)
{
	return check_config;
}

void pvmm_check_configure(const struct pvmm_check_config *config)
{
	check_config = *config;
	if (!(config->modes & PVMM_CHECK_FREE))
		pvmm_check_flush();
}

struct pvmm_check_stats pvmm_check_stats(void)
{
	return check_stats;
}

/* --- pages that are asked about together --- */

struct group {
	enum pvmm_check_how how;
	bool far_end; /* where clean ones go on the free lists */
	unsigned int nr;
	uint64_t nr_clean, nr_refused, nr_stale;
	struct probe probes[PROBE_PAGES];
};

/* Asks; what is clean, or was not asked, is free again. */
static void group_finish(struct group *g)
{
	if (!g->nr)
		return;
	probe_pages(g->probes, g->nr);
	for (unsigned int i = 0; i < g->nr; i++) {
		struct probe *p = &g->probes[i];

		check_count(p->answer == PROBE_ERROR ? &check_stats.errors
						     : &check_stats.probed[g->how],
			    1);
		if (p->answer == PROBE_REFUSED || p->answer == PROBE_PLACE) {
			custody_add(p, g->how);
			g->nr_refused++;
		} else {
			alloc_give_back(p->page, false, g->far_end);
			g->nr_clean += p->answer == PROBE_CLEAN;
		}
	}
	g->nr = 0;
}

/* The page is held already. */
static void group_add(struct group *g, struct pvmm_page *page)
{
	g->probes[g->nr++].page = page;
	if (g->nr == PROBE_PAGES)
		group_finish(g);
}

/* --- freeing --- */

static void give_back_block(const struct block *b)
{
	for (uint64_t i = 0; i < 1ULL << b->order; i++)
		alloc_give_back(pvmm_page(_pfn(b->pfn + i)), false, false);
	check_count(&check_stats.skipped_busy, 1ULL << b->order);
}

/* Empties a vCPU's list; returns how many pages left it. In an open batch nobody can be asked. */
static uint64_t drain(struct pending *p)
{
	struct group g = {.how = PVMM_CHECK_BY_FREE};
	struct block blocks[PROBE_PAGES];
	unsigned int nr_blocks;
	uint64_t nr_pages;

	pvmm_spin_lock(&p->lock);
	nr_blocks = p->nr_blocks;
	nr_pages = p->nr_pages;
	for (unsigned int i = 0; i < nr_blocks; i++)
		blocks[i] = p->blocks[i];
	p->nr_blocks = 0;
	p->nr_pages = 0;
	pvmm_spin_unlock(&p->lock);

	for (unsigned int i = 0; i < nr_blocks; i++) {
		if (pvmm_batch_is_open()) {
			give_back_block(&blocks[i]);
			continue;
		}
		for (uint64_t page = 0; page < 1ULL << blocks[i].order; page++)
			group_add(&g, pvmm_page(_pfn(blocks[i].pfn + page)));
	}
	group_finish(&g);
	return nr_pages;
}

void check_freed(pfn_t pfn, unsigned int order)
{
	struct pending *p = &pending[pvmm_this_vcpu()];
	bool enough;

	pvmm_spin_lock(&p->lock);
	p->blocks[p->nr_blocks++] = (struct block){(uint32_t)pfn_x(pfn), order};
	p->nr_pages += 1ULL << order;
	enough = p->nr_pages >= PROBE_PAGES;
	pvmm_spin_unlock(&p->lock);

	if (enough)
		drain(p);
	custody_settle();
}

static uint64_t drain_all(void)
{
	uint64_t nr = 0;

	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++)
		if (__atomic_load_n(&pending[i].nr_blocks, __ATOMIC_RELAXED))
			nr += drain(&pending[i]);
	return nr;
}

bool check_give_back(void)
{
	uint64_t nr = drain_all();

	nr += custody_settle();
	return nr;
}

void pvmm_check_flush(void)
{
	drain_all();
	custody_settle();
}

/* --- allocating --- */

/* Asks about up to PROBE_PAGES pages of the block; false if Xen refuses one. */
static bool ask_part(struct pvmm_page *block, uint64_t nr, struct probe *probes,
		     unsigned int *nr_asked)
{
	bool clean = true;

	*nr_asked = 0;
	for (uint64_t i = 0; i < nr; i++) {
		if (block[i].flags & PVMM_PAGE_REPORTED)
			continue;
		if (block[i].stale)
			check_count(&check_stats.skipped_stale, 1);
		else
			probes[(*nr_asked)++].page = &block[i];
	}
	probe_pages(probes, *nr_asked);
	for (unsigned int i = 0; i < *nr_asked; i++) {
		check_count(probes[i].answer == PROBE_ERROR
				    ? &check_stats.errors
				    : &check_stats.probed[PVMM_CHECK_BY_ALLOC],
			    1);
		clean &= probes[i].answer == PROBE_CLEAN || probes[i].answer == PROBE_ERROR;
	}
	return clean;
}

/* The refused pages of a part go into custody, all others of the block back on the lists. */
static void retract(struct pvmm_page *block, unsigned int order, const struct probe *probes,
		    unsigned int nr)
{
	alloc_retract(block, order);
	for (unsigned int i = 0; i < nr; i++)
		if (probes[i].answer == PROBE_REFUSED || probes[i].answer == PROBE_PLACE)
			custody_add(&probes[i], PVMM_CHECK_BY_ALLOC);
	for (uint64_t i = 0; i < 1ULL << order; i++) {
		bool refused = false;

		for (unsigned int k = 0; k < nr; k++)
			refused |= probes[k].page == &block[i] && probes[k].answer != PROBE_CLEAN &&
				   probes[k].answer != PROBE_ERROR;
		if (!refused)
			alloc_give_back(&block[i], block[i].flags & PVMM_PAGE_REPORTED, false);
	}
}

bool check_block(struct pvmm_page *block, unsigned int order)
{
	uint64_t nr_pages = 1ULL << order;
	struct probe probes[PROBE_PAGES];
	unsigned int nr;

	if (pvmm_batch_is_open()) {
		check_count(&check_stats.skipped_busy, nr_pages);
		return true;
	}
	for (uint64_t i = 0; i < nr_pages; i += PROBE_PAGES) {
		uint64_t left = nr_pages - i;

		if (ask_part(block + i, left < PROBE_PAGES ? left : PROBE_PAGES, probes, &nr))
			continue;
		retract(block, order, probes, nr);
		custody_settle();
		return false;
	}
	return true;
}

/* --- asking about free pages --- */

/* Takes a free page for the group; false if it is none, or not to be asked about. */
static bool group_take(struct group *g, pfn_t pfn)
{
	struct pvmm_page *page = pvmm_page(pfn);

	if (page->kind != PVMM_PAGE_FREE || !alloc_isolate(pfn))
		return false;
	if (page->stale) {
		g->nr_stale++;
		check_count(&check_stats.skipped_stale, 1);
		alloc_give_back(page, false, true);
		return false;
	}
	group_add(g, page);
	return true;
}

static struct group check_range(uint64_t first, uint64_t nr_pages)
{
	struct group g = {.how = PVMM_CHECK_BY_CALL, .far_end = true};
	uint64_t end = pvmm_max_pfn();

	if (first < end && nr_pages < end - first)
		end = first + nr_pages;
	pvmm_purge();
	drain_all();
	for (uint64_t pfn = first; pfn < end; pfn++)
		group_take(&g, _pfn(pfn));
	group_finish(&g);
	custody_settle();
	return g;
}

uint64_t pvmm_check_range(pfn_t first, uint64_t nr_pages)
{
	return check_range(pfn_x(first), nr_pages).nr_refused;
}

uint64_t pvmm_check_free(void)
{
	return check_range(0, pvmm_max_pfn()).nr_refused;
}

enum pvmm_check_answer pvmm_check_page(pfn_t pfn)
{
	struct group g;

	if (pfn_x(pfn) >= pvmm_max_pfn())
		return PVMM_CHECK_NO_ANSWER;
	if (pvmm_page(pfn)->kind != PVMM_PAGE_FREE)
		return PVMM_CHECK_IN_USE;
	g = check_range(pfn_x(pfn), 1);
	if (g.nr_refused)
		return PVMM_CHECK_STRAY;
	if (g.nr_stale)
		return PVMM_CHECK_STALE;
	return g.nr_clean ? PVMM_CHECK_CLEAN : PVMM_CHECK_NO_ANSWER;
}

uint64_t pvmm_check_sweep(uint64_t nr_pages)
{
	struct group g = {.how = PVMM_CHECK_BY_SWEEP, .far_end = true};
	uint64_t end = pvmm_max_pfn();

	pvmm_spin_lock(&sweep_lock);
	for (uint64_t looked = 0; nr_pages && looked < end; looked++, sweep_next++) {
		if (sweep_next >= end)
			sweep_next = 0;
		/* What was reported is not reported again while nobody has used the page. */
		if (!(pvmm_page(_pfn(sweep_next))->flags & PVMM_PAGE_REPORTED) &&
		    group_take(&g, _pfn(sweep_next)))
			nr_pages--;
	}
	pvmm_spin_unlock(&sweep_lock);
	group_finish(&g);
	custody_settle();
	return g.nr_refused;
}

void pvmm_check_sweep_at(pfn_t next)
{
	pvmm_spin_lock(&sweep_lock);
	sweep_next = pfn_x(next);
	pvmm_spin_unlock(&sweep_lock);
}

void pvmm_check_tick(void)
{
	uint64_t now = pvmm_clock_ns(), due = 0, interval;

	pvmm_spin_lock(&sweep_lock);
	if (check_config.sweep_rate && sweep_time && now > sweep_time) {
		interval = 1000000000ULL / check_config.sweep_rate;
		due = (now - sweep_time) / interval;
		sweep_time += due * interval;
	} else if (!sweep_time) {
		sweep_time = now;
	}
	pvmm_spin_unlock(&sweep_lock);

	if (due)
		pvmm_check_sweep(due);
	custody_settle();
}

/* --- the end --- */

void pvmm_check_summary(void)
{
	const struct pvmm_check_stats *s = &check_stats;
	bool is_on = (check_config.modes & ~PVMM_CHECK_PIN) || check_config.sweep_rate;
	char text[320];
	int len = 0;

	if (!is_on && !s->strays && !s->refused_pins)
		return;
	for (unsigned int i = PVMM_CHECK_BY_FREE; i <= PVMM_CHECK_BY_CALL; i++)
		len += pvmm_snprintf(text + len, sizeof(text) - (size_t)len, "%s%llu %s",
				     len ? ", " : "", (unsigned long long)s->probed[i],
				     report_how_name((enum pvmm_check_how)i));
	pvmm_log(
		PVMM_INFO,
		"checker: %llu pages probed (%s), %llu refused pins, %llu pages with a stray mapping, %llu stray mappings found, %llu repaired, %llu pages quarantined; not probed: %llu stale, %llu in a batch, %llu errors",
		(unsigned long long)(s->probed[PVMM_CHECK_BY_FREE] +
				     s->probed[PVMM_CHECK_BY_ALLOC] +
				     s->probed[PVMM_CHECK_BY_SWEEP] +
				     s->probed[PVMM_CHECK_BY_CALL]),
		text, (unsigned long long)s->refused_pins, (unsigned long long)s->strays,
		(unsigned long long)s->mappings, (unsigned long long)s->repaired,
		(unsigned long long)s->quarantined, (unsigned long long)s->skipped_stale,
		(unsigned long long)s->skipped_busy, (unsigned long long)s->errors);
}
