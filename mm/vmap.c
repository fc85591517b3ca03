/* SPDX-License-Identifier: MIT */
/*
 * Owns the mapping and giving up of areas: that the entries, the ledger's counts and the references
 * of an area's pages come together, and that all of it is undone when one page or Xen says no.
 *
 * Invariant: a page that a live area remembers has its live count, and its reference; one that a
 * stale area remembers has its stale count, and its reference if the policy is to hold it.
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/clock.h>
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include "ledger.h"
#include "vmap.h"

#define PROT_CACHING (PVMM_PTE_PWT | PVMM_PTE_PCD | PVMM_PTE_PAT)

/* --- parameters --- */

static struct pvmm_vmap_params params = {
	.policy = PVMM_VMAP_LAZY,
	.lazy_pages = PVMM_VMAP_LAZY_PAGES,
	.lazy_areas = PVMM_VMAP_LAZY_AREAS,
	.drop_all_pages = PVMM_VMAP_DROP_ALL_PAGES,
	.small_pages = PVMM_VMAP_SMALL_PAGES,
};

struct pvmm_vmap_params pvmm_vmap_params(void)
{
	return params;
}

int pvmm_vmap_set_params(const struct pvmm_vmap_params *new)
{
	if (new->policy < PVMM_VMAP_LAZY || new->policy > PVMM_VMAP_HOLD ||
	    new->small_pages > PVMM_VMAP_SMALL_MAX)
		return -XEN_EINVAL;
	params = *new;
	return 0;
}

/* --- mapping --- */

int vmap_create(struct area_request *r, struct vmap_area **area)
{
	static const struct pvmm_vmap_how no_wishes;
	uint64_t align;

	pvmm_batch_assert_closed("the making of a vmap area");
	if (!r->how)
		r->how = &no_wishes;
	align = r->how->align_bytes;
	if (!r->nr_pages || r->how->policy < PVMM_VMAP_DEFAULT || r->how->policy > PVMM_VMAP_HOLD)
		return -XEN_EINVAL;
	if (align && (align < PVMM_PAGE_SIZE || (align & (align - 1))))
		return -XEN_EINVAL;
	return area_create(r, area);
}

/* Whether an entry may carry this. */
static bool prot_is_valid(uint64_t prot, uint64_t more)
{
	return (prot & PVMM_PTE_PRESENT) && !(prot & ~(PVMM_PROT_RW | more));
}

int vmap_take_page(uint32_t *pfn, struct pvmm_page *page, uint64_t prot, bool get)
{
	int err = ledger_live(page, prot);

	if (err)
		return err;
	if (get)
		pvmm_page_get(page);
	*pfn = (uint32_t)pfn_x(pvmm_page_pfn(page));
	return 0;
}

/*
 * Makes the entries of pages that are counted already. mfns, if not NULL, are what to map; else it
 * is what is remembered.
 */
static int make_entries(const struct vmap_area *area, const mfn_t *mfns)
{
	struct pvmm_batch_failure failure;
	struct area_cursor c;
	char what[128];
	int err;

	pvmm_batch_begin();
	area_for_each_page(&c, area)
	{
		mfn_t mfn = mfns ? mfns[c.i] : pvmm_pfn_to_mfn(_pfn(*c.pfn));
		pvmm_pte_t entry = pvmm_pte(mfn, area->prot);
		uint64_t maddr = area_entry_maddr(&c);

		if (area->nr_pages == 1)
			pvmm_batch_va_mapping(area->va, maddr, entry, false);
		else
			pvmm_batch_mmu_update(maddr, entry);
	}
	err = pvmm_batch_end(&failure);
	if (!err)
		return 0;

	pvmm_batch_describe(&failure, what, sizeof(what));
	pvmm_log(PVMM_WARN, "vmap area \"%s\" refused by Xen: %s", area->name, what);
	/* Those that were made go again; clearing one that was not changes nothing. */
	pvmm_batch_begin();
	area_queue_clear(area);
	pvmm_batch_end(NULL);
	return err;
}

/* Takes a live area away from its users: nobody finds it any more as theirs. */
static void set_state(struct vmap_area *area, enum pvmm_vmap_state state)
{
	struct vmap_pool *pool = pool_of(area);

	area->state = (uint8_t)state;
	count_add(&pool->unmaps, 1);
	count_add(&pool->live_areas, -1ULL);
	count_add(&pool->live_pages, -area->nr_pages);
}

/* Ends an area whose entries are gone. */
static void abandon(struct vmap_area *area)
{
	pvmm_spin_lock(&pool_of(area)->lock);
	set_state(area, PVMM_VMAP_CLEARED);
	pvmm_spin_unlock(&pool_of(area)->lock);
	area_drop_pages(area, ledger_dead, true);
	area_destroy(area);
}

