/* SPDX-License-Identifier: MIT */
/*
 * Owns the search for mappings: Xen can say that a page has a writable mapping somewhere, not
 * where. Trusts no count and no list, only the tables themselves.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/stray.h>
#include "mm.h"

struct search {
	bool (*wanted)(const struct search *s, pfn_t pfn);
	pfn_t pfn; /* for wants_one */
	unsigned int flags;
	bool skip_own; /* not the page's own place in the direct map */
	struct pvmm_mapping *found;
	unsigned int max, nr;
	struct pvmm_space *space; /* the one being looked through */
};

static bool wants_one(const struct search *s, pfn_t pfn)
{
	return pfn_eq(pfn, s->pfn);
}

static bool wants_suspects(const struct search *s, pfn_t pfn)
{
	(void)s;
	return __atomic_load_n(&pvmm_page(pfn)->flags, __ATOMIC_RELAXED) & PVMM_PAGE_SUSPECT;
}

static bool wants_tables(const struct search *s, pfn_t pfn)
{
	(void)s;
	return __atomic_load_n(&pvmm_page(pfn)->flags, __ATOMIC_RELAXED) & PVMM_PAGE_READONLY;
}

/* Whether this entry maps what is looked for; *pfn is what it maps. */
static bool matches(const struct search *s, pvmm_pte_t entry, pfn_t *pfn)
{
	if (!pvmm_pte_present(entry))
		return false;
	if ((s->flags & PVMM_FIND_WRITABLE) && !pvmm_pte_writable(entry))
		return false;
	*pfn = pvmm_mfn_to_pfn(pvmm_pte_mfn(entry));
	return pfn_valid(*pfn) && s->wanted(s, *pfn);
}

static int search_table(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(table);
	struct search *s = ctx;
	pfn_t pfn;

	for (unsigned int slot = 0; level == 1 && slot < PVMM_PT_ENTRIES; slot++) {
		pvmm_pte_t entry = __atomic_load_n(&entries[slot], __ATOMIC_RELAXED);

		if (!matches(s, entry, &pfn))
			continue;
		if (s->nr < s->max)
			s->found[s->nr] = (struct pvmm_mapping){
				.pfn = pfn,
				.table = table,
				.slot = slot,
				.entry = entry,
				.va = va + slot * PVMM_PAGE_SIZE,
				.space = s->space,
			};
		s->nr++;
	}
	return 0;
}

static int search_space(struct pvmm_space *space, void *ctx)
{
	struct search *s = ctx;

	s->space = space;
	return space_visit(space, search_table, s);
}

unsigned int pvmm_find_mappings(pfn_t pfn, unsigned int flags, struct pvmm_mapping *found,
				unsigned int max)
{
	struct search s = {
		.wanted = wants_one, .pfn = pfn, .flags = flags, .found = found, .max = max};

	pvmm_space_for_each(search_space, &s);
	return s.nr;
}

/* Writable mappings, anywhere, of the tables that were to be handed to Xen. */
static unsigned int find_strays(const struct pvmm_batch_failure *failure,
				struct pvmm_mapping *found, unsigned int max)
{
	struct search s = {
		.wanted = wants_suspects,
		.flags = PVMM_FIND_WRITABLE,
		/* Xen has refused an update: it may be the one that makes a page read-only. */
		.skip_own = failure->kind == PVMM_BATCH_MMU_UPDATE,
		.found = found,
		.max = max,
	};

	pvmm_space_for_each(search_space, &s);
	return s.nr;
}

/* The other way round: this space maps writable what is a page table already. */
static unsigned int find_conflicts(struct pvmm_space *space, struct pvmm_mapping *found,
				   unsigned int max)
{
	struct search s = {
		.wanted = wants_tables, .flags = PVMM_FIND_WRITABLE, .found = found, .max = max};

	search_space(space, &s);
	return s.nr;
}

static struct pvmm_stray_record last;

struct pvmm_stray_record pvmm_stray_last(void)
{
	return last;
}

void stray_refused(struct pvmm_space *space, const struct pvmm_batch_failure *failure)
{
	enum { SHOWN = 8 };
	struct pvmm_mapping found[SHOWN];
	unsigned int nr = find_strays(failure, found, SHOWN);

	/* -EBUSY is Xen's answer when it is not the table but an entry in it that it cannot have.
	 */
	if (!nr && failure->err == -XEN_EBUSY)
		nr = find_conflicts(space, found, SHOWN);

	last.refused_pins++;
	last.nr_found = nr;
	last.first = nr ? found[0] : (struct pvmm_mapping){0};
	report_refused_pin(space, failure, found, nr, nr < SHOWN ? nr : SHOWN);
}
