/* SPDX-License-Identifier: MIT */
/*
 * The model against docs/xen-rules.md: granted pages (rules 47 to 50). Who maps a granted page
 * holds references of it; the domain that granted it cannot take it back, nor make a table of it.
 */
#include "tests/model/state.h"
#include "tests/unit/unit.h"

#define REF	 8u
#define READONLY (GNTMAP_host_map | GNTMAP_readonly)
#define WRITABLE GNTMAP_host_map

/* Where the domain maps its own grants: an address whose tables there are. */
static pfn_t place;

static uint64_t place_va(void)
{
	return (uintptr_t)pvmm_pfn_to_virt(place);
}

static struct grant_entry_v1 *table(void)
{
	xen_pfn_t frame = 0;
	struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};

	setup.frame_list.p = &frame;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0);
	assert_int_equal(setup.status, GNTST_okay);
	return model_bytes(_mfn(frame));
}

static void grant(pfn_t page, domid_t to, uint16_t flags)
{
	table()[REF] = (struct grant_entry_v1){
		.frame = (uint32_t)mfn_x(pvmm_pfn_to_mfn(page)),
		.domid = to,
		.flags = flags,
	};
}

static int map_at(uint64_t addr, uint32_t flags, uint32_t *handle)
{
	struct gnttab_map_grant_ref op = {
		.host_addr = addr, .flags = flags, .ref = REF, .dom = GUEST_DOMID};

	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0);
	*handle = op.handle;
	return op.status;
}

static int unmap_at(uint64_t addr, uint32_t handle)
{
	struct gnttab_unmap_grant_ref op = {.host_addr = addr, .handle = handle};

	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1), 0);
	return op.status;
}

static pvmm_pte_t entry_at_place(void)
{
	return pvmm_pt_lookup(pvmm_kernel_space.root, place_va());
}

static int grant_boot(void **state)
{
	unit_boot(state);
	place = unit_page();
	return 0;
}

/* Rule 47: another domain's mapping holds a general reference, a writable one the type too. */
static void foreign_mappings_hold(void **state)
{
	pfn_t page = unit_table();
	xen_pfn_t mfn = mfn_x(pvmm_pfn_to_mfn(page));
	struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
	uint32_t ro, rw;

	(void)state;
	grant(page, FOREIGN_DOMID, GTF_permit_access);
	assert_int_equal(model_foreign_map(REF, READONLY, &ro), GNTST_okay);
	assert_int_equal(model_frame_of(page).refs, 3);
	assert_int_equal(table()[REF].flags, GTF_permit_access | GTF_reading);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), 0);
	assert_int_equal(model_foreign_map(REF, WRITABLE, &rw), GNTST_general_error);
	assert_int_equal(table()[REF].flags, GTF_permit_access | GTF_reading);
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, page), 0);

	assert_int_equal(model_foreign_map(REF, WRITABLE, &rw), GNTST_okay);
	assert_int_equal(model_frame_of(page).refs, 4);
	assert_int_equal(model_frame_of(page).type, MODEL_WRITABLE);
	assert_int_equal(model_frame_of(page).type_count, 1);
	assert_int_equal(table()[REF].flags, GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), -XEN_EINVAL);
	assert_model_clean();

	/* Given up, it lives as long as the other domain maps it. */
	r.extent_start.p = &mfn;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_decrease_reservation, &r), 1);
	assert_int_equal(pvmm_hc_update_va_mapping((uintptr_t)pvmm_pfn_to_virt(page), 0, 0), 0);
	assert_int_equal(model_foreign_unmap(rw), GNTST_okay);
	assert_int_equal(table()[REF].flags, GTF_permit_access | GTF_reading);
	assert_int_equal(model_frame(_mfn(mfn)).refs, 1);
	assert_model_clean();
	assert_int_equal(model_foreign_unmap(ro), GNTST_okay);
	assert_int_equal(table()[REF].flags, GTF_permit_access);
	assert_int_equal(model_frame(_mfn(mfn)).owner, MODEL_FREE);
	assert_int_equal(model_foreign_unmap(ro), GNTST_bad_handle);
	assert_model_clean();
}

