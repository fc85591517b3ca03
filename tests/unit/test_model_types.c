/* SPDX-License-Identifier: MIT */
/*
 * The model against docs/XEN-RULES.md: counts, types and validation (rules 2 to 17). The tables are
 * made by hand; the memory manager only lends the pages.
 */
#include "tests/model/state.h"
#include "tests/unit/unit.h"

#define XEN_KERNEL_BIT (1ULL << 52)

static struct model_frame state_of(pfn_t pfn)
{
	return model_frame_of(pfn);
}

/* Rule 2: each present L1 entry holds a general reference, with RW a writable type reference too.
 */
static void entries_hold_references(void **state)
{
	pfn_t l1 = unit_table(), data = unit_page();
	struct model_frame before = state_of(data);

	(void)state;
	assert_int_equal(before.refs, 2); /* the domain's own and the direct map's */
	assert_int_equal(before.type_count, 1);

	unit_poke(l1, 0, unit_pte(data, PVMM_PROT_RO));
	unit_poke(l1, 511, unit_pte(data, PVMM_PROT_RW));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	assert_int_equal(state_of(data).refs, 4);
	assert_int_equal(state_of(data).type_count, 2);
	assert_model_clean();

	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, l1), 0);
	assert_int_equal(state_of(data).refs, 2);
	assert_int_equal(state_of(data).type_count, 1);
	assert_model_clean();
}

/* Rule 2: RW in an upper entry does not count as a writable mapping of the table below. */
static void rw_in_upper_entries_is_ignored(void **state)
{
	pfn_t l2 = unit_table(), l1 = unit_table();

	(void)state;
	unit_poke(l2, 3, unit_pte(l1, PVMM_PROT_TABLE));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L2_TABLE, l2), 0);
	assert_int_equal(state_of(l1).type, MODEL_L1);
	assert_int_equal(state_of(l1).type_count, 1);
	assert_int_equal(state_of(l1).refs, 3); /* own, direct map, the L2 entry */
	assert_model_clean();
}

/* Rule 3: the type changes at count 0 only, and stays to be seen there. */
static void type_changes_at_zero_only(void **state)
{
	pfn_t page = unit_page();

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), -XEN_EINVAL);
	assert_int_equal(state_of(page).type, MODEL_WRITABLE);

	unit_readonly(page);
	assert_int_equal(state_of(page).type_count, 0);
	assert_int_equal(state_of(page).type, MODEL_WRITABLE);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L2_TABLE, page), -XEN_EINVAL);

	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, page), 0);
	assert_int_equal(state_of(page).type, MODEL_L1);
	assert_int_equal(state_of(page).type_count, 0);
	unit_writable(page);
	assert_int_equal(state_of(page).type, MODEL_WRITABLE);
	assert_model_clean();
}

/* Rule 5: at count 0 a table is validated no more, a writable page still is. */
static void validated_at_zero(void **state)
{
	pfn_t page = unit_table();

	(void)state;
	assert_true(state_of(page).validated);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), 0);
	assert_true(state_of(page).validated);
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, page), 0);
	assert_false(state_of(page).validated);
}

/* Rule 6: a change of type flushes, unless somebody has flushed since the last one was dropped. */
static void type_change_flushes_stale_tlbs(void **state)
{
	pfn_t a = unit_page(), b = unit_page();

	(void)state;
	unit_readonly(a);
	model_counters_reset();
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, a), 0);
	assert_int_equal(model_counters().type_flushes, 1);

	unit_readonly(b);
	model_counters_reset();
	assert_int_equal(unit_ext(MMUEXT_TLB_FLUSH_ALL, _mfn(0)), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, b), 0);
	assert_int_equal(model_counters().type_flushes, 0);
}

/* Rule 9: a type count that is full takes no more. */
static void type_count_overflow_is_refused(void **state)
{
	uint64_t mfn = mfn_x(pvmm_pfn_to_mfn(unit_page()));
	uint64_t count = frame_at(mfn)->s.type_count;

	(void)state;
	frame_at(mfn)->s.type_count = (1ULL << 55) - 1;
	assert_int_equal(frame_get_type(mfn, MODEL_WRITABLE), -XEN_EINVAL);
	frame_at(mfn)->s.type_count = count;
}

