/* SPDX-License-Identifier: MIT */
/*
 * What the batch sends in another form, what it leaves out, and what it tells its owner
 * (include/pvmm/batch.h): collected flushes, single addresses, reads of what is queued, the fate of
 * each operation. R12, R43, R46; XEN-RULES 28, 30, 36.
 */
#include <pvmm/stats.h>
#include "tests/unit/unit.h"

static pfn_t a, b; /* two pinned L1 tables to queue updates for */
static pfn_t data;

static int boot(void **state)
{
	unit_boot(state);
	data = unit_page();
	a = unit_table();
	b = unit_table();
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, a), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, b), 0);
	model_counters_reset();
	return 0;
}

static uint64_t entry(pfn_t table, unsigned int slot)
{
	return pvmm_pt_entry_maddr(table, slot);
}

static bool present(pfn_t table, unsigned int slot)
{
	return pvmm_pte_present(unit_peek(table, slot));
}

/* --- one address --- */

/* A kernel mapping whose L1 entry is at *maddr. */
static pvmm_va_t one_mapping(uint64_t *maddr)
{
	pvmm_va_t va = PVMM_VMAP_BASE;
	struct pvmm_walk w;

	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, va, pvmm_page(data), PVMM_PROT_RW), 0);
	w = pvmm_pt_walk(pvmm_kernel_space.root, va);
	*maddr = entry(w.step[1].table, w.step[1].slot);
	model_counters_reset();
	return va;
}

/* Alone, with its flush, it is one update_va_mapping and nothing else. */
static void one_address_is_one_call(void **state)
{
	uint64_t maddr;
	pvmm_va_t va = one_mapping(&maddr);

	(void)state;
	pvmm_batch_begin();
	pvmm_batch_va_mapping(va, maddr, unit_pte(data, PVMM_PROT_RO), true);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_update_va_mapping], 1);
	assert_false(pvmm_pte_writable(pvmm_pt_lookup(pvmm_kernel_space.root, va)));
}

/* In company, or with another flush, it is an update among updates. */
static void an_address_in_company_is_an_update(void **state)
{
	uint64_t maddr;
	pvmm_va_t va = one_mapping(&maddr);

	(void)state;
	pvmm_batch_begin();
	pvmm_batch_va_mapping(va, maddr, unit_pte(data, PVMM_PROT_RO), true);
	pvmm_batch_mmu_update(entry(a, 0), unit_pte(data, PVMM_PROT_RO));
	assert_int_equal(pvmm_batch_end(NULL), 0);
	pvmm_batch_begin();
	pvmm_batch_va_mapping(va, maddr, unit_pte(data, PVMM_PROT_RO), true);
	pvmm_batch_flush_va(va + PVMM_PAGE_SIZE);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	pvmm_batch_begin();
	pvmm_batch_va_mapping(va, maddr, unit_pte(data, PVMM_PROT_RO), false);
	pvmm_batch_flush_va(va + PVMM_PAGE_SIZE);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	pvmm_batch_begin();
	pvmm_batch_mmu_update(entry(a, 0), 0);
	pvmm_batch_va_mapping(va, maddr, unit_pte(data, PVMM_PROT_RO), false);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().traps, 4);
	assert_int_equal(model_counters().mmu_updates, 6);
	assert_int_equal(model_counters().mmuext[MMUEXT_INVLPG_ALL], 4);
	assert_int_equal(model_counters().calls[__HYPERVISOR_update_va_mapping], 0);

	/* The next batch does not remember it. */
	pvmm_batch_begin();
	pvmm_batch_mmu_update(entry(a, 0), 0);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().calls[__HYPERVISOR_update_va_mapping], 0);
}

/* A refusal is told like any other. */
static void a_refused_address_is_told(void **state)
{
	struct pvmm_batch_failure failure;
	uint64_t maddr;
	pvmm_va_t va = one_mapping(&maddr);

	(void)state;
	pvmm_batch_begin();
	pvmm_batch_va_mapping(va, maddr, unit_pte(a, PVMM_PROT_RW), true);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(failure.index, 0);
	assert_int_equal(failure.applied, 0);
	assert_int_equal(failure.op.update.ptr, maddr);
	assert_int_equal(failure.op.update.val, unit_pte(a, PVMM_PROT_RW));
}

/* --- flushes --- */

/* R12. Asked for in between, sent behind: the updates stay one hypercall, and all is one trap. */
static void flushes_do_not_cut_updates(void **state)
{
	(void)state;
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 10; i++) {
		pvmm_batch_mmu_update(entry(a, i), unit_pte(data, PVMM_PROT_RO));
		pvmm_batch_flush_va(UNIT_VA + i * PVMM_PAGE_SIZE);
	}
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_mmu_update], 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_mmuext_op], 1);
	assert_int_equal(model_counters().mmuext[MMUEXT_INVLPG_ALL], 10);
}