/* Its pages are taken, or one of them was not to be had (err): the entries, or nothing at all. */
static int finish(struct vmap_area *area, int err, const mfn_t *mfns, void **addr)
{
	if (!err)
		err = make_entries(area, mfns);
	if (err)
		abandon(area);
	else
		*addr = (void *)(uintptr_t)area->va;
	return err;
}

int pvmm_vmap(struct pvmm_page *const *pages, uint64_t nr_pages, uint64_t prot,
	      const struct pvmm_vmap_how *how, void **addr)
{
	struct area_request r = {nr_pages, prot, how, AREA_PAGES, pvmm_owner_note_stack()};
	struct area_cursor c;
	struct vmap_area *area;
	int err;

	err = prot_is_valid(prot, 0) ? vmap_create(&r, &area) : -XEN_EINVAL;
	if (err)
		return err;

	area_for_each_page(&c, area)
	{
		err = vmap_take_page(c.pfn, pages[c.i], prot, true);
		if (err)
			break;
	}
	return finish(area, err, NULL, addr);
}

int pvmm_vmap_frames(const mfn_t *mfns, uint64_t nr_pages, uint64_t prot,
		     const struct pvmm_vmap_how *how, void **addr)
{
	struct area_request r = {nr_pages, prot, how, AREA_PAGES, pvmm_owner_note_stack()};
	struct area_cursor c;
	struct vmap_area *area;
	int err;

	err = prot_is_valid(prot, PROT_CACHING) ? vmap_create(&r, &area) : -XEN_EINVAL;
	if (err)
		return err;

	area_for_each_page(&c, area)
	{
		pfn_t pfn = pvmm_mfn_to_pfn(mfns[c.i]);

		if (pfn_valid(pfn))
			err = vmap_take_page(c.pfn, pvmm_page(pfn), prot, true);
		else
			*c.pfn = PFN_FOREIGN;
		if (err)
			break;
	}
	return finish(area, err, mfns, addr);
}

int pvmm_vmalloc(uint64_t len_bytes, const struct pvmm_vmap_how *how, void **addr)
{
	struct area_request r = {
		.nr_pages = (len_bytes >> PVMM_PAGE_SHIFT) + !!(len_bytes & ~PVMM_PAGE_MASK),
		.prot = PVMM_PROT_RW,
		.how = how,
		.use = AREA_VMALLOC,
		.maker = pvmm_owner_note_stack(),
	};
	struct area_cursor c;
	struct vmap_area *area;
	int err;

	err = vmap_create(&r, &area);
	if (err)
		return err;

	area_for_each_page(&c, area)
	{
		struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);

		/* The allocation's reference is the mapping's; a fresh page is nobody's table. */
		err = page ? vmap_take_page(c.pfn, page, area->prot, false) : -XEN_ENOMEM;
		if (err)
			break;
	}
	return finish(area, err, NULL, addr);
}

/* --- giving up --- */

/* Each page from live to stale; those that are not held lose their reference. */
static void pages_to_stale(const struct vmap_area *area)
{
	bool put = area->policy != PVMM_VMAP_HOLD;
	struct area_cursor c;

	area_for_each_page(&c, area)
	{
		struct pvmm_page *page;

		if (!pfn_is_page(*c.pfn))
			continue;
		page = pvmm_page(_pfn(*c.pfn));
		ledger_stale(page);
		if (put)
			pvmm_page_put(page);
	}
}

static void clear_now(struct vmap_area *area)
{
	pvmm_batch_begin();
	area_queue_clear(area);
	pvmm_batch_end(NULL);
	area_drop_pages(area, ledger_dead, true);
	area_destroy(area);
}

static int give_up(const void *addr, bool is_vmalloc, uint32_t giver)
{
	struct vmap_area *area = area_find_locked((uintptr_t)addr);
	struct vmap_pool *pool;

	if (!area)
		return -XEN_ENOENT;
	pool = pool_of(area);
	if (area->va != (uintptr_t)addr || area->state != PVMM_VMAP_LIVE ||
	    area->is_vmalloc != is_vmalloc) {
		pvmm_spin_unlock(&pool->lock);
		return -XEN_ENOENT;
	}
	area->giver_up = giver;
	area->given_up_ns = pvmm_clock_ns();
	if (area->policy == PVMM_VMAP_EAGER && !pvmm_batch_is_open()) {
		set_state(area, PVMM_VMAP_CLEARED);
		pvmm_spin_unlock(&pool->lock);
		clear_now(area);
		return 0;
	}
	set_state(area, PVMM_VMAP_STALE);
	/*
	 * Listed and counted first: a page may be free as soon as it has lost its reference, and
	 * who wants it as a table then looks here for its mapping, and waits for the lock.
	 */
	stale_add(area);
	pages_to_stale(area);
	pvmm_spin_unlock(&pool->lock);
	purge_if_enough(pool);
	return 0;
}

int pvmm_vunmap(const void *addr)
{
	return give_up(addr, false, pvmm_owner_note_stack());
}

int pvmm_vfree(const void *addr)
{
	return give_up(addr, true, pvmm_owner_note_stack());
}
