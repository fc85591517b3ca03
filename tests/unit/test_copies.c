/* SPDX-License-Identifier: MIT */
/*
 * Copies of address spaces, which share pages until somebody writes; without memory, and refused by
 * Xen at each step. R9, R27, R46.
 *
 * A fault here looks like a copy that sees the original's later writes, or a page that is lost.
 */
#include "tests/unit/region.h"

/* Two writers after a copy, each in its own world; the last one needs no copy. */
static void copies_part_at_the_first_write(void **state)
{
	pvmm_va_t shared_va = UNIT_VA + 4 * TABLE_BYTES;
	struct pvmm_page *shared, *by_hand = pvmm_page(unit_page_of(PVMM_PAGE_USER));

	(void)state;
	start(40);
	assert_int_equal(pvmm_space_map(&space, shared_va, by_hand, PVMM_PROT_RW), 0);
	for (uint64_t i = 0; i < 40; i += 2)
		put(&space, UNIT_VA + i * PVMM_PAGE_SIZE, i);
	*word(shared_va) = 1;

	assert_int_equal(pvmm_space_clone(&copy, &space, "copy"), 0);
	assert_clean();
	assert_int_equal(copy.state, PVMM_SPACE_PINNED);
	assert_int_equal(copy.nr_pages, space.nr_pages);
	assert_int_equal(copy.nr_tables, space.nr_tables);
	shared = page_at(&space, UNIT_VA);
	assert_ptr_equal(page_at(&copy, UNIT_VA), shared);
	assert_int_equal(shared->refs, 2);
	assert_int_equal(shared->live, 2);
	assert_true(model_write_faults(word(UNIT_VA)));

	/* The original writes: a page of its own. */
	put(&space, UNIT_VA, 1000);
	assert_ptr_not_equal(page_at(&space, UNIT_VA), shared);
	assert_int_equal(shared->refs, 1);
	put(&space, UNIT_VA + PVMM_PAGE_SIZE, 77); /* one that nobody had */

	assert_int_equal(pvmm_space_activate(&copy), 0);
	assert_int_equal(get(&copy, UNIT_VA), 0);
	assert_int_equal(get(&copy, UNIT_VA + PVMM_PAGE_SIZE), 0);
	assert_int_equal(*word(shared_va), 1);
	*word(shared_va) = 2;

	/* The copy is alone with the old page: writes in place. */
	put(&copy, UNIT_VA, 2000);
	assert_ptr_equal(page_at(&copy, UNIT_VA), shared);
	for (uint64_t i = 2; i < 40; i += 2)
		assert_int_equal(get(&copy, UNIT_VA + i * PVMM_PAGE_SIZE), i);
	assert_clean();

	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(get(&space, UNIT_VA), 1000);
	assert_int_equal(*word(shared_va), 2); /* shared for good */
	assert_int_equal(pvmm_space_destroy(&copy), 0);
	assert_clean();
	for (uint64_t i = 2; i < 40; i += 2)
		put(&space, UNIT_VA + i * PVMM_PAGE_SIZE, i);
	finish();
	pvmm_page_put(by_hand);
}

/* Children of children, ended in any order. */
static void copies_of_copies(void **state)
{
	enum { NR = 8 };
	static struct pvmm_space family[NR];

	(void)state;
	start(20);
	put(&space, UNIT_VA, 1);
	assert_int_equal(pvmm_space_clone(&family[0], &space, "first"), 0);
	for (unsigned int i = 1; i < NR; i++) {
		assert_int_equal(pvmm_space_activate(&family[i - 1]), 0);
		put(&family[i - 1], UNIT_VA + i * PVMM_PAGE_SIZE, i);
		assert_int_equal(pvmm_space_clone(&family[i], &family[i - 1], "next"), 0);
	}
	assert_clean();
	assert_int_equal(pvmm_space_activate(&space), 0);
	for (unsigned int i = 0; i < NR; i += 2)
		assert_int_equal(pvmm_space_destroy(&family[i]), 0);
	assert_clean();
	for (unsigned int i = 1; i < NR; i += 2) {
		assert_int_equal(pvmm_space_activate(&family[i]), 0);
		assert_int_equal(get(&family[i], UNIT_VA), 1);
		for (unsigned int j = 1; j <= i; j++)
			assert_int_equal(get(&family[i], UNIT_VA + j * PVMM_PAGE_SIZE), j);
		assert_int_equal(get(&family[i], UNIT_VA + (i + 1) * PVMM_PAGE_SIZE),
				 i + 1 < NR ? i + 1 : 0);
		put(&family[i], UNIT_VA, 100 + i);
	}
	assert_int_equal(pvmm_space_activate(&space), 0);
	for (unsigned int i = 1; i < NR; i += 2)
		assert_int_equal(pvmm_space_destroy(&family[i]), 0);
	assert_int_equal(get(&space, UNIT_VA), 1);
	finish();
}

