/* SPDX-License-Identifier: MIT */
/*
 * The model against docs/xen-rules.md for a 32-bit domain: three levels, a root of four entries
 * whose last one has Xen's part (rules 12, 14 to 18, 21, 27 and 44). There is no memory manager
 * here: pages are numbers, tables are written to as their bytes. tests/width32/ asks real Xen the
 * same.
 */
#include "tests/model/state.h"
#include "tests/unit/unit.h"

#define PAGES 64

/* Bits of an entry of a root, and of what is below. */
#define ROOT_ENTRY PVMM_PTE_PRESENT
#define TABLE	   (PVMM_PTE_PRESENT | PVMM_PTE_RW | PVMM_PTE_USER | PVMM_PTE_ACCESSED)

static unsigned int next_page;

static int boot(void **state)
{
	(void)state;
	model_boot_bare(PAGES, 1, &(struct model_options){.pae = true});
	next_page = 2;
	return 0;
}

static int shutdown(void **state)
{
	(void)state;
	model_shutdown();
	return 0;
}

static mfn_t mfn_of(unsigned int page)
{
	return _mfn(model.mfn_of_pfn[page]);
}

static uint64_t *words(unsigned int page)
{
	return model_bytes(mfn_of(page));
}

static struct model_frame frame(unsigned int page)
{
	return model_frame(mfn_of(page));
}

static unsigned int new_page(void)
{
	memset(words(next_page), 0, PVMM_PAGE_SIZE);
	return next_page++;
}

static pvmm_pte_t entry(unsigned int page, uint64_t flags)
{
	return pvmm_pte(mfn_of(page), flags);
}

/* A root with an L2 for Xen's part, and that one. */
static unsigned int new_root(unsigned int *last)
{
	unsigned int root = new_page();

	*last = new_page();
	words(root)[3] = entry(*last, ROOT_ENTRY);
	return root;
}

static int ext(unsigned int cmd, unsigned int page)
{
	return unit_ext(cmd, mfn_of(page));
}

static int set(unsigned int table, unsigned int slot, pvmm_pte_t pte)
{
	struct mmu_update update = {
		.ptr = (mfn_x(mfn_of(table)) << PVMM_PAGE_SHIFT) + slot * sizeof(pte), .val = pte};

	return pvmm_hc_mmu_update(&update, 1, NULL);
}

/* Rule 18: a root needs its last entry. The rest of its page is cleared, even of one refused. */
static void the_last_slot_must_be_there(void **state)
{
	unsigned int root = new_page(), last = new_page();

	(void)state;
	words(root)[4] = words(root)[511] = 0x1234000;
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), -XEN_EINVAL);
	assert_true(!words(root)[4] && !words(root)[511]);

	words(root)[3] = entry(last, ROOT_ENTRY);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), 0);
	assert_int_equal(frame(root).type, MODEL_L3);
	assert_int_equal(frame(last).type, MODEL_L2);
	assert_true(frame(last).pae_xen_l2);
	assert_model_clean();

	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, root), 0);
	assert_int_equal(frame(last).type_count, 0);
	assert_false(frame(last).pae_xen_l2);
	assert_model_clean();
}

/* Rules 15 and 16: from 0xf5800000 on the last L2 is Xen's: not looked at, filled, not to change.
 */
static void xens_part_of_the_last_l2(void **state)
{
	unsigned int last, root = new_root(&last), l1 = new_page(), other = new_page();

	(void)state;
	assert_int_equal(PAE_L2_SLOT_XEN, 428);
	words(last)[428] = words(last)[511] = TABLE | 1ULL << 40; /* nobody's */
	words(last)[427] = entry(l1, TABLE);
	words(root)[0] = entry(other, ROOT_ENTRY);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), 0);
	assert_int_equal(frame(l1).type, MODEL_L1);
	assert_true(entry_mfn(words(last)[428]) == frame_of_xen(0));
	assert_int_equal(set(last, 428, 0), -XEN_EPERM);
	assert_int_equal(set(last, 511, 0), -XEN_EPERM);
	assert_int_equal(set(last, 427, 0), 0);
	assert_int_equal(frame(l1).type_count, 0);
	/* Another L2 has no such part. */
	assert_int_equal(set(other, 428, entry(l1, TABLE)), 0);
	assert_int_equal(frame(l1).type_count, 1);
	assert_int_equal(set(other, 511, TABLE | 1ULL << 40), -XEN_EINVAL);
	assert_model_clean();
}

