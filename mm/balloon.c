/* SPDX-License-Identifier: MIT */
/*
 * Owns the pages that have no frame, linked through the page database, and how many have one.
 *
 * Invariant, while nobody has the turn: a page is BALLOONED exactly if its p2m entry is
 * PVMM_INVALID_FRAME; then it is on the list, with one reference, PVMM_PAGE_NODIRECT and no entry
 * in the direct map. The turn is had by one caller at a time and guards all that is here; it is no
 * lock, since the search for a holder takes others of any kind.
 */
#include <pvmm/alloc.h>
#include <pvmm/balloon.h>
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "check.h"
#include "leave.h"

#define ULL(v) ((unsigned long long)(v))

static struct {
	bool has_turn;
	enum pvmm_balloon_judge judge; /* may be set before there is a manager */
	uint32_t first;		       /* of the list */
	struct pvmm_balloon_stats stats;
} balloon;

static struct leaving leaving; /* of whoever has the turn */

void balloon_init(uint64_t nr_pages)
{
	balloon.has_turn = false;
	balloon.first = PVMM_PAGE_NONE;
	balloon.stats = (struct pvmm_balloon_stats){.nr_frames = nr_pages};
}

void pvmm_balloon_judge(enum pvmm_balloon_judge judge)
{
	balloon.judge = judge;
}

struct pvmm_balloon_stats pvmm_balloon_stats(void)
{
	return balloon.stats;
}

static bool turn_get(const char *what)
{
	pvmm_batch_assert_closed(what);
	if (pvmm_locks_held())
		pvmm_panic("%s with %u locks held", what, pvmm_locks_held());
	return !__atomic_exchange_n(&balloon.has_turn, true, __ATOMIC_ACQUIRE);
}

static void turn_put(void)
{
	__atomic_store_n(&balloon.has_turn, false, __ATOMIC_RELEASE);
}

/* --- the list --- */

static void list_push(struct pvmm_page *page)
{
	page->next = balloon.first;
	balloon.first = (uint32_t)pfn_x(pvmm_page_pfn(page));
	balloon.stats.nr_ballooned++;
}

static struct pvmm_page *list_pop(void)
{
	struct pvmm_page *page = pvmm_page(_pfn(balloon.first));

	balloon.first = page->next;
	page->next = PVMM_PAGE_NONE;
	balloon.stats.nr_ballooned--;
	return page;
}

/* --- asking Xen --- */

static long ask(unsigned int op)
{
	domid_t self = DOMID_SELF;

	return pvmm_hc_memory_op(op, &self);
}

int pvmm_balloon_reservation(uint64_t *current, uint64_t *maximum)
{
	long now = ask(XENMEM_current_reservation), most = ask(XENMEM_maximum_reservation);

	*current = (uint64_t)now;
	*maximum = (uint64_t)most;
	return now < 0 ? (int)now : most < 0 ? (int)most : 0;
}

/* How many of the first nr extents it has done. */
static unsigned int reserve(unsigned int op, xen_pfn_t *frames, unsigned int nr, long *answer)
{
	struct xen_memory_reservation r = {.nr_extents = nr, .domid = DOMID_SELF};

	set_xen_guest_handle(r.extent_start, frames);
	*answer = pvmm_hc_memory_op(op, &r);
	return *answer < 0 ? 0 : (unsigned int)*answer;
}

/* --- giving --- */

/*
 * Xen counts a page as the domain's until its last mapping is gone. Finds those of the nr given
 * that it still counts; returns how many stay so.
 */
static unsigned int look_for_held(const struct leaving *l, unsigned int nr, long before, long after)
{
	unsigned int nr_held = 0;

	if (before < 0 || after < 0) {
		pvmm_log(PVMM_WARN, "balloon: Xen does not say how many pages the domain has: %s",
			 pvmm_errno_name((int)(before < 0 ? before : after)));
		return 0;
	}
	if (before - after == (long)nr)
		return 0;
	for (unsigned int i = 0; i < nr; i++)
		if (leave_is_ours(l->pages[i])) {
			balloon.stats.held++;
			nr_held += !leave_report_given(l, i);
		}
	return nr_held;
}

