/* SPDX-License-Identifier: MIT */
/*
 * The kinds of stray mapping: each a way to make an entry behind the manager's back. Owns the pages
 * and spaces that the mappings are made in.
 */
#include <pvmm/alloc.h>
#include <pvmm/grant.h>
#include <pvmm/hypercall.h>
#include <pvmm/kmap.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/vmap.h>
#include <xen/grant_table.h>
#include "matrix.h"

#define HOLDER_VA 0x0000000020000000ULL
#define REGION_VA (PVMM_VMAP_BASE + 37 * PVMM_PAGE_SIZE)

static struct pvmm_page *bystander; /* a page that is somebody's, and has nothing to do with it */
static struct pvmm_space holder;    /* an address space that the mapping is in */

static pvmm_pte_t entry_of(pfn_t page, uint64_t prot)
{
	return pvmm_pte(pvmm_pfn_to_mfn(page), prot);
}

static bool take_bystander(void)
{
	bystander = pvmm_page_alloc(0, PVMM_PAGE_USER);
	return bystander;
}

/* --- a second entry of the direct map --- */

static pvmm_va_t va_in_directmap(void)
{
	return (uintptr_t)pvmm_page_virt(bystander);
}

static bool map_at(pvmm_va_t va, pvmm_pte_t entry)
{
	return !pvmm_hc_update_va_mapping(va, entry, UVMF_INVLPG | UVMF_ALL);
}

static bool make_in_directmap(pfn_t page)
{
	return map_at(va_in_directmap(), entry_of(page, PVMM_PROT_RW));
}

static void undo_in_directmap(pfn_t page)
{
	(void)page;
	map_at(va_in_directmap(), entry_of(pvmm_page_pfn(bystander), PVMM_PROT_RW));
	pvmm_page_put(bystander);
}

/* --- a table of the kernel's, changed behind the manager's back --- */

static pvmm_va_t va_in_region(void)
{
	return REGION_VA + PVMM_PAGE_SIZE;
}

/* A mapping made the manager's way sees to it that there is a table. */
static bool prepare_region(void)
{
	return take_bystander() &&
	       !pvmm_space_map(&pvmm_kernel_space, REGION_VA, bystander, PVMM_PROT_RW);
}

static bool make_in_region(pfn_t page)
{
	return map_at(va_in_region(), entry_of(page, PVMM_PROT_RW));
}

static void undo_in_region(pfn_t page)
{
	(void)page;
	map_at(va_in_region(), 0);
	pvmm_space_unmap(&pvmm_kernel_space, REGION_VA);
	pvmm_page_put(bystander);
}

/* --- slots of the kmap region that are not given back --- */

static pvmm_va_t va_in_kmap(void)
{
	return PVMM_KMAP_BASE + PVMM_KMAP_BYTES - PVMM_PAGE_SIZE;
}

static bool make_in_kmap(pfn_t page)
{
	return map_at(va_in_kmap(), entry_of(page, PVMM_PROT_RW));
}

static void undo_in_kmap(pfn_t page)
{
	(void)page;
	map_at(va_in_kmap(), 0);
	pvmm_page_put(bystander);
}

/* The first of vCPU 1's own, which only that vCPU looks at. */
static pvmm_va_t va_in_local_kmap(void)
{
	return PVMM_KMAP_BASE + PVMM_KMAP_LOCAL_SLOTS * PVMM_PAGE_SIZE;
}

static bool make_in_local_kmap(pfn_t page)
{
	return map_at(va_in_local_kmap(), entry_of(page, PVMM_PROT_RW));
}

static void undo_in_local_kmap(pfn_t page)
{
	(void)page;
	map_at(va_in_local_kmap(), 0);
	pvmm_page_put(bystander);
}

/* --- vmap areas whose mappings the ledger has lost the count of --- */

static void *area;

static pvmm_va_t va_of_area(void)
{
	return (uintptr_t)area;
}

/* Somebody has an area, and gives the page back with its reference and its count. */
static bool make_in_live_area(pfn_t pfn)
{
	const struct pvmm_vmap_how how = {.name = "live \"area\"", .policy = PVMM_VMAP_LAZY};
	struct pvmm_page *page = pvmm_page(pfn);
	uint8_t kind = page->kind;
	int err;

	page->kind = PVMM_PAGE_KERNEL; /* of a page table there would be no such area */
	err = pvmm_vmap(&page, 1, PVMM_PROT_RW, &how, &area);
	page->kind = kind;
	if (err)
		return false;
	page->live--;
	page->refs--;
	return true;
}