/* A device's mapping and a host's of one handle are two, and go by halves. */
static void device_mappings(void **state)
{
	pfn_t page = unit_table();
	struct gnttab_map_grant_ref map = {.host_addr = place_va(), .ref = REF, .dom = GUEST_DOMID};
	struct gnttab_unmap_grant_ref unmap = {0};

	(void)state;
	grant(page, GUEST_DOMID, GTF_permit_access);
	map.flags = GNTMAP_device_map | GNTMAP_host_map;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, &map, 1), 0);
	assert_int_equal(map.status, GNTST_okay);
	assert_int_equal(map.dev_bus_addr, mfn_x(pvmm_pfn_to_mfn(page)) << PVMM_PAGE_SHIFT);
	assert_int_equal(model_frame_of(page).type_count, 2);
	assert_model_clean();

	unmap.handle = map.handle;
	unmap.dev_bus_addr = map.dev_bus_addr + PVMM_PAGE_SIZE;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
	assert_int_equal(unmap.status, GNTST_bad_dev_addr);
	unmap.dev_bus_addr = map.dev_bus_addr;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
	assert_int_equal(unmap.status, GNTST_okay);
	assert_int_equal(model_frame_of(page).type_count, 1);
	assert_model_clean();
	assert_int_equal(unmap_at(place_va(), map.handle), GNTST_okay);
	assert_int_equal(model_frame_of(page).type_count, 0);
	assert_int_equal(table()[REF].flags, GTF_permit_access);
	assert_model_clean();
}

/* Rule 48: the domain maps its own grant, at an address or into an L1 entry. */
static void own_grants(void **state)
{
	pfn_t page = unit_table(), l1 = unit_table();
	uint64_t slot = pvmm_pt_entry_maddr(l1, 7);
	uint32_t handle, second;

	(void)state;
	grant(page, GUEST_DOMID, GTF_permit_access);
	assert_int_equal(map_at(place_va(), WRITABLE, &handle), GNTST_okay);
	assert_true(mfn_eq(pvmm_pte_mfn(entry_at_place()), pvmm_pfn_to_mfn(page)));
	assert_true(pvmm_pte_writable(entry_at_place()));
	assert_int_equal(model_frame_of(place).refs, 1); /* what was mapped there before */
	assert_int_equal(model_frame_of(page).refs, 3);
	assert_int_equal(model_frame_of(page).type_count, 1);
	*(uint64_t *)place_va() = 77;
	assert_true(unit_peek(page, 0) == 77);
	assert_model_clean();

	/* An entry is one of a validated L1 table, or it is none. */
	assert_int_equal(map_at(slot, WRITABLE | GNTMAP_contains_pte, &second),
			 GNTST_general_error);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	assert_int_equal(map_at(slot + 4, WRITABLE | GNTMAP_contains_pte, &second),
			 GNTST_general_error);
	assert_int_equal(model_frame_of(page).refs, 3);
	assert_int_equal(map_at(slot, READONLY | GNTMAP_contains_pte, &second), GNTST_okay);
	assert_int_equal(model_frame_of(page).refs, 4);
	assert_int_equal(model_frame_of(page).type_count, 1);
	assert_model_clean();

	/* Only as it was mapped, and by its own handle. */
	assert_int_equal(unmap_at(slot + 8, second), GNTST_general_error);
	assert_int_equal(unmap_at(place_va(), 999), GNTST_bad_handle);
	assert_int_equal(unmap_at(slot, second), GNTST_okay);
	assert_true(unit_peek(l1, 7) == 0);
	assert_int_equal(unmap_at(slot, second), GNTST_bad_handle);
	assert_int_equal(unmap_at(place_va(), handle), GNTST_okay);
	assert_false(pvmm_pte_present(entry_at_place()));
	assert_int_equal(model_frame_of(page).refs, 2);
	assert_int_equal(model_frame_of(page).type_count, 0);
	assert_model_clean();
}