static unsigned int decrease(struct leaving *l, unsigned int *nr_held)
{
	bool counts = balloon.judge != PVMM_BALLOON_TRUST && l->nr;
	long before = counts ? ask(XENMEM_current_reservation) : 0, answer = 0;
	unsigned int done;

	for (unsigned int i = 0; i < l->nr; i++)
		l->frames[i] = mfn_x(pvmm_pfn_to_mfn(pvmm_page_pfn(l->pages[i])));
	done = l->nr ? reserve(XENMEM_decrease_reservation, l->frames, l->nr, &answer) : 0;
	*nr_held = counts ? look_for_held(l, done, before, ask(XENMEM_current_reservation)) : 0;
	for (unsigned int i = 0; i < done; i++) {
		p2m_set(pvmm_page_pfn(l->pages[i]), PVMM_INVALID_MFN);
		list_push(l->pages[i]);
	}
	balloon.stats.nr_frames -= done;
	balloon.stats.given += done;
	if (done < l->nr)
		pvmm_log(
			PVMM_WARN,
			"balloon: Xen does not take pfn 0x%llx (mfn 0x%llx), and says %ld: %u of %u pages were given",
			ULL(pfn_x(pvmm_page_pfn(l->pages[done]))), ULL(l->frames[done]), answer,
			done, l->nr);
	return done;
}

/*
 * The pages of l leave, as far as they can: *done do, the others are as they were, first of all in
 * l->pages from *done on, the held ones at the end.
 */
static int give(struct leaving *l, unsigned int *done)
{
	unsigned int wanted = l->nr, nr_held = 0, nr_given = 0;
	int err = leave_prepare(l);

	*done = 0;
	if (err)
		return err;
	if (balloon.judge == PVMM_BALLOON_EXCHANGE)
		err = leave_exchange(l);
	if (err)
		pvmm_log(
			PVMM_WARN,
			"balloon: Xen cannot exchange all of %u pages (%s): the others go unjudged",
			wanted, pvmm_errno_name(err));
	nr_given = decrease(l, &nr_held);
	balloon.stats.held += l->nr_held;
	balloon.stats.exchanged += l->nr_replaced;
	err = leave_back(l, nr_given, wanted - nr_given);
	*done = nr_given;
	if (l->nr_held || nr_held)
		return -XEN_EBUSY;
	return nr_given < l->nr ? -XEN_EINVAL : err;
}

/* Pages of the balloon's own that stay: back to the allocator, or out of use if they are held. */
static void release(struct leaving *l, unsigned int first, unsigned int nr)
{
	bool quarantines = check_config.action == PVMM_ACTION_QUARANTINE ||
			   check_config.action == PVMM_ACTION_FIX;

	for (unsigned int i = first; i < first + nr; i++) {
		if (l->pages[i]->kind == PVMM_PAGE_QUARANTINED)
			continue;
		if (i < l->nr || !quarantines) {
			pvmm_page_free(l->pages[i], 0);
			continue;
		}
		__atomic_store_n(&l->pages[i]->kind, PVMM_PAGE_QUARANTINED, __ATOMIC_RELAXED);
		check_count(&check_stats.quarantined, 1);
	}
}

/* Others take pages at the same time: so often those who keep some are asked in vain. */
#define TRIES 8

/* Whether more than that are free, if need be after asking. */
static bool has_free(uint64_t keep_pages)
{
	uint64_t nr = pvmm_free_pages(), before;
	unsigned int tries = TRIES;

	while (nr <= keep_pages && tries) {
		before = nr;
		alloc_reclaim();
		nr = pvmm_free_pages();
		tries -= nr <= before;
	}
	return nr > keep_pages;
}

