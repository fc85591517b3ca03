/* SPDX-License-Identifier: MIT */
/*
 * The model against docs/XEN-RULES.md: pins, base pointers and the other extended operations (rules
 * 20 to 23 and the list), and what of memory_op there is.
 */
#include "tests/model/state.h"
#include "tests/unit/unit.h"

/* Rule 20: pin and unpin, each level; a second pin, a wrong level and an unpinned page are refused.
 */
static void pin_and_unpin(void **state)
{
	const unsigned int pins[] = {MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE,
				     MMUEXT_PIN_L4_TABLE};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		pfn_t page = unit_table();

		assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, page), -XEN_EINVAL);
		assert_int_equal(unit_ext_pfn(pins[i], page), 0);
		assert_int_equal(model_frame_of(page).type, MODEL_L1 + i);
		assert_true(model_frame_of(page).pinned);
		assert_int_equal(model_frame_of(page).refs, 3);

		assert_int_equal(unit_ext_pfn(pins[i], page), -XEN_EINVAL);
		assert_int_equal(unit_ext_pfn(pins[(i + 1) % 4], page), -XEN_EINVAL);
		assert_int_equal(model_frame_of(page).refs, 3);
		assert_int_equal(model_frame_of(page).type_count, 1);
		assert_model_clean();

		assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, page), 0);
		assert_int_equal(model_frame_of(page).refs, 2);
		assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, page), -XEN_EINVAL);
	}
	assert_model_clean();
}

/* Rule 20: only the domain's own pages. */
static void pin_of_others_pages(void **state)
{
	const enum model_owner owners[] = {MODEL_HOLE, MODEL_FREE, MODEL_FOREIGN, MODEL_XEN,
					   MODEL_IO};

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(owners); i++) {
		mfn_t mfn = model_frame_owned(owners[i], 0);

		assert_int_equal(unit_ext(MMUEXT_PIN_L1_TABLE, mfn), -XEN_EINVAL);
		assert_int_equal(unit_ext(MMUEXT_UNPIN_TABLE, mfn), -XEN_EINVAL);
		assert_int_equal(unit_ext(MMUEXT_NEW_BASEPTR, mfn), -XEN_EINVAL);
		assert_int_equal(unit_ext(MMUEXT_CLEAR_PAGE, mfn), -XEN_EINVAL);
	}
	assert_int_equal(unit_ext(MMUEXT_PIN_L1_TABLE, _mfn(UINT64_MAX)), -XEN_EINVAL);
	assert_model_clean();
}

/* Rule 20: a table in use stays a table when its pin goes. */
static void unpin_of_a_used_table(void **state)
{
	pfn_t l2 = unit_table(), l1 = unit_table();

	(void)state;
	unit_poke(l2, 0, unit_pte(l1, PVMM_PROT_TABLE));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L2_TABLE, l2), 0);
	assert_int_equal(model_frame_of(l1).type_count, 2);
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, l1), 0);
	assert_int_equal(model_frame_of(l1).type, MODEL_L1);
	assert_true(model_frame_of(l1).validated);
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, l2), 0);
	assert_false(model_frame_of(l1).validated);
	unit_writable(l1);
	assert_model_clean();
}

/* Rule 22: a root need not be pinned to be loaded; it is a table as long as it is loaded. */
static void unpinned_root(void **state)
{
	mfn_t kernel = model_root();
	pfn_t root = unit_root(), l3 = unit_table();

	(void)state;
	unit_poke(root, 0, unit_pte(l3, PVMM_PROT_TABLE));
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, root), 0);
	assert_true(mfn_eq(model_root(), pvmm_pfn_to_mfn(root)));
	assert_int_equal(model_frame_of(root).type, MODEL_L4);
	assert_int_equal(model_frame_of(root).type_count, 1);
	assert_int_equal(model_frame_of(l3).type, MODEL_L3);
	assert_model_clean();

	/* The same again takes nothing. */
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, root), 0);
	assert_int_equal(model_frame_of(root).type_count, 1);

	assert_int_equal(unit_ext(MMUEXT_NEW_BASEPTR, kernel), 0);
	assert_int_equal(model_frame_of(root).type_count, 0);
	assert_false(model_frame_of(l3).validated);
	assert_model_clean();
}

