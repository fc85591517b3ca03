/* SPDX-License-Identifier: MIT */
/*
 * Owns the grants of a sequence: pages of the arena that the domain grants to itself. Some stay
 * mapped at places of their own, where no other operation changes an entry: debug Xen answers a
 * grant's entry that goes without its grant with a fault (docs/xen-rules.md, 48). What is mapped
 * elsewhere is unmapped by the same operation.
 *
 * Invariant: place[i] is mapped exactly while its flags are not 0.
 */
#include <pvmm/xen.h>
#include <xen/grant_table.h>
#include "sequence.h"

/* Entries of the table: the first ones are the console's and xenstore's. */
#define REF_FIRST   8u
#define REF_AT_ONCE (REF_FIRST + DIFF_GRANTS)
#define REF_NONE    (PVMM_PAGE_SIZE / sizeof(struct grant_entry_v1))

/* Domain numbers are looked through from 0 until one is ours. */
#define DOMAINS_MAX 4096u
#define OTHER_DOMID 0x7000

static struct {
	struct grant_entry_v1 *table;
	pvmm_va_t first_va; /* of the places */
	domid_t self;
	struct {
		uint32_t flags, handle;
		uint64_t bus;
	} place[DIFF_GRANTS];
} grants;

static bool find_own_domid(void)
{
	for (unsigned int i = 0; i < DOMAINS_MAX; i++) {
		struct gnttab_query_size size = {.dom = (domid_t)i};

		if (!pvmm_hc_grant_table_op(GNTTABOP_query_size, &size, 1) &&
		    size.status == GNTST_okay) {
			grants.self = (domid_t)i;
			return true;
		}
	}
	return false;
}

/* va: the table's; the places are behind it. All have their L1 table. */
bool diff_grants_create(pvmm_va_t va)
{
	xen_pfn_t frame = 0;
	struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};

	if (grants.table)
		return true;
	setup.frame_list.p = &frame;
	if (!find_own_domid() || pvmm_hc_grant_table_op(GNTTABOP_setup_table, &setup, 1) ||
	    setup.status)
		return false;
	if (pvmm_hc_update_va_mapping(va, pvmm_pte(_mfn(frame), PVMM_PROT_RW), UVMF_INVLPG))
		return false;
	grants.table = (struct grant_entry_v1 *)(uintptr_t)va;
	grants.first_va = va + PVMM_PAGE_SIZE;
	return true;
}

static int unmap_grant(uint64_t addr, uint64_t bus, uint32_t handle)
{
	struct gnttab_unmap_grant_ref op = {
		.host_addr = addr, .dev_bus_addr = bus, .handle = handle};
	int err = pvmm_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);

	return err ? err : op.status;
}

static pvmm_va_t place_va(unsigned int number)
{
	return grants.first_va + number * PVMM_PAGE_SIZE;
}

static int unmap_place(unsigned int number)
{
	int status = unmap_grant(place_va(number), grants.place[number].bus,
				 grants.place[number].handle);

	if (!status)
		grants.place[number].flags = 0;
	return status;
}

int diff_grants_clean(void)
{
	int status = 0;

	for (unsigned int i = 0; i < DIFF_GRANTS && !status; i++)
		if (grants.place[i].flags)
			status = unmap_place(i);
	return status;
}

static uint64_t addr_of(const struct diff_item *item)
{
	switch (item->place) {
	case GRANT_PLACE:
	case GRANT_DEVICE:
		return place_va(item->number);
	case GRANT_ENTRY:
		return (diff_mfn(item->frame) << PVMM_PAGE_SHIFT) + item->slot * sizeof(uint64_t);
	case GRANT_NOWHERE:
		return 0x0000900000000000ULL;
	default:
		return diff_window_va(item->number);
	}
}

static uint32_t flags_of(const struct diff_item *item)
{
	uint32_t flags = GNTMAP_host_map | (uint32_t)item->flags;

	switch (item->place) {
	case GRANT_DEVICE:
		return flags | GNTMAP_device_map;
	case GRANT_ENTRY:
		return flags | GNTMAP_contains_pte;
	case GRANT_NO_FLAG:
		return flags & ~(uint32_t)GNTMAP_host_map;
	default:
		return flags;
	}
}

static bool stays(const struct diff_item *item)
{
	return item->place == GRANT_PLACE || item->place == GRANT_DEVICE;
}

static void map_grant(const struct diff_item *item, struct diff_result *r)
{
	uint32_t ref = stays(item) ? REF_FIRST + item->number : REF_AT_ONCE;
	struct gnttab_map_grant_ref op = {
		.host_addr = addr_of(item),
		.flags = flags_of(item),
		.ref = item->place == GRANT_NO_REF ? (uint32_t)REF_NONE : ref,
		.dom = item->place == GRANT_NO_DOM ? DOMID_SELF : grants.self,
	};

	grants.table[ref] = (struct grant_entry_v1){
		.flags = GTF_permit_access | (item->place == GRANT_NO_RW ? GTF_readonly : 0),
		.domid = item->place == GRANT_NOT_US ? OTHER_DOMID : grants.self,
		.frame = (uint32_t)diff_mfn(item->page),
	};
	r->ret = pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);
	r->item[0] = op.status;
	r->item[1] = grants.table[ref].flags;
	if (r->ret || op.status)
		return;
	if (!stays(item)) {
		r->item[2] = unmap_grant(op.host_addr, 0, op.handle);
		r->item[3] = grants.table[ref].flags;
		return;
	}
	grants.place[item->number].flags = op.flags;
	grants.place[item->number].handle = op.handle;
	grants.place[item->number].bus = item->place == GRANT_DEVICE ? op.dev_bus_addr : 0;
}

void diff_grant(const struct diff_item *item, struct diff_result *r)
{
	if (!stays(item) || !grants.place[item->number].flags) {
		map_grant(item, r);
		return;
	}
	r->ret = unmap_place(item->number);
	r->item[1] = grants.table[REF_FIRST + item->number].flags;
}