/* What was lost is there again when the area goes. */
static void undo_in_live_area(pfn_t pfn)
{
	struct pvmm_page *page = pvmm_page(pfn);
	uint32_t refs = page->refs;

	page->live++;
	page->refs = refs + 2;
	pvmm_vunmap(area);
	pvmm_purge();
	page->refs = refs;
	pvmm_page_put(bystander);
}

/* An area was given up and purged, but the purge has left the entry: all counts say it is gone. */
static bool make_in_purged_area(pfn_t pfn)
{
	struct pvmm_page *page = pvmm_page(pfn);

	if (!make_in_live_area(pfn))
		return false;
	page->live++;
	page->refs++;
	pvmm_vunmap(area);
	pvmm_purge();
	return map_at(va_of_area(), entry_of(pfn, PVMM_PROT_RW));
}

static void undo_in_purged_area(pfn_t page)
{
	(void)page;
	map_at(va_of_area(), 0);
	pvmm_page_put(bystander);
}

/* --- user mappings --- */

static pvmm_va_t va_in_holder(void)
{
	return HOLDER_VA + PVMM_PAGE_SIZE;
}

static bool prepare_building(void)
{
	return take_bystander() && !pvmm_space_create(&holder, "holder") &&
	       !pvmm_space_map(&holder, HOLDER_VA, bystander, PVMM_PROT_RW);
}

static bool prepare_pinned(void)
{
	return prepare_building() && !pvmm_space_pin(&holder);
}

static bool prepare_loaded(void)
{
	return prepare_building() && !pvmm_space_activate(&holder);
}

/* As its state wants it: through Xen, or with a plain store. */
static bool set_in_holder(pvmm_pte_t entry)
{
	struct pvmm_walk w = pvmm_pt_walk(holder.root, va_in_holder());
	struct mmu_update update = {
		.ptr = pvmm_pt_entry_maddr(w.step[1].table, w.step[1].slot),
		.val = entry,
	};

	if (holder.state == PVMM_SPACE_PINNED)
		return !pvmm_hc_mmu_update(&update, 1, NULL);
	pvmm_pt_set(w.step[1].table, w.step[1].slot, entry);
	return true;
}

static bool make_in_holder(pfn_t page)
{
	return set_in_holder(entry_of(page, PVMM_PROT_RW | PVMM_PTE_USER));
}

static void undo_in_holder(pfn_t page)
{
	(void)page;
	set_in_holder(0);
	pvmm_space_activate(&pvmm_kernel_space);
	pvmm_space_destroy(&holder);
	pvmm_page_put(bystander);
}

/* --- a table that no space leads to: as another domain's mapping, it cannot be found from here ---
 */

static bool pin_op(unsigned int cmd)
{
	struct mmuext_op op = {
		.cmd = cmd,
		.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(pvmm_page_pfn(bystander))),
	};

	return !pvmm_hc_mmuext_op(&op, 1, NULL);
}

static bool make_in_hidden_table(pfn_t page)
{
	pvmm_pte_t *entries = pvmm_page_virt(bystander);

	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++)
		entries[slot] = slot == 7 ? entry_of(page, PVMM_PROT_RW) : 0;
	return map_at((uintptr_t)entries, entry_of(pvmm_page_pfn(bystander), PVMM_PROT_RO)) &&
	       pin_op(MMUEXT_PIN_L1_TABLE);
}

static void undo_in_hidden_table(pfn_t page)
{
	(void)page;
	pin_op(MMUEXT_UNPIN_TABLE);
	map_at(va_in_directmap(), entry_of(pvmm_page_pfn(bystander), PVMM_PROT_RW));
	pvmm_page_put(bystander);
}

/*
 * --- a table whose page was freed while Xen still has it as a table: who gets that page cannot
 * write to it, unless the allocation is checked ---
 */

static bool make_in_freed_table(pfn_t page)
{
	const struct pvmm_check_config off = {.modes = PVMM_CHECK_PIN, .report = PVMM_REPORT_TEXT};
	struct pvmm_check_config config = pvmm_check_config();

	if (!make_in_hidden_table(page))
		return false;
	pvmm_check_configure(&off);
	pvmm_page_free(bystander, 0);
	pvmm_check_configure(&config);
	return true;
}

