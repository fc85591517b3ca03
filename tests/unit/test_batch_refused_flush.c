/* SPDX-License-Identifier: MIT */
/*
 * A refusal does not stop the flushes of a batch (include/pvmm/batch.h), also where the last
 * operation and its flush are sent as one update_va_mapping: an earlier part of the batch, sent
 * when the queue was full, may have changed the same address. R29, seen in the vCPU's TLB.
 */
#include "tests/unit/unit.h"

#define VMAP PVMM_VMAP_BASE

static void refused_with_its_flush(void **state)
{
	struct pvmm_page *page = pvmm_page(unit_page());
	pfn_t table = unit_table();
	struct pvmm_batch_failure failure;
	struct pvmm_walk w;
	uint64_t entry;

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, table), 0);
	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, VMAP, page, PVMM_PROT_RW), 0);
	w = pvmm_pt_walk(pvmm_kernel_space.root, VMAP);
	entry = pvmm_pt_entry_maddr(w.step[1].table, w.step[1].slot);
	assert_int_equal(model_access(VMAP, true), MODEL_DONE);

	model_counters_reset();
	pvmm_batch_begin();
	pvmm_batch_va_mapping(VMAP, entry, 0, true);
	/* With these the queue is full: the next one sends it. */
	for (unsigned int i = 1; i < PVMM_BATCH_UPDATES; i++)
		pvmm_batch_mmu_update(pvmm_pt_entry_maddr(table, i % 512), 0);
	pvmm_batch_va_mapping(VMAP, entry, unit_pte(table, PVMM_PROT_RW), true);
	assert_int_equal(model_counters().mmu_updates, PVMM_BATCH_UPDATES);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(failure.index, PVMM_BATCH_UPDATES);

	assert_int_equal(unit_peek(w.step[1].table, w.step[1].slot), 0);
	assert_int_equal(model_access(VMAP, false), MODEL_FAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(refused_with_its_flush),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
