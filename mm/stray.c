/* SPDX-License-Identifier: MIT */
/*
 * Owns the search for mappings, and the record of the last report: Xen can say that a page has a
 * writable mapping somewhere, not where. Trusts no count and no list, only the tables themselves.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/spinlock.h>
#include "check.h"

struct pvmm_spinlock stray_lock = PVMM_SPINLOCK_INIT;

struct walk {
	const struct search *search;
	struct pvmm_space *space; /* the one being looked through */
};

static bool is_wanted(const struct search *s, pfn_t pfn)
{
	uint8_t flags = __atomic_load_n(&pvmm_page(pfn)->flags, __ATOMIC_RELAXED);

	switch (s->wanted) {
	case WANTED_PAGE:
		return pfn_eq(pfn, s->pfn);
	case WANTED_SUSPECTS:
		return flags & PVMM_PAGE_SUSPECT;
	case WANTED_TABLES:
		return flags & PVMM_PAGE_READONLY;
	}
	return false;
}

/* Whether this entry maps what is looked for; *pfn is what it maps. */
static bool matches(const struct search *s, pvmm_va_t va, pvmm_pte_t entry, pfn_t *pfn)
{
	if (!pvmm_pte_present(entry) || (s->writable && !pvmm_pte_writable(entry)))
		return false;
	*pfn = pvmm_mfn_to_pfn(pvmm_pte_mfn(entry));
	if (!pfn_valid(*pfn) || !is_wanted(s, *pfn))
		return false;
	return !s->skip_own || va != (uintptr_t)pvmm_pfn_to_virt(*pfn);
}

static int search_table(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(table);
	const struct walk *w = ctx;

	for (unsigned int slot = 0; level == 1 && slot < PVMM_PT_ENTRIES; slot++) {
		struct pvmm_mapping m = {
			.table = table,
			.slot = slot,
			.entry = __atomic_load_n(&entries[slot], __ATOMIC_RELAXED),
			.va = va + slot * PVMM_PAGE_SIZE,
			.space = w->space,
		};

		if (matches(w->search, m.va, m.entry, &m.pfn))
			w->search->match(&m, w->search->ctx);
	}
	return 0;
}

static int search_space(struct pvmm_space *space, void *ctx)
{
	struct walk w = {.search = ctx, .space = space};

	return space_visit(space, search_table, &w);
}

void stray_search(const struct search *search)
{
	struct search s = *search;

	if (search->space)
		search_space(search->space, &s);
	else
		pvmm_space_for_each(search_space, &s);
}

struct collection {
	struct pvmm_mapping *found;
	unsigned int max, nr;
};

static void collect(const struct pvmm_mapping *m, void *ctx)
{
	struct collection *c = ctx;

	if (c->nr < c->max)
		c->found[c->nr] = *m;
	c->nr++;
}

unsigned int pvmm_find_mappings(pfn_t pfn, unsigned int flags, struct pvmm_mapping *found,
				unsigned int max)
{
	struct collection c = {.found = found, .max = max};

	stray_search(&(struct search){
		.wanted = WANTED_PAGE,
		.pfn = pfn,
		.writable = flags & PVMM_FIND_WRITABLE,
		.match = collect,
		.ctx = &c,
	});
	return c.nr;
}

/* The space is there as long as the list is locked, and no longer: what is said of it is noted. */
static void sight(const struct pvmm_mapping *m, void *ctx)
{
	struct finding *f = ctx;
	struct sighting *s;

	if (f->nr_found++ >= SHOWN)
		return;
	s = &f->found[f->nr_shown++];
	*s = (struct sighting){
		.m = *m,
		.pinned = m->space->state == PVMM_SPACE_PINNED,
		.loaded = __atomic_load_n(&m->space->nr_loaded, __ATOMIC_RELAXED),
	};
	for (unsigned int i = 0; i < sizeof(s->space_name); i++)
		s->space_name[i] = m->space->name[i];
}

void stray_find(struct finding *f, enum wanted wanted, struct pvmm_space *space)
{
	stray_search(&(struct search){
		.wanted = wanted,
		.pfn = f->pfn,
		.writable = f->kind != FOUND_HELD,
		.skip_own = true,
		.space = space,
		.match = sight,
		.ctx = f,
	});
	if (f->nr_found && !pfn_valid(f->pfn))
		f->pfn = f->found[0].m.pfn;
}

void stray_find_all(struct finding *f)
{
	stray_search(&(struct search){
		.wanted = WANTED_PAGE,
		.pfn = f->pfn,
		.match = sight,
		.ctx = f,
	});
}

static struct pvmm_stray_record last;

struct pvmm_stray_record pvmm_stray_last(void)
{
	struct pvmm_stray_record record;

	pvmm_spin_lock(&stray_lock);
	record = last;
	pvmm_spin_unlock(&stray_lock);
	return record;
}

void stray_record(const struct finding *f)
{
	last = (struct pvmm_stray_record){
		.refused_pins = last.refused_pins + (f->how == PVMM_CHECK_BY_PIN),
		.reports = last.reports + 1,
		.how = f->how,
		.pfn = f->pfn,
		.err = f->err,
		.nr_found = f->nr_found,
		.action = f->action,
		.done = f->done,
	};
	if (f->nr_found)
		last.first = f->found[0].m;
}
