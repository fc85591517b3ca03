/* SPDX-License-Identifier: MIT */
/* See matrix.h. Owns the page that a cell is about. */
#include <pvmm/alloc.h>
#include <pvmm/balloon.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "matrix.h"

#define USER_VA 0x0000000000400000ULL

const char *const matrix_way_names[MATRIX_WAYS] = {"pin",  "free",    "alloc",	 "sweep",
						   "call", "balloon", "exchange"};

static const char *const action_names[] = {"report", "fix", "quarantine"};

/* The cell that runs, and what it began with. */
static struct cell {
	char name[128];
	const struct matrix_kind *kind; /* NULL: a twin */
	enum matrix_way way;
	enum pvmm_check_action action;
	uint64_t reports;
	pfn_t page;
	mfn_t frame; /* of the page, when its mapping was made */
	struct pvmm_page *user;
	struct pvmm_space space; /* whose L1 table the page is, when the way is a pin */
} cell;

#define CHECK_CELL(condition) matrix_check((condition), cell.name, #condition, __LINE__)

static void configure(unsigned int modes)
{
	const struct pvmm_check_config config = {
		.modes = PVMM_CHECK_PIN | modes | (cell.kind ? cell.kind->modes : 0),
		.action = cell.action,
		.report = PVMM_REPORT_TEXT,
	};

	pvmm_check_configure(&config);
}

/* --- the ways --- */

/* Gives the page its stray mapping, unless this is a twin. */
static bool make(void)
{
	cell.frame = pvmm_pfn_to_mfn(cell.page);
	return !cell.kind || CHECK_CELL(cell.kind->make(cell.page));
}

/* The page is an L1 table of a space that is being built. Returns what the pin said. */
static int notice_by_pin(void)
{
	if (!CHECK_CELL(!pvmm_space_create(&cell.space, "victim")) ||
	    !CHECK_CELL(!pvmm_space_map(&cell.space, USER_VA, cell.user, PVMM_PROT_RW)))
		return 0;
	cell.page = pvmm_pt_walk(cell.space.root, USER_VA).step[1].table;
	return make() ? pvmm_space_pin(&cell.space) : 0;
}

/* The page is last freed, so that it is what would be allocated next. */
static void make_and_free(unsigned int modes)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);

	if (!CHECK_CELL(page))
		return;
	cell.page = pvmm_page_pfn(page);
	make();
	configure(modes);
	pvmm_page_free(page, 0);
}

static void notice_by_free(void)
{
	make_and_free(PVMM_CHECK_FREE);
	pvmm_check_flush();
}

/* What is in quarantine is not what the allocation gets; without a mapping the page is. */
static void notice_by_alloc(void)
{
	struct pvmm_page *page;

	make_and_free(0);
	configure(PVMM_CHECK_ALLOC);
	page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	if (!CHECK_CELL(page))
		return;
	if (!cell.kind || cell.kind->invisible)
		CHECK_CELL(pfn_eq(pvmm_page_pfn(page), cell.page));
	else if (cell.action == PVMM_ACTION_QUARANTINE)
		CHECK_CELL(!pfn_eq(pvmm_page_pfn(page), cell.page));
	configure(0);
	pvmm_page_free(page, 0);
}

static void notice_by_sweep(void)
{
	make_and_free(0);
	pvmm_check_sweep_at(cell.page);
	pvmm_check_sweep(100);
}

static void notice_by_call(void)
{
	enum pvmm_check_answer answer;

	make_and_free(0);
	answer = pvmm_check_page(cell.page);
	CHECK_CELL(answer ==
		   (cell.kind && !cell.kind->invisible ? PVMM_CHECK_STRAY : PVMM_CHECK_CLEAN));
}

/*
 * A page that Xen lets go: with a fresh frame. After a refused pin Xen may keep a reference of a
 * table's frame for good (docs/xen-rules.md, 42); that is not what the cell is about.
 */
static struct pvmm_page *page_that_may_leave(void)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL), *other;

	if (!page || !pvmm_page_exchange(page))
		return page;
	other = page_that_may_leave();
	pvmm_page_put(page);
	return other;
}

/* The page is allocated, and is to leave the domain, or to get another frame. */
static int notice_by_leaving(int (*leave)(struct pvmm_page *page))
{
	struct pvmm_page *page = page_that_may_leave();

	if (!CHECK_CELL(page))
		return -XEN_ENOMEM;
	cell.page = pvmm_page_pfn(page);
	cell.reports = pvmm_stray_last().reports;
	return make() ? leave(page) : 0;
}

