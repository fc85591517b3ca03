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

static void queue_protect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	pvmm_table_queue_protect(page);
}

static void queue_unprotect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	pvmm_table_queue_unprotect(page);
}

static void mark_readonly(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	pvmm_table_mark(page, true);
}

static void mark_writable(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	pvmm_table_mark(page, false);
}

static void mark_suspect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	__atomic_fetch_or(&page->flags, PVMM_PAGE_SUSPECT, __ATOMIC_RELAXED);
}

static void clear_suspect(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	__atomic_fetch_and(&page->flags, (uint8_t)~PVMM_PAGE_SUSPECT, __ATOMIC_RELAXED);
}

void handover_queue(for_each_table_fn *for_each, const void *tables)
{
	for_each(tables, queue_protect, NULL);
}

void handover_done(for_each_table_fn *for_each, const void *tables)
{
	for_each(tables, mark_readonly, NULL);
}

void handback_queue(for_each_table_fn *for_each, const void *tables)
{
	for_each(tables, queue_unprotect, NULL);
}

void handback_done(for_each_table_fn *for_each, const void *tables)
{
	for_each(tables, mark_writable, NULL);
}

/* --- which table it is that Xen refuses --- */

/* What was to be handed over. */
struct tables {
	for_each_table_fn *for_each;
	exchange_table_fn *exchange;
	void *of;
};

struct one_by_one {
	pfn_t refused; /* the first */
	int err;
};

static int root_op(pfn_t table, unsigned int cmd)
{
	struct pvmm_batch_failure failure;

	pvmm_batch_begin();
	pvmm_batch_mmuext(
		&(struct mmuext_op){.cmd = cmd, .arg1.mfn = mfn_x(pvmm_pfn_to_mfn(table))});
	return pvmm_batch_end(&failure);
}

/* Children come before their parents, so that the first one refused is refused for itself. */
static void try_one(struct pvmm_page *page, void *ctx)
{
	pfn_t pfn = pvmm_page_pfn(page);
	struct one_by_one *o = ctx;
	int err;

	if (pfn_valid(o->refused))
		return;
	err = root_op(pfn, MMUEXT_PIN_L1_TABLE + pvmm_page_table_level(page) - 1);
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
	if (root_op(pvmm_page_pfn(page), MMUEXT_UNPIN_TABLE))
		pvmm_panic("pfn 0x%llx cannot be unpinned",
			   (unsigned long long)pfn_x(pvmm_page_pfn(page)));
}

/*
 * Asks Xen about each table alone. All are read-only, none is pinned. Invalid if Xen takes every
 * one of them.
 */
static struct one_by_one try_each(const struct tables *t)
{
	struct one_by_one o = {.refused = PVMM_INVALID_PFN};

	t->for_each(t->of, try_one, &o);
	t->for_each(t->of, untry_one, NULL);
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

static void copy_entries(pfn_t to, pfn_t from)
{
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++)
		pvmm_pt_set(to, slot, pvmm_pt_entries(from)[slot]);
}

/*
 * Puts a fresh page with the same contents in the place of a table that is building. First the page
 * is asked about with nothing in it: if Xen takes it so, it was an entry that Xen did not like, and
 * another page would not help.
 */
