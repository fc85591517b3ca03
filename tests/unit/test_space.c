/* SPDX-License-Identifier: MIT */
/*
 * Address spaces (include/pvmm/space.h): built with plain stores, pinned in one trap, loaded,
 * changed, unpinned, destroyed, and nothing left behind. R1, R16, R25, R46; the promises of DESIGN.
 */
#include "tests/unit/unit.h"

#define MIB2 (1ULL << 21)

static struct pvmm_page *user_page(void)
{
	return pvmm_page(unit_page_of(PVMM_PAGE_USER));
}

static uint64_t *at(pvmm_va_t va)
{
	return (uint64_t *)(uintptr_t)va;
}

/* A space with nr pages mapped stride apart, each owned by the mapping alone. */
static void make(struct pvmm_space *space, unsigned int nr, uint64_t stride)
{
	assert_int_equal(pvmm_space_create(space, "made"), 0);
	for (unsigned int i = 0; i < nr; i++) {
		struct pvmm_page *page = user_page();

		assert_int_equal(pvmm_space_map(space, UNIT_VA + i * stride, page, PVMM_PROT_RW),
				 0);
		pvmm_page_put(page);
	}
}

/* A new space: the kernel's half, an empty user half, one table, no hypercall. */
static void create(void **state)
{
	struct pvmm_space space;
	uint64_t free = unit_free_pages();

	(void)state;
	model_counters_reset();
	assert_int_equal(pvmm_space_create(&space, "a name that is longer than there is room"), 0);
	assert_int_equal(model_counters().traps, 0);
	assert_string_equal(space.name, "a name that is longer t");
	assert_int_equal(space.state, PVMM_SPACE_BUILDING);
	assert_int_equal(space.nr_tables, 2);
	assert_int_equal(space.nr_pages, 0);
	for (unsigned int slot = 0; slot < 512; slot++) {
		bool kernel = slot >= PVMM_KERNEL_SLOT_FIRST && slot <= PVMM_KERNEL_SLOT_LAST;

		assert_int_equal(pvmm_pt_entries(space.root)[slot],
				 kernel ? pvmm_pt_entries(pvmm_kernel_space.root)[slot] : 0);
	}
	assert_clean();
	assert_int_equal(pvmm_space_destroy(&space), 0);
	assert_int_equal(unit_free_pages(), free);
	assert_clean();
}

/* While building, mapping is plain stores: counted, and free of hypercalls. */
static void map_while_building(void **state)
{
	struct pvmm_page *page = user_page();
	struct pvmm_space space;

	(void)state;
	assert_int_equal(pvmm_space_create(&space, "b"), 0);
	model_counters_reset();
	assert_int_equal(pvmm_space_map(&space, UNIT_VA, page, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA + 4096, page, PVMM_PROT_RO), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA + MIB2, page, PVMM_PROT_RX), 0);
	assert_int_equal(page->live, 3);
	assert_int_equal(page->refs, 4);
	assert_int_equal(space.nr_pages, 3);
	assert_int_equal(space.nr_tables, 2 + 2 + 2);
	assert_true(pvmm_pte_writable(pvmm_pt_lookup(space.root, UNIT_VA)));
	assert_false(pvmm_pte_writable(pvmm_pt_lookup(space.root, UNIT_VA + 4096)));
	assert_false(pvmm_pt_lookup(space.root, UNIT_VA + MIB2) & PVMM_PTE_NX);
	assert_true(pvmm_pt_lookup(space.root, UNIT_VA) & PVMM_PTE_USER);

	assert_int_equal(pvmm_space_protect(&space, UNIT_VA + 4096, PVMM_PROT_RW), 0);
	assert_true(pvmm_pte_writable(pvmm_pt_lookup(space.root, UNIT_VA + 4096)));
	assert_int_equal(pvmm_space_unmap(&space, UNIT_VA), 0);
	assert_int_equal(pvmm_pt_lookup(space.root, UNIT_VA), 0);
	assert_int_equal(page->live, 2);
	assert_int_equal(page->refs, 3);
	assert_int_equal(space.nr_pages, 2);
	assert_int_equal(model_counters().traps, 0);
	assert_clean();
}

