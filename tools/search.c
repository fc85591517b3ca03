/* SPDX-License-Identifier: MIT */
/*
 * See search.h. Owns the links between tables that lead to what was found.
 *
 * Invariant, after the pass over level n: lead has every table of level n or below that leads to a
 * wanted frame, and links has every entry of level n or below that leads from one of them to
 * another. Links only go up in level, so nothing here can loop, whatever the tables hold.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "paths.h"

/* Bounds what hostile tables can make us keep, 24 bytes each. */
#define MAX_LINKS 1000000u

/* With more links than this, a change of an upper table is taken to matter. */
#define COMPARED_LINKS 10000u

/* Passes over all tables before the reader takes what it has. */
#define MAX_ROUNDS 3u

struct pass {
	struct reader *r;
	const struct search_request *request;
	struct search_result *result;
	struct frameset wanted, lead;
	struct link *links; /* by child */
	size_t nr_links, max_links;
	size_t max_findings;
	size_t first;		 /* finding of this search; those before it are another domain's */
	uint64_t changed_before; /* by the searches before this one */
	bool is_foreign;
};

const char *table_state_name(enum table_state state)
{
	static const char *const names[TABLE_STATES] = {
		[TABLE_PINNED] = "pinned",	   [TABLE_LOADED] = "loaded",
		[TABLE_REFERRED] = "validated",	   [TABLE_UNREACHED] = "not in use",
		[TABLE_UNTYPED] = "not validated",
	};

	return names[state];
}

const char *holder_name(enum holder holder)
{
	static const char *const names[HOLDERS] = {
		[HOLDER_ENTRY] = "entry",
		[HOLDER_TABLE] = "table",
		[HOLDER_LINEAR] = "linear",
		[HOLDER_ROOT] = "root",
		[HOLDER_USER_ROOT] = "user-root",
		[HOLDER_GDT] = "gdt",
		[HOLDER_LDT] = "ldt",
		[HOLDER_GRANT] = "grant",
	};

	return names[holder];
}

/* --- the result --- */

int result_add(struct search_result *result, size_t max, const struct finding *f)
{
	if (result->nr >= max) {
		result->is_full = true;
		return 0;
	}
	if (result->nr == result->max) {
		size_t room = result->max ? 2 * result->max : 16;
		struct finding *findings = realloc(result->findings, room * sizeof(*findings));

		if (!findings)
			return -ENOMEM;
		result->findings = findings;
		result->max = room;
	}
	result->findings[result->nr++] = *f;
	return 0;
}

static int by_frame(const void *a, const void *b)
{
	const struct finding *fa = a, *fb = b;
	int c = frames_compare(fa->mfn, fb->mfn);

	if (!c)
		c = frames_compare(fa->holder, fb->holder);
	if (!c)
		c = frames_compare(fa->domid, fb->domid);
	if (!c)
		c = frames_compare(fa->nr_addresses ? fa->at[0].va : TOOL_NO_FRAME,
				   fb->nr_addresses ? fb->at[0].va : TOOL_NO_FRAME);
	if (!c)
		c = frames_compare(fa->table, fb->table);
	if (!c)
		c = frames_compare(fa->slot, fb->slot);
	return c ? c : frames_compare(fa->vcpu, fb->vcpu);
}

void search_sort(struct search_result *result)
{
	if (result->nr)
		qsort(result->findings, result->nr, sizeof(*result->findings), by_frame);
}

void search_free(struct search_result *result)
{
	free(result->findings);
	*result = (struct search_result){0};
}

/* --- a pass over the tables --- */

static int add_link(struct pass *p, uint64_t child, const struct table *parent, unsigned int slot,
		    uint64_t entry)
{
	if (p->nr_links >= MAX_LINKS) {
		p->result->is_full = true;
		return 0;
	}
	if (p->nr_links == p->max_links) {
		size_t max = p->max_links ? 2 * p->max_links : 64;
		struct link *links = realloc(p->links, max * sizeof(*links));

		if (!links)
			return -ENOMEM;
		p->links = links;
		p->max_links = max;
	}
	p->links[p->nr_links++] = (struct link){
		.child = child,
		.parent = parent->mfn,
		.slot = (uint16_t)slot,
		.is_writable = entry & ENTRY_RW,
	};
	return 0;
}

static enum holder holder_of(const struct reader *r, const struct table *t, uint64_t frame)
{
	const struct table *child = t->level > 1 ? reader_table(r, frame) : NULL;

