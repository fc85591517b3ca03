/* SPDX-License-Identifier: MIT */
/*
 * The batch (include/pvmm/batch.h): what is queued becomes how many hypercalls, in which order, and
 * what is known after a refusal. R43, R46; XEN-RULES 28, 36.
 */
#include <pvmm/stats.h>
#include "tests/unit/unit.h"

static pfn_t table; /* a pinned L1 to queue updates for */
static pfn_t data;

static int boot(void **state)
{
	unit_boot(state);
	data = unit_page();
	table = unit_table();
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, table), 0);
	model_counters_reset();
	return 0;
}

static void queue_good(unsigned int slot)
{
	pvmm_batch_mmu_update(pvmm_pt_entry_maddr(table, slot % 512), unit_pte(data, PVMM_PROT_RO));
}

/* Maps the table writable: -EBUSY. Not inlined, so that its address is known as a caller's. */
__attribute__((noinline)) static void queue_bad(unsigned int slot)
{
	pvmm_batch_mmu_update(pvmm_pt_entry_maddr(table, slot), unit_pte(table, PVMM_PROT_RW));
	__asm__ volatile("");
}

__attribute__((noinline)) static void queue_ext(unsigned int cmd)
{
	pvmm_batch_mmuext(&(struct mmuext_op){
		.cmd = cmd,
		.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(table)),
	});
}

static bool present(unsigned int slot)
{
	return pvmm_pte_present(unit_peek(table, slot));
}

/* One kind of operation, however many: one hypercall without a multicall around it. */
static void one_kind_is_one_plain_call(void **state)
{
	struct pvmm_batch_failure failure;

	(void)state;
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 100; i++)
		queue_good(i);
	assert_int_equal(model_counters().traps, 0);
	assert_int_equal(pvmm_batch_end(&failure), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_mmu_update], 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_multicall], 0);
	assert_int_equal(model_counters().mmu_updates, 100);
	assert_model_clean();

	pvmm_batch_begin();
	queue_ext(MMUEXT_TLB_FLUSH_ALL);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().traps, 2);
	assert_int_equal(model_counters().calls[__HYPERVISOR_mmuext_op], 1);
}

/* R46. Neighbours of one kind share a hypercall, all of them one multicall: one trap. */
static void neighbours_merge(void **state)
{
	struct pvmm_batch_stats before = pvmm_batch_stats(), after;

	(void)state;
	pvmm_batch_begin();
	queue_good(0);
	queue_good(1);
	queue_ext(MMUEXT_TLB_FLUSH_LOCAL);
	queue_ext(MMUEXT_INVLPG_ALL);
	queue_good(2);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_multicall], 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_mmu_update], 2);
	assert_int_equal(model_counters().calls[__HYPERVISOR_mmuext_op], 1);
	assert_true(present(0) && present(1) && present(2));

	after = pvmm_batch_stats();
	assert_int_equal(after.traps - before.traps, 1);
	assert_int_equal(after.mmu_updates - before.mmu_updates, 3);
	assert_int_equal(after.mmuext_ops - before.mmuext_ops, 2);
	assert_int_equal(after.refused, before.refused);
}

static void nothing_queued_is_no_call(void **state)
{
	(void)state;
	pvmm_batch_begin();
	pvmm_batch_begin();
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().traps, 0);
}

/*
 * Order: a sequence that Xen accepts in this order only. Read-only, pin, unpin, writable, and
 * again, so that each step depends on the one before it.
 */
static void order_is_kept(void **state)
{
	pfn_t page = unit_page();
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(page);
	struct pvmm_walk w = pvmm_pt_walk(pvmm_kernel_space.root, va);
	uint64_t entry = pvmm_pt_entry_maddr(w.step[1].table, w.step[1].slot);
	struct mmuext_op pin = {.cmd = MMUEXT_PIN_L1_TABLE}, unpin = {.cmd = MMUEXT_UNPIN_TABLE};
	struct pvmm_batch_failure failure;

	(void)state;
	pin.arg1.mfn = unpin.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(page));
	model_counters_reset();
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 5; i++) {
		pvmm_batch_mmu_update(entry, unit_pte(page, PVMM_PROT_RO));
		pvmm_batch_mmuext(&pin);
		pvmm_batch_mmuext(&unpin);
		pvmm_batch_mmu_update(entry, unit_pte(page, PVMM_PROT_RW));
	}
	assert_int_equal(pvmm_batch_end(&failure), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_model_clean();
}