/*
 * Rule 10: the first bad entry of an L1 undoes the references taken before it; the entries already
 * done keep Xen's bits. The type is forgotten.
 */
static void l1_validation_undoes_itself(void **state)
{
	pvmm_pte_t foreign = pvmm_pte(model_frame_owned(MODEL_FOREIGN, 0), PVMM_PROT_RO);
	pfn_t l1 = unit_table(), data = unit_page();

	(void)state;
	for (unsigned int slot = 0; slot < 10; slot++)
		unit_poke(l1, slot, unit_pte(data, PVMM_PROT_RW));
	unit_poke(l1, 10, foreign);
	unit_poke(l1, 11, unit_pte(data, PVMM_PROT_RW));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), -XEN_EBUSY);

	assert_int_equal(state_of(data).refs, 2);
	assert_int_equal(state_of(data).type_count, 1);
	assert_int_equal(state_of(l1).type, MODEL_NONE);
	assert_int_equal(state_of(l1).refs, 2);
	assert_true(unit_peek(l1, 9) & XEN_KERNEL_BIT);
	assert_int_equal(unit_peek(l1, 10), foreign);
	assert_false(unit_peek(l1, 11) & XEN_KERNEL_BIT);
	assert_model_clean();
}

/* Rule 10: an upper table that fails half-way keeps its type at count 0 and holds nothing. */
static void upper_validation_undoes_itself(void **state)
{
	pfn_t l2 = unit_table(), good = unit_table(), bad = unit_page();

	(void)state;
	unit_poke(l2, 0, unit_pte(good, PVMM_PROT_TABLE));
	unit_poke(l2, 1, unit_pte(bad, PVMM_PROT_TABLE)); /* writable in the direct map */
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L2_TABLE, l2), -XEN_EINVAL);
	assert_int_equal(state_of(l2).type, MODEL_L2);
	assert_int_equal(state_of(l2).type_count, 0);
	assert_int_equal(state_of(good).type_count, 0);
	assert_int_equal(state_of(good).refs, 2);
	assert_model_clean();

	/* In the very first slot: the type is forgotten. */
	unit_poke(l2, 0, unit_pte(bad, PVMM_PROT_TABLE));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L2_TABLE, l2), -XEN_EINVAL);
	assert_int_equal(state_of(l2).type, MODEL_NONE);
}

static void unmap_but_keep_address(void *ctx)
{
	pfn_t *l1 = ctx;

	unit_set(*l1, 0, unit_pte(*l1, 0));
}

/* "What follows" 5: a non-present entry that keeps its address costs the domain its life. */
static void l1tf_is_deadly(void **state)
{
	pfn_t l1 = unit_table();

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	assert_true(model_panics(unmap_but_keep_address, &l1, "L1TF"));

	unit_reboot(&(struct model_options){.no_l1tf = true});
	l1 = unit_table();
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	assert_int_equal(unit_set(l1, 0, unit_pte(l1, 0)), 0);
}

