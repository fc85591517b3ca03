/* SPDX-License-Identifier: MIT */
/*
 * See reader.h. Owns the sets of frames and the list of tables.
 *
 * Invariant: own is a subset of asked; every table with is_typed is in own; nothing is read that is
 * not in own (but the shared info page), so that a device's registers are never touched, wherever
 * the domain's numbers point.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "reader.h"

/* Frames that tables may lead to before the reader takes them for lies: so many times its pages. */
#define CLOSURE_FACTOR 4u
#define CLOSURE_SPARE  65536u

/* What no sane domain has more of (xen/xen.h has 8192 for the largest interface). */
#define MAX_VCPUS 8192u

int reader_progress(struct reader *r, const char *what, uint64_t done, uint64_t of)
{
	if (r->options.stop && *r->options.stop)
		return -EINTR;
	if (r->options.progress)
		r->options.progress(r->options.progress_ctx, what, done, of);
	return 0;
}

/* --- asking --- */

static int table_add(struct reader *r, uint64_t mfn, uint8_t type)
{
	if (r->nr_tables == r->max_tables) {
		size_t max = r->max_tables ? 2 * r->max_tables : 256;
		struct table *tables = realloc(r->tables, max * sizeof(*tables));

		if (!tables)
			return -ENOMEM;
		r->tables = tables;
		r->max_tables = max;
	}
	r->tables[r->nr_tables++] = (struct table){
		.mfn = mfn,
		.level = type & FRAME_TYPE,
		.is_typed = true,
		.is_pinned = type & FRAME_PINNED,
	};
	return 0;
}

static int take_answer(struct reader *r, uint64_t mfn, uint8_t type)
{
	unsigned int level = type & FRAME_TYPE;
	int err;

	if (level == FRAME_NOT_ITS)
		return 0;
	err = frameset_add(&r->own, mfn);
	if (err < 0 || !level || level > r->layout->levels)
		return err < 0 ? err : 0;
	return table_add(r, mfn, type);
}

int reader_flush(struct reader *r)
{
	uint8_t types[DOM_BATCH];
	unsigned int nr = r->nr_pending;
	int err;

	r->nr_pending = 0;
	if (!nr)
		return 0;
	err = r->dom->types(r->dom, r->pending, nr, types);
	for (unsigned int i = 0; i < nr && !err; i++)
		err = take_answer(r, r->pending[i], types[i]);
	return err;
}

int reader_offer(struct reader *r, uint64_t mfn)
{
	int new = frameset_add(&r->asked, mfn);

	if (new <= 0)
		return new;
	r->pending[r->nr_pending++] = mfn;
	return r->nr_pending == DOM_BATCH ? reader_flush(r) : 0;
}

int reader_is_own(struct reader *r, uint64_t mfn, bool *is_own)
{
	int err = 0;

	if (!frameset_has(&r->own, mfn)) {
		err = reader_offer(r, mfn);
		if (!err)
			err = reader_flush(r);
	}
	*is_own = !err && frameset_has(&r->own, mfn);
	return err;
}

/* --- reading --- */

int reader_read(struct reader *r, const uint64_t *mfns, unsigned int nr, void *pages, bool *ok)
{
	uint64_t wanted[READER_BATCH];
	bool got[READER_BATCH] = {false};
	unsigned int nr_wanted = 0, at = 0;
	uint8_t *to = pages;
	int err = 0;

	for (unsigned int i = 0; i < nr && !err; i++) {
		ok[i] = mfns[i] != TOOL_NO_FRAME && mfns[i] == r->dom->info.shared_info;
		if (!ok[i])
			err = reader_is_own(r, mfns[i], &ok[i]);
		if (ok[i])
			wanted[nr_wanted++] = mfns[i];
	}
	if (!err && nr_wanted)
		err = r->dom->read(r->dom, wanted, nr_wanted, to, got);
	if (err)
		return err;
	r->nr_read += nr_wanted;
	/* Those that came lie together at the front: each goes to its place, the last one first. */
	at = nr_wanted;
	for (unsigned int i = nr; i-- > 0;) {
		if (!ok[i])
			continue;
		at--;
		ok[i] = got[at];
		if (ok[i] && at != i)
			memmove(to + (size_t)i * TOOL_PAGE_SIZE, to + (size_t)at * TOOL_PAGE_SIZE,
				TOOL_PAGE_SIZE);
	}
	return 0;
}

uint64_t table_sum(const uint64_t *entries)
{
	uint64_t sum = 0xcbf29ce484222325ULL; /* FNV-1a, by words */

	for (unsigned int i = 0; i < TABLE_SLOTS; i++) {
		sum = (sum ^ (entries[i] & ~(ENTRY_ACCESSED | ENTRY_DIRTY))) * 0x100000001b3ULL;
		sum ^= sum >> 29;
	}
	return sum;
}