static void undo_in_freed_table(pfn_t page)
{
	(void)page;
	pin_op(MMUEXT_UNPIN_TABLE);
	map_at(va_in_directmap(), entry_of(pvmm_page_pfn(bystander), PVMM_PROT_RW));
}

/*
 * --- a grant that a peer maps, in tables of its own: the domain itself plays the peer, as a device
 * would map the page. The page has lost the reference that the grant has of it ---
 */

#define DOMAINS_MAX 4096u

static struct {
	domid_t self;
	mfn_t frame; /* that the peer maps, wherever the page has gone meanwhile */
	pvmm_grant_t ref;
	uint32_t handle;
} grant;

static bool find_own_domid(void)
{
	for (unsigned int i = 0; i < DOMAINS_MAX; i++) {
		struct gnttab_query_size size = {.dom = (domid_t)i};

		grant.self = (domid_t)i;
		if (!pvmm_hc_grant_table_op(GNTTABOP_query_size, &size, 1) && !size.status)
			return true;
	}
	return false;
}

static bool make_granted(pfn_t pfn)
{
	struct gnttab_map_grant_ref map = {.flags = GNTMAP_device_map, .dom = grant.self};
	struct pvmm_page *page = pvmm_page(pfn);
	uint8_t kind = page->kind;
	int err;

	page->kind = PVMM_PAGE_KERNEL; /* a page table is not granted */
	err = pvmm_grant_give(&page, 1, grant.self, 0, &grant.ref);
	page->kind = kind;
	if (err)
		return false;
	page->refs--;
	grant.frame = pvmm_pfn_to_mfn(pfn);
	map.ref = grant.ref;
	err = pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, &map, 1);
	grant.handle = map.handle;
	return !err && !map.status;
}

static void undo_granted(pfn_t pfn)
{
	struct gnttab_unmap_grant_ref unmap = {
		.handle = grant.handle,
		.dev_bus_addr = pvmm_mfn_to_maddr(grant.frame),
	};
	struct pvmm_page *page = pvmm_page(pfn);
	uint32_t refs = page->refs;

	if (pvmm_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1) || unmap.status)
		pvmm_panic("the peer cannot unmap grant %u: status %d", grant.ref, unmap.status);
	page->refs = refs + 2;
	(void)pvmm_grant_end(grant.ref);
	page->refs = refs;
}

const struct matrix_kind matrix_kinds[] = {
	{"a second direct-map entry", take_bystander, make_in_directmap, undo_in_directmap,
	 va_in_directmap, .space = &pvmm_kernel_space},
	{"a table changed behind the manager's back", prepare_region, make_in_region,
	 undo_in_region, va_in_region, .space = &pvmm_kernel_space},
	{"a kmap slot", take_bystander, make_in_kmap, undo_in_kmap, va_in_kmap,
	 .space = &pvmm_kernel_space},
	{"a live vmap", take_bystander, make_in_live_area, undo_in_live_area, va_of_area,
	 .space = &pvmm_kernel_space},
	{"a stale vmap that a purge has missed", take_bystander, make_in_purged_area,
	 undo_in_purged_area, va_of_area, .space = &pvmm_kernel_space},
	{"a user mapping, pinned and not loaded", prepare_pinned, make_in_holder, undo_in_holder,
	 va_in_holder, .space = &holder},
	{"a user mapping, loaded", prepare_loaded, make_in_holder, undo_in_holder, va_in_holder,
	 .space = &holder},
	{"a user mapping, not pinned", prepare_building, make_in_holder, undo_in_holder,
	 va_in_holder, .space = &holder, .invisible = true},
	{"a table that no space leads to", take_bystander, make_in_hidden_table,
	 undo_in_hidden_table, .unseen = true},
	{"a table that was freed itself", take_bystander, make_in_freed_table, undo_in_freed_table,
	 .unseen = true, .modes = PVMM_CHECK_ALLOC},
	{"a short-lived kmap slot of another vCPU", take_bystander, make_in_local_kmap,
	 undo_in_local_kmap, va_in_local_kmap, .space = &pvmm_kernel_space},
	{"a grant that a peer maps", find_own_domid, make_granted, undo_granted, .unseen = true},
	{0},
};