/* What the entry of the grant must say, and what of the arguments is wrong how. */
static void refusals(void **state)
{
	pfn_t page = unit_table();
	struct gnttab_map_grant_ref op = {.host_addr = place_va(), .ref = REF, .flags = WRITABLE};
	uint32_t h;

	(void)state;
	grant(page, FOREIGN_DOMID, GTF_permit_access);
	assert_int_equal(map_at(place_va(), WRITABLE, &h), GNTST_general_error);
	grant(page, GUEST_DOMID, 0);
	assert_int_equal(map_at(place_va(), WRITABLE, &h), GNTST_general_error);
	grant(page, GUEST_DOMID, GTF_permit_access | GTF_readonly);
	assert_int_equal(map_at(place_va(), WRITABLE, &h), GNTST_general_error);
	assert_int_equal(map_at(place_va(), GNTMAP_readonly, &h), GNTST_bad_gntref);
	grant(page, GUEST_DOMID, GTF_permit_access);
	table()[REF].frame = (uint32_t)mfn_x(model_frame_owned(MODEL_FOREIGN, 0));
	assert_int_equal(map_at(place_va(), WRITABLE, &h), GNTST_bad_page);
	assert_int_equal(table()[REF].flags, GTF_permit_access);
	grant(page, GUEST_DOMID, GTF_permit_access);
	assert_int_equal(map_at(UNIT_VA, WRITABLE, &h), GNTST_general_error);
	assert_int_equal(table()[REF].flags, GTF_permit_access);

	op.dom = DOMID_SELF;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0);
	assert_int_equal(op.status, GNTST_bad_domain);
	op.dom = FOREIGN_DOMID;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0);
	assert_int_equal(op.status, GNTST_general_error);
	op.dom = GUEST_DOMID;
	op.ref = PVMM_PAGE_SIZE / sizeof(struct grant_entry_v1);
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0);
	assert_int_equal(op.status, GNTST_bad_gntref);
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, NULL, 1), -XEN_EFAULT);
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 0x80000000),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_hc_grant_table_op(99, &op, 1), -XEN_ENOSYS);
	assert_int_equal(model_frame_of(page).refs, 2);
	assert_model_clean();
}

/* The table itself: pages of Xen's that the domain may map, and nothing else. */
static void the_table(void **state)
{
	struct gnttab_query_size size = {.dom = DOMID_SELF};
	struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 3};
	xen_pfn_t list[3] = {0};
	uint64_t entry;

	(void)state;
	setup.frame_list.p = list;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0);
	assert_int_equal(setup.status, GNTST_okay);
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_query_size, &size, 1), 0);
	assert_int_equal(size.nr_frames, 3);
	assert_int_equal(size.max_nr_frames, 32);
	setup.nr_frames = 33;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0);
	assert_int_equal(setup.status, GNTST_general_error);
	setup.nr_frames = 1;
	setup.dom = FOREIGN_DOMID;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0);
	assert_int_equal(setup.status, GNTST_permission_denied);
	size.dom = 999;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_query_size, &size, 1), 0);
	assert_int_equal(size.status, GNTST_bad_domain);
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_query_size, &size, 2), -XEN_EINVAL);

	entry = pvmm_pte(_mfn(list[2]), PVMM_PROT_RW);
	assert_int_equal(pvmm_hc_update_va_mapping(place_va(), entry, 0), 0);
	assert_int_equal(model_frame(_mfn(list[2])).type_count, 2);
	assert_int_equal(pvmm_hc_update_va_mapping(place_va(), 0, 0), 0);
	assert_int_equal(unit_ext(MMUEXT_PIN_L1_TABLE, _mfn(list[2])), -XEN_EINVAL);
	assert_model_clean();
}

static void overwrite(void *ctx)
{
	(void)ctx;
	(void)pvmm_hc_update_va_mapping(place_va(), 0, UVMF_INVLPG);
}

/*
 * A mapping that goes without its handle: the debug hypervisor says so with a fault, with the
 * release one the grant can never be given back.
 */
