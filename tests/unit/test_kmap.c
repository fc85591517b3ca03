/* SPDX-License-Identifier: MIT */
/*
 * Pages out of the direct map (include/pvmm/directmap.h) and the two ways to reach them
 * (include/pvmm/kmap.h): the cache, its stale mappings as the ledger sees them, each vCPU's own
 * slots. R7, R9, R32.
 */
#include <pvmm/batch.h>
#include <pvmm/directmap.h>
#include <pvmm/kmap.h>
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>
#include "mm/ledger.h"
#include "tests/unit/unit.h"

enum { PAGES = 300, SHARED = 256 };

static struct pvmm_page *pages[PAGES];

/* Pages that say which they are, and are not in the direct map any more. */
static int boot(void **state)
{
	unit_boot(state);
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i] = pvmm_page(unit_page());
		*(uint64_t *)pvmm_page_virt(pages[i]) = i;
	}
	assert_int_equal(pvmm_directmap_remove(pages, PAGES), 0);
	return 0;
}

#define KMAP_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, unit_shutdown)

static uint64_t *kmap(unsigned int i)
{
	uint64_t *p = pvmm_kmap(pages[i]);

	assert_non_null(p);
	assert_in_range((uintptr_t)p, PVMM_KMAP_BASE, PVMM_KMAP_BASE + PVMM_KMAP_BYTES - 1);
	assert_int_equal(*p, i);
	/* Through the TLB, which must not have what was there before. */
	assert_int_equal(model_access((uintptr_t)p, true), MODEL_DONE);
	return p;
}

/* --- the direct map --- */

static void out_and_back(void **state)
{
	struct pvmm_page *mine[40];

	(void)state;
	for (unsigned int i = 0; i < 40; i++) {
		mine[i] = pvmm_page(unit_page());
		assert_false(model_write_faults(pvmm_page_virt(mine[i])));
	}
	model_counters_reset();
	assert_int_equal(pvmm_directmap_remove(mine, 40), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_ALL], 1);
	for (unsigned int i = 0; i < 40; i++)
		assert_true(model_read_faults(pvmm_page_virt(mine[i])));
	assert_clean();
	assert_int_equal(pvmm_directmap_remove(&mine[7], 1), -XEN_EINVAL);
	model_counters_reset();
	assert_int_equal(pvmm_directmap_restore(mine, 40), 0);
	assert_int_equal(model_counters().traps, 1);
	for (unsigned int i = 0; i < 40; i++)
		assert_false(model_write_faults(pvmm_page_virt(mine[i])));
	assert_int_equal(pvmm_directmap_restore(&mine[7], 1), -XEN_EINVAL);
	assert_clean();
}

/* One page among them that may not, or one that Xen refuses: all stay as they were. */
static void all_or_nothing(void **state)
{
	struct pvmm_page *mine[3] = {pvmm_page(unit_page()), pvmm_page(pvmm_kernel_space.root),
				     pvmm_page(unit_page())};

	(void)state;
	assert_int_equal(pvmm_directmap_remove(mine, 3), -XEN_EINVAL);
	assert_clean();
	mine[1] = pvmm_page(unit_page());
	for (unsigned int nth = 1; nth <= 3; nth++) {
		model_fail_operation(__HYPERVISOR_mmu_update, nth, -XEN_EBUSY);
		assert_int_equal(pvmm_directmap_remove(mine, 3), -XEN_EBUSY);
		assert_true(model_fail_fired());
		assert_clean();
		assert_false(model_write_faults(pvmm_page_virt(mine[0])));
	}
	assert_int_equal(pvmm_directmap_remove(mine, 3), 0);
	model_fail_operation(__HYPERVISOR_mmu_update, 2, -XEN_EBUSY);
	assert_int_equal(pvmm_directmap_restore(mine, 3), -XEN_EBUSY);
	assert_true(model_fail_fired());
	assert_clean();
	assert_true(model_read_faults(pvmm_page_virt(mine[0])));
	assert_int_equal(pvmm_directmap_restore(mine, 0), 0);
}

static void free_it(void *ctx)
{
	pvmm_page_put(ctx);
}

/* Nobody gets a page that is not there. */
static void freed_while_out(void **state)
{
	(void)state;
	assert_true(model_panics(free_it, pages[0], "not in the direct map"));
}

/* --- the cache --- */