static bool replace(struct finding *f, const struct tables *t)
{
	struct exchange x = {.old = pvmm_page(f->pfn)};
	int err;

	if (x.old->live)
		return false;
	x.new = pvmm_table_alloc(pvmm_page_table_level(x.old));
	if (!x.new)
		return false;
	copy_entries(pvmm_page_pfn(x.new), f->pfn);
	if (probe_page(x.old, &err) != PROBE_REFUSED) {
		copy_entries(f->pfn, pvmm_page_pfn(x.new));
		pvmm_table_free(x.new);
		return false;
	}
	t->for_each(t->of, exchange_entries, &x);
	t->exchange(t->of, x.old, x.new);
	x.old->kind = PVMM_PAGE_QUARANTINED;
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
static void find_out(struct finding *f, struct pvmm_space *space, const struct tables *t)
{
	struct one_by_one o;

	if (!check_config.modes) {
		f->kind = FOUND_UNSEARCHED;
		return;
	}
	t->for_each(t->of, mark_suspect, NULL);
	stray_find(f, WANTED_SUSPECTS, NULL);
	t->for_each(t->of, clear_suspect, NULL);
	if (f->nr_found)
		return;

	/* -EBUSY is Xen's answer when it is not the table but an entry in it that it cannot have.
	 */
	if (f->err == -XEN_EBUSY)
		stray_find(f, WANTED_TABLES, space);
	f->kind = f->nr_found ? FOUND_CONFLICT : FOUND_UNEXPLAINED;
	if (f->nr_found || !tables_are_readonly(f->failure))
		return;

	o = try_each(t);
	f->pfn = o.refused;
	if (pfn_valid(o.refused) && o.err == -XEN_EINVAL)
		f->kind = FOUND_STRAY;
}

static unsigned int remove_mappings(const struct finding *f, struct pvmm_space *space,
				    const struct tables *t)
{
	unsigned int nr;

	if (f->kind == FOUND_CONFLICT)
		return repair_mappings(WANTED_TABLES, f->pfn, space, space);
	t->for_each(t->of, mark_suspect, NULL);
	nr = repair_mappings(WANTED_SUSPECTS, f->pfn, NULL, space);
	t->for_each(t->of, clear_suspect, NULL);
	return nr;
}

/* While the tables are still read-only: whether Xen takes them all now. */
static bool fix(struct finding *f, struct pvmm_space *space, const struct tables *t)
{
	struct one_by_one o;

	if (!f->nr_found || !tables_are_readonly(f->failure))
		return false;
	f->nr_removed = remove_mappings(f, space, t);
	check_count(&check_stats.repaired, f->nr_removed);
	if (!f->nr_removed)
		return false;
	o = try_each(t);
	if (pfn_valid(o.refused))
		f->pfn = o.refused;
	return !pfn_valid(o.refused);
}

/* Makes all tables writable, which cannot fail: none of them is a page table for Xen. */
static void undo(const struct tables *t)
{
	pvmm_batch_begin();
	handback_queue(t->for_each, t->of);
	pvmm_batch_flush_all();
	pvmm_batch_end(NULL);
}

/*
 * The flush at the end is needed because the search has read the tables through read-only
 * translations, and the next plain store must not fault.
 */
bool handover_undo(struct pvmm_space *space, const struct pvmm_batch_failure *failure,
		   for_each_table_fn *for_each, exchange_table_fn *exchange, void *of)
{
	const struct tables tables = {for_each, exchange, of}, *t = &tables;
	struct finding f = {
		.how = PVMM_CHECK_BY_PIN,
		.pfn = PVMM_INVALID_PFN,
		.err = failure->err,
		.space = space,
		.failure = failure,
		.action = check_config.action,
		.replacement = PVMM_INVALID_PFN,
	};

	pvmm_spin_lock(&stray_lock);
	find_out(&f, space, t);
	check_count(&check_stats.refused_pins, 1);
	check_count(&check_stats.mappings, f.nr_found);
	report_finding(&f);
	if (f.action == PVMM_ACTION_PANIC)
		pvmm_panic("check-action=panic: Xen refuses a page table");
	if (f.action == PVMM_ACTION_FIX)
		f.done = fix(&f, space, t);
	undo(t);
	/* What is held by something that cannot be removed is given up. */
	if (f.action != PVMM_ACTION_REPORT && !f.done && f.kind == FOUND_STRAY)
		f.done = replace(&f, t);
	report_action(&f);
	stray_record(&f);
	pvmm_spin_unlock(&stray_lock);
	return f.done;
}
