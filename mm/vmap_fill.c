/* SPDX-License-Identifier: MIT */
/*
 * Owns areas whose entries the caller makes: reserved, filled in by a function that is applied to
 * each entry, then said to be done. R35, R36.
 *
 * Invariant: at the end of each group the entries, what is remembered of them, the ledger's counts
 * and the references agree, whether the group was made or taken back.
 */
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include "ledger.h"
#include "vmap.h"

int pvmm_vmap_reserve(uint64_t nr_pages, const struct pvmm_vmap_how *how, void **addr)
{
	struct area_request r = {nr_pages, 0, how, AREA_RESERVED, pvmm_owner_note_stack()};
	struct vmap_area *area;
	int err = vmap_create(&r, &area);

	if (!err)
		*addr = (void *)(uintptr_t)area->va;
	return err;
}

/* One entry that is to be changed. */
struct change {
	pvmm_va_t va;
	uint64_t maddr;
	pvmm_pte_t old, new;
	uint32_t *pfn; /* what is remembered: the new page already */
	uint32_t old_pfn;
};

struct group {
	unsigned int nr;
	struct change changes[PVMM_VMAP_GROUP];
};

static void forget_page(uint32_t pfn)
{
	if (!pfn_is_page(pfn))
		return;
	ledger_dead(pvmm_page(_pfn(pfn)));
	pvmm_page_put(pvmm_page(_pfn(pfn)));
}

/* Counts what an entry will map; *pfn is how it is remembered. */
static int take_entry(uint32_t *pfn, pvmm_pte_t entry)
{
	pfn_t mapped;

	*pfn = PFN_NONE;
	if (!pvmm_pte_present(entry))
		return entry ? -XEN_EINVAL : 0;
	mapped = pvmm_mfn_to_pfn(pvmm_pte_mfn(entry));
	if (pfn_valid(mapped))
		return vmap_take_page(pfn, pvmm_page(mapped), entry, true);
	*pfn = PFN_FOREIGN;
	return 0;
}

/* Asks fn about the entry where the cursor is, and notes what it wants. */
static int plan_entry(struct group *g, const struct area_cursor *c, pvmm_vmap_entry_fn *fn,
		      void *ctx, unsigned int *levels)
{
	struct change *change = &g->changes[g->nr];
	uint32_t pfn;
	pfn_t l1;
	int err;

	change->va = area_cursor_va(c);
	change->old = change->new = pvmm_pt_lookup(pvmm_kernel_space.root, change->va);
	err = fn(change->va, &change->new, ctx);
	if (err || change->new == change->old)
		return err;
	err = map_kernel_l1(change->va, &l1, levels);
	if (!err)
		err = take_entry(&pfn, change->new);
	if (err)
		return err;
	change->maddr = pvmm_pt_entry_maddr(l1, pvmm_pt_slot(change->va, 1));
	change->old_pfn = *c->pfn;
	change->pfn = c->pfn;
	*c->pfn = pfn;
	g->nr++;
	return 0;
}

static int send_group(const struct group *g)
{
	struct pvmm_batch_failure failure;
	char what[128];
	int err;

	pvmm_batch_begin();
	for (const struct change *c = g->changes; c < g->changes + g->nr; c++) {
		pvmm_batch_mmu_update(c->maddr, c->new);
		if (pvmm_pte_present(c->old))
			pvmm_batch_flush_va(c->va);
	}
	err = pvmm_batch_end(&failure);
	if (!err)
		return 0;

	pvmm_batch_describe(&failure, what, sizeof(what));
	pvmm_log(PVMM_WARN, "filling in of a vmap area refused by Xen: %s", what);
	/* Back, also where nothing was done: the old entry is always good. */
	pvmm_batch_begin();
	for (const struct change *c = g->changes; c < g->changes + g->nr; c++) {
		pvmm_batch_mmu_update(c->maddr, c->old);
		pvmm_batch_flush_va(c->va);
	}
	pvmm_batch_end(NULL);
	return err;
}