/* Rule 11, the error for each kind of frame and flag; nothing is held after any of them. */
static void l1_entry_errors(void **state)
{
	pfn_t l1 = unit_table(), other = unit_table(), data = unit_page();
	const struct {
		pvmm_pte_t pte;
		int err;
	} cases[] = {
		{unit_pte(data, PVMM_PROT_RO | PVMM_PTE_PCD), -XEN_EINVAL},
		{unit_pte(data, PVMM_PROT_RO | PVMM_PTE_PAT), -XEN_EINVAL},
		{pvmm_pte(model_frame_owned(MODEL_IO, 5), PVMM_PROT_RO), -XEN_EPERM},
		{pvmm_pte(model_frame_owned(MODEL_HOLE, 0), PVMM_PROT_RO), -XEN_EPERM},
		{pvmm_pte(_mfn(1ULL << 39), PVMM_PROT_RO), -XEN_EPERM},
		{pvmm_pte(_mfn((1ULL << 40) - 1), PVMM_PROT_RO), -XEN_EINVAL},
		{pvmm_pte(model_frame_owned(MODEL_FOREIGN, 3), PVMM_PROT_RO), -XEN_EBUSY},
		{pvmm_pte(model_frame_owned(MODEL_XEN, 1), PVMM_PROT_RO), -XEN_EBUSY},
		{pvmm_pte(model_frame_owned(MODEL_FREE, 1), PVMM_PROT_RO), -XEN_EBUSY},
		{unit_pte(other, PVMM_PROT_RW), -XEN_EBUSY},
		{unit_pte(l1, PVMM_PROT_RW), -XEN_EBUSY},
		/* A pfn taken for an mfn. */
		{pvmm_pte(_mfn(pfn_x(data)), PVMM_PROT_RW), -XEN_EPERM},
	};

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, other), 0);
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(cases); i++) {
		assert_int_equal(unit_set(l1, 7, cases[i].pte), cases[i].err);
		assert_int_equal(unit_peek(l1, 7), 0);
		assert_model_clean();
	}
	/* Read-only, a table may be mapped, by itself too. */
	assert_int_equal(unit_set(l1, 7, unit_pte(other, PVMM_PROT_RO)), 0);
	assert_int_equal(unit_set(l1, 8, unit_pte(l1, PVMM_PROT_RO)), 0);
	assert_model_clean();
}

/* Rules 11 and 12: what a domain with I/O memory may do. */
static void iomem_allows_more(void **state)
{
	pvmm_pte_t io;
	pfn_t l1, data;

	(void)state;
	unit_reboot(&(struct model_options){.has_iomem = true});
	l1 = unit_table();
	data = unit_page();
	io = pvmm_pte(model_frame_owned(MODEL_IO, 9), PVMM_PROT_RW);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	assert_int_equal(unit_set(l1, 0, unit_pte(data, PVMM_PROT_RO | PVMM_PTE_PCD)), 0);

	/* Cacheable device memory is made uncached. */
	assert_int_equal(unit_set(l1, 1, io), 0);
	assert_int_equal(unit_peek(l1, 1) & (PVMM_PTE_PCD | PVMM_PTE_PWT),
			 PVMM_PTE_PCD | PVMM_PTE_PWT);
	assert_int_equal(unit_set(l1, 2, io | PVMM_PTE_PWT), 0);
	assert_int_equal(unit_peek(l1, 2) & (PVMM_PTE_PCD | PVMM_PTE_PWT),
			 PVMM_PTE_PCD | PVMM_PTE_PWT);

	/* What Xen shares with the domain keeps its attribute. */
	assert_int_equal(unit_set(l1, 3,
				  unit_pte(model_special_pfn(), PVMM_PROT_RW | PVMM_PTE_PCD)),
			 -XEN_EACCES);
	assert_int_equal(unit_set(l1, 3, unit_pte(model_special_pfn(), PVMM_PROT_RW)), 0);
	assert_model_clean();
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, l1), 0);
	assert_model_clean();
}

/* Rule 12: bit by bit, what an L1 and what an upper entry may carry. */
static void allowed_flags(void **state)
{
	const uint64_t both = PVMM_PTE_RW | PVMM_PTE_USER | PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY |
			      0xe00 | PVMM_PTE_NX | 0x3ff0000000000000ULL;
	pfn_t l1 = unit_table(), l2 = unit_table(), below = unit_table(), data = unit_page();

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L2_TABLE, l2), 0);
	for (unsigned int bit = 1; bit < 64; bit++) {
		uint64_t flag = 1ULL << bit;
		bool in_l1 = (both | PVMM_PTE_GLOBAL) & flag;
		bool in_l2 = (both | (1ULL << 62)) & flag; /* the grant mark: L1 only */

		if (PVMM_PTE_FRAME_MASK & flag)
			continue;
		assert_int_equal(unit_set(l1, 0, unit_pte(data, PVMM_PTE_PRESENT | flag)),
				 in_l1 ? 0 : -XEN_EINVAL);
		assert_int_equal(unit_set(l2, 0, unit_pte(below, PVMM_PTE_PRESENT | flag)),
				 in_l2 ? 0 : -XEN_EINVAL);
		assert_int_equal(unit_set(l1, 0, 0), 0);
		assert_int_equal(unit_set(l2, 0, 0), 0);
	}
	assert_model_clean();
}

