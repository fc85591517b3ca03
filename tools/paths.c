/* SPDX-License-Identifier: MIT */
/* See paths.h. */
#include <stdlib.h>
#include <string.h>
#include "paths.h"

/* Bounds the ways up from one entry that are tried: hostile tables have millions of them. */
#define MAX_STEPS 20000u

static const struct link *links_of(const struct links *links, uint64_t child, size_t *nr)
{
	size_t low = 0, high = links->nr, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (links->list[middle].child < child)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < links->nr && links->list[end].child == child;)
		end++;
	*nr = end - low;
	return *nr ? &links->list[low] : NULL;
}

/* A way from an entry up to a root, while it is being walked. */
struct climb {
	const struct reader *r;
	const struct links *links;
	struct finding *f;
	struct address at;
	unsigned int steps;
	bool is_validated; /* some table on some way up is pinned or loaded */
};

static void arrive(struct climb *c, const struct table *root)
{
	struct finding *f = c->f;
	struct address *a = NULL;

	c->at.va = layout_canonical(c->r->layout, c->at.va);
	for (unsigned int i = 0; i < f->nr_addresses && !a; i++)
		if (f->at[i].va == c->at.va)
			a = &f->at[i];
	if (!a && f->nr_addresses == FINDING_ADDRESSES) {
		f->has_more_addresses = true;
		return;
	}
	if (!a) {
		a = &f->at[f->nr_addresses++];
		*a = c->at;
		a->nr_roots = 0;
		a->is_loaded = false;
	}
	a->nr_roots++;
	if (root->is_loaded && !a->is_loaded) {
		/* The way that is shown is one that is in use. */
		memcpy(a->table, c->at.table, sizeof(a->table));
		memcpy(a->slot, c->at.slot, sizeof(a->slot));
		a->is_loaded = true;
	}
}

static void climb(struct climb *c, const struct table *t)
{
	const struct reader *r = c->r;
	uint64_t va = c->at.va;
	bool is_readonly = c->at.is_readonly_above;
	const struct link *links;
	size_t nr;

	if (t->is_pinned || t->is_loaded)
		c->is_validated = true;
	c->at.table[t->level] = t->mfn;
	if (t->level == r->layout->levels) {
		arrive(c, t);
		c->at.va = va;
		return;
	}
	links = links_of(c->links, t->mfn, &nr);
	for (size_t i = 0; i < nr && c->steps < MAX_STEPS; i++) {
		const struct table *parent = reader_table(r, links[i].parent);

		c->steps++;
		c->at.slot[parent->level] = links[i].slot;
		c->at.va = va | layout_va(parent->level, links[i].slot);
		c->at.is_readonly_above = is_readonly || !links[i].is_writable;
		climb(c, parent);
	}
	c->at.va = va;
	c->at.is_readonly_above = is_readonly;
}

static enum table_state state_of(const struct table *t, bool is_validated)
{
	if (!t->is_typed)
		return TABLE_UNTYPED;
	if (t->is_pinned)
		return TABLE_PINNED;
	if (t->is_loaded)
		return TABLE_LOADED;
	return is_validated ? TABLE_REFERRED : TABLE_UNREACHED;
}

static int by_va(const void *a, const void *b)
{
	const struct address *aa = a, *ab = b;

	return frames_compare(aa->va, ab->va);
}

void paths_find(struct reader *r, const struct links *links, struct finding *f)
{
	const struct table *t = reader_table(r, f->table);
	struct climb c = {.r = r, .links = links, .f = f};

	c.at.slot[f->level] = (uint16_t)f->slot;
	c.at.va = layout_va(f->level, f->slot);
	climb(&c, t);
	if (c.steps >= MAX_STEPS)
		f->has_more_addresses = true;
	f->state = state_of(t, c.is_validated);
	f->table_pfn = reader_pfn(r, f->table);
	qsort(f->at, f->nr_addresses, sizeof(f->at[0]), by_va);
}