/* One address twice is one flush; very many are one of everything, and so is that and some. */
static void flushes_merge(void **state)
{
	struct pvmm_batch_stats before = pvmm_batch_stats(), after;

	(void)state;
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 100; i++)
		pvmm_batch_flush_va(UNIT_VA + i % 2);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().mmuext[MMUEXT_INVLPG_ALL], 1);

	model_counters_reset();
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 100; i++)
		pvmm_batch_flush_va(UNIT_VA + i * PVMM_PAGE_SIZE);
	pvmm_batch_flush_all();
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().mmuext[MMUEXT_INVLPG_ALL], 0);
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_ALL], 1);
	assert_int_equal(model_counters().traps, 1);

	after = pvmm_batch_stats();
	assert_int_equal(after.flushes - before.flushes, 2);
	assert_int_equal(
		after.flushes + after.flushes_saved - before.flushes - before.flushes_saved, 201);

	/* Nothing is left over for the next batch. */
	model_counters_reset();
	pvmm_batch_begin();
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().traps, 0);
}

/* What was applied before a refusal needs its flush all the same. */
static void flushes_survive_a_refusal(void **state)
{
	struct pvmm_batch_failure failure;

	(void)state;
	pvmm_batch_begin();
	pvmm_batch_mmu_update(entry(a, 0), unit_pte(data, PVMM_PROT_RO));
	pvmm_batch_flush_va(UNIT_VA);
	pvmm_batch_mmu_update(entry(a, 1), unit_pte(a, PVMM_PROT_RW));
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(model_counters().mmuext[MMUEXT_INVLPG_ALL], 1);

	/* Also behind operations of its own kind, and when the queue was sent before. */
	pvmm_batch_begin();
	pvmm_batch_mmuext(&(struct mmuext_op){.cmd = MMUEXT_PIN_L1_TABLE,
					      .arg1.mfn = mfn_x(pvmm_pfn_to_mfn(a))});
	pvmm_batch_flush_all();
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EINVAL);
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_ALL], 1);

	pvmm_batch_begin();
	pvmm_batch_mmu_update(entry(a, 1), unit_pte(a, PVMM_PROT_RW));
	for (unsigned int i = 0; i < 600; i++)
		pvmm_batch_mmu_update(entry(a, 2), unit_pte(data, PVMM_PROT_RO));
	pvmm_batch_flush_va(UNIT_VA);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(model_counters().mmuext[MMUEXT_INVLPG_ALL], 2);
}

static void refuse_flush(void *ctx)
{
	(void)ctx;
	model_fail_operation(__HYPERVISOR_mmuext_op, 1, -XEN_EINVAL);
	pvmm_batch_begin();
	pvmm_batch_flush_va(UNIT_VA);
	pvmm_batch_end(&(struct pvmm_batch_failure){0});
}

static void flush_outside(void *ctx)
{
	(void)ctx;
	pvmm_batch_flush_all();
}

static void left_open(void *ctx)
{
	(void)ctx;
	pvmm_batch_begin();
	pvmm_batch_assert_closed("a return to user mode");
}

/* A flush cannot be refused: nothing that follows would be safe. */
static void misuse_panics(void **state)
{
	(void)state;
	assert_true(model_panics(refuse_flush, NULL, "Xen refused what cannot be refused: flush"));
	assert_true(model_panics(flush_outside, NULL, "outside a batch"));
	assert_true(model_panics(left_open, NULL, "a batch is open (depth 1"));
	assert_true(model_panics(left_open, NULL, "a return to user mode"));
	pvmm_batch_assert_closed("here");
}

/* --- reading what is queued --- */

static void reads_see_what_is_queued(void **state)
{
	pvmm_pte_t stored = unit_peek(a, 7);

	(void)state;
	assert_int_equal(pvmm_batch_read(entry(a, 7), stored), stored);
	pvmm_batch_begin();
	assert_int_equal(pvmm_batch_read(entry(a, 7), stored), stored);
	pvmm_batch_mmu_update(entry(a, 7), unit_pte(data, PVMM_PROT_RO));
	pvmm_batch_mmu_update(entry(b, 7), 0);
	assert_int_equal(unit_peek(a, 7), stored);
	assert_int_equal(pvmm_batch_read(entry(a, 7), stored), unit_pte(data, PVMM_PROT_RO));
	pvmm_batch_mmu_update(entry(a, 7), 0);
	assert_int_equal(pvmm_batch_read(entry(a, 7), stored), 0);
	assert_int_equal(pvmm_batch_read(entry(a, 8), stored), stored);
	assert_int_equal(pvmm_batch_end(NULL), 0);
}