/* Each argument that is wrong has its error, and changes nothing. */
static void map_errors(void **state)
{
	struct pvmm_page *page = user_page(), *freed = user_page();
	struct pvmm_space space;
	uint64_t free;

	(void)state;
	assert_int_equal(pvmm_space_create(&space, "e"), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA, page, PVMM_PROT_RW), 0);
	pvmm_page_put(freed);
	free = unit_free_pages();

	for (unsigned int pinned = 0; pinned < 2; pinned++) {
		struct pvmm_page *root = pvmm_page(space.root);
		const struct {
			pvmm_va_t va;
			struct pvmm_page *page;
			uint64_t prot;
			int err;
		} cases[] = {
			{UNIT_VA + 1, page, PVMM_PROT_RW, -XEN_EINVAL},
			{UNIT_VA + 8, page, PVMM_PROT_RW, -XEN_EINVAL},
			{0, page, PVMM_PROT_RW, -XEN_EINVAL},
			{PVMM_USER_END, page, PVMM_PROT_RW, -XEN_EINVAL},
			{PVMM_DIRECTMAP_BASE, page, PVMM_PROT_RW, -XEN_EINVAL},
			{PVMM_VMAP_BASE, page, PVMM_PROT_RW, -XEN_EINVAL},
			{0xffff800000000000ULL, page, PVMM_PROT_RW, -XEN_EINVAL},
			{0x1234800000000000ULL, page, PVMM_PROT_RW, -XEN_EINVAL},
			{UNIT_VA + 4096, page, 0, -XEN_EINVAL},
			{UNIT_VA + 4096, page, PVMM_PTE_RW, -XEN_EINVAL},
			{UNIT_VA + 4096, page, PVMM_PROT_RW | PVMM_PTE_PCD, -XEN_EINVAL},
			{UNIT_VA + 4096, page, PVMM_PROT_RW | 0x1000, -XEN_EINVAL},
			{UNIT_VA, page, PVMM_PROT_RW, -XEN_EEXIST},
			{UNIT_VA + 4096, freed, PVMM_PROT_RW, -XEN_EINVAL},
			{UNIT_VA + 4096, root, PVMM_PROT_RW, -XEN_EBUSY},
		};

		for (size_t i = 0; i < PVMM_ARRAY_SIZE(cases); i++)
			assert_int_equal(pvmm_space_map(&space, cases[i].va, cases[i].page,
							cases[i].prot),
					 cases[i].err);
		assert_int_equal(pvmm_space_unmap(&space, UNIT_VA + 4096), -XEN_ENOENT);
		assert_int_equal(pvmm_space_unmap(&space, UNIT_VA + MIB2), -XEN_ENOENT);
		assert_int_equal(pvmm_space_unmap(&space, PVMM_DIRECTMAP_BASE), -XEN_EINVAL);
		assert_int_equal(pvmm_space_protect(&space, UNIT_VA + 4096, PVMM_PROT_RO),
				 -XEN_ENOENT);
		assert_int_equal(pvmm_space_protect(&space, UNIT_VA, 0), -XEN_EINVAL);
		assert_int_equal(pvmm_space_protect(&space, UNIT_VA, PVMM_PROT_RO | PVMM_PTE_PAT),
				 -XEN_EINVAL);
		assert_int_equal(page->live, 1);
		assert_int_equal(page->refs, 2);
		assert_int_equal(unit_free_pages(), free);
		assert_clean();
		assert_int_equal(pvmm_space_pin(&space), 0);
	}
}