static void implicit_unmap(void **state)
{
	uint32_t handle;
	pfn_t page = unit_table();

	(void)state;
	grant(page, GUEST_DOMID, GTF_permit_access);
	assert_int_equal(map_at(place_va(), WRITABLE, &handle), GNTST_okay);
	assert_true(model_panics(overwrite, NULL, "without its grant"));
	assert_int_equal(unmap_at(place_va(), handle), GNTST_okay);

	unit_reboot(&(struct model_options){.release = true});
	place = unit_page();
	page = unit_table();
	grant(page, GUEST_DOMID, GTF_permit_access);
	assert_int_equal(map_at(place_va(), WRITABLE, &handle), GNTST_okay);
	overwrite(NULL);
	assert_int_equal(model_frame_of(page).refs, 2);
	assert_int_equal(model_frame_of(page).type_count, 0);
	assert_model_clean();
	assert_int_equal(unmap_at(place_va(), handle), GNTST_general_error);
	assert_int_equal(table()[REF].flags, GTF_permit_access | GTF_reading | GTF_writing);
}

/* A grant counts 128 mappings of a sort, and not one more. */
static void pins_are_counted(void **state)
{
	pfn_t page = unit_table();
	uint32_t handles[130];

	(void)state;
	grant(page, FOREIGN_DOMID, GTF_permit_access);
	for (unsigned int i = 0; i < 128; i++)
		assert_int_equal(model_foreign_map(REF, READONLY, &handles[i]), GNTST_okay);
	assert_int_equal(model_foreign_map(REF, READONLY, &handles[128]), GNTST_general_error);
	assert_int_equal(model_foreign_map(REF, WRITABLE, &handles[129]), GNTST_okay);
	assert_int_equal(model_frame_of(page).refs, 2 + 129);
	assert_model_clean();
}

/* --- version 2: rule 49 --- */

static int set_version(uint32_t version)
{
	struct gnttab_set_version op = {.version = version};
	int err = pvmm_hc_grant_table_op(GNTTABOP_set_version, &op, 1);

	return err ? err : (int)op.version;
}

static uint32_t get_version(void)
{
	struct gnttab_get_version op = {.dom = DOMID_SELF};

	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_get_version, &op, 1), 0);
	return op.version;
}

static int status_frames(unsigned int nr, uint64_t *list)
{
	struct gnttab_get_status_frames op = {.dom = DOMID_SELF, .nr_frames = nr};

	op.frame_list.p = list;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_get_status_frames, &op, 1), 0);
	return op.status;
}

static void versions(void **state)
{
	pfn_t page = unit_table();
	uint64_t status = 0, entry;
	const union grant_entry_v2 *v2;
	const grant_status_t *marks;
	uint32_t handle;

	(void)state;
	assert_int_equal(get_version(), 1);
	assert_int_equal(set_version(3), -XEN_EINVAL);
	assert_int_equal(status_frames(1, &status), GNTST_general_error);
	/* The reserved entries survive a change, with their use; one behind them forbids it. */
	grant(page, FOREIGN_DOMID, GTF_permit_access);
	table()[2] = table()[REF];
	assert_int_equal(model_foreign_map(REF, READONLY, &handle), GNTST_okay);
	assert_int_equal(set_version(2), -XEN_EBUSY);
	assert_int_equal(get_version(), 1);
	assert_int_equal(model_foreign_unmap(handle), GNTST_okay);
	assert_int_equal(model_foreign_map(2, READONLY, &handle), GNTST_okay);
	assert_int_equal(set_version(2), 2);
	v2 = (const void *)table();
	assert_int_equal(v2[2].hdr.flags, GTF_permit_access);
	assert_true(v2[2].full_page.frame == mfn_x(pvmm_pfn_to_mfn(page)));
	assert_int_equal(v2[REF].hdr.flags, 0);
	assert_int_equal(status_frames(1, &status), GNTST_okay);
	assert_int_equal(status_frames(2, &status), GNTST_general_error);
	marks = model_bytes(_mfn(status));
	assert_int_equal(marks[2], GTF_reading);
	assert_int_equal(model_foreign_unmap(handle), GNTST_okay);
	assert_int_equal(marks[2], 0);
	assert_model_clean();

	/* A status frame that is mapped cannot be taken back. */
	entry = pvmm_pte(_mfn(status), PVMM_PROT_RO);
	assert_int_equal(pvmm_hc_update_va_mapping(place_va(), entry, 0), 0);
	assert_int_equal(set_version(1), -XEN_EBUSY);
	assert_int_equal(pvmm_hc_update_va_mapping(place_va(), 0, 0), 0);
	assert_int_equal(set_version(1), 1);
	assert_int_equal(table()[2].flags, GTF_permit_access);
	assert_model_clean();
}

