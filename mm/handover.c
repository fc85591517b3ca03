/* SPDX-License-Identifier: MIT */
/*
 * Owns the moment at which tables change hands between the kernel and Xen: whether the direct map
 * may write them, as the page database says, and what happens when Xen does not take them.
 *
 * Invariant: outside these functions a table carries PVMM_PAGE_READONLY exactly if it is read-only
 * in the direct map, and no page carries PVMM_PAGE_SUSPECT.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/spinlock.h>
#include "check.h"
#include "ledger.h"
#include "space.h"

/* A table that is kept is Xen's already, and stays so. */
static bool changes_hands(const struct pvmm_page *page)
{
	return !(page->flags & PVMM_PAGE_KEPT);
}

static void queue_protect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (changes_hands(page))
		pvmm_table_queue_protect(page);
}

static void mark_readonly(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	pvmm_table_mark(page, true);
}

static void mark_suspect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (changes_hands(page))
		__atomic_fetch_or(&page->flags, PVMM_PAGE_SUSPECT, __ATOMIC_RELAXED);
}

static void clear_suspect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	__atomic_fetch_and(&page->flags, (uint8_t)~PVMM_PAGE_SUSPECT, __ATOMIC_RELAXED);
}

void handback_queue(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (changes_hands(page))
		pvmm_table_queue_unprotect(page);
}

void handback_done(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (changes_hands(page))
		pvmm_table_mark(page, false);
}

/* --- handing over --- */

static void mark_live(struct pvmm_page *page, void *ctx)
{
	if (__atomic_load_n(&page->live, __ATOMIC_ACQUIRE))
		mark_suspect(page, ctx);
}

/*
 * Some of the pages have live mappings. Read-only ones are legal; for a writable one there is no
 * need to ask Xen. Without the search (check=off), Xen tells the two apart.
 */
static int refuse_live(struct handover *h)
{
	struct finding f = {
		.kind = FOUND_LIVE,
		.how = PVMM_CHECK_BY_PIN,
		.pfn = PVMM_INVALID_PFN,
		.err = -XEN_EBUSY,
		.space = h->space,
		.action = check_config.action,
		.replacement = PVMM_INVALID_PFN,
	};

	if (!check_config.modes)
		return 0;
	pvmm_spin_lock(&stray_lock);
	h->for_each(h->of, mark_live, NULL);
	stray_find(&f, WANTED_SUSPECTS, NULL);
	h->for_each(h->of, clear_suspect, NULL);
	if (f.nr_found) {
		check_count(&check_stats.refused_pins, 1);
		check_count(&check_stats.mappings, f.nr_found);
		report_finding(&f);
		if (f.action == PVMM_ACTION_PANIC)
			pvmm_panic("check-action=panic: a mapped page was to be a page table");
		report_action(&f);
		stray_record(&f);
	}
	pvmm_spin_unlock(&stray_lock);
	return f.nr_found ? f.err : 0;
}

int handover_begin(struct handover *h)
{
	unsigned int nr_stale;
	int err = ledger_check_tables(h->for_each, h->of, &nr_stale);

	if (err)
		err = refuse_live(h);
	if (err)
		return err;
	pvmm_batch_begin();
	h->drops = nr_stale;
	if (h->drops)
		ledger_drop_begin(h->for_each, h->of);
	return 0;
}

void handover_queue(const struct handover *h)
{
	h->for_each(h->of, queue_protect, NULL);
}

int handover_end(struct handover *h)
{
	int err = pvmm_batch_end(&h->failure);

	if (h->drops)
		ledger_drop_end(err ? &h->failure : NULL);
	if (!err)
		h->for_each(h->of, mark_readonly, NULL);
	return err;
}

/* --- which table it is that Xen refuses --- */

struct one_by_one {
	pfn_t refused; /* the first */
	int err;
};

static int alone(const struct pvmm_page *page, void (*queue)(const struct pvmm_page *page))
{
	struct pvmm_batch_failure failure;

	pvmm_batch_begin();
	queue(page);
	return pvmm_batch_end(&failure);
}

/* Children come before their parents, so that the first one refused is refused for itself. */
static void try_one(struct pvmm_page *page, void *ctx)
{
	pfn_t pfn = pvmm_page_pfn(page);
	struct one_by_one *o = ctx;
	int err;

	if (pfn_valid(o->refused) || !changes_hands(page))
		return;
	err = alone(page, table_queue_pin);
	if (!err) {
		__atomic_fetch_or(&page->flags, PVMM_PAGE_PINNED, __ATOMIC_RELAXED);
		return;
	}
	o->refused = pfn;
	o->err = err;
}

static void untry_one(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (!(page->flags & PVMM_PAGE_PINNED))
		return;
	__atomic_fetch_and(&page->flags, (uint8_t)~PVMM_PAGE_PINNED, __ATOMIC_RELAXED);
	if (alone(page, table_queue_unpin))
		pvmm_panic("pfn 0x%llx cannot be unpinned",
			   (unsigned long long)pfn_x(pvmm_page_pfn(page)));
}

/*
 * Asks Xen about each table alone. All are read-only, none is pinned. Invalid if Xen takes every
 * one of them.
 */
static struct one_by_one try_each(const struct handover *h)
{
	struct one_by_one o = {.refused = PVMM_INVALID_PFN};

	h->for_each(h->of, try_one, &o);
	h->for_each(h->of, untry_one, NULL);
	return o;
}

/* --- a table that goes to quarantine --- */

struct exchange {
	struct pvmm_page *old, *new;
};