static int notice(void)
{
	configure(0);
	switch (cell.way) {
	case MATRIX_PIN:
		return notice_by_pin();
	case MATRIX_FREE:
		notice_by_free();
		return 0;
	case MATRIX_ALLOC:
		notice_by_alloc();
		return 0;
	case MATRIX_SWEEP:
		notice_by_sweep();
		return 0;
	case MATRIX_BALLOON:
		return notice_by_leaving(pvmm_balloon_give_page);
	case MATRIX_EXCHANGE:
		return notice_by_leaving(pvmm_page_exchange);
	default:
		notice_by_call();
		return 0;
	}
}

/* --- what must hold --- */

static enum pvmm_check_how expected_how(void)
{
	static const enum pvmm_check_how hows[MATRIX_WAYS] = {
		PVMM_CHECK_BY_PIN,	PVMM_CHECK_BY_FREE, PVMM_CHECK_BY_ALLOC,
		PVMM_CHECK_BY_SWEEP,	PVMM_CHECK_BY_CALL, PVMM_CHECK_BY_BALLOON,
		PVMM_CHECK_BY_EXCHANGE,
	};

	return hows[cell.way];
}

static void named(int err)
{
	struct pvmm_stray_record r = pvmm_stray_last();
	struct pvmm_walk w;

	CHECK_CELL(r.reports == cell.reports + 1 || cell.kind->modes);
	CHECK_CELL(r.how == expected_how());
	CHECK_CELL(r.err == err);
	CHECK_CELL(pfn_eq(r.pfn, cell.page));
	CHECK_CELL(r.action == cell.action);
	CHECK_CELL(r.nr_found == !cell.kind->unseen);
	if (cell.kind->unseen)
		return;
	w = pvmm_pt_walk(cell.kind->space->root, cell.kind->va());
	CHECK_CELL(r.first.va == cell.kind->va());
	CHECK_CELL(r.first.space == cell.kind->space);
	CHECK_CELL(pfn_eq(r.first.table, w.step[1].table) && r.first.slot == w.step[1].slot);
	CHECK_CELL(pfn_eq(r.first.pfn, cell.page));
}

/* What the page is when all is well, or when nothing was done. */
static enum pvmm_page_kind expected_kind(void)
{
	switch (cell.way) {
	case MATRIX_PIN:
		return PVMM_PAGE_L1;
	case MATRIX_BALLOON:
		return PVMM_PAGE_BALLOONED;
	case MATRIX_EXCHANGE:
		return PVMM_PAGE_KERNEL;
	default:
		return PVMM_PAGE_FREE;
	}
}

/* A page that is the balloon's already is not Xen's refusal. */
static int expected_error(void)
{
	return cell.way == MATRIX_BALLOON ? -XEN_EBUSY : -XEN_EINVAL;
}

static bool leaves(void)
{
	return cell.way == MATRIX_BALLOON || cell.way == MATRIX_EXCHANGE;
}

static bool still_mapped(void)
{
	pvmm_pte_t entry = pvmm_pt_lookup(cell.kind->space->root, cell.kind->va());

	return pvmm_pte_present(entry) && mfn_eq(pvmm_pte_mfn(entry), cell.frame);
}

/*
 * A frame that is mapped stays the domain's, also one that was given away; but not for an entry
 * that Xen does not count, which names a frame that has left then.
 */
static bool still_maps_page(void)
{
	return still_mapped() &&
	       (!cell.kind->invisible || mfn_eq(pvmm_pfn_to_mfn(cell.page), cell.frame));
}

static enum pvmm_page_kind kind_of_page(void)
{
	return (enum pvmm_page_kind)pvmm_page(cell.page)->kind;
}

/* The page is out of use for good; a table has another page in its place, with the same contents.
 */
static void is_in_quarantine(int err)
{
	CHECK_CELL(kind_of_page() == PVMM_PAGE_QUARANTINED);
	CHECK_CELL(pvmm_stray_last().done ==
		   (cell.action == PVMM_ACTION_QUARANTINE || cell.way == MATRIX_PIN));
	if (cell.way != MATRIX_PIN)
		return;
	CHECK_CELL(!err && cell.space.state == PVMM_SPACE_PINNED);
	CHECK_CELL(!pfn_eq(pvmm_pt_walk(cell.space.root, USER_VA).step[1].table, cell.page));
	CHECK_CELL(mfn_eq(pvmm_pte_mfn(pvmm_pt_lookup(cell.space.root, USER_VA)),
			  pvmm_pfn_to_mfn(pvmm_page_pfn(cell.user))));
}

/* The page is where it was, or Xen's with its last mapping; or that mapping is gone. */
static void has_left_or_not(int err)
{
	bool fixed = cell.action == PVMM_ACTION_FIX && !cell.kind->unseen;

	CHECK_CELL(pvmm_stray_last().done == fixed);
	CHECK_CELL(cell.kind->unseen || still_mapped() == !fixed);
	CHECK_CELL(err == (cell.way == MATRIX_BALLOON || fixed ? 0 : -XEN_EBUSY));
	CHECK_CELL(kind_of_page() == expected_kind());
	if (cell.way == MATRIX_EXCHANGE)
		CHECK_CELL(mfn_eq(pvmm_pfn_to_mfn(cell.page), cell.frame) == !fixed);
}