/* R46 and the reason for batches: a space of more than 100 tables is pinned in one trap. */
static void pin_is_one_trap(void **state)
{
	struct pvmm_space space;

	(void)state;
	make(&space, 100, MIB2);
	assert_int_equal(space.nr_tables, 104);
	model_counters_reset();
	assert_int_equal(pvmm_space_pin(&space), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_mmu_update], 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_mmuext_op], 1);
	assert_int_equal(model_counters().mmu_updates, 104);
	assert_int_equal(model_counters().mmuext[MMUEXT_PIN_L4_TABLE], 2);
	assert_int_equal(space.state, PVMM_SPACE_PINNED);
	assert_true(pvmm_page(space.root)->flags & PVMM_PAGE_PINNED);
	assert_true(model_write_faults(pvmm_pfn_to_virt(space.root)));
	assert_int_equal(model_frame_of(space.root).type, MODEL_L4);
	assert_clean();

	/* Again: nothing to do. */
	assert_int_equal(pvmm_space_pin(&space), 0);
	assert_int_equal(model_counters().traps, 1);

	model_counters_reset();
	assert_int_equal(pvmm_space_unpin(&space), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(space.state, PVMM_SPACE_BUILDING);
	assert_false(model_write_faults(pvmm_pfn_to_virt(space.root)));
	assert_false(pvmm_page(space.root)->flags & PVMM_PAGE_PINNED);
	assert_int_equal(model_frame_of(space.root).type_count, 1); /* writable again */
	assert_clean();
	assert_int_equal(pvmm_space_unpin(&space), -XEN_EINVAL);
	assert_int_equal(pvmm_space_pin(&space), 0);
	assert_clean();
}

/* Its memory is where it says: written through one mapping, read through the other. */
static void activate(void **state)
{
	struct pvmm_space space;
	struct pvmm_page *page = user_page();

	(void)state;
	assert_int_equal(pvmm_space_create(&space, "a"), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA, page, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA + MIB2, page, PVMM_PROT_RO), 0);
	assert_ptr_equal(pvmm_space_current(), &pvmm_kernel_space);
	assert_true(model_read_faults(at(UNIT_VA)));

	assert_int_equal(pvmm_space_activate(&space), 0); /* pins it on the way */
	assert_ptr_equal(pvmm_space_current(), &space);
	assert_int_equal(space.state, PVMM_SPACE_PINNED);
	assert_int_equal(space.nr_loaded, 1);
	assert_true(mfn_eq(model_root(), pvmm_pfn_to_mfn(space.root)));
	*at(UNIT_VA) = 0x600df00d;
	assert_int_equal(*at(UNIT_VA + MIB2), 0x600df00d);
	assert_int_equal(*(uint64_t *)pvmm_page_virt(page), 0x600df00d);
	assert_true(model_write_faults(at(UNIT_VA + MIB2)));
	assert_clean();

	model_counters_reset();
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(model_counters().traps, 0);
	assert_int_equal(pvmm_space_unpin(&space), -XEN_EBUSY);
	assert_int_equal(pvmm_space_destroy(&space), -XEN_EBUSY);

	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	assert_int_equal(space.nr_loaded, 0);
	assert_true(model_read_faults(at(UNIT_VA)));
	assert_int_equal(pvmm_space_unpin(&space), 0);
	assert_clean();
}

/* Changes of a loaded space take effect at once; new tables are handed to Xen read-only. */
static void change_while_loaded(void **state)
{
	struct pvmm_space space;
	struct pvmm_page *page = user_page();

	(void)state;
	make(&space, 1, MIB2);
	assert_int_equal(pvmm_space_activate(&space), 0);

	model_counters_reset();
	assert_int_equal(pvmm_space_map(&space, UNIT_VA + 4096, page, PVMM_PROT_RW), 0);
	assert_int_equal(model_counters().traps, 1);
	*at(UNIT_VA + 4096) = 1;

	/* Far away: three new tables, still one trap. */
	model_counters_reset();
	assert_int_equal(pvmm_space_map(&space, 1ULL << 45, page, PVMM_PROT_RW), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(space.nr_tables, 8);
	assert_int_equal(*at(1ULL << 45), 1);
	assert_clean();

	assert_int_equal(pvmm_space_protect(&space, UNIT_VA + 4096, PVMM_PROT_RO), 0);
	assert_true(model_write_faults(at(UNIT_VA + 4096)));
	assert_int_equal(pvmm_space_protect(&space, UNIT_VA + 4096, PVMM_PROT_RW), 0);
	assert_false(model_write_faults(at(UNIT_VA + 4096)));

	model_counters_reset();
	assert_int_equal(pvmm_space_unmap(&space, UNIT_VA + 4096), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_update_va_mapping], 1);
	assert_true(model_read_faults(at(UNIT_VA + 4096)));
	assert_int_equal(page->live, 1);
	assert_clean();

	/* The mapping's reference was the last. */
	pvmm_page_put(page);
	assert_int_equal(page->kind, PVMM_PAGE_USER);
	assert_int_equal(pvmm_space_unmap(&space, 1ULL << 45), 0);
	assert_int_equal(page->kind, PVMM_PAGE_FREE);
	assert_clean();
}