/* Rule 22: what is no root is refused, and the old one stays. */
static void bad_root(void **state)
{
	mfn_t kernel = model_root();
	pfn_t root = unit_root(), writable = unit_page();

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, writable), -XEN_EINVAL);
	/* The number that stands for "none" is no frame's. (Found by fuzzing.) */
	assert_int_equal(unit_ext(MMUEXT_NEW_BASEPTR, _mfn(UINT64_MAX)), -XEN_EINVAL);
	assert_int_equal(unit_ext(MMUEXT_NEW_USER_BASEPTR, _mfn(UINT64_MAX)), -XEN_EINVAL);
	unit_poke(root, 0, unit_pte(writable, PVMM_PROT_TABLE));
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, root), -XEN_EINVAL);
	assert_true(mfn_eq(model_root(), kernel));
	assert_model_clean();
}

/* The root for user mode holds its references too; 0 drops it. */
static void user_root(void **state)
{
	pfn_t root = unit_root();

	(void)state;
	assert_int_equal(unit_ext(MMUEXT_NEW_USER_BASEPTR, _mfn(0)), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_USER_BASEPTR, root), 0);
	assert_true(mfn_eq(model_user_root(), pvmm_pfn_to_mfn(root)));
	assert_int_equal(model_frame_of(root).type_count, 1);
	assert_model_clean();
	assert_int_equal(unit_ext(MMUEXT_NEW_USER_BASEPTR, _mfn(0)), 0);
	assert_int_equal(model_frame_of(root).type_count, 0);
	assert_model_clean();
}

/*
 * Rule 23: with the page's own entry read-only, pin L1 and unpin is a probe: 0 without a stray
 * writable mapping, -EINVAL with one; and a writable mapping asked of a pinned page is -EBUSY.
 */
static void probe(void **state)
{
	pfn_t page = unit_table(), other = unit_table();

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, other), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), 0);
	assert_int_equal(unit_set(other, 0, unit_pte(page, PVMM_PROT_RW)), -XEN_EBUSY);
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, page), 0);

	assert_int_equal(unit_set(other, 0, unit_pte(page, PVMM_PROT_RW)), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), -XEN_EINVAL);
	assert_int_equal(unit_set(other, 0, unit_pte(page, PVMM_PROT_RO)), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), 0);
	assert_model_clean();
}

/* The flushes are accepted and counted; those of named vCPUs need the names. */
static void flushes(void **state)
{
	uint64_t vcpus = 3;
	struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_MULTI};
	const unsigned int plain[] = {MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_INVLPG_LOCAL,
				      MMUEXT_TLB_FLUSH_ALL, MMUEXT_INVLPG_ALL};
	unsigned int done;

	(void)state;
	model_counters_reset();
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(plain); i++) {
		assert_int_equal(unit_ext(plain[i], _mfn(UNIT_VA)), 0);
		assert_int_equal(model_counters().mmuext[plain[i]], 1);
	}
	assert_int_equal(pvmm_hc_mmuext_op(&op, 1, &done), -XEN_EINVAL);
	op.arg2.vcpumask.p = &vcpus;
	assert_int_equal(pvmm_hc_mmuext_op(&op, 1, &done), 0);
	op.cmd = MMUEXT_INVLPG_MULTI;
	assert_int_equal(pvmm_hc_mmuext_op(&op, 1, &done), 0);
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_MULTI], 1);
}

/* Whole pages: the destination must be able to be written. */
static void clear_and_copy(void **state)
{
	pfn_t a = unit_page(), b = unit_page(), table = unit_table();
	struct mmuext_op op = {.cmd = MMUEXT_COPY_PAGE};
	unsigned int done;

	(void)state;
	memset(pvmm_pfn_to_virt(a), 0x5a, PVMM_PAGE_SIZE);
	op.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(b));
	op.arg2.src_mfn = mfn_x(pvmm_pfn_to_mfn(a));
	assert_int_equal(pvmm_hc_mmuext_op(&op, 1, &done), 0);
	assert_memory_equal(pvmm_pfn_to_virt(a), pvmm_pfn_to_virt(b), PVMM_PAGE_SIZE);
	assert_int_equal(unit_ext_pfn(MMUEXT_CLEAR_PAGE, a), 0);
	assert_int_equal(*(uint64_t *)pvmm_pfn_to_virt(a), 0);

	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, table), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_CLEAR_PAGE, table), -XEN_EINVAL);
	op.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(table));
	assert_int_equal(pvmm_hc_mmuext_op(&op, 1, &done), -XEN_EINVAL);
	op.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(b));
	op.arg2.src_mfn = mfn_x(model_frame_owned(MODEL_FOREIGN, 0));
	assert_int_equal(pvmm_hc_mmuext_op(&op, 1, &done), -XEN_EINVAL);
	assert_model_clean();
}