/* The use is marked in the status, and the entry stays the granter's to change. */
static void uses_in_version_2(void **state)
{
	pfn_t page = unit_table();
	const grant_status_t *marks;
	union grant_entry_v2 *v2;
	uint64_t status = 0;
	uint32_t handle, second;

	(void)state;
	assert_int_equal(set_version(2), 2);
	assert_int_equal(status_frames(1, &status), GNTST_okay);
	marks = model_bytes(_mfn(status));
	v2 = (union grant_entry_v2 *)table();
	v2[REF].hdr.domid = FOREIGN_DOMID;
	v2[REF].full_page.frame = mfn_x(pvmm_pfn_to_mfn(page));
	v2[REF].hdr.flags = GTF_permit_access;
	assert_int_equal(model_foreign_map(REF, WRITABLE, &handle), GNTST_okay);
	assert_int_equal(v2[REF].hdr.flags, GTF_permit_access);
	assert_int_equal(marks[REF], GTF_reading | GTF_writing);
	v2[REF].hdr.flags = 0;
	assert_int_equal(model_foreign_unmap(handle), GNTST_okay);
	assert_int_equal(marks[REF], 0);
	assert_int_equal(model_foreign_map(REF, WRITABLE, &second), GNTST_general_error);
	assert_model_clean();
}

/* --- copies: rule 50 --- */

static int copy(struct gnttab_copy op)
{
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_copy, &op, 1), 0);
	return op.status;
}

static void copies(void **state)
{
	pfn_t page = unit_page(), l1 = unit_table();
	struct gnttab_copy op = {
		.source = {.u.ref = 3, .domid = FOREIGN_DOMID, .offset = 8},
		.dest = {.u.gmfn = mfn_x(pvmm_pfn_to_mfn(page)), .domid = DOMID_SELF},
		.len = 16,
		.flags = GNTCOPY_source_gref,
	};
	struct gnttab_copy wrong;

	(void)state;
	assert_int_equal(copy(op), GNTST_general_error);
	memset(model_bytes(model_foreign_grant(3, true)), 7, PVMM_PAGE_SIZE);
	assert_int_equal(copy(op), GNTST_okay);
	assert_int_equal(((uint8_t *)pvmm_pfn_to_virt(page))[15], 7);
	assert_int_equal(((uint8_t *)pvmm_pfn_to_virt(page))[16], 0);
	wrong = op;
	wrong.source.offset = 4090;
	assert_int_equal(copy(wrong), GNTST_bad_copy_arg);
	wrong = op;
	wrong.dest.domid = FOREIGN_DOMID;
	assert_int_equal(copy(wrong), GNTST_permission_denied);
	wrong = op;
	wrong.source.domid = 99;
	assert_int_equal(copy(wrong), GNTST_bad_domain);
	wrong = op;
	wrong.dest.u.gmfn = mfn_x(model_frame_owned(MODEL_FOREIGN, 5));
	assert_int_equal(copy(wrong), GNTST_bad_page);
	/* Neither to what is read-only, nor to a page table. */
	wrong = op;
	wrong.dest = op.source;
	wrong.source = op.dest;
	wrong.flags = GNTCOPY_dest_gref;
	assert_int_equal(copy(wrong), GNTST_general_error);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	wrong = op;
	wrong.dest.u.gmfn = mfn_x(pvmm_pfn_to_mfn(l1));
	assert_int_equal(copy(wrong), GNTST_general_error);
	assert_model_clean();
}

#define GRANT_TEST(fn) cmocka_unit_test_setup_teardown(fn, grant_boot, unit_shutdown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GRANT_TEST(foreign_mappings_hold),
		GRANT_TEST(device_mappings),
		GRANT_TEST(own_grants),
		GRANT_TEST(refusals),
		GRANT_TEST(the_table),
		GRANT_TEST(implicit_unmap),
		GRANT_TEST(pins_are_counted),
		GRANT_TEST(versions),
		GRANT_TEST(uses_in_version_2),
		GRANT_TEST(copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