/* A page in the direct map is just its address; nothing is counted, nothing traps. */
static void in_the_direct_map(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page());

	(void)state;
	model_counters_reset();
	assert_ptr_equal(pvmm_kmap(page), pvmm_page_virt(page));
	assert_ptr_equal(pvmm_kmap_local(page), pvmm_page_virt(page));
	pvmm_kunmap_local(pvmm_page_virt(page));
	pvmm_kunmap(pvmm_page_virt(page));
	assert_int_equal(page->live, 0);
	assert_int_equal(model_counters().traps, 0);
}

static void cached(void **state)
{
	uint64_t *p, *q;

	(void)state;
	model_counters_reset();
	p = kmap(5);
	assert_int_equal(model_counters().traps, 1);
	q = kmap(5);
	assert_ptr_equal(p, q);
	assert_int_equal(pages[5]->live, 1);
	pvmm_kunmap(p);
	assert_int_equal(pages[5]->live, 1);
	pvmm_kunmap((char *)q + 100);
	assert_int_equal(pages[5]->live, 0);
	assert_int_equal(pages[5]->stale, 1);
	assert_clean();
	assert_ptr_equal(kmap(5), p);
	assert_int_equal(pages[5]->live, 1);
	assert_int_equal(pages[5]->stale, 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(pvmm_kmap_stats().hits, 2);
	assert_int_equal(pvmm_kmap_stats().misses, 1);
	pvmm_kunmap(p);
	assert_int_equal(pvmm_purge(), 1);
	assert_int_equal(pages[5]->stale, 0);
	assert_true(model_read_faults(p));
	/* Each slot comes round again, flushed. */
	for (unsigned int i = 0; i < 2 * SHARED; i++) {
		pvmm_kunmap(kmap(i % PAGES));
		if (i % 50 == 0)
			pvmm_purge();
	}
	assert_clean();
}

/* All slots in use: no more. All stale: the oldest goes, with a flush. */
static void the_slots_run_out(void **state)
{
	uint64_t *p[SHARED];

	(void)state;
	for (unsigned int i = 0; i < SHARED; i++)
		p[i] = kmap(i);
	assert_null(pvmm_kmap(pages[SHARED]));
	assert_int_equal(pages[SHARED]->live, 0);
	assert_ptr_equal(kmap(7), p[7]);
	assert_clean();
	pvmm_kunmap(p[7]);
	for (unsigned int i = 0; i < SHARED; i++)
		pvmm_kunmap(p[(i + 100) % SHARED]);
	assert_ptr_equal(kmap(SHARED), p[100]);
	assert_int_equal(pages[100]->stale, 0);
	assert_int_equal(pages[101]->stale, 1);
	assert_int_equal(pvmm_kmap_stats().reused, 1);
	/* Used again, one is the youngest. */
	pvmm_kunmap(kmap(101));
	assert_ptr_equal(kmap(SHARED + 1), p[102]);
	assert_int_equal(pages[101]->stale, 1);
	assert_clean();
}

static void refused(void **state)
{
	uint64_t *p;

	(void)state;
	model_fail_call(__HYPERVISOR_update_va_mapping, 1, -XEN_EINVAL);
	assert_null(pvmm_kmap(pages[0]));
	assert_true(model_fail_fired());
	assert_int_equal(pages[0]->live, 0);
	assert_said("kmap refused by Xen");
	assert_clean();
	model_fail_call(__HYPERVISOR_update_va_mapping, 1, -XEN_EINVAL);
	assert_null(pvmm_kmap_local(pages[0]));
	assert_true(model_fail_fired());
	assert_int_equal(pages[0]->live, 0);
	assert_clean();

	/* A slot that was another page's stays that page's. */
	for (unsigned int i = 0; i < SHARED; i++)
		pvmm_kunmap(kmap(i));
	p = kmap(3);
	pvmm_kunmap(p);
	model_fail_call(__HYPERVISOR_update_va_mapping, 1, -XEN_EINVAL);
	assert_null(pvmm_kmap(pages[SHARED]));
	assert_true(model_fail_fired());
	assert_int_equal(pages[0]->stale, 1);
	assert_int_equal(pages[SHARED]->live, 0);
	assert_clean();
	assert_ptr_equal(kmap(3), p);
}

static void for_one(const void *page, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	fn((struct pvmm_page *)(uintptr_t)page, ctx);
}

/* R7: a page-table page in high memory loses its cached kmap before it is pinned. */
static void before_a_pin(void **state)
{
	struct pvmm_page *page = pages[9];
	pfn_t pfn = pvmm_page_pfn(page);
	uint64_t *p = kmap(9);

	(void)state;
	*p = 0;
	pvmm_kunmap(kmap(10));
	pvmm_kunmap(p);
	assert_int_equal(pvmm_directmap_restore(&page, 1), 0);
	unit_readonly(pfn);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, pfn), -XEN_EINVAL);
	model_counters_reset();
	pvmm_batch_begin();
	ledger_drop_begin(for_one, page);
	pvmm_batch_end(NULL);
	ledger_drop_end(NULL);
	assert_int_equal(model_counters().mmu_updates, 1);
	assert_true(pvmm_page_is_clean(page));
	assert_int_equal(pages[10]->stale, 1);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, pfn), 0);
	assert_model_clean();
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, pfn), 0);
	unit_writable(pfn);
	assert_clean();
}