/* --- the fate of each operation --- */

static struct {
	unsigned int nr;
	struct {
		unsigned int index;
		bool tried;
		int err;
	} fate[32];
} seen;

static void note_fate(const struct pvmm_batch_failure *op, bool tried, void *ctx)
{
	assert_ptr_equal(ctx, &seen);
	assert_true(seen.nr < 32);
	seen.fate[seen.nr].index = op->index;
	seen.fate[seen.nr].tried = tried;
	seen.fate[seen.nr++].err = op->err;
}

static void was_told(unsigned int i, unsigned int index, bool tried, int err)
{
	assert_true(i < seen.nr);
	assert_int_equal(seen.fate[i].index, index);
	assert_int_equal(seen.fate[i].tried, tried);
	assert_int_equal(seen.fate[i].err, err);
}

/*
 * R43. In a multicall two hypercalls are refused: each operation that was not applied is told, in
 * order, and none that was.
 */
static void every_fate_is_told(void **state)
{
	uint64_t refused = pvmm_batch_stats().refused;
	struct pvmm_batch_failure failure;

	(void)state;
	seen.nr = 0;
	pvmm_batch_begin();
	pvmm_batch_on_refusal(note_fate, &seen);
	pvmm_batch_mmu_update(entry(a, 0), unit_pte(data, PVMM_PROT_RO));      /* applied */
	pvmm_batch_mmu_update(entry(a, 1), unit_pte(a, PVMM_PROT_RW));	       /* refused */
	pvmm_batch_mmu_update(entry(a, 2), unit_pte(data, PVMM_PROT_RO));      /* not tried */
	pvmm_batch_mmuext(&(struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_LOCAL}); /* applied */
	pvmm_batch_mmuext(&(struct mmuext_op){.cmd = MMUEXT_PIN_L1_TABLE,
					      .arg1.mfn = mfn_x(pvmm_pfn_to_mfn(b))}); /* refused */
	pvmm_batch_mmu_update(entry(b, 0), unit_pte(data, PVMM_PROT_RO));	       /* applied */
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(failure.index, 1);
	assert_int_equal(seen.nr, 3);
	was_told(0, 1, true, -XEN_EBUSY);
	was_told(1, 2, false, -XEN_EBUSY);
	was_told(2, 4, true, -XEN_EINVAL);
	assert_true(present(a, 0) && present(b, 0));
	assert_int_equal(pvmm_batch_stats().refused - refused, 2);

	/* The next batch has no owner unless it says so. */
	pvmm_batch_begin();
	pvmm_batch_mmu_update(entry(a, 1), unit_pte(a, PVMM_PROT_RW));
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(seen.nr, 3);
}

/* What is queued behind a refusal that is known already is dropped, and told at once. */
static void what_is_dropped_is_told(void **state)
{
	struct pvmm_batch_failure failure;

	(void)state;
	seen.nr = 0;
	pvmm_batch_begin();
	for (unsigned int i = 0; i < PVMM_BATCH_UPDATES - 1; i++)
		pvmm_batch_mmu_update(entry(a, i % 511), unit_pte(data, PVMM_PROT_RO));
	pvmm_batch_on_refusal(note_fate, &seen);
	pvmm_batch_mmu_update(entry(a, 511), unit_pte(a, PVMM_PROT_RW));
	assert_int_equal(seen.nr, 0);
	pvmm_batch_mmu_update(entry(b, 0), unit_pte(data, PVMM_PROT_RO));
	assert_int_equal(seen.nr, 2);
	pvmm_batch_mmuext(&(struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_LOCAL});
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(failure.index, PVMM_BATCH_UPDATES - 1);
	assert_int_equal(seen.nr, 3);
	was_told(0, PVMM_BATCH_UPDATES - 1, true, -XEN_EBUSY);
	was_told(1, PVMM_BATCH_UPDATES, false, -XEN_EBUSY);
	was_told(2, PVMM_BATCH_UPDATES + 1, false, -XEN_EBUSY);
	assert_false(present(b, 0));
}

#define ORDER_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, unit_shutdown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ORDER_TEST(one_address_is_one_call),
		ORDER_TEST(an_address_in_company_is_an_update),
		ORDER_TEST(a_refused_address_is_told),
		ORDER_TEST(flushes_do_not_cut_updates),
		ORDER_TEST(flushes_merge),
		ORDER_TEST(flushes_survive_a_refusal),
		ORDER_TEST(misuse_panics),
		ORDER_TEST(reads_see_what_is_queued),
		ORDER_TEST(every_fate_is_told),
		ORDER_TEST(what_is_dropped_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