/* The kernel's space: the vmap region and nothing else, without the user bit being asked for. */
static void kernel_mappings(void **state)
{
	struct pvmm_page *page = user_page();
	pvmm_va_t va = PVMM_VMAP_BASE + 5 * MIB2 + 3 * 4096;
	struct pvmm_space space;

	(void)state;
	*(uint64_t *)pvmm_page_virt(page) = 77;
	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, va, page, PVMM_PROT_RW), 0);
	assert_int_equal(*at(va), 77);
	assert_false(model_write_faults(at(va)));
	assert_clean();

	/* All spaces have it, also ones made before: the L3 table is shared. */
	make(&space, 1, MIB2);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(*at(va), 77);
	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, va + (3ULL << 30), page, PVMM_PROT_RO),
			 0);
	assert_int_equal(*at(va + (3ULL << 30)), 77);
	assert_true(model_write_faults(at(va + (3ULL << 30))));
	assert_clean();

	assert_int_equal(pvmm_space_unmap(&pvmm_kernel_space, va), 0);
	assert_true(model_read_faults(at(va)));
	assert_int_equal(pvmm_space_unmap(&pvmm_kernel_space, va + (3ULL << 30)), 0);
	assert_int_equal(page->live, 0);

	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, UNIT_VA, page, PVMM_PROT_RW),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, PVMM_DIRECTMAP_BASE, page,
					PVMM_PROT_RW),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, PVMM_VMAP_BASE + PVMM_VMAP_BYTES, page,
					PVMM_PROT_RW),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_space_unmap(&pvmm_kernel_space, PVMM_DIRECTMAP_BASE), -XEN_EINVAL);
	assert_int_equal(pvmm_space_unpin(&pvmm_kernel_space), -XEN_EBUSY);
	assert_int_equal(pvmm_space_destroy(&pvmm_kernel_space), -XEN_EBUSY);
	assert_int_equal(pvmm_space_pin(&pvmm_kernel_space), 0);
	assert_clean();
}

/* R1: a page table may be mapped, but read-only; it never becomes writable by a change. */
static void tables_stay_readonly(void **state)
{
	struct pvmm_space space, other;

	(void)state;
	assert_int_equal(pvmm_space_create(&other, "other"), 0);
	make(&space, 1, MIB2);
	assert_int_equal(pvmm_space_activate(&space), 0);
	for (unsigned int pinned = 0; pinned < 2; pinned++) {
		assert_int_equal(pvmm_space_map(&space, UNIT_VA + 8192, pvmm_page(other.root),
						PVMM_PROT_RO),
				 0);
		assert_int_equal(pvmm_space_protect(&space, UNIT_VA + 8192, PVMM_PROT_RW),
				 -XEN_EBUSY);
		assert_true(model_write_faults(at(UNIT_VA + 8192)));
		assert_clean();
		assert_int_equal(pvmm_space_unmap(&space, UNIT_VA + 8192), 0);
		assert_int_equal(pvmm_space_pin(&other), 0);
	}
}

/* Destroying gives everything back, whatever state the space is in; shared pages stay. */
static void destroy_gives_all_back(void **state)
{
	uint64_t free = unit_free_pages();

	(void)state;
	for (unsigned int kind = 0; kind < 4; kind++) {
		struct pvmm_page *shared = user_page();
		struct pvmm_space a, b;

		make(&a, 40, 3 * MIB2 / 2);
		make(&b, 3, 1ULL << 39);
		assert_int_equal(pvmm_space_map(&a, UNIT_VA + (1 << 12), shared, PVMM_PROT_RW), 0);
		assert_int_equal(pvmm_space_map(&b, UNIT_VA + (1 << 12), shared, PVMM_PROT_RW), 0);
		pvmm_page_put(shared);
		if (kind >= 1)
			assert_int_equal(pvmm_space_pin(&a), 0);
		if (kind >= 2)
			assert_int_equal(pvmm_space_activate(&a), 0);
		if (kind >= 3)
			assert_int_equal(pvmm_space_activate(&b), 0);
		assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
		assert_int_equal(pvmm_space_destroy(&a), 0);
		assert_int_equal(shared->live, 1);
		assert_clean();
		assert_int_equal(pvmm_space_destroy(&b), 0);
		assert_int_equal(unit_free_pages(), free);
		assert_clean();
	}
}