/* Rule 12: the release hypervisor does not know the grant mark. */
static void release_allows_grant_bit(void **state)
{
	pfn_t l1, data;

	(void)state;
	unit_reboot(&(struct model_options){.release = true});
	l1 = unit_table();
	data = unit_page();
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	assert_int_equal(unit_set(l1, 0, unit_pte(data, PVMM_PROT_RO | (1ULL << 62))), 0);
}

/* Rule 13: an upper entry's child must be the domain's; a child's own error reaches the top. */
static void child_errors_reach_the_top(void **state)
{
	pfn_t l4 = unit_root(), l3 = unit_table(), l2 = unit_table(), l1 = unit_table();

	(void)state;
	unit_poke(l4, 1, unit_pte(l3, PVMM_PROT_TABLE));
	unit_poke(l3, 2, unit_pte(l2, PVMM_PROT_TABLE));
	unit_poke(l2, 3, unit_pte(l1, PVMM_PROT_TABLE));
	unit_poke(l1, 4, unit_pte(l2, PVMM_PROT_RW)); /* maps one of the tables writable */
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, l4), -XEN_EBUSY);
	assert_model_clean();

	unit_poke(l1, 4, 0);
	unit_poke(l2, 3, pvmm_pte(model_frame_owned(MODEL_FOREIGN, 0), PVMM_PROT_TABLE));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, l4), -XEN_EINVAL);
	unit_poke(l2, 3, pvmm_pte(_mfn(1ULL << 39), PVMM_PROT_TABLE));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, l4), -XEN_EINVAL);
	unit_poke(l2, 3, unit_pte(l1, PVMM_PROT_TABLE));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, l4), 0);
	assert_int_equal(state_of(l1).type, MODEL_L1);
	assert_model_clean();
}

/* Rule 14: a root may map itself or another validated root read-only, but not in chains. */
static void linear_tables(void **state)
{
	pfn_t a = unit_root(), b = unit_root(), c = unit_root();

	(void)state;
	unit_poke(a, 0, unit_pte(a, PVMM_PROT_RW));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, a), -XEN_EINVAL);
	unit_poke(a, 0, unit_pte(a, PVMM_PROT_RO));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, a), 0);
	assert_int_equal(state_of(a).type_count, 1); /* itself does not count */

	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, b), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, c), 0);
	assert_int_equal(unit_set(a, 1, unit_pte(b, PVMM_PROT_RO)), 0);
	assert_int_equal(state_of(b).type_count, 2);
	assert_int_equal(state_of(a).linear, 1);
	assert_int_equal(state_of(b).linear, -1);
	assert_int_equal(unit_set(c, 1, unit_pte(a, PVMM_PROT_RO)), -XEN_EINVAL);
	assert_int_equal(unit_set(b, 1, unit_pte(c, PVMM_PROT_RO)), -XEN_EINVAL);
	assert_model_clean();

	assert_int_equal(unit_set(a, 1, 0), 0);
	assert_int_equal(state_of(a).linear, 0);
	assert_int_equal(state_of(b).linear, 0);
	assert_int_equal(unit_set(c, 1, unit_pte(a, PVMM_PROT_RO)), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, c), 0);
	assert_int_equal(state_of(a).linear, 0);
	assert_model_clean();
}

/* Rule 14: not at all when the hypervisor was booted without. */
static void linear_tables_can_be_off(void **state)
{
	pfn_t a;

	(void)state;
	unit_reboot(&(struct model_options){.no_linear = true});
	a = unit_root();
	unit_poke(a, 0, unit_pte(a, PVMM_PROT_RO));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, a), -XEN_EINVAL);
}

/*
 * Rules 15 and 16: Xen's root slots are not looked at, and are Xen's afterwards: those in use lead
 * to its own tables, one to the root itself, and the m2p's is filled when the root is loaded.
 */