/* The rest of the list: what is refused, and how; the call stops there and says how far it got. */
static void other_operations(void **state)
{
	struct mmuext_op ops[3] = {
		{.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = UNIT_VA, .arg2.nr_ents = 8192},
		{.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = UNIT_VA + 8, .arg2.nr_ents = 1},
		{.cmd = MMUEXT_TLB_FLUSH_ALL},
	};
	unsigned int done;

	(void)state;
	assert_int_equal(unit_ext(MMUEXT_FLUSH_CACHE, _mfn(0)), -XEN_EACCES);
	assert_int_equal(unit_ext(MMUEXT_FLUSH_CACHE_GLOBAL, _mfn(0)), -XEN_EINVAL);
	assert_int_equal(unit_ext(MMUEXT_MARK_SUPER, _mfn(0)), -XEN_EOPNOTSUPP);
	assert_int_equal(unit_ext(MMUEXT_UNMARK_SUPER, _mfn(0)), -XEN_EOPNOTSUPP);
	assert_int_equal(unit_ext(14, _mfn(0)), -XEN_ENOSYS);
	assert_int_equal(unit_ext(21, _mfn(0)), -XEN_ENOSYS);
	assert_int_equal(unit_ext(UINT32_MAX, _mfn(0)), -XEN_ENOSYS);

	model_counters_reset();
	assert_int_equal(pvmm_hc_mmuext_op(ops, 3, &done), -XEN_EINVAL);
	assert_int_equal(done, 1);
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_ALL], 0);
	ops[1].arg1.linear_addr = UNIT_VA;
	ops[1].arg2.nr_ents = 8193;
	assert_int_equal(pvmm_hc_mmuext_op(ops, 3, &done), -XEN_EINVAL);
}

/* Rule 31 for extended operations. */
static void foreign_domains(void **state)
{
	struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_ALL};
	const struct {
		uint32_t dom;
		int err;
	} cases[] = {
		{DOMID_SELF, 0}, {GUEST_DOMID, -XEN_ESRCH}, {FOREIGN_DOMID, -XEN_EPERM},
		{0, -XEN_EPERM}, {999, -XEN_ESRCH},
	};

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(cases); i++)
		assert_int_equal(pvmm_hypercall(pvmm_arg(&op), 1, 0, cases[i].dom, 0,
						__HYPERVISOR_mmuext_op),
				 cases[i].err);
}

/* memory_op: the counts that a guest asks for at boot. */
static void memory_counts(void **state)
{
	struct xen_memory_domain self = {.domid = DOMID_SELF};

	(void)state;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_current_reservation, &self), UNIT_PAGES);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_maximum_reservation, &self), UNIT_PAGES + 256);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_maximum_gpfn, &self), UNIT_PAGES - 1);
	assert_true(pvmm_hc_memory_op(XENMEM_maximum_ram_page, NULL) > UNIT_PAGES);
	self.domid = GUEST_DOMID;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_current_reservation, &self), UNIT_PAGES);
	self.domid = FOREIGN_DOMID;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_current_reservation, &self), -XEN_EPERM);
	self.domid = 999;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_maximum_reservation, &self), -XEN_ESRCH);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_maximum_gpfn, NULL), -XEN_EFAULT);
	assert_int_equal(pvmm_hc_memory_op(0x3f, NULL), -XEN_ENOSYS);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_maximum_ram_page | (1 << 6), NULL), -XEN_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(pin_and_unpin),
		UNIT_TEST(pin_of_others_pages),
		UNIT_TEST(unpin_of_a_used_table),
		UNIT_TEST(unpinned_root),
		UNIT_TEST(bad_root),
		UNIT_TEST(user_root),
		UNIT_TEST(probe),
		UNIT_TEST(flushes),
		UNIT_TEST(clear_and_copy),
		UNIT_TEST(other_operations),
		UNIT_TEST(foreign_domains),
		UNIT_TEST(memory_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
