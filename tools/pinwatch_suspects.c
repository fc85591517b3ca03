/* SPDX-License-Identifier: MIT */
/*
 * Which pages of a domain were to become page tables and could not. A kernel on Xen makes a page
 * read-only wherever it knows a mapping of it before it hands it over; so a page that its kernel
 * maps read-only in one place and somebody maps writable in another, that is no table, and is
 * filled like one, is one that Xen refused. Two bits a frame, one pass over the L1 tables.
 *
 * A page full of zeroes may be an empty L1 table, or any page: it is called so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pinwatch_look.h"

struct pass {
	struct frameset readonly, writable;
	int err;
};

static int note(struct reader *r, struct table *table, const uint64_t *entries, void *ctx)
{
	struct pass *pass = ctx;
	int added;

	if (!table->is_typed)
		return 0;
	for (unsigned int i = 0; i < TABLE_SLOTS; i++) {
		uint64_t e = entries[i];

		if (!entry_present(e))
			continue;
		if (e & ENTRY_RW)
			added = frameset_add(&pass->writable, entry_frame(e));
		else if (!entry_is_user(r->layout, e))
			added = frameset_add(&pass->readonly, entry_frame(e));
		else
			continue;
		if (added < 0)
			return pass->err = added;
	}
	return 0;
}

/*
 * Whether a page could be a table: every present entry leads to a page of the domain's, at least
 * one does, and nothing has bits that no table of a PV guest may have. The level is told by what
 * the entries lead to.
 */
static bool is_like_table(struct reader *r, const uint64_t *entries, unsigned int *level)
{
	unsigned int nr = 0, below = 0;
	bool is_own;

	for (unsigned int i = 0; i < TABLE_SLOTS; i++) {
		struct table *child;

		if (!entry_present(entries[i]))
			continue;
		if (entries[i] & ENTRY_PAT) /* a large page, or an attribute that needs a device */
			return false;
		if (entry_frame(entries[i]) >= r->dom->info.max_mfn ||
		    reader_is_own(r, entry_frame(entries[i]), &is_own) || !is_own)
			return false;
		nr++;
		child = reader_table(r, entry_frame(entries[i]));
		if (child && child->level > below)
			below = child->level;
	}
	/* An L1 table may map tables, read-only; a table of a higher level has writable entries. */
	*level = below ? below + 1 : 1;
	for (unsigned int i = 0; below && i < TABLE_SLOTS; i++) {
		struct table *child = reader_table(r, entry_frame(entries[i]));

		if (entry_present(entries[i]) && child && !(entries[i] & ENTRY_RW))
			*level = 1;
	}
	return nr > 0;
}

static bool is_zero(const uint64_t *words)
{
	for (unsigned int i = 0; i < TABLE_SLOTS; i++)
		if (words[i])
			return false;
	return true;
}

/* Candidates are judged by what is in them, a batch at a time. */
struct judging {
	struct reader *r;
	struct suspect *list;
	size_t nr, max;
	uint64_t batch[READER_BATCH];
	unsigned int nr_batch;
	uint64_t *pages;
};

static int judge(struct judging *j)
{
	bool ok[READER_BATCH];
	int err = reader_read(j->r, j->batch, j->nr_batch, j->pages, ok);

	for (unsigned int i = 0; !err && i < j->nr_batch && j->nr < j->max; i++) {
		const uint64_t *words = j->pages + (size_t)i * TABLE_SLOTS;
		struct suspect s = {.mfn = j->batch[i]};

		if (!ok[i])
			continue;
		s.is_empty = is_zero(words);
		if (s.is_empty || is_like_table(j->r, words, &s.level))
			j->list[j->nr++] = s;
	}
	j->nr_batch = 0;
	return err;
}

static int judge_all(struct judging *j, const struct pass *pass)
{
	uint64_t mfn = frameset_next(&pass->readonly, 0);
	int err = 0;

	for (; mfn != TOOL_NO_FRAME && !err; mfn = frameset_next(&pass->readonly, mfn + 1)) {
		if (!frameset_has(&pass->writable, mfn) || reader_table(j->r, mfn))
			continue;
		j->batch[j->nr_batch++] = mfn;
		if (j->nr_batch == READER_BATCH)
			err = judge(j);
		if (!err && j->r->options.stop && *j->r->options.stop)
			err = -EINTR;
	}
	return err || !j->nr_batch ? err : judge(j);
}

int suspects_find(struct reader *r, size_t max, struct suspect **suspects, size_t *nr)
{
	struct pass pass = {.err = 0};
	struct judging j = {.r = r, .max = max};
	int err = frameset_init(&pass.readonly, r->dom->info.max_mfn);

	*suspects = NULL;
	*nr = 0;
	if (!err)
		err = frameset_init(&pass.writable, r->dom->info.max_mfn);
	if (!err)
		err = reader_visit(r, 1, note, &pass);
	j.list = calloc(max, sizeof(*j.list));
	j.pages = malloc((size_t)READER_BATCH * TOOL_PAGE_SIZE);
	if (!err && (!j.list || !j.pages))
		err = -ENOMEM;
	if (!err)
		err = judge_all(&j, &pass);
	frameset_free(&pass.readonly);
	frameset_free(&pass.writable);
	free(j.pages);
	if (err) {
		free(j.list);
		return err;
	}
	*suspects = j.list;
	*nr = j.nr;
	return 0;
}