/* R46: what they cost in traps. */
static void copies_cost_one_trap(void **state)
{
	(void)state;
	start(1200);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 30), 0);
	put(&space, UNIT_VA + 2 * TABLE_BYTES, 1);
	model_counters_reset();
	assert_int_equal(pvmm_space_clone(&copy, &space, "copy"), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(pvmm_space_destroy(&copy), 0);
	assert_int_equal(model_counters().traps, 2);

	assert_int_equal(pvmm_space_clear(&space), 0);
	assert_int_equal(model_counters().traps, 3);
	assert_int_equal(space.nr_pages, 0);
	assert_int_equal(space.nr_tables, 2);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA, READ), -XEN_EFAULT);
	assert_true(model_read_faults(word(UNIT_VA)));
	finish();
}

/* --- without memory, and refused by Xen --- */

/* With so many free pages: either all is done, or nothing is. */
static void copy_with_little_memory(void **state)
{
	(void)state;
	for (uint64_t nr = 0;; nr++) {
		int err;

		unit_reboot(&(struct model_options){0});
		start(30);
		put(&space, UNIT_VA, 1);
		put(&space, UNIT_VA + 20 * PVMM_PAGE_SIZE, 2);
		while (pvmm_free_pages() > nr)
			assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
		err = pvmm_space_clone(&copy, &space, "copy");
		assert_clean();
		if (!err)
			break;
		assert_int_equal(err, -XEN_ENOMEM);
		assert_int_equal(unit_free_pages(), nr);
		assert_int_equal(get(&space, UNIT_VA), 1);
		assert_true(nr < 16);
	}
}

/* What takes things away cannot be refused (that is a panic): refusals end where it begins. */
static bool refusal_fired;

static int build(void)
{
	int err = pvmm_space_region(&space, UNIT_VA + TABLE_BYTES, 600, PVMM_PROT_RW);

	if (!err)
		err = pvmm_space_fault(&space, UNIT_VA, WRITE);
	if (!err)
		err = pvmm_space_fault(&space, UNIT_VA + PVMM_PAGE_SIZE, READ);
	if (!err)
		err = pvmm_space_populate(&space, UNIT_VA + TABLE_BYTES, 3);
	if (!err)
		err = pvmm_space_populate(&space, UNIT_VA + TABLE_BYTES, 6);
	if (!err)
		err = pvmm_space_clone(&copy, &space, "copy");
	return err;
}

static int life(void)
{
	int err = build();

	if (err) {
		refusal_fired = model_fail_fired();
		return err;
	}
	err = pvmm_space_fault(&space, UNIT_VA, WRITE);
	if (!err)
		err = pvmm_space_activate(&copy);
	if (!err)
		err = pvmm_space_fault(&copy, UNIT_VA, WRITE);
	refusal_fired = model_fail_fired();
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(pvmm_space_destroy(&copy), 0);
	return err;
}

/* Each single operation of a life, or each hypercall, is refused in turn. */
static void life_refused(unsigned int op, bool single, bool warm)
{
	unsigned int refused = 0;

	for (unsigned int nth = 1;; nth++) {
		int err;

		unit_reboot(&(struct model_options){0});
		start(30);
		if (warm) {
			assert_int_equal(life(), 0);
			assert_int_equal(pvmm_space_clear(&space), 0);
			assert_int_equal(pvmm_space_region(&space, UNIT_VA, 30, PVMM_PROT_RW), 0);
			assert_true(pvmm_table_cache_stats().nr_pages > 3);
		}
		if (single)
			model_fail_operation(op, nth, -XEN_EINVAL);
		else
			model_fail_call(op, nth, -XEN_EINVAL);
		err = life();
		assert_clean();
		if (!refusal_fired) {
			assert_int_equal(err, 0);
			break;
		}
		assert_int_equal(err, -XEN_EINVAL);
		refused++;
		finish();
	}
	assert_true(refused > 2);
}

/* The pin of either root; the flush behind them is not refused by anybody. */
static void refused_pins_leave_no_copy(void **state)
{
	(void)state;
	start(30);
	put(&space, UNIT_VA, 1);
	for (unsigned int nth = 1; nth <= 2; nth++) {
		model_fail_operation(__HYPERVISOR_mmuext_op, nth, -XEN_EINVAL);
		assert_int_equal(pvmm_space_clone(&copy, &space, "copy"), -XEN_EINVAL);
		assert_true(model_fail_fired());
		assert_clean();
		put(&space, UNIT_VA, nth);
	}
	assert_int_equal(pvmm_space_clone(&copy, &space, "copy"), 0);
	assert_int_equal(pvmm_space_destroy(&copy), 0);
	finish();
}

static void refused_operations_change_nothing(void **state)
{
	(void)state;
	for (int warm = 0; warm <= 1; warm++) {
		life_refused(__HYPERVISOR_mmu_update, true, warm);
		life_refused(__HYPERVISOR_update_va_mapping, false, warm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(copies_part_at_the_first_write),
		UNIT_TEST(copies_of_copies),
		UNIT_TEST(copies_cost_one_trap),
		UNIT_TEST(copy_with_little_memory),
		UNIT_TEST(refused_pins_leave_no_copy),
		UNIT_TEST(refused_operations_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
