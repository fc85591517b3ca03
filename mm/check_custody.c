/* SPDX-License-Identifier: MIT */
/*
 * Owns the free pages that Xen has refused, until they are searched for, reported, and given back,
 * mended or put out of use.
 *
 * They stay in custody until a vCPU comes by that holds no lock, because the search and the repair
 * take those of address spaces.
 */
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/spinlock.h>
#include "check.h"

/* Linked by next; private is how and why. The lock is innermost. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
static uint32_t custody = PVMM_PAGE_NONE;

void custody_init(void)
{
	custody = PVMM_PAGE_NONE;
}

void custody_add(const struct probe *p, enum pvmm_check_how how)
{
	uint32_t pfn = (uint32_t)pfn_x(pvmm_page_pfn(p->page));

	p->page->private = (uint64_t)how << 48 | (uint64_t)p->answer << 32 | (uint32_t)-p->err;
	pvmm_spin_lock(&lock);
	p->page->next = custody;
	__atomic_store_n(&custody, pfn, __ATOMIC_RELAXED);
	pvmm_spin_unlock(&lock);
}

static struct pvmm_page *custody_take(void)
{
	struct pvmm_page *page = NULL;

	pvmm_spin_lock(&lock);
	if (custody != PVMM_PAGE_NONE) {
		page = pvmm_page(_pfn(custody));
		__atomic_store_n(&custody, page->next, __ATOMIC_RELAXED);
	}
	pvmm_spin_unlock(&lock);
	return page;
}

static void find_out(struct finding *f, enum probe_answer answer)
{
	int err;

	f->kind = answer == PROBE_PLACE ? FOUND_PLACE : FOUND_STRAY;
	stray_find(f, WANTED_PAGE, NULL);
	if (f->kind == FOUND_STRAY && !f->nr_found &&
	    probe_page(pvmm_page(f->pfn), &err) == PROBE_CLEAN)
		f->kind = FOUND_GONE;
}

static void quarantine(struct pvmm_page *page)
{
	alloc_quarantine(page);
	check_count(&check_stats.quarantined, 1);
}

/* Removes what can be removed and asks again; what Xen still refuses is not for use. */
static void fix(struct finding *f, struct pvmm_page *page)
{
	int err;

	if (f->kind == FOUND_PLACE)
		f->nr_removed += repair_place(f->pfn);
	f->nr_removed += repair_mappings(WANTED_PAGE, f->pfn, NULL, NULL);
	check_count(&check_stats.repaired, f->nr_removed);
	f->done = probe_page(page, &err) == PROBE_CLEAN;
	if (f->done)
		alloc_give_back(page, false, true);
	else
		quarantine(page);
}

static void act(struct finding *f, struct pvmm_page *page)
{
	if (f->kind == FOUND_GONE || f->action == PVMM_ACTION_REPORT) {
		f->done = f->kind == FOUND_GONE;
		alloc_give_back(page, !f->done, true);
	} else if (f->action == PVMM_ACTION_FIX) {
		fix(f, page);
	} else if (f->action == PVMM_ACTION_QUARANTINE) {
		quarantine(page);
		f->done = true;
	} else {
		pvmm_panic("check-action=panic: pfn 0x%llx has a stray writable mapping",
			   (unsigned long long)pfn_x(f->pfn));
	}
}

/* Searches, reports, acts: for one page in custody. */
static void settle_page(struct pvmm_page *page)
{
	struct finding f = {
		.how = (enum pvmm_check_how)(page->private >> 48),
		.pfn = pvmm_page_pfn(page),
		.err = -(int)(uint32_t)page->private,
		.stale = page->stale,
		.action = check_config.action,
		.replacement = PVMM_INVALID_PFN,
	};

	pvmm_spin_lock(&stray_lock);
	find_out(&f, (enum probe_answer)(page->private >> 32 & 0xffff));
	check_count(&check_stats.strays, 1);
	check_count(&check_stats.mappings, f.nr_found);
	report_finding(&f);
	act(&f, page);
	report_action(&f);
	stray_record(&f);
	pvmm_spin_unlock(&stray_lock);
}

uint64_t custody_settle(void)
{
	struct pvmm_page *page;
	uint64_t nr = 0;

	if (__atomic_load_n(&custody, __ATOMIC_RELAXED) == PVMM_PAGE_NONE || pvmm_locks_held() ||
	    pvmm_batch_is_open())
		return 0;
	for (; (page = custody_take()); nr++)
		settle_page(page);
	return nr;
}
