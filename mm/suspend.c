/* SPDX-License-Identifier: MIT */
/*
 * Owns what must be true of the page tables before the domain is stopped, so that a toolstack can
 * write them down with pfns and put them up again with other mfns:
 *
 *	every table is one for Xen too, or its entries would be taken for data and keep old mfns;
 *	so the spaces that are building are pinned, and unpinned afterwards;
 *
 *	every entry maps a frame of the domain's own: others have no pfn.
 *
 * Kept tables are pinned for themselves. Stale mappings may stay: their entries are in pinned
 * tables and their pages are the domain's.
 *
 * Called by one vCPU while all others wait outside of the manager, so no lock is taken for the list
 * of spaces: each space's own is taken by the pin.
 */
#include <pvmm/batch.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "space.h"

/* --- frames that are not the domain's --- */

struct alien {
	const struct pvmm_space *space;
	pvmm_va_t va;
	mfn_t mfn;
	unsigned int nr;
};

/* Of the kernel's tables, where mappings are made; the rest is the boot's. */
static bool may_have_aliens(const struct pvmm_space *space, pvmm_va_t va)
{
	return !space_is_kernel(space) || va - PVMM_VMAP_BASE < PVMM_VMAP_BYTES ||
	       va - PVMM_KMAP_BASE < PVMM_KMAP_BYTES;
}

static int look_at_table(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(table);
	struct alien *alien = ctx;

	if (level != 1 || !may_have_aliens(alien->space, va))
		return 0;
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		if (!pvmm_pte_present(entries[slot]) ||
		    pfn_valid(pvmm_mfn_to_pfn(pvmm_pte_mfn(entries[slot]))))
			continue;
		if (!alien->nr++) {
			alien->va = va + slot * PVMM_PAGE_SIZE;
			alien->mfn = pvmm_pte_mfn(entries[slot]);
		}
	}
	return 0;
}

/* The first one is noted, all are counted. */
static unsigned int find_aliens(struct alien *alien)
{
	const struct pvmm_space *space = &pvmm_kernel_space, *first = NULL;

	*alien = (struct alien){0};
	do {
		alien->space = space;
		space_visit(space, look_at_table, alien);
		if (alien->nr && !first)
			first = space;
		space = space->next;
	} while (!space_is_kernel(space));
	alien->space = first;
	return alien->nr;
}

/* What nobody uses any more may be in the way; the purge takes it away. */
static int check_frames(void)
{
	struct alien alien;

	if (!find_aliens(&alien))
		return 0;
	pvmm_purge();
	if (!find_aliens(&alien))
		return 0;
	pvmm_log(
		PVMM_WARN,
		"suspend refused: space \"%s\" maps mfn 0x%llx at 0x%llx, which is not the domain's own (mappings like that: %u)",
		alien.space->name, (unsigned long long)mfn_x(alien.mfn),
		(unsigned long long)alien.va, alien.nr);
	return -XEN_EBUSY;
}

/* --- spaces that are building --- */

void pvmm_mm_resume(void)
{
	for (struct pvmm_space *space = pvmm_kernel_space.next; !space_is_kernel(space);
	     space = space->next) {
		int err = space->was_building ? pvmm_space_unpin(space) : 0;

		if (err)
			pvmm_panic("space \"%s\" cannot be unpinned: %s (%d)", space->name,
				   pvmm_errno_name(err), err);
		space->was_building = false;
	}
}

int pvmm_mm_pin_all(void)
{
	for (struct pvmm_space *space = pvmm_kernel_space.next; !space_is_kernel(space);
	     space = space->next) {
		int err;

		if (space->state == PVMM_SPACE_PINNED)
			continue;
		err = pvmm_space_pin(space);
		if (err) {
			pvmm_log(PVMM_WARN,
				 "suspend refused: space \"%s\" cannot be pinned: %s (%d)",
				 space->name, pvmm_errno_name(err), err);
			return err;
		}
		space->was_building = true;
	}
	return 0;
}

int pvmm_mm_suspend(void)
{
	int err;

	pvmm_batch_assert_closed("suspend");
	err = check_frames();
	if (!err)
		err = pvmm_mm_pin_all();
	if (err)
		pvmm_mm_resume();
	return err;
}
