/* SPDX-License-Identifier: MIT */
/*
 * See snapshot.h. Owns a sum for each pfn, and one for each array of the manager's records.
 *
 * Contents are summed where they must not change: free pages, users' and the kernel's. A page
 * table's are summed as the toolstack translates them: with pfns in the place of mfns, without the
 * bits that the processor and Xen set. Not summed are the image with its variables, the pages that
 * hold frames by their nature (the p2m), those that dom0 writes (the rings), and the stacks of the
 * threads that do all this.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/pagetable.h>
#include <pvmm/vcpu.h>
#include "snapshot.h"
#include "suspend.h"

#define ULL(v)	       ((unsigned long long)(v))
#define MOST_LINES     8
#define STACK_PAGES    4
#define WORDS_PER_PAGE (PVMM_PAGE_SIZE / sizeof(uint64_t))
#define XEN_SLOT_FIRST 256u /* of a root: Xen's own (xen/arch-x86/xen-x86_64.h) */
#define SUM_NOT_TAKEN  0ULL
#define TABLE_ENTRY_BITS                                  \
	(PVMM_PTE_PRESENT | PVMM_PTE_RW | PVMM_PTE_USER | \
	 PVMM_PTE_NX) /* what is ours in an entry */

static struct {
	uint64_t *of_page; /* a block of the allocator's */
	unsigned int order;
	uint64_t pages, owners;
} sums;

static uint64_t nr_sum_bytes(void)
{
	return pvmm_max_pfn() * sizeof(uint64_t);
}

int snapshot_init(void)
{
	struct pvmm_page *block;

	sums.order = 0;
	while (PVMM_PAGE_SIZE << sums.order < nr_sum_bytes())
		sums.order++;
	block = pvmm_page_alloc(sums.order, PVMM_PAGE_KERNEL);
	if (!block)
		return -XEN_ENOMEM;
	sums.of_page = pvmm_page_virt(block);
	return 0;
}

void snapshot_free(void)
{
	pvmm_page_free(pvmm_virt_to_page(sums.of_page), sums.order);
	sums.of_page = NULL;
}

/* --- sums --- */

/* FNV-1a, a word at a time. */
static uint64_t add(uint64_t sum, uint64_t word)
{
	return (sum ^ word) * 0x100000001b3ULL;
}

static uint64_t sum_words(const void *from, uint64_t nr)
{
	const uint64_t *words = from;
	uint64_t sum = 0xcbf29ce484222325ULL;

	for (uint64_t i = 0; i < nr; i++)
		sum = add(sum, words[i]);
	return sum == SUM_NOT_TAKEN ? 1 : sum;
}

static uint64_t sum_entries(pfn_t table, unsigned int level)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(table);
	uint64_t sum = 0xcbf29ce484222325ULL;

	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		pvmm_pte_t entry = entries[slot];

		if (level == PVMM_PT_LEVELS && slot >= XEN_SLOT_FIRST &&
		    slot < PVMM_KERNEL_SLOT_FIRST)
			continue;
		if (pvmm_pte_present(entry)) {
			sum = add(sum, pfn_x(pvmm_mfn_to_pfn(pvmm_pte_mfn(entry))));
			sum = add(sum, entry & TABLE_ENTRY_BITS);
		} else {
			sum = add(sum, entry);
		}
	}
	return sum == SUM_NOT_TAKEN ? 1 : sum;
}

static bool is_in(const struct pvmm_page *page, const struct pvmm_page *first, uint64_t nr)
{
	return first && page >= first && page < first + nr;
}

/* Whether it may change while it is summed. */
static bool is_in_use(const struct pvmm_page *page)
{
	if (is_in(page, pvmm_virt_to_page(sums.of_page), 1ULL << sums.order))
		return true;
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++)
		if (is_in(page, suspend_stack(vcpu), STACK_PAGES))
			return true;
	return false;
}

static uint64_t sum_page(pfn_t pfn)
{
	const struct pvmm_page *page = pvmm_page(pfn);
	unsigned int level = pvmm_page_table_level(page);

	if (!mfn_valid(pvmm_pfn_to_mfn(pfn)) || (page->flags & PVMM_PAGE_NODIRECT))
		return SUM_NOT_TAKEN;
	if (level)
		return sum_entries(pfn, level);
	if (page->kind != PVMM_PAGE_FREE && page->kind != PVMM_PAGE_KERNEL &&
	    page->kind != PVMM_PAGE_USER)
		return SUM_NOT_TAKEN;
	return is_in_use(page) ? SUM_NOT_TAKEN : sum_words(pvmm_page_virt(page), WORDS_PER_PAGE);
}

static uint64_t sum_pages_records(void)
{
	return sum_words(pvmm_page(_pfn(0)),
			 pvmm_max_pfn() * sizeof(struct pvmm_page) / sizeof(uint64_t));
}

static uint64_t sum_owners(void)
{
	return sum_words((const void *)(uintptr_t)PVMM_OWNERS_BASE,
			 pvmm_max_pfn() * sizeof(struct pvmm_owner) / sizeof(uint64_t));
}

void snapshot_take(void)
{
	for (uint64_t i = 0; i < pvmm_max_pfn(); i++)
		sums.of_page[i] = sum_page(_pfn(i));
	sums.pages = sum_pages_records();
	sums.owners = sum_owners();
}

/* --- what differs --- */

static unsigned int compare_page(const char *demo, pfn_t pfn, unsigned int before)
{
	uint64_t sum = sum_page(pfn);

	if (sum == sums.of_page[pfn_x(pfn)])
		return 0;
	if (before < MOST_LINES) {
		pvmm_print("%s: pfn 0x%llx (%s) has sum 0x%llx, before the suspend 0x%llx\n", demo,
			   ULL(pfn_x(pfn)), pvmm_page_kind_name(pvmm_page(pfn)->kind), ULL(sum),
			   ULL(sums.of_page[pfn_x(pfn)]));
		pvmm_owner_print(pfn, demo);
	}
	return 1;
}

/* The p2m and Xen's m2p know each other. */
static unsigned int compare_frame(const char *demo, pfn_t pfn, unsigned int before)
{
	mfn_t mfn = pvmm_pfn_to_mfn(pfn);
	pfn_t back = mfn_valid(mfn) ? pvmm_mfn_to_pfn(mfn) : pfn;

	if (pfn_eq(back, pfn))
		return 0;
	if (before < MOST_LINES)
		pvmm_print("%s: pfn 0x%llx has mfn 0x%llx, which has pfn 0x%llx\n", demo,
			   ULL(pfn_x(pfn)), ULL(mfn_x(mfn)), ULL(pfn_x(back)));
	return 1;
}

static unsigned int compare_records(const char *demo, const char *name, uint64_t before,
				    uint64_t now)
{
	if (before == now)
		return 0;
	pvmm_print("%s: the %s have sum 0x%llx, before the suspend 0x%llx\n", demo, name, ULL(now),
		   ULL(before));
	return 1;
}

unsigned int snapshot_compare(const char *demo)
{
	unsigned int nr = 0;

	for (uint64_t i = 0; i < pvmm_max_pfn(); i++) {
		nr += compare_frame(demo, _pfn(i), nr);
		nr += compare_page(demo, _pfn(i), nr);
	}
	nr += compare_records(demo, "page records", sums.pages, sum_pages_records());
	nr += compare_records(demo, "owner records", sums.owners, sum_owners());
	return nr;
}