/* Two vCPUs on one space: it stays pinned until both have left. */
static void two_vcpus(void **state)
{
	struct pvmm_space space;

	(void)state;
	make(&space, 2, MIB2);
	model_vcpu_up(1);
	assert_int_equal(pvmm_space_activate(&space), 0);
	model_set_vcpu(1);
	assert_ptr_equal(pvmm_space_current(), &pvmm_kernel_space);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(space.nr_loaded, 2);
	assert_clean();
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	assert_int_equal(pvmm_space_unpin(&space), -XEN_EBUSY);
	assert_int_equal(pvmm_space_destroy(&space), -XEN_EBUSY);
	model_set_vcpu(0);
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	assert_int_equal(pvmm_space_destroy(&space), 0);
	assert_clean();
}

/*
 * DESIGN's first promise, the other way round: a mapping that goes takes back its own reference and
 * no more. A page inside a larger block stays its holder's (or may not be mapped at all).
 */
static void block_outlives_its_mappings(void **state)
{
	struct pvmm_page *block = pvmm_page_alloc(3, PVMM_PAGE_USER);
	struct pvmm_space space;

	(void)state;
	make(&space, 1, MIB2);
	for (unsigned int i = 0; i < 8; i++) {
		uint64_t free = unit_free_pages();

		if (!pvmm_space_map(&space, UNIT_VA + 4096, &block[i], PVMM_PROT_RW))
			assert_int_equal(pvmm_space_unmap(&space, UNIT_VA + 4096), 0);
		assert_int_equal(unit_free_pages(), free);
		assert_int_equal(block[i].kind, PVMM_PAGE_USER);
	}
	pvmm_page_free(block, 3);
	assert_clean();
}

/* nr_loaded is the number of vCPUs on a space; the kernel's, which they all start on, counts none.
 */
static void kernel_is_not_counted(void **state)
{
	struct pvmm_space space;

	(void)state;
	make(&space, 1, MIB2);
	model_vcpu_up(1);
	model_set_vcpu(1);
	assert_int_equal(pvmm_space_activate(&space), 0);
	model_set_vcpu(0);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(space.nr_loaded, 2);
	assert_int_equal(pvmm_kernel_space.nr_loaded, 0);
}

static int count_spaces(struct pvmm_space *space, void *ctx)
{
	unsigned int *nr = ctx;

	++*nr;
	return strcmp(space->name, "stop") ? 0 : 5;
}

static void for_each(void **state)
{
	struct pvmm_space a, b, c;
	unsigned int nr = 0;

	(void)state;
	assert_int_equal(pvmm_space_create(&a, "a"), 0);
	assert_int_equal(pvmm_space_create(&b, "b"), 0);
	assert_int_equal(pvmm_space_create(&c, "c"), 0);
	assert_int_equal(pvmm_space_for_each(count_spaces, &nr), 0);
	assert_int_equal(nr, 4); /* and the kernel's */
	assert_int_equal(pvmm_space_destroy(&b), 0);
	nr = 0;
	assert_int_equal(pvmm_space_for_each(count_spaces, &nr), 0);
	assert_int_equal(nr, 3);
	assert_int_equal(pvmm_space_create(&b, "stop"), 0);
	assert_int_equal(pvmm_space_for_each(count_spaces, &nr), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(create),
		UNIT_TEST(map_while_building),
		UNIT_TEST(map_errors),
		UNIT_TEST(pin_is_one_trap),
		UNIT_TEST(activate),
		UNIT_TEST(change_while_loaded),
		UNIT_TEST(kernel_mappings),
		UNIT_TEST(tables_stay_readonly),
		UNIT_TEST(destroy_gives_all_back),
		UNIT_TEST(two_vcpus),
		UNIT_TEST(block_outlives_its_mappings),
		UNIT_TEST(kernel_is_not_counted),
		UNIT_TEST(for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
