/* SPDX-License-Identifier: MIT */
/*
 * The model against docs/xen-rules.md: descriptor tables (rule 19). A page of descriptors is
 * nobody's to write to; what is in it, Xen has seen.
 */
#include "tests/model/state.h"
#include "tests/unit/unit.h"

/* The flat segments of ring 3, and what nobody may have. */
#define CODE_64	     0x00affb000000ffffULL
#define DATA	     0x00cff3000000ffffULL
#define RING_0	     0x00af9b000000ffffULL
#define TSS	     0x000089000000ffffULL
#define PRESENT	     (1ULL << 47)
#define GATE(sel)    (PRESENT | 12ULL << 40 | (uint64_t)(sel) << 16 | 0x1234)
#define DPL(ring)    ((uint64_t)(ring) << 45)
#define XEN_SELECTOR 0xe008u

static int gdt(pfn_t page, unsigned int entries)
{
	xen_pfn_t mfn = mfn_x(pvmm_pfn_to_mfn(page));

	return pvmm_hc_set_gdt(&mfn, entries);
}

static int update(pfn_t page, unsigned int slot, uint64_t descriptor)
{
	return (int)pvmm_hypercall(pvmm_pt_entry_maddr(page, slot), descriptor, 0, 0, 0,
				   __HYPERVISOR_update_descriptor);
}

static int ldt(uint64_t va, unsigned int entries)
{
	struct mmuext_op op = {
		.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = va, .arg2.nr_ents = entries};

	return pvmm_hc_mmuext_op(&op, 1, NULL);
}

/* A GDT's page is a type of its own: no writable mapping beside it, no table of it. */
static void gdt_excludes_writing(void **state)
{
	pfn_t page = unit_page(), other = unit_table();

	(void)state;
	unit_poke(page, 1, CODE_64);
	assert_int_equal(gdt(page, 2), -XEN_EINVAL);
	unit_readonly(page);
	assert_int_equal(gdt(page, 2), 0);
	assert_int_equal(model_frame_of(page).type, MODEL_SEG_DESC);
	assert_int_equal(model_frame_of(page).type_count, 1);
	assert_int_equal(model_frame_of(page).refs, 3);
	assert_model_clean();

	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), -XEN_EINVAL);
	assert_int_equal(unit_ext_pfn(MMUEXT_CLEAR_PAGE, page), -XEN_EINVAL);
	assert_int_equal(unit_set(page, 0, 0), -XEN_EINVAL);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, other), 0);
	assert_int_equal(unit_set(other, 0, unit_pte(page, PVMM_PROT_RW)), -XEN_EBUSY);
	assert_int_equal(gdt(other, 2), -XEN_EINVAL);
	assert_int_equal(model_frame_of(page).type_count, 1);

	/* Another GDT, or none: the page is free again. */
	assert_int_equal(pvmm_hc_set_gdt(NULL, 0), 0);
	assert_int_equal(model_frame_of(page).type_count, 0);
	unit_writable(page);
	assert_model_clean();
}

/* 14 pages at most; all of them or none. */
static void gdt_is_set_whole(void **state)
{
	pfn_t a = unit_table(), b = unit_table(), writable = unit_page();
	xen_pfn_t list[2] = {mfn_x(pvmm_pfn_to_mfn(a)), mfn_x(pvmm_pfn_to_mfn(b))};

	(void)state;
	assert_int_equal(pvmm_hc_set_gdt(list, 513), 0);
	assert_int_equal(model_frame_of(b).type, MODEL_SEG_DESC);
	list[1] = mfn_x(pvmm_pfn_to_mfn(writable));
	assert_int_equal(pvmm_hc_set_gdt(list, 513), -XEN_EINVAL);
	assert_int_equal(model_frame_of(a).type_count, 1);
	assert_int_equal(model_frame_of(b).type_count, 1);
	list[1] = mfn_x(model_frame_owned(MODEL_FOREIGN, 0));
	assert_int_equal(pvmm_hc_set_gdt(list, 513), -XEN_EINVAL);
	assert_int_equal(pvmm_hc_set_gdt(list, 14 * 512 + 1), -XEN_EINVAL);
	assert_int_equal(pvmm_hc_set_gdt(NULL, 1), -XEN_EFAULT);
	/* The second page is beyond what is said to be there. */
	assert_int_equal(pvmm_hc_set_gdt(list, 512), 0);
	assert_int_equal(model_frame_of(b).type_count, 0);
	assert_model_clean();
}