/* begin and end nest: only the outermost end sends, and it reports for all. */
static void batches_nest(void **state)
{
	struct pvmm_batch_failure failure;

	(void)state;
	pvmm_batch_begin();
	queue_good(0);
	pvmm_batch_begin();
	queue_bad(1);
	assert_int_equal(pvmm_batch_end(&failure), 0);
	assert_int_equal(model_counters().traps, 0);
	assert_false(present(0));
	queue_ext(MMUEXT_TLB_FLUSH_ALL);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(failure.index, 1);
	assert_true(present(0));
}

/* More than the queue holds: several traps, nothing lost, order kept. */
static void full_queue_is_sent(void **state)
{
	enum { NR = 2 * PVMM_BATCH_UPDATES + 476 };

	(void)state;
	pvmm_batch_begin();
	for (unsigned int i = 0; i < NR; i++)
		pvmm_batch_mmu_update(pvmm_pt_entry_maddr(table, i % 512),
				      unit_pte(data, PVMM_PROT_RO) | (uint64_t)(i / 512 % 8) << 9);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().mmu_updates, NR);
	assert_true(model_counters().traps >= 2 && model_counters().traps <= 4);
	for (unsigned int slot = 0; slot < 512; slot++) {
		unsigned int round = NR / 512 - (slot >= NR % 512);

		assert_int_equal((unit_peek(table, slot) >> 9) & 7, round % 8);
	}

	/* The other kind, and ones that do not merge. */
	model_counters_reset();
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 1000; i++)
		queue_ext(MMUEXT_INVLPG_LOCAL);
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().mmuext[MMUEXT_INVLPG_LOCAL], 1000);

	model_counters_reset();
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 1000; i++) {
		queue_good(i % 512);
		queue_ext(MMUEXT_TLB_FLUSH_LOCAL);
	}
	assert_int_equal(pvmm_batch_end(NULL), 0);
	assert_int_equal(model_counters().mmu_updates, 1000);
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_LOCAL], 1000);
	assert_model_clean();
}

/* R43. A refusal alone in its hypercall: kind, index, arguments, what was applied, who queued it.
 */
static void failure_of_a_plain_call(void **state)
{
	struct pvmm_batch_failure failure;
	uint64_t refused = pvmm_batch_stats().refused;

	(void)state;
	pvmm_batch_begin();
	queue_good(0);
	queue_good(1);
	queue_bad(2);
	queue_good(3);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(failure.err, -XEN_EBUSY);
	assert_int_equal(failure.kind, PVMM_BATCH_MMU_UPDATE);
	assert_int_equal(failure.index, 2);
	assert_int_equal(failure.applied, 2);
	assert_int_equal(failure.op.update.ptr, pvmm_pt_entry_maddr(table, 2));
	assert_int_equal(failure.op.update.val, unit_pte(table, PVMM_PROT_RW));
	assert_in_range(failure.caller, (uintptr_t)queue_bad, (uintptr_t)queue_bad + 300);
	assert_int_equal(pvmm_batch_stats().refused - refused, 1);
	assert_true(present(0) && present(1));
	assert_false(present(2) || present(3));
	assert_model_clean();
}

/* R43. In a multicall, where Xen goes on with the later hypercalls; the first refusal is told. */
static void failure_in_a_multicall(void **state)
{
	struct pvmm_batch_failure failure;

	(void)state;
	pvmm_batch_begin();
	queue_good(0);
	queue_ext(MMUEXT_TLB_FLUSH_ALL);
	queue_ext(MMUEXT_PIN_L1_TABLE); /* pinned already */
	queue_ext(MMUEXT_TLB_FLUSH_ALL);
	queue_good(1);
	queue_bad(2);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EINVAL);
	assert_int_equal(failure.kind, PVMM_BATCH_MMUEXT);
	assert_int_equal(failure.index, 2);
	assert_int_equal(failure.applied, 1);
	assert_int_equal(failure.op.ext.cmd, MMUEXT_PIN_L1_TABLE);
	assert_int_equal(failure.op.ext.arg1.mfn, mfn_x(pvmm_pfn_to_mfn(table)));
	assert_in_range(failure.caller, (uintptr_t)queue_ext, (uintptr_t)queue_ext + 600);
	assert_true(present(0) && present(1));
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_ALL], 1);
	assert_model_clean();
}