	if (t->level == 1)
		return HOLDER_ENTRY;
	return child && child->level == t->level ? HOLDER_LINEAR : HOLDER_TABLE;
}

static int add_entry(struct pass *p, const struct table *t, unsigned int slot, uint64_t entry)
{
	struct finding f = {
		.holder = holder_of(p->r, t, entry_frame(entry)),
		.domid = p->r->dom->info.domid,
		.mfn = entry_frame(entry),
		.table = t->mfn,
		.table_pfn = TOOL_NO_FRAME,
		.entry = entry,
		.level = t->level,
		.slot = slot,
		.is_user = entry_is_user(p->r->layout, entry),
	};
	int new;

	if (p->request->writable_only && !finding_is_writable(&f))
		return 0;
	if (p->is_foreign && t->level > 1)
		return 0;
	new = frameset_add(&p->lead, t->mfn);
	if (new < 0)
		return new;
	return result_add(p->result, p->max_findings, &f);
}

/* Whether this entry of a table leads to one that leads to a wanted frame. */
static bool leads_on(const struct pass *p, const struct table *t, uint64_t entry)
{
	const struct table *child;

	if (t->level == 1 || !frameset_has(&p->lead, entry_frame(entry)))
		return false;
	child = reader_table(p->r, entry_frame(entry));
	return child && child->level + 1 == t->level;
}

static int look_through(struct reader *r, struct table *t, const uint64_t *entries, void *ctx)
{
	struct pass *p = ctx;
	int err = 0;

	for (unsigned int s = 0; s < layout_slots(r->layout, t->level) && err >= 0; s++) {
		uint64_t entry = entries[s];

		if (!entry_present(entry) || !layout_has_slot(r->layout, t->level, s))
			continue;
		if (frameset_has(&p->wanted, entry_frame(entry)))
			err = add_entry(p, t, s, entry);
		if (err >= 0 && leads_on(p, t, entry)) {
			err = add_link(p, entry_frame(entry), t, s, entry);
			if (!err)
				err = frameset_add(&p->lead, t->mfn);
		}
	}
	return err < 0 ? err : 0;
}

static int by_child(const void *a, const void *b)
{
	const struct link *la = a, *lb = b;
	int c = frames_compare(la->child, lb->child);

	if (!c)
		c = frames_compare(la->parent, lb->parent);
	return c ? c : frames_compare(la->slot, lb->slot);
}

static int read_all(struct pass *p)
{
	int err = 0;

	for (unsigned int level = 1; level <= p->r->layout->levels && !err; level++)
		err = reader_visit(p->r, level, look_through, p);
	if (!err && p->nr_links)
		qsort(p->links, p->nr_links, sizeof(*p->links), by_child);
	return err;
}

/* --- the second look --- */

/* Whether an entry that is there now, or was, leads elsewhere than in the pass. */
static bool has_other_links(const struct pass *p, const struct table *t, const uint64_t *entries)
{
	uint64_t before = 0, now = 0;

	if (t->level == 1 || !frameset_has(&p->lead, t->mfn))
		return false;
	if (p->nr_links > COMPARED_LINKS)
		return true;
	for (size_t i = 0; i < p->nr_links; i++) {
		const struct link *l = &p->links[i];

		if (l->parent != t->mfn)
			continue;
		before++;
		if (!entry_present(entries[l->slot]) || entry_frame(entries[l->slot]) != l->child)
			return true;
	}
	for (unsigned int s = 0; s < layout_slots(p->r->layout, t->level); s++)
		now += entry_present(entries[s]) && layout_has_slot(p->r->layout, t->level, s) &&
		       leads_on(p, t, entries[s]);
	return now != before;
}

/* Marks the findings that are not so any more; whether there are any, or others now. */
static bool has_other_findings(const struct pass *p, const struct table *t, const uint64_t *entries)
{
	uint64_t before = 0, now = 0;
	bool lost = false;

	for (size_t i = p->first; i < p->result->nr; i++) {
		struct finding *f = &p->result->findings[i];

		if (f->table != t->mfn)
			continue;
		before++;
		if ((entries[f->slot] ^ f->entry) & ~(ENTRY_ACCESSED | ENTRY_DIRTY))
			lost = f->changed = true;
	}
	if (t->level > 1 && (p->request->writable_only || p->is_foreign))
		return lost;
	for (unsigned int s = 0; s < layout_slots(p->r->layout, t->level); s++)
		now += entry_present(entries[s]) && layout_has_slot(p->r->layout, t->level, s) &&
		       frameset_has(&p->wanted, entry_frame(entries[s])) &&
		       !(p->request->writable_only && !(entries[s] & ENTRY_RW));
	return lost || (now != before && !p->result->is_full);
}