/* Which descriptors a page may hold, and what becomes of them. */
static void descriptors(void **state)
{
	static const struct {
		uint64_t is, becomes;
		bool ok;
	} cases[] = {
		{0, 0, true},
		{CODE_64, CODE_64, true},
		{DATA, DATA, true},
		{RING_0, RING_0 | DPL(3), true},
		{TSS, TSS, false},
		{TSS & ~PRESENT, TSS & ~PRESENT, true},
		{PRESENT, PRESENT, true}, /* the second half of a gate: left as it is */
		{GATE(0x10), GATE(0x13), true},
		{GATE(0x10) | DPL(3), GATE(0x13), true},
		{GATE(XEN_SELECTOR), 0, false},
		{GATE(0xe033), GATE(0xe033), true},
		{GATE(XEN_SELECTOR | 4), GATE(XEN_SELECTOR | 7), true},
		{GATE(0x10) | 1ULL << 32, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(cases); i++) {
		pfn_t page = unit_table();

		unit_poke(page, 0, RING_0);
		unit_poke(page, 511, cases[i].is);
		assert_int_equal(gdt(page, 1), cases[i].ok ? 0 : -XEN_EINVAL);
		/* Those before one that is refused have been changed. */
		assert_true(unit_peek(page, 0) == (RING_0 | DPL(3)));
		assert_true(unit_peek(page, 511) == (cases[i].ok ? cases[i].becomes : cases[i].is));
		if (!cases[i].ok)
			assert_int_equal(model_frame_of(page).type, MODEL_NONE);

		page = unit_page();
		assert_int_equal(update(page, 3, cases[i].is), cases[i].ok ? 0 : -XEN_EINVAL);
		assert_true(unit_peek(page, 3) == (cases[i].ok ? cases[i].becomes : 0));
	}
	assert_model_clean();
}

/* One descriptor: into a GDT, into a page that may be written to, into no other. */
static void update_one(void **state)
{
	pfn_t page = unit_table(), table = unit_table(), plain = unit_page(), fresh = unit_table();

	(void)state;
	assert_int_equal(gdt(page, 512), 0);
	assert_int_equal(update(page, 5, DATA), 0);
	assert_true(unit_peek(page, 5) == DATA);
	assert_int_equal(update(page, 5, TSS), -XEN_EINVAL);
	assert_true(unit_peek(page, 5) == DATA);
	assert_int_equal(update(plain, 5, DATA), 0);
	assert_int_equal(model_frame_of(plain).type, MODEL_WRITABLE);
	assert_int_equal(update(fresh, 5, DATA), 0);
	assert_int_equal(model_frame_of(fresh).type, MODEL_WRITABLE);
	assert_int_equal(model_frame_of(fresh).type_count, 0);

	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, table), 0);
	assert_int_equal(update(table, 5, 0), -XEN_EINVAL);
	assert_int_equal((int)pvmm_hypercall(pvmm_pt_entry_maddr(page, 0) + 4, DATA, 0, 0, 0,
					     __HYPERVISOR_update_descriptor),
			 -XEN_EINVAL);
	assert_int_equal((int)pvmm_hypercall(mfn_x(model_frame_owned(MODEL_FOREIGN, 0))
						     << PVMM_PAGE_SHIFT,
					     DATA, 0, 0, 0, __HYPERVISOR_update_descriptor),
			 -XEN_EINVAL);
	assert_model_clean();
}

/* A page that was in a GDT keeps its type at count 0, validated: so does one that a table was. */
static void validated_once(void **state)
{
	pfn_t page = unit_table();

	(void)state;
	assert_int_equal(gdt(page, 1), 0);
	assert_int_equal(pvmm_hc_set_gdt(NULL, 0), 0);
	assert_int_equal(model_frame_of(page).type, MODEL_SEG_DESC);
	assert_true(model_frame_of(page).validated);
	assert_int_equal(unit_set(page, 0, TSS), 0); /* as plain memory */
	assert_int_equal(model_frame_of(page).type, MODEL_WRITABLE);
	assert_int_equal(gdt(page, 1), -XEN_EINVAL);
	assert_model_clean();
}

/* An LDT's pages become descriptor pages one by one, as they are used. */
static void ldt_pages(void **state)
{
	mfn_t kernel = model_root();
	pfn_t page = unit_table(), writable = unit_page(), root = unit_root();
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(page);

	(void)state;
	assert_false(model_ldt_used(0));
	assert_int_equal(ldt(va, 512), 0);
	assert_int_equal(model_frame_of(page).type_count, 0);
	assert_false(model_ldt_used(512));
	assert_true(model_ldt_used(3));
	assert_true(model_ldt_used(4));
	assert_int_equal(model_frame_of(page).type, MODEL_SEG_DESC);
	assert_int_equal(model_frame_of(page).type_count, 1);
	assert_model_clean();

	/* The same once more changes nothing, another one drops it. */
	assert_int_equal(ldt(va, 512), 0);
	assert_int_equal(model_frame_of(page).type_count, 1);
	assert_int_equal(ldt((uintptr_t)pvmm_pfn_to_virt(writable), 512), 0);
	assert_int_equal(model_frame_of(page).type_count, 0);
	assert_false(model_ldt_used(0));

	/* And so does another root. */
	assert_int_equal(ldt(va, 512), 0);
	assert_true(model_ldt_used(0));
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, root), 0);
	assert_int_equal(model_frame_of(page).type_count, 0);
	assert_true(model_ldt_used(0));
	assert_int_equal(unit_ext(MMUEXT_NEW_BASEPTR, kernel), 0);
	assert_int_equal(model_frame_of(page).type_count, 0);
	assert_int_equal(ldt(0, 0), 0);
	assert_false(model_ldt_used(0));
	assert_model_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(gdt_excludes_writing), UNIT_TEST(gdt_is_set_whole),
		UNIT_TEST(descriptors),		 UNIT_TEST(update_one),
		UNIT_TEST(validated_once),	 UNIT_TEST(ldt_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
