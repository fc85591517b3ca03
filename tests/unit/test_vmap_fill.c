/* SPDX-License-Identifier: MIT */
/*
 * Areas that the caller fills in: a function applied to every entry, in any mix of pages and
 * frames, missing tables built and reported, groups all or nothing. R35, R36, R39.
 */
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>
#include "tests/unit/unit.h"

enum { PAGES = 300, LEVEL1 = 1u << 1 };

static struct pvmm_page *pages[PAGES];

static int boot(void **state)
{
	unit_boot(state);
	unit_reboot(&(struct model_options){.has_iomem = true});
	for (unsigned int i = 0; i < PAGES; i++)
		pages[i] = pvmm_page(unit_page());
	return 0;
}

#define FILL_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, unit_shutdown)

struct filler {
	pvmm_va_t base;
	uint64_t prot;
	unsigned int calls, stop_at; /* counted from 1 */
	mfn_t device;
};

/* Every third a device's frame, every seventh left empty. */
static int mixed(pvmm_va_t va, pvmm_pte_t *entry, void *ctx)
{
	struct filler *f = ctx;
	uint64_t i = (va - f->base) / PVMM_PAGE_SIZE;

	if (++f->calls == f->stop_at)
		return -XEN_ENOSPC;
	if (i % 7 == 6)
		return 0;
	*entry = i % 3 == 2 ? pvmm_pte(f->device, f->prot)
			    : unit_pte(pvmm_page_pfn(pages[i]), f->prot);
	return 0;
}

static int emptied(pvmm_va_t va, pvmm_pte_t *entry, void *ctx)
{
	(void)va, (void)ctx;
	*entry = 0;
	return 0;
}

static struct filler filler_of(const void *addr, uint64_t prot)
{
	return (struct filler){
		.base = (uintptr_t)addr, .prot = prot, .device = model_frame_owned(MODEL_IO, 0)};
}

static void filled(const char *addr, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		bool empty = i % 7 == 6, ours = !empty && i % 3 != 2;

		assert_int_equal(pages[i]->live, ours);
		assert_int_equal(pages[i]->refs, 1u + ours);
		assert_int_equal(!pvmm_pt_lookup(pvmm_kernel_space.root,
						 (uintptr_t)addr + i * PVMM_PAGE_SIZE),
				 empty);
	}
}

static void a_mix(void **state)
{
	static const unsigned int sizes[] = {10, 64, 300};
	struct filler f;
	unsigned int levels;
	void *addr;

	(void)state;
	for (size_t s = 0; s < PVMM_ARRAY_SIZE(sizes); s++) {
		unsigned int nr = sizes[s];

		assert_int_equal(pvmm_vmap_reserve(nr, NULL, &addr), 0);
		f = filler_of(addr, PVMM_PROT_RW);
		assert_int_equal(pvmm_vmap_apply(addr, nr, mixed, &f, &levels), 0);
		assert_int_equal(f.calls, nr);
		assert_true(levels & LEVEL1);
		filled(addr, nr);
		assert_clean();
		/* The same again changes nothing. */
		model_counters_reset();
		f.calls = 0;
		assert_int_equal(pvmm_vmap_apply(addr, nr, emptied, &f, &levels), 0);
		assert_int_equal(pvmm_vmap_apply(addr, nr, emptied, &f, &levels), 0);
		assert_int_equal(levels, 0);
		assert_int_equal(pages[0]->live, 0);
		assert_clean();
		assert_int_equal(pvmm_vmap_apply(addr, nr, mixed, &f, NULL), 0);
		assert_int_equal(pvmm_vmap_done(addr), 0);
		assert_int_equal(pvmm_vmap_done(addr), -XEN_ENOENT);
		assert_int_equal(pvmm_vmap_apply(addr, nr, mixed, &f, NULL), -XEN_ENOENT);
		assert_ptr_equal(pvmm_vmap_page(addr), pages[0]);
		assert_int_equal(pvmm_vunmap(addr), 0);
		assert_clean();
		pvmm_purge();
		for (unsigned int i = 0; i < nr; i++)
			assert_int_equal(pages[i]->refs, 1);
		assert_clean();
	}
}