static void is_dealt_with(int err)
{
	if (leaves()) {
		has_left_or_not(err);
	} else if (cell.action == PVMM_ACTION_REPORT) {
		CHECK_CELL(!pvmm_stray_last().done);
		CHECK_CELL(cell.kind->unseen || still_mapped());
		CHECK_CELL(err == (cell.way == MATRIX_PIN ? -XEN_EINVAL : 0));
		CHECK_CELL(cell.way == MATRIX_PIN || kind_of_page() == PVMM_PAGE_FREE);
	} else if (cell.action == PVMM_ACTION_QUARANTINE || cell.kind->unseen) {
		is_in_quarantine(err);
	} else {
		CHECK_CELL(pvmm_stray_last().done);
		CHECK_CELL(!still_mapped());
		CHECK_CELL(!err);
		CHECK_CELL(kind_of_page() == expected_kind());
	}
}

/*
 * What Xen does not count it does not refuse, until the table that has it is validated: then it is
 * that space's pin which is refused, if the page is a table by then.
 */
static void comes_to_light(int err)
{
	struct pvmm_space *space = cell.kind->space;

	CHECK_CELL(!err);
	CHECK_CELL(pvmm_stray_last().reports == cell.reports);
	if (cell.way != MATRIX_PIN)
		return;
	err = pvmm_space_pin(space);
	named(-XEN_EBUSY);
	CHECK_CELL(err == (cell.action == PVMM_ACTION_FIX ? 0 : -XEN_EBUSY));
	CHECK_CELL(still_mapped() == (cell.action != PVMM_ACTION_FIX));
}

/* The freed table is noticed too, where free pages are looked at, and may be the last report. */
static bool has_company(void)
{
	return cell.kind->modes && pvmm_stray_last().reports > cell.reports &&
	       !pfn_eq(pvmm_stray_last().pfn, cell.page);
}

/* --- a cell --- */

static bool begin(const struct matrix_kind *kind, enum matrix_way way,
		  enum pvmm_check_action action)
{
	cell = (struct cell){.kind = kind, .way = way, .action = action};
	pvmm_snprintf(cell.name, sizeof(cell.name), "%s, noticed by %s, %s",
		      kind ? kind->name : "none", matrix_way_names[way], action_names[action]);
	configure(0);
	cell.user = pvmm_page_alloc(0, PVMM_PAGE_USER);
	if (!CHECK_CELL(cell.user) || (kind && !CHECK_CELL(kind->prepare())))
		return false;
	cell.reports = pvmm_stray_last().reports;
	return true;
}

static void end(const struct pvmm_check_config *before)
{
	uint64_t done;

	configure(0);
	if (cell.kind)
		cell.kind->undo(cell.page);
	if (cell.way == MATRIX_PIN) {
		/* Without the mapping it works, whatever came before. */
		CHECK_CELL(!pvmm_space_pin(&cell.space));
		CHECK_CELL(!pvmm_space_destroy(&cell.space));
	}
	if (cell.way == MATRIX_EXCHANGE)
		pvmm_page_put(pvmm_page(cell.page));
	if (cell.way == MATRIX_BALLOON)
		CHECK_CELL(!pvmm_balloon_take(1, &done));
	pvmm_page_put(cell.user);
	pvmm_check_configure(before);
}

void matrix_cell(const struct matrix_kind *kind, enum matrix_way way, enum pvmm_check_action action)
{
	struct pvmm_check_config before = pvmm_check_config();
	int err;

	if (!begin(kind, way, action))
		return;
	err = notice();
	if (kind->invisible) {
		comes_to_light(err);
	} else {
		if (!has_company())
			named(expected_error());
		is_dealt_with(err);
	}
	matrix_show(cell.name, kind, cell.page, kind->unseen || still_maps_page());
	end(&before);
}

void matrix_twin(enum matrix_way way, enum pvmm_check_action action)
{
	struct pvmm_check_config before = pvmm_check_config();

	if (!begin(NULL, way, action))
		return;
	CHECK_CELL(!notice());
	CHECK_CELL(pvmm_stray_last().reports == cell.reports);
	CHECK_CELL(kind_of_page() == expected_kind());
	end(&before);
}

void matrix_run(const struct matrix_kind *kind)
{
	for (unsigned int way = 0; way < MATRIX_WAYS; way++)
		for (unsigned int action = 0; action < PVMM_ARRAY_SIZE(action_names); action++) {
			if (kind)
				matrix_cell(kind, (enum matrix_way)way,
					    (enum pvmm_check_action)action);
			else
				matrix_twin((enum matrix_way)way, (enum pvmm_check_action)action);
		}
}