/* Rule 18: the last L2 is one root's alone, in that slot alone, and has no pin of its own. */
static void the_last_l2_is_not_shared(void **state)
{
	unsigned int last, root = new_root(&last), second = new_page(), pinned = new_page();

	(void)state;
	words(second)[3] = entry(pinned, ROOT_ENTRY);
	assert_int_equal(ext(MMUEXT_PIN_L2_TABLE, pinned), 0);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, second), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, pinned), 0);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), 0);
	assert_int_equal(ext(MMUEXT_PIN_L2_TABLE, last), -XEN_EINVAL);
	assert_int_equal(set(root, 0, entry(last, ROOT_ENTRY)), -XEN_EINVAL);
	assert_model_clean();

	/* In the same root's slots it would be two types at once. */
	words(second)[0] = words(second)[3] = entry(pinned, ROOT_ENTRY);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, second), -XEN_EINVAL);
	assert_int_equal(frame(pinned).type_count, 0);
	assert_model_clean();
}

/* Rule 18: of a root that shares it, Xen refuses to be one, and keeps the references for good. */
static void sharing_leaks(void **state)
{
	unsigned int last, root = new_root(&last), second = new_page();

	(void)state;
	words(second)[3] = entry(last, ROOT_ENTRY);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), 0);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, second), -XEN_EINVAL);
	assert_int_equal(frame(second).type_count, 0);
	assert_int_equal(frame(last).type_count, 2);
	assert_model_clean();
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, root), 0);
	assert_int_equal(frame(last).type, MODEL_L2);
	assert_int_equal(frame(last).type_count, 1);
	assert_int_equal(ext(MMUEXT_CLEAR_PAGE, last), -XEN_EINVAL);
	assert_model_clean();
}

/* Rules 12 and 17: fewer flags in a root than elsewhere; Xen adds two, and takes three away. */
static void flags_of_a_root(void **state)
{
	static const uint64_t bad[] = {PVMM_PTE_PWT, PVMM_PTE_PCD,    PVMM_PTE_PAT,
				       PVMM_PTE_NX,  PVMM_PTE_GLOBAL, 1ULL << 52};
	const uint64_t added = PVMM_PTE_USER | PVMM_PTE_RW;
	unsigned int last, root = new_root(&last), l2 = new_page(), l1 = new_page();

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(bad); i++) {
		words(root)[0] = entry(l2, ROOT_ENTRY | bad[i]);
		assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), -XEN_EINVAL);
		words(root)[0] = 0;
		words(root)[3] = entry(last, ROOT_ENTRY | bad[i]);
		assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), -XEN_EINVAL);
		words(root)[3] = entry(last, ROOT_ENTRY);
	}
	words(root)[1] = entry(l2, ROOT_ENTRY | PVMM_PTE_ACCESSED | 1ULL << 9);
	words(l2)[0] = entry(l1, PVMM_PTE_PRESENT);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), 0);
	assert_true(words(root)[1] ==
		    entry(l2, ROOT_ENTRY | PVMM_PTE_ACCESSED | 1ULL << 9 | added));
	assert_true(words(root)[3] == entry(last, ROOT_ENTRY | added));
	/* Nothing is added below. */
	assert_true(words(l2)[0] == entry(l1, PVMM_PTE_PRESENT));
	assert_int_equal(set(l1, 0, entry(new_page(), PVMM_PTE_PRESENT)), 0);
	assert_true(!(words(l1)[0] & (PVMM_PTE_USER | PVMM_PTE_GLOBAL | 1ULL << 52)));
	assert_int_equal(set(root, 0, entry(l2, ROOT_ENTRY | PVMM_PTE_NX)), -XEN_EINVAL);

	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, root), 0);
	assert_true(words(root)[1] == entry(l2, ROOT_ENTRY | 1ULL << 9));
	assert_true(words(root)[3] == entry(last, ROOT_ENTRY));
	assert_model_clean();
}

/* Rule 18: which entries of a root may change. */
static void changes_of_a_root(void **state)
{
	unsigned int last, root = new_root(&last), l2 = new_page(), spare = new_page();

	(void)state;
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), 0);
	assert_int_equal(set(root, 2, entry(l2, ROOT_ENTRY)), 0);
	assert_int_equal(frame(l2).type, MODEL_L2);
	assert_false(frame(l2).pae_xen_l2);
	assert_int_equal(set(root, 3, entry(spare, ROOT_ENTRY)), -XEN_EINVAL);
	assert_int_equal(set(root, 3, 0), -XEN_EINVAL);
	assert_int_equal(set(root, 4, entry(spare, ROOT_ENTRY)), -XEN_EINVAL);
	assert_int_equal(set(root, 2, 0), 0);
	assert_int_equal(frame(l2).type_count, 0);
	assert_model_clean();
}

/* Rule 14: a root cannot be its own L2, an L2 can be its own L1. */
static void linear_tables(void **state)
{
	unsigned int last, root = new_root(&last), l2 = new_page();

	(void)state;
	words(root)[0] = entry(root, ROOT_ENTRY);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), -XEN_EINVAL);
	words(root)[0] = entry(l2, ROOT_ENTRY);
	words(l2)[7] = entry(l2, PVMM_PTE_PRESENT);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, root), 0);
	assert_int_equal(set(root, 1, entry(root, ROOT_ENTRY)), -XEN_EINVAL);
	assert_model_clean();
}

