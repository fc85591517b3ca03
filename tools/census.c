/* SPDX-License-Identifier: MIT */
/* See census.h. */
#include <errno.h>
#include <stdlib.h>
#include "census.h"
#include "walk.h"

static int by_mfn(const void *a, const void *b)
{
	const struct census_frame *fa = a, *fb = b;

	return fa->mfn < fb->mfn ? -1 : fa->mfn > fb->mfn;
}

struct census_frame *census_frame(const struct census *census, uint64_t mfn)
{
	struct census_frame key = {.mfn = mfn};

	if (!census->nr)
		return NULL;
	return bsearch(&key, census->frames, census->nr, sizeof(key), by_mfn);
}

static void flag(const struct census *census, uint64_t mfn, uint8_t flags)
{
	struct census_frame *f = census_frame(census, mfn);

	if (f)
		f->flags |= flags;
}

/* --- who there is --- */

struct filling {
	struct census *census;
	size_t max;
};

/* Frames come in the order of their mfns. */
static int add_frame(struct reader *r, uint64_t mfn, uint64_t pfn, void *ctx)
{
	struct filling *f = ctx;

	(void)r;
	if (f->census->nr < f->max)
		f->census->frames[f->census->nr++] = (struct census_frame){.mfn = mfn, .pfn = pfn};
	return 0;
}

static void add_tables(const struct reader *r, struct census *census)
{
	for (size_t i = 0; i < r->nr_tables; i++) {
		const struct table *t = &r->tables[i];
		struct census_frame *f = census_frame(census, t->mfn);

		if (!f)
			continue;
		f->level = t->level;
		f->flags |= (t->is_pinned ? CENSUS_PINNED : 0) |
			    (t->is_loaded ? CENSUS_LOADED : 0) | (t->is_typed ? 0 : CENSUS_UNTYPED);
	}
}

static int add_others(struct reader *r, struct census *census)
{
	struct dom_grant *grants = NULL;
	size_t nr = 0;
	int err = r->dom->grants(r->dom, &grants, &nr);

	for (unsigned int i = 0; i < r->nr_vcpus; i++)
		for (unsigned int g = 0; g < r->vcpus[i].nr_gdt; g++)
			flag(census, r->vcpus[i].gdt[g], CENSUS_SEGMENTS);
	if (err)
		return err == -EOPNOTSUPP ? 0 : err;
	for (size_t i = 0; i < nr; i++)
		flag(census, grants[i].mfn, CENSUS_GRANTED);
	free(grants);
	return 0;
}

/* --- who is mapped --- */

static void count(uint32_t *counter)
{
	*counter += *counter != UINT32_MAX;
}

static int count_entries(struct reader *r, struct table *t, const uint64_t *entries, void *ctx)
{
	struct census *census = ctx;

	(void)r;
	(void)t;
	for (unsigned int s = 0; s < TABLE_SLOTS; s++) {
		struct census_frame *f;

		if (!entry_present(entries[s]))
			continue;
		f = census_frame(census, entry_frame(entries[s]));
		if (f)
			count(entries[s] & ENTRY_RW ? &f->nr_writable : &f->nr_readonly);
		else
			census->foreign++;
	}
	return 0;
}

int census_take(struct reader *r, struct census *census)
{
	struct filling filling = {.census = census, .max = r->own.nr};
	int err;

	*census = (struct census){0};
	census->frames = calloc(filling.max ? (size_t)filling.max : 1, sizeof(*census->frames));
	if (!census->frames)
		return -ENOMEM;
	err = reader_for_each_frame(r, add_frame, &filling);
	if (!err) {
		add_tables(r, census);
		err = add_others(r, census);
	}
	if (!err)
		err = reader_visit(r, FRAME_L1, count_entries, census);
	if (err)
		census_free(census);
	return err;
}

void census_free(struct census *census)
{
	free(census->frames);
	*census = (struct census){0};
}

/* --- what should not be --- */

/* Whether its place in the direct map is its own. */
static int has_its_place(struct walker *w, uint64_t direct_map, const struct census_frame *f,
			 bool *has)
{
	uint64_t mfn;
	int err = walk_frame(w, direct_map + (f->pfn << TOOL_PAGE_SHIFT), &mfn);

	*has = !err && mfn == f->mfn;
	return err == -EFAULT ? 0 : err;
}

/* What must be mapped nowhere but at its place: free pages, and tables that are being built. */
static bool is_to_be_alone(const struct census_frame *f)
{
	return f->flags & (CENSUS_FREE | CENSUS_UNTYPED);
}

int census_mark_strays(struct reader *r, struct census *census, uint64_t direct_map, uint64_t root)
{
	struct walker *w = direct_map ? malloc(sizeof(*w)) : NULL;
	int err = direct_map && !w ? -ENOMEM : 0;

	if (w)
		walk_init(w, r, root);
	for (size_t i = 0; i < census->nr && !err; i++) {
		struct census_frame *f = &census->frames[i];
		uint64_t nr = (uint64_t)f->nr_writable + f->nr_readonly;
		bool has = false;

		if (!is_to_be_alone(f)) {
			if (f->level && f->nr_writable)
				f->flags |= CENSUS_STRAY;
		} else if (w && nr) {
			err = has_its_place(w, direct_map, f, &has);
			if (nr > has)
				f->flags |= CENSUS_STRAY;
		}
	}
	free(w);
	return err;
}
