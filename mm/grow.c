/* SPDX-License-Identifier: MIT */
/*
 * Owns the growing of what is indexed by pfn: p2m, page database, owner records, direct map, each
 * in its region (pvmm/layout.h). Called by the balloon, which has its turn meanwhile.
 *
 * Invariant: all that is below pvmm_max_pfn() is there. What is behind it may be there in part,
 * after a growth that memory was too short for; the next one goes on with that.
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include "check.h"

/* Pages that the records of GROW_PAGES take, if they begin inside one. */
#define RECORD_PAGES 10

/* Pages on their way into a region. */
struct backing {
	unsigned int nr;
	struct pvmm_page *pages[RECORD_PAGES];
	uint64_t maddrs[RECORD_PAGES]; /* of their entries */
};

static int back_one(struct backing *b, pvmm_va_t va)
{
	unsigned int levels = 0, slot = pvmm_pt_slot(va, 1);
	struct pvmm_page *page;
	pfn_t l1;
	int err = map_kernel_l1(va, &l1, &levels);

	if (err || pvmm_pte_present(pvmm_pt_entries(l1)[slot]))
		return err;
	if (b->nr == RECORD_PAGES)
		pvmm_panic("records of %u pages take more than %u pages", GROW_PAGES, RECORD_PAGES);
	page = pvmm_page_alloc(0, PVMM_PAGE_RESERVED);
	if (!page)
		return -XEN_ENOMEM;
	page_zero(page);
	b->maddrs[b->nr] = pvmm_pt_entry_maddr(l1, slot);
	b->pages[b->nr++] = page;
	return 0;
}

/* Records of entry_bytes for each pfn from first to end, from base on. */
static int back_records(struct backing *b, pvmm_va_t base, size_t entry_bytes, uint64_t first,
			uint64_t end)
{
	pvmm_va_t va = (base + first * entry_bytes) & PVMM_PAGE_MASK;
	int err = 0;

	for (; !err && va < base + end * entry_bytes; va += PVMM_PAGE_SIZE)
		err = back_one(b, va);
	return err;
}

static int collect(struct backing *b, uint64_t first, uint64_t end)
{
	const struct {
		pvmm_va_t base;
		size_t entry_bytes;
	} records[] = {
		{PVMM_P2M_BASE, sizeof(uint64_t)},
		{PVMM_PAGES_BASE, sizeof(struct pvmm_page)},
		{PVMM_OWNERS_BASE, sizeof(struct pvmm_owner)},
	};
	unsigned int levels = 0;
	pfn_t l1;
	int err = map_kernel_l1((uintptr_t)pvmm_pfn_to_virt(_pfn(first)), &l1, &levels);

	for (unsigned int i = 0; !err && i < PVMM_ARRAY_SIZE(records); i++)
		err = back_records(b, records[i].base, records[i].entry_bytes, first, end);
	return err;
}

static void set_entries(const struct backing *b, bool mapped, struct pvmm_batch_failure *failure,
			int *err)
{
	pvmm_batch_begin();
	for (unsigned int i = 0; i < b->nr; i++)
		pvmm_batch_mmu_update(b->maddrs[i],
				      mapped ? pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(b->pages[i])),
							PVMM_PROT_RW)
					     : 0);
	if (!mapped)
		pvmm_batch_flush_all();
	*err = pvmm_batch_end(failure);
}

/* All or nothing, in one trap. */
static int map_all(const struct backing *b)
{
	struct pvmm_batch_failure failure;
	int err, undone;

	if (!b->nr)
		return 0;
	set_entries(b, true, &failure, &err);
	if (!err)
		return 0;
	report_refusal(&failure, "balloon: records of new pages refused by Xen");
	set_entries(b, false, NULL, &undone);
	return err;
}

int mm_grow(uint64_t *nr_records)
{
	uint64_t first = pvmm_max_pfn(), end = (first / GROW_PAGES + 1) * GROW_PAGES;
	struct backing b = {0};
	int err;

	pvmm_batch_assert_closed("growing");
	if (end > PVMM_DIRECTMAP_BYTES >> PVMM_PAGE_SHIFT || end > PVMM_PAGE_NONE)
		return -XEN_ENOSPC;
	err = collect(&b, first, end);
	if (!err)
		err = map_all(&b);
	if (err) {
		while (b.nr)
			pvmm_page_free(b.pages[--b.nr], 0);
		return err;
	}
	*nr_records += b.nr;
	for (uint64_t pfn = first; pfn < end; pfn++) {
		p2m_set(_pfn(pfn), PVMM_INVALID_MFN);
		*pvmm_page(_pfn(pfn)) = (struct pvmm_page){
			.next = PVMM_PAGE_NONE,
			.prev = PVMM_PAGE_NONE,
			.refs = 1,
			.kind = PVMM_PAGE_BALLOONED,
			.flags = PVMM_PAGE_NODIRECT,
		};
	}
	/* Told first: what the toolstack saves must never be less than there is. */
	err = pvmm_p2m_publish(end, nr_records);
	if (!err)
		p2m_grow(end);
	return err;
}
