/* SPDX-License-Identifier: MIT */
/*
 * Owns the moment at which a page of a region appears: zeroed on the first touch, or many at once;
 * copied on the first write to one that address spaces share.
 *
 * Invariant: a page of a region is mapped writable only where it has one reference; the decision to
 * write to it in place is taken under the lock of the one space that maps it, and nobody else can
 * come to share it but by copying that space.
 */
#include <pvmm/alloc.h>
#include <pvmm/p2m.h>
#include <pvmm/trap.h>
#include "ledger.h"
#include "space.h"

/*
 * Pages that one fault fills, an aligned group around the address; a power of two. A fault that
 * fills one page costs three traps (the fault, the update, the return), so a group of 16 saves 45
 * of 48 where all of them are used, and costs up to 15 pages zeroed in vain where they are not.
 */
#define FAULT_AROUND_MAX 64

static unsigned int fault_around = 16;

int pvmm_fault_around(unsigned int nr_pages)
{
	if (!nr_pages || nr_pages > FAULT_AROUND_MAX || (nr_pages & (nr_pages - 1)))
		return -XEN_EINVAL;
	fault_around = nr_pages;
	return 0;
}

static void release_leaves(const pvmm_pte_t *leaves, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (leaves[i])
			release_page(page_of_leaf(leaves[i]));
}

/* A zeroed page for the slot, counted; 0 when memory is out. */
static pvmm_pte_t new_leaf(uint64_t prot)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_USER);

	if (!page)
		return 0;
	page_zero(page);
	/* A page just allocated is nobody's table: this cannot be refused. */
	(void)ledger_live(page, prot);
	return pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), prot);
}

int fill(struct pvmm_space *space, const struct region *region, pvmm_va_t va, pvmm_pte_t *leaves,
	 unsigned int nr)
{
	struct pvmm_walk w = pvmm_pt_walk(space->root, va);
	const pvmm_pte_t *entries = w.stopped_at == 1 ? pvmm_pt_entries(w.step[1].table) : NULL;
	unsigned int filled = 0;
	int err;

	for (unsigned int i = 0; i < nr; i++) {
		leaves[i] = 0;
		if (entries && pvmm_pte_present(entries[w.step[1].slot + i]))
			continue;
		leaves[i] = new_leaf(region->prot);
		if (!leaves[i]) {
			release_leaves(leaves, i);
			return -XEN_ENOMEM;
		}
		filled++;
	}
	if (!filled)
		return 0;
	err = map_leaves(space, &w, va, leaves, nr);
	if (err)
		release_leaves(leaves, nr);
	return err;
}

/* The group of pages around va that a fault fills: in the region and in one table. */
static int fill_around(struct pvmm_space *space, const struct region *region, pvmm_va_t va)
{
	uint64_t bytes = (uint64_t)fault_around << PVMM_PAGE_SHIFT;
	pvmm_va_t start = va & ~(bytes - 1), end = start + bytes;
	pvmm_pte_t leaves[FAULT_AROUND_MAX];
	int err;

	if (start < region->start)
		start = region->start;
	if (end > region->end)
		end = region->end;
	err = fill(space, region, start, leaves, (unsigned int)((end - start) >> PVMM_PAGE_SHIFT));
	/* Memory for the one page that is needed may be there all the same. */
	return err == -XEN_ENOMEM ? fill(space, region, va, leaves, 1) : err;
}

/* The first write to a page that is, or was, shared with a copy of the space. */
static int unshare(struct pvmm_space *space, const struct region *region, const struct pvmm_walk *w,
		   pvmm_va_t va)
{
	struct pvmm_page *shared = page_of_leaf(w->step[1].entry), *own;
	mfn_t mfn = pvmm_pte_mfn(w->step[1].entry);
	int err;

	if (!shared)
		return -XEN_EFAULT;
	if (__atomic_load_n(&shared->refs, __ATOMIC_ACQUIRE) == 1)
		return change_leaf(space, w, va, pvmm_pte(mfn, region->prot));

	own = pvmm_page_alloc(0, PVMM_PAGE_USER);
	if (!own)
		return -XEN_ENOMEM;
	page_copy(own, shared);
	(void)ledger_live(own, region->prot);
	err = change_leaf(space, w, va,
			  pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(own)), region->prot));
	release_page(err ? own : shared);
	return err;
}

static bool allows(const struct region *region, uint64_t error_code)
{
	if ((error_code & PVMM_PF_WRITE) && !(region->prot & PVMM_PTE_RW))
		return false;
	return !(error_code & PVMM_PF_FETCH) || !(region->prot & PVMM_PTE_NX);
}

static int fault_locked(struct pvmm_space *space, pvmm_va_t va, uint64_t error_code)
{
	const struct region *region = region_at(space, va);
	struct pvmm_walk w;

	if (!region || !allows(region, error_code))
		return -XEN_EFAULT;
	w = pvmm_pt_walk(space->root, va);
	if (w.stopped_at > 1 || !pvmm_pte_present(w.step[1].entry))
		return fill_around(space, region, va);
	if ((error_code & PVMM_PF_WRITE) && !pvmm_pte_writable(w.step[1].entry))
		return unshare(space, region, &w, va);
	/* Another vCPU was faster; the fault itself has dropped the old translation (SDM 4.10.4).
	 */
	return 0;
}

int pvmm_space_fault(struct pvmm_space *space, pvmm_va_t va, uint64_t error_code)
{
	int err;

	pvmm_batch_assert_closed("a page fault of user space");
	pvmm_spin_lock(&space->lock);
	err = fault_locked(space, va & PVMM_PAGE_MASK, error_code);
	pvmm_spin_unlock(&space->lock);
	return err;
}

/* Fills a range of regions, a table at a time; leaves has room for a table's entries. */
static int populate_locked(struct pvmm_space *space, pvmm_va_t va, pvmm_va_t end,
			   pvmm_pte_t *leaves)
{
	while (va < end) {
		const struct region *region = region_at(space, va);
		pvmm_va_t stop = next_table(va) < end ? next_table(va) : end;
		int err;

		if (stop > region->end)
			stop = region->end;
		err = fill(space, region, va, leaves,
			   (unsigned int)((stop - va) >> PVMM_PAGE_SHIFT));
		if (err)
			return err;
		va = stop;
	}
	return 0;
}

int pvmm_space_populate(struct pvmm_space *space, pvmm_va_t start, uint64_t nr_pages)
{
	pvmm_va_t end = start + (nr_pages << PVMM_PAGE_SHIFT);
	int err = check_range(start, nr_pages);
	struct pvmm_page *scratch;

	if (err || space_is_kernel(space))
		return -XEN_EINVAL;
	scratch = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	if (!scratch)
		return -XEN_ENOMEM;
	pvmm_spin_lock(&space->lock);
	err = is_all_regions(space, start, end)
		      ? populate_locked(space, start, end, pvmm_page_virt(scratch))
		      : -XEN_ENOENT;
	pvmm_spin_unlock(&space->lock);
	pvmm_page_put(scratch);
	return err;
}