/* Tables are built when an entry needs them, and each level at which one was made is told. */
static void missing_levels(void **state)
{
	struct pvmm_vmap_how how = {.start = PVMM_VMAP_BASE + (12ULL << 30)};
	uint32_t tables = pvmm_kernel_space.nr_tables;
	struct filler f;
	unsigned int levels;
	void *addr;

	(void)state;
	assert_int_equal(pvmm_vmap_reserve(1024, &how, &addr), 0);
	assert_int_equal(pvmm_kernel_space.nr_tables, tables);
	f = filler_of(addr, PVMM_PROT_RO);
	assert_int_equal(pvmm_vmap_apply(addr, 0, mixed, &f, &levels), 0);
	assert_int_equal(levels, 0);
	assert_int_equal(pvmm_vmap_apply(addr, 10, mixed, &f, &levels), 0);
	assert_int_equal(levels, 1u << 1 | 1u << 2 | 1u << 3);
	assert_int_equal(pvmm_kernel_space.nr_tables, tables + 2);
	assert_int_equal(
		pvmm_vmap_apply((char *)addr + 10 * PVMM_PAGE_SIZE, 10, mixed, &f, &levels), 0);
	assert_int_equal(levels, 1u << 1);
	f.base += 512 * PVMM_PAGE_SIZE;
	assert_int_equal(pvmm_vmap_apply((void *)f.base, 10, mixed, &f, &levels), 0);
	assert_int_equal(levels, 1u << 1 | 1u << 2);
	assert_int_equal(pvmm_kernel_space.nr_tables, tables + 3);
	assert_clean();
	/* Given up half filled, with a table that was never needed. */
	assert_int_equal(pvmm_vunmap(addr), 0);
	assert_int_equal(pvmm_vmap_reserve(1024, &how, &addr), 0);
	assert_int_equal(pvmm_vunmap(addr), 0);
	pvmm_purge();
	assert_clean();
}

/* What fn stops at, or Xen refuses, takes its group back and leaves the earlier ones. */
static void stopped_and_refused(void **state)
{
	const unsigned int nr = 3 * PVMM_VMAP_GROUP;
	struct filler f;
	void *addr;

	(void)state;
	assert_int_equal(pvmm_vmap_reserve(nr, NULL, &addr), 0);
	f = filler_of(addr, PVMM_PROT_RW);
	f.stop_at = PVMM_VMAP_GROUP + 10;
	assert_int_equal(pvmm_vmap_apply(addr, nr, mixed, &f, NULL), -XEN_ENOSPC);
	filled(addr, PVMM_VMAP_GROUP);
	assert_int_equal(pages[PVMM_VMAP_GROUP]->live, 0);
	assert_int_equal(pages[PVMM_VMAP_GROUP]->refs, 1);
	assert_clean();

	f.stop_at = 0;
	model_fail_operation(__HYPERVISOR_mmu_update, PVMM_VMAP_GROUP + 7, -XEN_EINVAL);
	assert_int_equal(pvmm_vmap_apply(addr, nr, emptied, &f, NULL), 0);
	assert_false(model_fail_fired());
	model_fail_operation(__HYPERVISOR_mmu_update, PVMM_VMAP_GROUP + 7, -XEN_EINVAL);
	assert_int_equal(pvmm_vmap_apply(addr, nr, mixed, &f, NULL), -XEN_EINVAL);
	assert_true(model_fail_fired());
	filled(addr, PVMM_VMAP_GROUP);
	assert_int_equal(pages[PVMM_VMAP_GROUP + 1]->live, 0);
	assert_clean();
	assert_int_equal(pvmm_vunmap(addr), 0);
	pvmm_purge();
	assert_clean();
}

static int a_table(pvmm_va_t va, pvmm_pte_t *entry, void *ctx)
{
	(void)va, (void)ctx;
	*entry = unit_pte(pvmm_kernel_space.root, PVMM_PROT_RW);
	return 0;
}

static int no_entry(pvmm_va_t va, pvmm_pte_t *entry, void *ctx)
{
	(void)va, (void)ctx;
	*entry = PVMM_PTE_NX;
	return 0;
}

static void wrong_requests(void **state)
{
	void *addr, *other;
	struct filler f;

	(void)state;
	assert_int_equal(pvmm_vmap_reserve(0, NULL, &addr), -XEN_EINVAL);
	assert_int_equal(pvmm_vmap_reserve(10, NULL, &addr), 0);
	assert_int_equal(pvmm_vmap(pages, 2, PVMM_PROT_RW, NULL, &other), 0);
	f = filler_of(addr, PVMM_PROT_RW);
	assert_int_equal(pvmm_vmap_apply((char *)addr + 1, 1, mixed, &f, NULL), -XEN_EINVAL);
	assert_int_equal(pvmm_vmap_apply(addr, 11, mixed, &f, NULL), -XEN_EINVAL);
	assert_int_equal(pvmm_vmap_apply((char *)addr + 5 * PVMM_PAGE_SIZE, UINT64_MAX, mixed, &f,
					 NULL),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_vmap_apply((char *)addr + 10 * PVMM_PAGE_SIZE, 1, mixed, &f, NULL),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_vmap_apply(other, 1, mixed, &f, NULL), -XEN_ENOENT);
	assert_int_equal(pvmm_vmap_apply(NULL, 1, mixed, &f, NULL), -XEN_ENOENT);
	assert_int_equal(f.calls, 0);
	assert_int_equal(pvmm_vmap_apply(addr, 1, a_table, NULL, NULL), -XEN_EBUSY);
	assert_int_equal(pvmm_vmap_apply(addr, 1, no_entry, NULL, NULL), -XEN_EINVAL);
	assert_int_equal(pvmm_vmap_done(NULL), -XEN_ENOENT);
	assert_int_equal(pvmm_vmap_done(other), -XEN_ENOENT);
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILL_TEST(a_mix),
		FILL_TEST(missing_levels),
		FILL_TEST(stopped_and_refused),
		FILL_TEST(wrong_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