static int visit_batch(struct reader *r, struct table **batch, unsigned int nr,
		       reader_visit_fn *visit, void *ctx)
{
	uint64_t mfns[READER_BATCH];
	bool ok[READER_BATCH];
	int err;

	for (unsigned int i = 0; i < nr; i++)
		mfns[i] = batch[i]->mfn;
	err = reader_read(r, mfns, nr, r->batch, ok);
	for (unsigned int i = 0; i < nr && !err; i++) {
		const uint64_t *entries = r->batch + (size_t)i * TABLE_SLOTS;

		batch[i]->is_unread = !ok[i];
		if (!ok[i])
			continue;
		batch[i]->sum = table_sum(entries);
		err = visit(r, batch[i], entries, ctx);
	}
	return err;
}

int reader_visit(struct reader *r, unsigned int level, reader_visit_fn *visit, void *ctx)
{
	struct table *batch[READER_BATCH];
	unsigned int nr = 0;
	int err = 0;

	for (size_t i = 0; i < r->nr_tables && !err; i++) {
		if (r->tables[i].level == level)
			batch[nr++] = &r->tables[i];
		if (nr && (nr == READER_BATCH || i + 1 == r->nr_tables)) {
			err = visit_batch(r, batch, nr, visit, ctx);
			nr = 0;
			if (!err)
				err = reader_progress(r, "reading tables", i + 1, r->nr_tables);
		}
	}
	return err;
}

/* --- finding all there is --- */

static int read_vcpus(struct reader *r)
{
	unsigned int nr = r->dom->info.nr_vcpus;
	int err = 0;

	r->nr_vcpus = nr > MAX_VCPUS ? MAX_VCPUS : nr;
	r->vcpus = calloc(r->nr_vcpus ? r->nr_vcpus : 1, sizeof(*r->vcpus));
	if (!r->vcpus)
		return -ENOMEM;
	for (unsigned int i = 0; i < r->nr_vcpus && !err; i++) {
		struct dom_vcpu *v = &r->vcpus[i];

		err = r->dom->vcpu(r->dom, i, v);
		if (err) {
			*v = (struct dom_vcpu){.root = TOOL_NO_FRAME, .user_root = TOOL_NO_FRAME};
			r->notes.no_registers += err != -ENODATA;
		}
		err = reader_offer(r, v->root);
		if (!err)
			err = reader_offer(r, v->user_root);
	}
	return err;
}

static bool has_all(const struct reader *r)
{
	return r->own.nr >= r->dom->info.nr_pages;
}

/* Whether tables have led to more frames than is believable; unless all there are was asked for. */
static bool is_beyond_belief(const struct reader *r)
{
	return !r->options.every_frame &&
	       r->asked.nr > r->dom->info.nr_pages * CLOSURE_FACTOR + CLOSURE_SPARE;
}

/*
 * What the entries of tables lead to, from table number *from on: upper levels only, since tables
 * hide there; or all levels, when frames are missing.
 */
static int offer_entries(struct reader *r, size_t from, unsigned int nr)
{
	uint64_t mfns[READER_BATCH] = {0};
	bool ok[READER_BATCH];
	int err;

	for (unsigned int i = 0; i < nr; i++)
		mfns[i] = r->tables[from + i].mfn;
	err = reader_read(r, mfns, nr, r->batch, ok);
	for (unsigned int i = 0; i < nr && !err; i++) {
		const uint64_t *entries = r->batch + (size_t)i * TABLE_SLOTS;
		/* The list may move while frames are added to it. */
		unsigned int level = r->tables[from + i].level;

		for (unsigned int s = 0; ok[i] && s < layout_slots(r->layout, level) && !err; s++)
			if (entry_present(entries[s]) && layout_has_slot(r->layout, level, s) &&
			    !is_beyond_belief(r))
				err = reader_offer(r, entry_frame(entries[s]));
	}
	return err ? err : reader_flush(r);
}

static int close_over_tables(struct reader *r)
{
	size_t done = 0;
	int err = 0;

	while (!err && done < r->nr_tables && !has_all(r)) {
		size_t left = r->nr_tables - done;
		unsigned int nr = left < READER_BATCH ? (unsigned int)left : READER_BATCH;

		err = offer_entries(r, done, nr);
		done += nr;
		if (!err)
			err = reader_progress(r, "following tables", done, r->nr_tables);
	}
	r->notes.gave_up = is_beyond_belief(r);
	return err;
}

static int offer_every_frame(struct reader *r)
{
	int err = 0;

	for (uint64_t mfn = 0; mfn < r->dom->info.max_mfn && !err; mfn++) {
		err = reader_offer(r, mfn);
		if (!err && mfn % (64 * DOM_BATCH) == 0)
			err = reader_progress(r, "asking Xen about frames", mfn,
					      r->dom->info.max_mfn);
	}
	return err ? err : reader_flush(r);
}

static int by_mfn(const void *a, const void *b)
{
	const struct table *ta = a, *tb = b;

	return ta->mfn < tb->mfn ? -1 : ta->mfn > tb->mfn;
}

struct table *reader_table(const struct reader *r, uint64_t mfn)
{
	struct table key = {.mfn = mfn};

	if (!r->nr_tables)
		return NULL;
	return bsearch(&key, r->tables, r->nr_tables, sizeof(key), by_mfn);
}