/* R43. The index counts from the outermost begin, through what was sent before. */
static void failure_after_a_full_queue(void **state)
{
	struct pvmm_batch_failure failure;

	(void)state;
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 700; i++)
		queue_good(i);
	queue_ext(MMUEXT_TLB_FLUSH_ALL);
	queue_good(0);
	queue_bad(1);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(failure.index, 702);
	assert_int_equal(failure.applied, 1);
}

/* R43. The same when operations of both kinds were sent before. */
static void failure_after_a_mixed_queue(void **state)
{
	struct pvmm_batch_failure failure;

	(void)state;
	pvmm_batch_begin();
	for (unsigned int i = 0; i < 5; i++)
		queue_ext(MMUEXT_TLB_FLUSH_LOCAL);
	for (unsigned int i = 0; i < PVMM_BATCH_UPDATES + 88; i++)
		queue_good(i % 512);
	assert_int_equal(model_counters().traps, 1);
	queue_bad(1);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(failure.index, PVMM_BATCH_UPDATES + 93);
}

/* What is queued behind a refusal that has been seen is dropped. */
static void nothing_follows_a_refusal(void **state)
{
	struct pvmm_batch_failure failure;
	uint64_t traps;

	(void)state;
	pvmm_batch_begin();
	queue_bad(3);
	for (unsigned int i = 0; i < PVMM_BATCH_UPDATES + 88; i++)
		queue_good(4);
	assert_int_equal(model_counters().traps, 1);
	traps = model_counters().traps;
	for (unsigned int i = 0; i < 2000; i++)
		queue_good(5);
	queue_ext(MMUEXT_TLB_FLUSH_ALL);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
	assert_int_equal(failure.index, 0);
	assert_int_equal(failure.applied, 0);
	assert_int_equal(model_counters().traps, traps);
	assert_false(present(4) || present(5));
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_ALL], 0);

	/* The next batch starts afresh. */
	pvmm_batch_begin();
	queue_good(5);
	assert_int_equal(pvmm_batch_end(&failure), 0);
	assert_true(present(5));
}

/* A hypercall that fails as a whole, with the count of done untouched, is its first operation's. */
static void failure_of_a_whole_call(void **state)
{
	struct pvmm_batch_failure failure;

	(void)state;
	model_fail_call(__HYPERVISOR_mmu_update, 2, -XEN_EFAULT);
	pvmm_batch_begin();
	queue_good(0);
	queue_ext(MMUEXT_TLB_FLUSH_ALL);
	queue_good(1);
	queue_good(2);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EFAULT);
	assert_true(model_fail_fired());
	assert_int_equal(failure.index, 2);
	assert_int_equal(failure.applied, 0);
	assert_int_equal(failure.op.update.ptr, pvmm_pt_entry_maddr(table, 1));
}

static void end_impossible(void *ctx)
{
	(void)ctx;
	pvmm_batch_begin();
	queue_good(0);
	queue_bad(1);
	pvmm_batch_end(NULL);
}

static void queue_outside(void *ctx)
{
	(void)ctx;
	queue_good(0);
}

static void end_without_begin(void *ctx)
{
	(void)ctx;
	pvmm_batch_end(NULL);
}

static void refuse_multicall(void *ctx)
{
	(void)ctx;
	model_fail_call(__HYPERVISOR_multicall, 1, -XEN_EFAULT);
	pvmm_batch_begin();
	queue_good(0);
	queue_ext(MMUEXT_TLB_FLUSH_ALL);
	pvmm_batch_end(NULL);
}