static void collect(struct leaving *l, uint64_t nr_pages, uint64_t keep_pages)
{
	l->nr = 0;
	while (l->nr < nr_pages && l->nr < LEAVING_PAGES && has_free(keep_pages)) {
		struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);

		if (!page)
			return;
		l->pages[l->nr++] = page;
	}
}

int pvmm_balloon_give(uint64_t nr_pages, uint64_t keep_pages, uint64_t *done)
{
	int err = 0;

	*done = 0;
	if (!turn_get("giving pages away"))
		return -XEN_EBUSY;
	while (!err && *done < nr_pages) {
		unsigned int nr, wanted;

		collect(&leaving, nr_pages - *done, keep_pages);
		wanted = leaving.nr;
		if (!wanted) {
			err = -XEN_ENOMEM;
			break;
		}
		err = give(&leaving, &nr);
		release(&leaving, nr, wanted - nr);
		*done += nr;
	}
	turn_put();
	return err;
}

/* Whether it is a single page that the caller alone has. */
static bool may_leave(const struct pvmm_page *page)
{
	return (page->kind == PVMM_PAGE_KERNEL || page->kind == PVMM_PAGE_USER) && !page->order &&
	       !page->flags && __atomic_load_n(&page->refs, __ATOMIC_RELAXED) == 1;
}

int pvmm_balloon_give_page(struct pvmm_page *page)
{
	unsigned int done;
	int err;

	if (!may_leave(page))
		return -XEN_EINVAL;
	if (!turn_get("giving a page away"))
		return -XEN_EBUSY;
	leaving.pages[0] = page;
	leaving.nr = 1;
	err = give(&leaving, &done);
	turn_put();
	return done ? 0 : err;
}

int pvmm_page_exchange(struct pvmm_page *page)
{
	int err;

	if ((page->kind != PVMM_PAGE_KERNEL && page->kind != PVMM_PAGE_USER) || page->flags)
		return -XEN_EINVAL;
	if (!turn_get("the exchange of a page"))
		return -XEN_EBUSY;
	leaving.pages[0] = page;
	leaving.nr = 1;
	err = leave_prepare(&leaving);
	if (!err) {
		err = leave_exchange(&leaving);
		balloon.stats.exchanged += leaving.nr_replaced;
		balloon.stats.held += leaving.nr_held;
		if (leaving.nr_held)
			err = -XEN_EBUSY;
		if (leave_back(&leaving, 0, 1))
			err = -XEN_EINVAL;
	}
	turn_put();
	return err;
}

/* --- taking --- */

/* nr pages of the list get frames, and go to the allocator; returns how many. */
static unsigned int take(struct leaving *l, unsigned int nr, int *err)
{
	long answer;
	unsigned int done;

	for (unsigned int i = 0; i < nr; i++) {
		l->pages[i] = list_pop();
		l->kinds[i] = PVMM_PAGE_KERNEL;
		l->frames[i] = pfn_x(pvmm_page_pfn(l->pages[i]));
	}
	done = reserve(XENMEM_populate_physmap, l->frames, nr, &answer);
	*err = answer < 0 ? (int)answer : done < nr ? -XEN_ENOMEM : 0;
	for (unsigned int i = nr; i > done; i--)
		list_push(l->pages[i - 1]);
	for (unsigned int i = 0; i < done; i++) {
		p2m_set(pvmm_page_pfn(l->pages[i]), _mfn(l->frames[i]));
		if (!leave_is_ours(l->pages[i]))
			pvmm_panic("Xen gives mfn 0x%llx for pfn 0x%llx and does not name it so",
				   ULL(l->frames[i]), ULL(pfn_x(pvmm_page_pfn(l->pages[i]))));
	}
	balloon.stats.nr_frames += done;
	balloon.stats.taken += done;
	if (leave_back(l, 0, done))
		*err = -XEN_EINVAL;
	for (unsigned int i = 0; i < done; i++)
		if (l->pages[i]->kind != PVMM_PAGE_QUARANTINED)
			pvmm_page_free(l->pages[i], 0);
	return done;
}

