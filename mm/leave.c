/* SPDX-License-Identifier: MIT */
/*
 * See leave.h. Owns the order in which a page loses its mappings, and the way back. Whoever calls
 * has the balloon's turn and the pages.
 *
 * The window between "looked" and "left" is closed as for page tables: the kind is set first and
 * the counts looked at then (mm/ledger.c), so who tries to map such a page finds it BALLOONED.
 */
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/spinlock.h>
#include "check.h"
#include "leave.h"
#include "ledger.h"

static void set_kind(struct pvmm_page *page, uint8_t kind)
{
	__atomic_store_n(&page->kind, kind, __ATOMIC_SEQ_CST);
}

static void for_each_leaving(const void *leaving, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	const struct leaving *l = leaving;

	for (unsigned int i = 0; i < l->nr; i++)
		fn(l->pages[i], ctx);
}

static void restore_kinds(struct leaving *l)
{
	for (unsigned int i = 0; i < l->nr; i++)
		set_kind(l->pages[i], l->kinds[i]);
}

/* --- what holds a page --- */

static bool frame_exchange(struct leaving *l, unsigned int i, int *err);

static void find_holder(struct finding *f)
{
	pvmm_spin_lock(&stray_lock);
	stray_find(f, WANTED_PAGE, NULL);
	check_count(&check_stats.mappings, f->nr_found);
	report_finding(f);
	if (f->action == PVMM_ACTION_PANIC)
		pvmm_panic("check-action=panic: pfn 0x%llx is to leave and is held",
			   (unsigned long long)pfn_x(f->pfn));
}

static void end_report(struct finding *f)
{
	report_action(f);
	stray_record(f);
	pvmm_spin_unlock(&stray_lock);
}

static struct finding finding_of(const struct pvmm_page *page, enum pvmm_check_how how, int err)
{
	return (struct finding){
		.kind = FOUND_HELD,
		.how = how,
		.pfn = pvmm_page_pfn(page),
		.err = err,
		.live = page->live,
		.stale = page->stale,
		.action = check_config.action,
		.replacement = PVMM_INVALID_PFN,
	};
}

static void report_live(const struct leaving *l)
{
	for (unsigned int i = 0; i < l->nr; i++) {
		struct finding f = finding_of(l->pages[i], PVMM_CHECK_BY_EXCHANGE, -XEN_EBUSY);

		if (!f.live)
			continue;
		find_holder(&f);
		end_report(&f);
		return;
	}
}

/* Says who holds page i; true if it was exchanged after all. */
static bool report_held(struct leaving *l, unsigned int i, int err)
{
	struct finding f = finding_of(l->pages[i], PVMM_CHECK_BY_EXCHANGE, err);

	find_holder(&f);
	if (f.action == PVMM_ACTION_FIX) {
		f.nr_removed = repair_holders(f.pfn);
		check_count(&check_stats.repaired, f.nr_removed);
		f.done = f.nr_removed && frame_exchange(l, i, &err);
	}
	end_report(&f);
	return f.done;
}

bool leave_is_ours(const struct pvmm_page *page)
{
	pfn_t pfn = pvmm_page_pfn(page);

	/* Xen takes a frame's name away when it frees it. */
	return pfn_eq(pvmm_mfn_to_pfn(pvmm_pfn_to_mfn(pfn)), pfn);
}

bool leave_report_given(const struct leaving *l, unsigned int i)
{
	struct finding f = finding_of(l->pages[i], PVMM_CHECK_BY_BALLOON, -XEN_EBUSY);

	find_holder(&f);
	if (f.action == PVMM_ACTION_FIX) {
		f.nr_removed = repair_holders(f.pfn);
		check_count(&check_stats.repaired, f.nr_removed);
		f.done = !leave_is_ours(l->pages[i]);
	}
	end_report(&f);
	return f.done;
}

/* --- out of all tables, and back --- */

/* One trap: stale mappings, places in the direct map, and the flush for both. */
static int remove_mappings(struct leaving *l, struct pvmm_batch_failure *failure)
{
	int err;

	pvmm_batch_begin();
	if (l->nr_stale)
		ledger_drop_begin(for_each_leaving, l);
	for (unsigned int i = 0; i < l->nr; i++) {
		directmap_mark(l->pages[i], true);
		directmap_queue(l->pages[i], 0);
	}
	pvmm_batch_flush_all();
	err = pvmm_batch_end(failure);
	if (l->nr_stale)
		ledger_drop_end(err ? failure : NULL);
	return err;
}

