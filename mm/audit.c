/* SPDX-License-Identifier: MIT */
/*
 * The full audit: compares the manager's books with the page tables, page by page. Owns nothing;
 * for tests, on one vCPU, with nothing else running.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/stray.h>
#include "kmap.h"
#include "mm.h"
#include "vmap.h"

/*
 * A page's own direct-map entry: there, of the right frame, writable unless it is a table; none for
 * a page that has no frame.
 */
static unsigned int audit_directmap(pfn_t pfn)
{
	const struct pvmm_page *page = pvmm_page(pfn);
	pvmm_pte_t entry = pvmm_pt_lookup(pvmm_kernel_space.root, (uintptr_t)pvmm_pfn_to_virt(pfn));
	bool readonly = page->flags & PVMM_PAGE_READONLY;

	if (!mfn_valid(pvmm_pfn_to_mfn(pfn)) && page->kind == PVMM_PAGE_BALLOONED && !entry)
		return 0;
	if ((page->flags & PVMM_PAGE_NODIRECT) && !entry)
		return 0;
	if (!(page->flags & PVMM_PAGE_NODIRECT) && pvmm_pte_present(entry) &&
	    mfn_eq(pvmm_pte_mfn(entry), pvmm_pfn_to_mfn(pfn)) &&
	    (pvmm_pte_writable(entry) != readonly || page->kind == PVMM_PAGE_RESERVED))
		return 0;

	pvmm_log(
		PVMM_ERROR,
		"audit: pfn 0x%llx (%s, flags 0x%x) has direct-map entry 0x%llx, its mfn is 0x%llx",
		(unsigned long long)pfn_x(pfn), pvmm_page_kind_name(page->kind), page->flags,
		(unsigned long long)entry, (unsigned long long)mfn_x(pvmm_pfn_to_mfn(pfn)));
	return 1;
}

struct recount {
	uint32_t step;	   /* what to add to live for each mapping: 1, or -1 */
	bool counted_only; /* in the kernel's space only the regions that are for mappings count */
};

static bool is_counted(pvmm_va_t va)
{
	return va - PVMM_VMAP_BASE < PVMM_VMAP_BYTES || va - PVMM_KMAP_BASE < PVMM_KMAP_BYTES;
}

static int recount_table(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(table);
	struct recount *r = ctx;

	if (level != 1 || (r->counted_only && !is_counted(va)))
		return 0;
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		pfn_t pfn;

		if (!pvmm_pte_present(entries[slot]))
			continue;
		pfn = pvmm_mfn_to_pfn(pvmm_pte_mfn(entries[slot]));
		if (pfn_valid(pfn))
			pvmm_page(pfn)->live += r->step;
	}
	return 0;
}

static int recount_space(struct pvmm_space *space, void *ctx)
{
	struct recount *r = ctx;

	r->counted_only = space == &pvmm_kernel_space;
	return space_visit(space, recount_table, r);
}

/* Live and stale mappings together are the entries outside the direct map. */
static void count_together(uint32_t step)
{
	for (uint64_t i = 0; i < pvmm_max_pfn(); i++)
		pvmm_page(_pfn(i))->live += step * pvmm_page(_pfn(i))->stale;
}

/* Takes every mapping found off its page's count; what is left over was counted wrongly. */
static unsigned int audit_counts(void)
{
	struct recount take = {.step = UINT32_MAX}, give = {.step = 1};
	unsigned int problems = 0;

	count_together(1);
	pvmm_space_for_each(recount_space, &take);
	for (uint64_t i = 0; i < pvmm_max_pfn(); i++) {
		const struct pvmm_page *page = pvmm_page(_pfn(i));

		/* A page is in quarantine because of an entry that nobody counts. */
		if (!page->live || page->kind == PVMM_PAGE_QUARANTINED)
			continue;
		pvmm_log(PVMM_ERROR,
			 "audit: pfn 0x%llx (%s) counts %d mappings more than its entries",
			 (unsigned long long)i, pvmm_page_kind_name(page->kind), (int)page->live);
		problems++;
	}
	pvmm_space_for_each(recount_space, &give);
	count_together(UINT32_MAX);
	return problems;
}

struct state_audit {
	bool readonly; /* what every table of the space must be */
	unsigned int problems;
};

static int audit_table(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	const struct pvmm_page *page = pvmm_page(table);
	bool readonly = page->flags & PVMM_PAGE_READONLY;
	struct state_audit *a = ctx;

	(void)va;
	if (pvmm_page_table_level(page) == level &&
	    (readonly == a->readonly || (page->flags & PVMM_PAGE_KEPT)) &&
	    !(page->flags & PVMM_PAGE_SUSPECT))
		return 0;
	pvmm_log(PVMM_ERROR, "audit: pfn 0x%llx is used as an L%u table but is %s, flags 0x%x",
		 (unsigned long long)pfn_x(table), level, pvmm_page_kind_name(page->kind),
		 page->flags);
	a->problems++;
	return 0;
}

static int audit_space(struct pvmm_space *space, void *ctx)
{
	struct state_audit a = {.readonly = space->state == PVMM_SPACE_PINNED};

	space_visit(space, audit_table, &a);
	*(unsigned int *)ctx += a.problems;
	return 0;
}

unsigned int pvmm_audit(void)
{
	unsigned int problems = alloc_audit() + balloon_audit();

	for (uint64_t i = 0; i < pvmm_max_pfn(); i++)
		problems += audit_directmap(_pfn(i));
	problems += audit_counts();
	problems += vmap_audit();
	problems += kmap_audit();
	pvmm_space_for_each(audit_space, &problems);
	return problems;
}