/* DESIGN's promise: a failure is never ignored. Who says it is impossible gets a panic with it. */
static void misuse_panics(void **state)
{
	(void)state;
	assert_true(model_panics(end_impossible, NULL, "Xen refused what cannot be refused"));
	assert_true(model_panics(end_impossible, NULL, "-EBUSY (-16); operation 1"));
	assert_true(model_panics(queue_outside, NULL, "outside a batch"));
	assert_true(model_panics(end_without_begin, NULL, "was not begun"));
	assert_true(model_panics(refuse_multicall, NULL, "multicall of 2 entries"));
}

/* The batch belongs to its vCPU: another's stays queued. */
static void each_vcpu_has_its_own(void **state)
{
	struct pvmm_batch_failure failure;

	(void)state;
	model_vcpu_up(7);
	pvmm_batch_begin();
	queue_bad(0);
	model_set_vcpu(7);
	pvmm_batch_begin();
	queue_good(1);
	assert_int_equal(pvmm_batch_end(&failure), 0);
	assert_true(present(1));
	assert_int_equal(pvmm_batch_stats().traps, 1);
	model_set_vcpu(0);
	assert_int_equal(pvmm_batch_end(&failure), -XEN_EBUSY);
}

/* R42, R43: the words. */
static void words(void **state)
{
	struct pvmm_batch_failure failure = {
		.err = -XEN_EINVAL,
		.kind = PVMM_BATCH_MMUEXT,
		.op.ext = {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = 0x7b60b},
	};
	char text[160];

	(void)state;
	pvmm_batch_describe(&failure, text, sizeof(text));
	assert_non_null(strstr(text, "pin L4"));
	assert_non_null(strstr(text, "0x7b60b"));
	assert_non_null(strstr(text, "EINVAL (-22)"));

	failure.op.ext.cmd = 99;
	pvmm_batch_describe(&failure, text, sizeof(text));
	assert_non_null(strstr(text, "operation 99"));

	failure.kind = PVMM_BATCH_MMU_UPDATE;
	failure.err = -XEN_EBUSY;
	failure.op.update = (struct mmu_update){.ptr = 0xabc000, .val = 0x123067};
	pvmm_batch_describe(&failure, text, sizeof(text));
	assert_non_null(strstr(text, "0xabc000"));
	assert_non_null(strstr(text, "0x123067"));
	assert_non_null(strstr(text, "EBUSY (-16)"));

	/* Cut, never overrun. */
	memset(text, 'x', sizeof(text));
	pvmm_batch_describe(&failure, text, 8);
	assert_int_equal(strlen(text), 7);
	assert_int_equal(text[8], 'x');

	assert_string_equal(pvmm_errno_name(-XEN_EINVAL), "EINVAL");
	assert_string_equal(pvmm_errno_name(XEN_EINVAL), "EINVAL");
	assert_string_equal(pvmm_errno_name(-XEN_EBUSY), "EBUSY");
	assert_string_equal(pvmm_errno_name(-XEN_EPERM), "EPERM");
	assert_string_equal(pvmm_errno_name(-9999), "unknown error");
	assert_int_equal(pvmm_errno_of_name("EBUSY"), -XEN_EBUSY);
	assert_int_equal(pvmm_errno_of_name("EBUS"), 0);
}

#define BATCH_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, unit_shutdown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BATCH_TEST(one_kind_is_one_plain_call),
		BATCH_TEST(neighbours_merge),
		BATCH_TEST(nothing_queued_is_no_call),
		BATCH_TEST(order_is_kept),
		BATCH_TEST(batches_nest),
		BATCH_TEST(full_queue_is_sent),
		BATCH_TEST(failure_of_a_plain_call),
		BATCH_TEST(failure_in_a_multicall),
		BATCH_TEST(failure_after_a_full_queue),
		BATCH_TEST(failure_after_a_mixed_queue),
		BATCH_TEST(nothing_follows_a_refusal),
		BATCH_TEST(failure_of_a_whole_call),
		BATCH_TEST(misuse_panics),
		BATCH_TEST(each_vcpu_has_its_own),
		BATCH_TEST(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