/* --- each vCPU's own --- */

static void nested(void **state)
{
	uint64_t *p[PVMM_KMAP_LOCAL_SLOTS];

	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < PVMM_KMAP_LOCAL_SLOTS; i++) {
			p[i] = pvmm_kmap_local(pages[i % 3 + round]);
			assert_int_equal(*p[i], i % 3 + round);
			assert_int_equal(model_access((uintptr_t)p[i], true), MODEL_DONE);
			assert_true(i == 0 || p[i] != p[i - 1]);
		}
		assert_null(pvmm_kmap_local(pages[20]));
		assert_int_equal(pages[20]->live, 0);
		assert_clean();
		model_counters_reset();
		for (unsigned int i = PVMM_KMAP_LOCAL_SLOTS; i > 0; i--) {
			pvmm_kunmap_local(p[i - 1]);
			assert_true(model_read_faults(p[i - 1]));
		}
		assert_int_equal(model_counters().traps, PVMM_KMAP_LOCAL_SLOTS);
		assert_int_equal(pages[0]->live + pages[0]->stale, 0);
		assert_clean();
	}
}

static void unmap_local(void *ctx)
{
	pvmm_kunmap_local(ctx);
}

static void unmap(void *ctx)
{
	pvmm_kunmap(ctx);
}

static void map_in_a_batch(void *ctx)
{
	pvmm_batch_begin();
	pvmm_kmap(ctx);
}

static void wrong_uses_panic(void **state)
{
	uint64_t *a = pvmm_kmap_local(pages[0]), *b = pvmm_kmap_local(pages[1]), *c = kmap(2);

	(void)state;
	assert_true(model_panics(unmap_local, a, "not its last local kmap"));
	assert_true(model_panics(unmap_local, c, "not its last local kmap"));
	assert_true(model_panics(unmap, b, "is not kmapped"));
	pvmm_kunmap_local(b);
	assert_true(model_panics(unmap_local, b, "not its last local kmap"));
	pvmm_kunmap(c);
	assert_true(model_panics(unmap, c, "is not kmapped"));
	assert_true(model_panics(map_in_a_batch, pages[5], "a kmap"));

	/* Another vCPU's slots are its own. */
	model_vcpu_up(1);
	model_set_vcpu(1);
	assert_true(model_panics(unmap_local, a, "not its last local kmap"));
	b = pvmm_kmap_local(pages[1]);
	assert_int_equal(*b, 1);
	pvmm_kunmap_local(b);
	model_set_vcpu(0);
	pvmm_kunmap_local(a);
	assert_clean();
}

/* vmap reaches them too; neither needs memory. */
static void without_memory(void **state)
{
	void *area;

	(void)state;
	assert_int_equal(pvmm_vmap(pages, 20, PVMM_PROT_RW, NULL, &area), 0);
	while (pvmm_page_alloc(0, PVMM_PAGE_USER))
		;
	for (unsigned int i = 0; i < 280; i++)
		pvmm_kunmap(kmap(i));
	assert_int_equal(*((uint64_t *)area + 3 * 512), 3);
	assert_int_equal(pvmm_vunmap(area), 0);
	pvmm_kunmap_local(pvmm_kmap_local(pages[0]));
	assert_int_equal(pvmm_directmap_restore(pages, PAGES), 0);
	assert_int_equal(pvmm_purge(), 256 + 20);
	for (unsigned int i = 0; i < PAGES; i++)
		pvmm_page_put(pages[i]);
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(out_and_back),    UNIT_TEST(all_or_nothing),
		KMAP_TEST(freed_while_out), KMAP_TEST(in_the_direct_map),
		KMAP_TEST(cached),	    KMAP_TEST(the_slots_run_out),
		KMAP_TEST(refused),	    KMAP_TEST(before_a_pin),
		KMAP_TEST(nested),	    KMAP_TEST(wrong_uses_panic),
		KMAP_TEST(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