/* What has changed matters only where it could change the answer. */
static void note_change(struct pass *p, const struct table *t, const uint64_t *entries)
{
	bool findings = has_other_findings(p, t, entries);

	if (findings || has_other_links(p, t, entries))
		p->result->changed_tables++;
}

struct second_look {
	struct pass *p;
	const uint64_t *sums; /* of all tables, in their order */
};

static int look_again(struct reader *r, struct table *t, const uint64_t *entries, void *ctx)
{
	const struct second_look *look = ctx;

	if (t->sum != look->sums[t - r->tables])
		note_change(look->p, t, entries);
	return 0;
}

/* Notes which tables differ from what the pass has seen. */
static int compare_all(struct pass *p)
{
	uint64_t *sums = malloc((p->r->nr_tables + 1) * sizeof(*sums));
	struct second_look look = {.p = p, .sums = sums};
	int err = sums ? 0 : -ENOMEM;

	for (size_t i = 0; i < p->r->nr_tables && !err; i++)
		sums[i] = p->r->tables[i].sum;
	for (unsigned int level = 1; level <= p->r->layout->levels && !err; level++)
		err = reader_visit(p->r, level, look_again, &look);
	free(sums);
	return err;
}

/* --- all of it --- */

static void drop_ignored(const struct search_request *request, struct search_result *result,
			 size_t first)
{
	size_t kept = first;

	for (size_t i = first; i < result->nr; i++)
		if (!request->ignore || !request->ignore(request->ignore_ctx, &result->findings[i]))
			result->findings[kept++] = result->findings[i];
	result->nr = kept;
}

static int one_round(struct pass *p)
{
	int err;

	frameset_free(&p->lead);
	p->nr_links = 0;
	p->result->nr = p->first;
	p->result->changed_tables = p->changed_before;
	err = frameset_init(&p->lead, p->r->dom->info.max_mfn);
	if (!err)
		err = read_all(p);
	if (!err && !p->r->dom->info.is_paused && !p->r->dom->info.is_shutdown)
		err = compare_all(p);
	return err;
}

static int run(struct pass *p)
{
	struct links links;
	unsigned int round = 0;
	int err = frameset_init(&p->wanted, p->r->dom->info.max_mfn);

	for (size_t i = 0; i < p->request->nr_mfns && err >= 0; i++)
		err = frameset_add(&p->wanted, p->request->mfns[i]);
	if (err < 0)
		return err;
	do {
		err = one_round(p);
		round++;
	} while (!err && p->result->changed_tables > p->changed_before && round < MAX_ROUNDS);
	p->result->rounds = round;
	links = (struct links){.list = p->links, .nr = p->nr_links};
	for (size_t i = p->first; i < p->result->nr && !err; i++)
		paths_find(p->r, &links, &p->result->findings[i]);
	if (!err)
		drop_ignored(p->request, p->result, p->first);
	for (size_t i = 0; i < p->r->nr_tables; i++)
		p->result->unread_tables += p->r->tables[i].is_unread;
	p->result->nr_tables += p->r->nr_tables;
	return err;
}

static int search_in(struct reader *r, const struct search_request *request,
		     struct search_result *result, bool is_foreign)
{
	struct pass p = {
		.r = r,
		.request = request,
		.result = result,
		.is_foreign = is_foreign,
		.first = result->nr,
		.changed_before = result->changed_tables,
		.max_findings = request->max_findings ? request->max_findings : SEARCH_FINDINGS,
	};
	int err = run(&p);

	if (!err && !is_foreign && !request->writable_only)
		err = search_holders(r, &p.wanted, p.max_findings, result);
	frameset_free(&p.wanted);
	frameset_free(&p.lead);
	free(p.links);
	return err;
}

int search(struct reader *r, const struct search_request *request, struct search_result *result)
{
	int err;

	*result = (struct search_result){0};
	err = search_in(r, request, result, false);
	if (err)
		search_free(result);
	else
		search_sort(result);
	return err;
}

int search_foreign(struct reader *r, const struct search_request *request,
		   struct search_result *result)
{
	return search_in(r, request, result, true);
}