/* The entries that lead to the old table lead to the new one; all of them are plain memory. */
static void exchange_entries(struct pvmm_page *page, void *ctx)
{
	const struct exchange *x = ctx;
	mfn_t old = pvmm_pfn_to_mfn(pvmm_page_pfn(x->old));
	pfn_t table = pvmm_page_pfn(page);

	if (pvmm_page_table_level(page) != pvmm_page_table_level(x->old) + 1)
		return;
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		pvmm_pte_t entry = pvmm_pt_entries(table)[slot];

		if (pvmm_pte_present(entry) && mfn_eq(pvmm_pte_mfn(entry), old))
			pvmm_pt_set(table, slot,
				    pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(x->new)),
					     entry & ~PVMM_PTE_FRAME_MASK));
	}
}

/*
 * Puts a fresh page with the same contents in the place of a table that is building. First the page
 * is asked about with nothing in it: if Xen takes it so, it was an entry that Xen did not like, and
 * another page would not help.
 */
static bool replace(struct finding *f, const struct handover *h)
{
	struct exchange x = {.old = pvmm_page(f->pfn)};
	int err;

	if (x.old->live)
		return false;
	x.new = pvmm_table_alloc(pvmm_page_table_level(x.old));
	if (!x.new)
		return false;
	page_copy(x.new, x.old);
	if (probe_page(x.old, &err) != PROBE_REFUSED) {
		page_copy(x.old, x.new);
		pvmm_table_free(x.new);
		return false;
	}
	h->for_each(h->of, exchange_entries, &x);
	h->exchange(h->of, x.old, x.new);
	__atomic_store_n(&x.old->kind, PVMM_PAGE_QUARANTINED, __ATOMIC_RELAXED);
	f->replacement = pvmm_page_pfn(x.new);
	check_count(&check_stats.quarantined, 1);
	return true;
}

/* --- Xen refuses --- */

/*
 * Whether the tables are read-only by now: so it is when it is a pin that was refused, or the entry
 * that leads to them.
 */
static bool tables_are_readonly(const struct pvmm_batch_failure *failure)
{
	return failure->kind == PVMM_BATCH_MMUEXT || pvmm_pte_writable(failure->op.update.val);
}

/* Finds out what the matter is. */
static void find_out(struct finding *f, const struct handover *h)
{
	struct one_by_one o;

	if (!check_config.modes) {
		f->kind = FOUND_UNSEARCHED;
		return;
	}
	h->for_each(h->of, mark_suspect, NULL);
	stray_find(f, WANTED_SUSPECTS, NULL);
	h->for_each(h->of, clear_suspect, NULL);
	if (f->nr_found)
		return;

	/* -EBUSY is Xen's answer when it is not the table but an entry in it that it cannot have.
	 */
	if (f->err == -XEN_EBUSY)
		stray_find(f, WANTED_TABLES, h->space);
	f->kind = f->nr_found ? FOUND_CONFLICT : FOUND_UNEXPLAINED;
	if (f->nr_found || !tables_are_readonly(f->failure))
		return;

	o = try_each(h);
	f->pfn = o.refused;
	if (pfn_valid(o.refused) && o.err == -XEN_EINVAL)
		f->kind = FOUND_STRAY;
}

static unsigned int remove_mappings(const struct finding *f, const struct handover *h)
{
	unsigned int nr;

	if (f->kind == FOUND_CONFLICT)
		return repair_mappings(WANTED_TABLES, f->pfn, h->space, h->space);
	h->for_each(h->of, mark_suspect, NULL);
	nr = repair_mappings(WANTED_SUSPECTS, f->pfn, NULL, h->space);
	h->for_each(h->of, clear_suspect, NULL);
	return nr;
}

/* While the tables are still read-only: whether Xen takes them all now. */
static bool fix(struct finding *f, const struct handover *h)
{
	struct one_by_one o;

	if (!f->nr_found || !tables_are_readonly(f->failure))
		return false;
	f->nr_removed = remove_mappings(f, h);
	check_count(&check_stats.repaired, f->nr_removed);
	if (!f->nr_removed)
		return false;
	o = try_each(h);
	if (pfn_valid(o.refused))
		f->pfn = o.refused;
	return !pfn_valid(o.refused);
}

/* Makes all tables writable, which cannot fail: none of them is a page table for Xen. */
static void undo(const struct handover *h)
{
	pvmm_batch_begin();
	h->for_each(h->of, handback_queue, NULL);
	pvmm_batch_flush_all();
	pvmm_batch_end(NULL);
}

/*
 * The flush at the end is needed because the search has read the tables through read-only
 * translations, and the next plain store must not fault.
 */
bool handover_undo(struct handover *h)
{
	struct finding f = {
		.how = PVMM_CHECK_BY_PIN,
		.pfn = PVMM_INVALID_PFN,
		.err = h->failure.err,
		.space = h->space,
		.failure = &h->failure,
		.action = check_config.action,
		.replacement = PVMM_INVALID_PFN,
	};

	pvmm_spin_lock(&stray_lock);
	find_out(&f, h);
	check_count(&check_stats.refused_pins, 1);
	check_count(&check_stats.mappings, f.nr_found);
	report_finding(&f);
	if (f.action == PVMM_ACTION_PANIC)
		pvmm_panic("check-action=panic: Xen refuses a page table");
	if (f.action == PVMM_ACTION_FIX)
		f.done = fix(&f, h);
	undo(h);
	/* What is held by something that cannot be removed is given up. */
	if (f.action != PVMM_ACTION_REPORT && !f.done && f.kind == FOUND_STRAY)
		f.done = replace(&f, h);
	report_action(&f);
	stray_record(&f);
	pvmm_spin_unlock(&stray_lock);
	return f.done;
}