/* Rules 21, 22 and 44: the root is an L3, there is no L4 and no root for user mode. */
static void base_pointers(void **state)
{
	unsigned int last, last_too, root = new_root(&last), second = new_root(&last_too);

	(void)state;
	assert_int_equal(ext(MMUEXT_PIN_L4_TABLE, root), 0);
	assert_int_equal(ext(MMUEXT_PIN_L4_TABLE, 0), 0);
	assert_int_equal(unit_ext(MMUEXT_PIN_L4_TABLE, _mfn(UINT64_MAX)), 0);
	assert_int_equal(frame(root).type, MODEL_NONE);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, root), -XEN_EINVAL);

	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, root), 0);
	assert_int_equal(frame(root).type, MODEL_L3);
	assert_int_equal(frame(root).refs, 2);
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, second), -XEN_EINVAL);
	assert_int_equal(unit_ext(MMUEXT_NEW_USER_BASEPTR, _mfn(0)), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, last), -XEN_EINVAL);
	assert_model_clean();
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, second), 0);
	assert_int_equal(frame(root).type_count, 0);
	assert_int_equal(frame(last).type_count, 0);
	assert_model_clean();
}

/* Rule 32: addresses are translated by three levels and end where Xen's part begins. */
static void single_addresses(void **state)
{
	unsigned int last, root = new_root(&last), l1 = new_page(), data = new_page();
	const uint64_t va = 0xc0403000;

	(void)state;
	words(last)[2] = entry(l1, TABLE);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, root), 0);
	assert_int_equal(pvmm_hc_update_va_mapping(va, entry(data, PVMM_PROT_RW), 0), 0);
	assert_true(words(l1)[3] == entry(data, PVMM_PROT_RW));
	assert_int_equal(frame(data).type, MODEL_WRITABLE);
	assert_int_equal(pvmm_hc_update_va_mapping(0x80000000, 0, 0), -XEN_EINVAL);
	assert_int_equal(pvmm_hc_update_va_mapping(PAE_XEN_VA, 0, 0), -XEN_EINVAL);
	assert_int_equal(pvmm_hc_update_va_mapping(va + (1ULL << 32), 0, 0), -XEN_EINVAL);
	assert_int_equal(set_ldt(PAE_XEN_VA - PVMM_PAGE_SIZE, 1), 0);
	assert_int_equal(set_ldt(PAE_XEN_VA, 1), -XEN_EINVAL);
	/* A page that is mapped writable is no root's. */
	assert_int_equal(set(root, 0, entry(data, ROOT_ENTRY)), -XEN_EINVAL);
	assert_model_clean();
}

/* Rule 19: the kernel's ring is 1; its segments end below Xen, or have no end. */
static void descriptors(void **state)
{
	static const struct {
		uint64_t is, becomes;
	} good[] = {
		{0x00cf9b000000ffff, 0x00cfbb000000ffff}, /* ring 0 */
		{0x00cffb000000ffff, 0x00cffb000000ffff}, /* ring 3 */
		{0x00cfb3000000b5ff, 0x00cfb3000000ffff}, /* base 0, reaches Xen */
		{0x00c7b3000000b5ff, 0x00c7b3000000b5ff}, /* does not */
	};
	unsigned int page = new_page();
	uint64_t maddr = mfn_x(mfn_of(page)) << PVMM_PAGE_SHIFT;

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(good); i++) {
		assert_int_equal(update_descriptor(maddr + 8, good[i].is), 0);
		assert_true(words(page)[1] == good[i].becomes);
	}
	/* No 64-bit code here. */
	assert_int_equal(update_descriptor(maddr + 8, 0x00affb000000ffff), -XEN_EINVAL);
	/* A call gate to Xen's 32-bit kernel code is let be, one to its 64-bit code is not. */
	assert_int_equal(update_descriptor(maddr + 8, 0x0000ec00e0191234), 0);
	assert_int_equal(update_descriptor(maddr + 8, 0x0000ec00e0331234), -XEN_EINVAL);
	assert_model_clean();
}

#define PAE_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, shutdown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAE_TEST(the_last_slot_must_be_there),
		PAE_TEST(xens_part_of_the_last_l2),
		PAE_TEST(the_last_l2_is_not_shared),
		PAE_TEST(sharing_leaks),
		PAE_TEST(flags_of_a_root),
		PAE_TEST(changes_of_a_root),
		PAE_TEST(linear_tables),
		PAE_TEST(base_pointers),
		PAE_TEST(single_addresses),
		PAE_TEST(descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