static void xens_slots(void **state)
{
	pfn_t root = unit_root();

	(void)state;
	for (unsigned int slot = 256; slot <= 271; slot++)
		unit_poke(root, slot, 0xdeadbeefdeadbeefULL);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, root), 0);
	for (unsigned int slot = 256; slot <= 271; slot++)
		if (slot == 257 || slot == 260 || slot == 261 || slot == 262)
			assert_int_equal(model_frame(pvmm_pte_mfn(unit_peek(root, slot))).owner,
					 MODEL_XEN);
		else if (slot == 258)
			assert_int_equal(unit_peek(root, slot), unit_pte(root, PVMM_PROT_RW));
		else
			assert_int_equal(unit_peek(root, slot), 0);
	assert_int_equal(unit_set(root, 256, 0), -XEN_EINVAL);
	assert_int_equal(unit_set(root, 271, 0), -XEN_EINVAL);
	assert_int_equal(unit_set(root, 255, 0), 0);
	assert_int_equal(unit_set(root, 272, 0), 0);

	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_USER_BASEPTR, root), 0);
	assert_int_equal(unit_peek(root, 256), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, root), 0);
	assert_int_equal(unit_peek(root, 256), unit_peek(pvmm_kernel_space.root, 256));
	assert_int_equal(model_frame(pvmm_pte_mfn(unit_peek(root, 256))).owner, MODEL_XEN);
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, pvmm_kernel_space.root), 0);
	assert_int_equal(unit_ext(MMUEXT_NEW_USER_BASEPTR, _mfn(0)), 0);

	/* In a lower table the slots are ordinary. */
	unit_poke(root = unit_table(), 260, pvmm_pte(_mfn(1ULL << 39), PVMM_PROT_TABLE));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L3_TABLE, root), -XEN_EINVAL);
}

/* Rule 17: what the guest reads back. */
static void adjusted_bits(void **state)
{
	const uint64_t bits = XEN_KERNEL_BIT | PVMM_PTE_USER | PVMM_PTE_GLOBAL | PVMM_PTE_ACCESSED;
	pfn_t l4 = unit_root(), l3 = unit_table(), l2 = unit_table(), l1 = unit_table();
	pfn_t data = unit_page();

	(void)state;
	unit_poke(l4, 0, unit_pte(l3, PVMM_PTE_PRESENT));
	unit_poke(l3, 0, unit_pte(l2, PVMM_PTE_PRESENT));
	unit_poke(l2, 0, unit_pte(l1, PVMM_PTE_PRESENT));
	unit_poke(l1, 0, unit_pte(data, PVMM_PTE_PRESENT));
	unit_poke(l1, 1, unit_pte(data, PVMM_PTE_PRESENT | PVMM_PTE_USER));
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L4_TABLE, l4), 0);
	assert_int_equal(unit_peek(l4, 0) & bits, PVMM_PTE_USER | PVMM_PTE_ACCESSED);
	assert_int_equal(unit_peek(l3, 0) & bits, PVMM_PTE_USER);
	assert_int_equal(unit_peek(l2, 0) & bits, PVMM_PTE_USER);
	assert_int_equal(unit_peek(l1, 0) & bits, XEN_KERNEL_BIT | PVMM_PTE_USER);
	assert_int_equal(unit_peek(l1, 1) & bits, PVMM_PTE_GLOBAL | PVMM_PTE_USER);
	assert_int_equal(unit_peek(l1, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(entries_hold_references),
		UNIT_TEST(rw_in_upper_entries_is_ignored),
		UNIT_TEST(type_changes_at_zero_only),
		UNIT_TEST(validated_at_zero),
		UNIT_TEST(type_change_flushes_stale_tlbs),
		UNIT_TEST(type_count_overflow_is_refused),
		UNIT_TEST(l1_validation_undoes_itself),
		UNIT_TEST(upper_validation_undoes_itself),
		UNIT_TEST(l1tf_is_deadly),
		UNIT_TEST(l1_entry_errors),
		UNIT_TEST(iomem_allows_more),
		UNIT_TEST(allowed_flags),
		UNIT_TEST(release_allows_grant_bit),
		UNIT_TEST(child_errors_reach_the_top),
		UNIT_TEST(linear_tables),
		UNIT_TEST(linear_tables_can_be_off),
		UNIT_TEST(xens_slots),
		UNIT_TEST(adjusted_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