/* More pages without a frame. */
static int grow(void)
{
	uint64_t first = pvmm_max_pfn();
	int err = mm_grow(&balloon.stats.records);

	if (err)
		return err;
	/* The lowest of them are to be had first. */
	for (uint64_t pfn = pvmm_max_pfn(); pfn > first; pfn--)
		list_push(pvmm_page(_pfn(pfn - 1)));
	balloon.stats.grown += pvmm_max_pfn() - first;
	return 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The next of nr_pages wanted, as far as the domain may have more. */
static int take_some(uint64_t nr_pages, uint64_t *done)
{
	uint64_t now, most, nr;
	int err = pvmm_balloon_reservation(&now, &most);

	if (err)
		return err;
	if (now >= most)
		return -XEN_E2BIG;
	if (!balloon.stats.nr_ballooned)
		err = grow();
	if (err)
		return err;
	nr = least(least(nr_pages, LEAVING_PAGES), least(most - now, balloon.stats.nr_ballooned));
	*done += take(&leaving, (unsigned int)nr, &err);
	return err;
}

int pvmm_balloon_take(uint64_t nr_pages, uint64_t *done)
{
	int err = 0;

	*done = 0;
	if (!turn_get("taking pages"))
		return -XEN_EBUSY;
	while (!err && *done < nr_pages)
		err = take_some(nr_pages - *done, done);
	turn_put();
	return err;
}

/* --- the audit --- */

/* What of the list is wrong; with it, how long it is. */
static unsigned int audit_list(uint64_t *nr)
{
	unsigned int problems = 0;

	*nr = 0;
	for (uint32_t pfn = balloon.first;
	     pfn != PVMM_PAGE_NONE && *nr <= balloon.stats.nr_ballooned;
	     pfn = pvmm_page(_pfn(pfn))->next) {
		const struct pvmm_page *page = pvmm_page(_pfn(pfn));

		++*nr;
		if (page->kind == PVMM_PAGE_BALLOONED && page->flags == PVMM_PAGE_NODIRECT &&
		    page->refs == 1 && !page->live && !page->stale &&
		    !mfn_valid(pvmm_pfn_to_mfn(_pfn(pfn))))
			continue;
		pvmm_log(
			PVMM_ERROR,
			"audit: pfn 0x%x in the balloon is %s, flags 0x%x, refs %u, live %u, stale %u, mfn 0x%llx",
			pfn, pvmm_page_kind_name((enum pvmm_page_kind)page->kind), page->flags,
			page->refs, page->live, page->stale,
			ULL(mfn_x(pvmm_pfn_to_mfn(_pfn(pfn)))));
		problems++;
	}
	return problems;
}

unsigned int balloon_audit(void)
{
	uint64_t on_list, nr_ballooned = 0, nr_frames = 0;
	unsigned int problems = audit_list(&on_list);

	for (uint64_t i = 0; i < pvmm_max_pfn(); i++) {
		nr_ballooned += pvmm_page(_pfn(i))->kind == PVMM_PAGE_BALLOONED;
		nr_frames += mfn_valid(pvmm_pfn_to_mfn(_pfn(i)));
	}
	if (on_list == balloon.stats.nr_ballooned && nr_ballooned == on_list &&
	    nr_frames == balloon.stats.nr_frames)
		return problems;
	pvmm_log(
		PVMM_ERROR,
		"audit: %llu pages in the balloon, %llu on its list, %llu of that kind; %llu pages with a frame counted, %llu in the p2m",
		ULL(balloon.stats.nr_ballooned), ULL(on_list), ULL(nr_ballooned),
		ULL(balloon.stats.nr_frames), ULL(nr_frames));
	return problems + 1;
}

unsigned int pvmm_balloon_audit(void)
{
	long now = ask(XENMEM_current_reservation);

	if (now == (long)balloon.stats.nr_frames)
		return 0;
	pvmm_log(PVMM_ERROR, "audit: %llu pages have a frame, %ld says Xen",
		 ULL(balloon.stats.nr_frames), now);
	return 1;
}