static void mark_loaded(struct reader *r, uint64_t root)
{
	struct table *t = root == TOOL_NO_FRAME ? NULL : reader_table(r, root);

	if (t)
		t->is_loaded = true;
}

static void sort_tables(struct reader *r)
{
	if (r->nr_tables)
		qsort(r->tables, r->nr_tables, sizeof(*r->tables), by_mfn);
	for (unsigned int i = 0; i < r->nr_vcpus; i++) {
		mark_loaded(r, r->vcpus[i].root);
		mark_loaded(r, r->vcpus[i].user_root);
	}
}

static bool is_listed(const struct reader *r, size_t nr, uint64_t mfn)
{
	struct table key = {.mfn = mfn};

	return nr && bsearch(&key, r->tables, nr, sizeof(key), by_mfn);
}

int reader_add_tables(struct reader *r, const uint64_t *mfns, const uint8_t *levels, size_t nr)
{
	size_t nr_sorted = r->nr_tables;
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++) {
		if (!levels[i] || levels[i] > r->layout->levels ||
		    !frameset_has(&r->own, mfns[i]) || is_listed(r, nr_sorted, mfns[i]))
			continue;
		err = table_add(r, mfns[i], levels[i]);
		if (!err)
			r->tables[r->nr_tables - 1].is_typed = false;
	}
	sort_tables(r);
	return err;
}

static void note_missing(struct reader *r)
{
	r->notes.missing = has_all(r) ? 0 : r->dom->info.nr_pages - r->own.nr;
}

static int find_all(struct reader *r)
{
	int err = read_vcpus(r);

	if (!err)
		err = r->options.every_frame ? offer_every_frame(r) : p2m_offer(r);
	if (!err)
		err = reader_flush(r);
	if (!err)
		err = close_over_tables(r);
	if (!err)
		sort_tables(r);
	note_missing(r);
	return err;
}

int reader_use_list(struct reader *r, uint64_t root, uint64_t va)
{
	int err = 0;

	if (!has_all(r)) {
		err = p2m_offer_list(r, root, va);
		if (!err)
			err = reader_flush(r);
		if (!err)
			err = close_over_tables(r);
		sort_tables(r);
		note_missing(r);
	}
	return err;
}

int reader_open(struct reader *r, struct dom *dom, const struct reader_options *options)
{
	int err;

	*r = (struct reader){.dom = dom, .layout = layout_of(dom->info.width)};
	if (options)
		r->options = *options;
	r->batch = malloc((size_t)READER_BATCH * TOOL_PAGE_SIZE);
	err = r->batch ? frameset_init(&r->asked, dom->info.max_mfn) : -ENOMEM;
	if (!err)
		err = frameset_init(&r->own, dom->info.max_mfn);
	if (!err)
		err = find_all(r);
	if (err)
		reader_close(r);
	return err;
}

void reader_close(struct reader *r)
{
	frameset_free(&r->asked);
	frameset_free(&r->own);
	free(r->tables);
	free(r->vcpus);
	free(r->batch);
	*r = (struct reader){0};
}

/* --- pfns --- */

uint64_t reader_pfn(struct reader *r, uint64_t mfn)
{
	uint64_t pfn = TOOL_NO_FRAME;

	if (!frameset_has(&r->own, mfn) || r->dom->m2p(r->dom, &mfn, 1, &pfn))
		return TOOL_NO_FRAME;
	return pfn;
}

int reader_for_each_frame(struct reader *r,
			  int (*each)(struct reader *r, uint64_t mfn, uint64_t pfn, void *ctx),
			  void *ctx)
{
	uint64_t mfn = frameset_next(&r->own, 0), mfns[DOM_BATCH], pfns[DOM_BATCH];
	int err = 0;

	while (!err && mfn != TOOL_NO_FRAME) {
		unsigned int nr = 0;

		for (; nr < DOM_BATCH && mfn != TOOL_NO_FRAME;
		     mfn = frameset_next(&r->own, mfn + 1))
			mfns[nr++] = mfn;
		err = r->dom->m2p(r->dom, mfns, nr, pfns);
		for (unsigned int i = 0; i < nr && !err; i++)
			err = each(r, mfns[i], pfns[i], ctx);
	}
	return err;
}

struct pfn_question {
	uint64_t pfn, mfn;
	unsigned int nr;
};

static int is_it(struct reader *r, uint64_t mfn, uint64_t pfn, void *ctx)
{
	struct pfn_question *q = ctx;

	(void)r;
	if (pfn == q->pfn) {
		q->mfn = mfn;
		q->nr++;
	}
	return 0;
}

int reader_find_pfn(struct reader *r, uint64_t pfn, uint64_t *mfn)
{
	struct pfn_question q = {.pfn = pfn};
	int err = pfn == TOOL_NO_FRAME ? -ENOENT : reader_for_each_frame(r, is_it, &q);

	*mfn = q.mfn;
	if (err || q.nr == 1)
		return err;
	return q.nr ? -EEXIST : -ENOENT;
}