/* Applies fn to the next entries, at most a group of them: all or nothing. */
static int apply_group(struct area_cursor *c, uint64_t end, pvmm_vmap_entry_fn *fn, void *ctx,
		       unsigned int *levels)
{
	struct group g;
	int err = 0;

	g.nr = 0;
	for (unsigned int i = 0; !err && i < PVMM_VMAP_GROUP && c->i < end; i++) {
		err = plan_entry(&g, c, fn, ctx, levels);
		area_next(c);
	}
	if (!err)
		err = send_group(&g);
	for (const struct change *change = g.changes; change < g.changes + g.nr; change++) {
		forget_page(err ? *change->pfn : change->old_pfn);
		if (err)
			*change->pfn = change->old_pfn;
	}
	if (!err && g.nr)
		*levels |= 1u << 1;
	return err;
}

/* The open area of an address, or NULL. Open areas are their maker's, so no lock is kept. */
static struct vmap_area *find_open(pvmm_va_t va)
{
	struct vmap_area *area = area_find_locked(va);
	bool is_open;

	if (!area)
		return NULL;
	is_open = area->state == PVMM_VMAP_LIVE && area->is_open;
	pvmm_spin_unlock(&pool_of(area)->lock);
	return is_open ? area : NULL;
}

int pvmm_vmap_apply(const void *addr, uint64_t nr_pages, pvmm_vmap_entry_fn *fn, void *ctx,
		    unsigned int *levels)
{
	pvmm_va_t va = (uintptr_t)addr;
	unsigned int changed = 0;
	struct area_cursor c;
	struct vmap_area *area;
	uint64_t first;
	int err = 0;

	pvmm_batch_assert_closed("the filling in of a vmap area");
	area = find_open(va);
	if (!area)
		return -XEN_ENOENT;
	first = (va - area->va) >> PVMM_PAGE_SHIFT;
	if ((va & ~PVMM_PAGE_MASK) || first >= area->nr_pages || nr_pages > area->nr_pages - first)
		return -XEN_EINVAL;

	area_start(&c, area);
	while (c.i < first)
		area_next(&c);
	while (!err && c.i < first + nr_pages)
		err = apply_group(&c, first + nr_pages, fn, ctx, &changed);
	if (levels)
		*levels = changed;
	return err;
}

/* An area that is filled in from its start, so far; NULL, and why in *err. */
static struct vmap_area *find_start(const void *addr, uint64_t nr_pages, int *err)
{
	struct vmap_area *area = find_open((uintptr_t)addr);

	*err = !area ? -XEN_ENOENT : -XEN_EINVAL;
	return area && area->va == (uintptr_t)addr && nr_pages <= area->nr_pages ? area : NULL;
}

int pvmm_vmap_prepare(const void *addr, uint64_t nr_pages)
{
	unsigned int levels = 0;
	struct area_cursor c;
	struct vmap_area *area;
	pfn_t l1;
	int err;

	area = find_start(addr, nr_pages, &err);
	if (!area)
		return err;
	err = 0;
	for (area_start(&c, area); !err && c.i < nr_pages; area_next(&c))
		if (!c.i || !pvmm_pt_slot(area_cursor_va(&c), 1))
			err = map_kernel_l1(area_cursor_va(&c), &l1, &levels);
	return err;
}

int pvmm_vmap_follow(const void *addr, uint64_t nr_pages)
{
	struct area_cursor c;
	struct vmap_area *area;
	int err;

	area = find_start(addr, nr_pages, &err);
	if (!area)
		return err;
	for (area_start(&c, area); c.i < nr_pages; area_next(&c)) {
		uint32_t old = *c.pfn, now;

		err = take_entry(&now, pvmm_pt_lookup(pvmm_kernel_space.root, area_cursor_va(&c)));
		if (err)
			return err;
		*c.pfn = now;
		forget_page(old);
	}
	return 0;
}

int pvmm_vmap_done(const void *addr)
{
	struct vmap_area *area = area_find_locked((uintptr_t)addr);
	int err = -XEN_ENOENT;

	if (!area)
		return err;
	if (area->va == (uintptr_t)addr && area->is_open && area->state == PVMM_VMAP_LIVE) {
		area->is_open = false;
		err = 0;
	}
	pvmm_spin_unlock(&pool_of(area)->lock);
	return err;
}
