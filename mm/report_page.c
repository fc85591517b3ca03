/* SPDX-License-Identifier: MIT */
/* Says what is known of one page, for an engineer who asks. Decides nothing, changes nothing. */
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include "check.h"

#define ULL(v) ((unsigned long long)(v))

static void print_flags(uint8_t flags)
{
	static const struct {
		uint8_t flag;
		const char *name;
	} names[] = {
		{PVMM_PAGE_READONLY, "read-only"},
		{PVMM_PAGE_PINNED, "pinned"},
		{PVMM_PAGE_SUSPECT, "suspect"},
		{PVMM_PAGE_HEAD, "head of a free block"},
		{PVMM_PAGE_NODIRECT, "not in the direct map"},
		{PVMM_PAGE_HELD, "held by the checker"},
		{PVMM_PAGE_REPORTED, "reported"},
		{PVMM_PAGE_KEPT, "kept as a table"},
	};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			pvmm_print(", %s", names[i].name);
}

static void print_state(pfn_t pfn)
{
	const struct pvmm_page *page = pvmm_page(pfn);

	pvmm_print("pfn 0x%llx (mfn 0x%llx): %s, references: %u", ULL(pfn_x(pfn)),
		   ULL(mfn_x(pvmm_pfn_to_mfn(pfn))),
		   pvmm_page_kind_name((enum pvmm_page_kind)page->kind), page->refs);
	print_flags(page->flags);
	pvmm_print("\n  ledger     %u live and %u stale mappings besides the direct map\n",
		   page->live, page->stale);
	pvmm_owner_print(pfn, "  page       ");
}

static void print_mapping(const struct sighting *s)
{
	pvmm_print("  mapped     %s at 0x%llx, L1 table pfn 0x%llx slot %u, entry 0x%llx\n",
		   pvmm_pte_writable(s->m.entry) ? "writable" : "read-only", ULL(s->m.va),
		   ULL(pfn_x(s->m.table)), s->m.slot, ULL(s->m.entry));
	report_print_place(s);
}

int pvmm_report_page(pfn_t pfn)
{
	struct finding f = {.pfn = pfn};

	if (pfn_x(pfn) >= pvmm_max_pfn())
		return -XEN_EINVAL;
	stray_find_all(&f);
	print_state(pfn);
	for (unsigned int i = 0; i < f.nr_shown; i++)
		print_mapping(&f.found[i]);
	if (f.nr_found > f.nr_shown)
		pvmm_print("  and        %u more mappings\n", f.nr_found - f.nr_shown);
	if (!f.nr_found)
		pvmm_print("  mapped     nowhere\n");
	return 0;
}