int leave_prepare(struct leaving *l)
{
	struct pvmm_batch_failure failure;
	int err;

	l->nr_held = l->nr_replaced = 0;
	for (unsigned int i = 0; i < l->nr; i++) {
		l->kinds[i] = l->pages[i]->kind;
		set_kind(l->pages[i], PVMM_PAGE_BALLOONED);
	}
	err = ledger_check_tables(for_each_leaving, l, &l->nr_stale);
	if (err) {
		report_live(l);
		restore_kinds(l);
		return err;
	}
	err = remove_mappings(l, &failure);
	if (err) {
		report_refusal(&failure, "balloon: pages cannot be unmapped");
		(void)leave_back(l, 0, l->nr);
	}
	return err;
}

static int put_back(const struct leaving *l, unsigned int first, unsigned int nr,
		    struct pvmm_batch_failure *failure)
{
	pvmm_batch_begin();
	for (unsigned int i = first; i < first + nr; i++)
		directmap_queue(l->pages[i], PVMM_PROT_RW);
	return pvmm_batch_end(failure);
}

int leave_back(struct leaving *l, unsigned int first, unsigned int nr)
{
	struct pvmm_batch_failure failure;
	int err = nr ? put_back(l, first, nr, &failure) : 0, one = 0;

	for (unsigned int i = first; i < first + nr; i++) {
		/* Which of them it is that Xen refuses is asked for each. */
		if (err)
			one = put_back(l, i, 1, &failure);
		if (err && one) {
			report_refusal(&failure, "balloon: pfn 0x%llx goes to quarantine",
				       (unsigned long long)pfn_x(pvmm_page_pfn(l->pages[i])));
			set_kind(l->pages[i], PVMM_PAGE_QUARANTINED);
			check_count(&check_stats.quarantined, 1);
			continue;
		}
		directmap_mark(l->pages[i], false);
		set_kind(l->pages[i], l->kinds[i]);
	}
	return err && one ? -XEN_EINVAL : 0;
}

/* --- the judge --- */

/* Exchanges the frames of nr pages; *done is how many were. They are the pages' from then on. */
static int exchange(struct leaving *l, unsigned int first, unsigned int nr, unsigned int *done)
{
	struct xen_memory_exchange x = {
		.in = {.nr_extents = nr, .domid = DOMID_SELF},
		.out = {.nr_extents = nr, .domid = DOMID_SELF},
	};
	int err;

	for (unsigned int i = first; i < first + nr; i++) {
		l->names[i] = pfn_x(pvmm_page_pfn(l->pages[i]));
		l->frames[i] = mfn_x(pvmm_pfn_to_mfn(_pfn(l->names[i])));
	}
	set_xen_guest_handle(x.in.extent_start, &l->frames[first]);
	set_xen_guest_handle(x.out.extent_start, &l->names[first]);
	err = (int)pvmm_hc_memory_op(XENMEM_exchange, &x);
	*done = (unsigned int)x.nr_exchanged;
	for (unsigned int i = first; i < first + *done; i++)
		p2m_set(pvmm_page_pfn(l->pages[i]), _mfn(l->names[i]));
	l->nr_replaced += *done;
	return err;
}

static bool frame_exchange(struct leaving *l, unsigned int i, int *err)
{
	unsigned int done;

	*err = exchange(l, i, 1, &done);
	return done;
}

/* Behind the others with it. */
static void set_aside(struct leaving *l, unsigned int i)
{
	struct pvmm_page *page = l->pages[i];
	uint8_t kind = l->kinds[i];

	l->nr--;
	l->pages[i] = l->pages[l->nr];
	l->kinds[i] = l->kinds[l->nr];
	l->pages[l->nr] = page;
	l->kinds[l->nr] = kind;
	l->nr_held++;
}

int leave_exchange(struct leaving *l)
{
	unsigned int i = 0, done;

	while (i < l->nr) {
		int err = exchange(l, i, l->nr - i, &done);

		i += done;
		if (!err)
			return 0;
		if (err != -XEN_EINVAL || i == l->nr)
			return err;
		if (report_held(l, i, err))
			i++;
		else
			set_aside(l, i);
	}
	return 0;
}
