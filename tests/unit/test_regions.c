/* SPDX-License-Identifier: MIT */
/*
 * User memory: regions whose pages appear when touched, copies of address spaces that share pages
 * until somebody writes, ranges unmapped, protected and cleared. R1, R9, R25, R27.
 *
 * A fault here looks like a copy that sees the original's later writes, a page that is lost or
 * freed twice, or a table freed while a TLB or a paging-structure cache still leads through it.
 */
#include <pvmm/trap.h>
#include "tests/unit/unit.h"

#define TABLE_BYTES (1ULL << 21)
#define READ	    PVMM_PF_USER
#define WRITE	    (PVMM_PF_USER | PVMM_PF_WRITE)

static struct pvmm_space space, copy;
static uint64_t free_before;

static volatile uint64_t *word(pvmm_va_t va)
{
	return (volatile uint64_t *)(uintptr_t)va;
}

/* A loaded space with one region of this many pages at UNIT_VA. */
static void start(uint64_t nr_pages)
{
	free_before = pvmm_free_pages();
	assert_int_equal(pvmm_fault_around(1), 0);
	assert_int_equal(pvmm_space_create(&space, "original"), 0);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA, nr_pages, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_activate(&space), 0);
}

/* As a processor does: the access, and the fault as often as it comes. */
static void touch(struct pvmm_space *s, pvmm_va_t va, bool write)
{
	uint64_t code = write ? WRITE : READ;

	assert_ptr_equal(pvmm_space_current(), s);
	if (write ? model_write_faults(word(va)) : model_read_faults(word(va)))
		assert_int_equal(pvmm_space_fault(s, va, code), 0);
	assert_false(write ? model_write_faults(word(va)) : model_read_faults(word(va)));
}

static void put(struct pvmm_space *s, pvmm_va_t va, uint64_t value)
{
	touch(s, va, true);
	*word(va) = value;
}

static uint64_t get(struct pvmm_space *s, pvmm_va_t va)
{
	touch(s, va, false);
	return *word(va);
}

static void finish(void)
{
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	assert_int_equal(pvmm_space_destroy(&space), 0);
	assert_clean();
	pvmm_table_cache_shrink();
	assert_clean();
	assert_int_equal(pvmm_free_pages(), free_before);
}

static struct pvmm_page *page_at(struct pvmm_space *s, pvmm_va_t va)
{
	return pvmm_page(pvmm_mfn_to_pfn(pvmm_pte_mfn(pvmm_pt_lookup(s->root, va))));
}

static void pages_appear_zeroed(void **state)
{
	struct pvmm_page *dirty[64];

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		dirty[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		memset(pvmm_page_virt(dirty[i]), 0x5a, PVMM_PAGE_SIZE);
	}
	for (unsigned int i = 0; i < 64; i++)
		pvmm_page_put(dirty[i]);

	start(600);
	assert_int_equal(space.nr_pages, 0);
	for (uint64_t i = 0; i < 600; i += 7) {
		assert_int_equal(get(&space, UNIT_VA + i * PVMM_PAGE_SIZE), 0);
		put(&space, UNIT_VA + i * PVMM_PAGE_SIZE, i);
	}
	assert_clean();
	for (uint64_t i = 0; i < 600; i += 7)
		assert_int_equal(get(&space, UNIT_VA + i * PVMM_PAGE_SIZE), i);
	assert_int_equal(space.nr_pages, 86);
	finish();
}

static void only_what_regions_allow(void **state)
{
	(void)state;
	start(4);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + TABLE_BYTES, 1, PVMM_PROT_RO), 0);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA - 1, READ), -XEN_EFAULT);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA + 4 * PVMM_PAGE_SIZE, READ), -XEN_EFAULT);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA + TABLE_BYTES, WRITE), -XEN_EFAULT);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA, READ | PVMM_PF_FETCH), -XEN_EFAULT);
	assert_int_equal(pvmm_space_fault(&space, PVMM_PAGES_BASE, READ), -XEN_EFAULT);
	assert_int_equal(space.nr_pages, 0);

	assert_int_equal(get(&space, UNIT_VA + TABLE_BYTES), 0);
	assert_true(model_write_faults(word(UNIT_VA + TABLE_BYTES)));
	/* Resolved already, by another vCPU say: nothing to do, nothing changes. */
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA + TABLE_BYTES, READ), 0);
	assert_int_equal(space.nr_pages, 1);
	finish();
}

static void regions_do_not_overlap(void **state)
{
	(void)state;
	start(16);
	for (int first = -4; first <= 19; first += 1) {
		bool overlaps = first > -4 && first < 16;

		assert_int_equal(pvmm_space_region(&space, UNIT_VA + first * (int)PVMM_PAGE_SIZE, 4,
						   PVMM_PROT_RW),
				 overlaps ? -XEN_EEXIST : 0);
		if (!overlaps)
			assert_int_equal(pvmm_space_unmap_range(
						 &space, UNIT_VA + first * (int)PVMM_PAGE_SIZE, 4),
					 0);
	}
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + 1, 1, PVMM_PROT_RW), -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, 0, 1, PVMM_PROT_RW), -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, PVMM_USER_END - PVMM_PAGE_SIZE, 2, PVMM_PROT_RW),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + TABLE_BYTES, UINT64_MAX, PVMM_PROT_RW),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + TABLE_BYTES, 0, PVMM_PROT_RW),
			 -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA + TABLE_BYTES, 1, 0), -XEN_EINVAL);
	assert_int_equal(pvmm_space_region(&pvmm_kernel_space, UNIT_VA, 1, PVMM_PROT_RW),
			 -XEN_EINVAL);
	finish();
}

/* One fault fills a group; what is there already stays. */
static void faults_fill_groups(void **state)
{
	(void)state;
	start(1000);
	put(&space, UNIT_VA + 5 * PVMM_PAGE_SIZE, 55);
	assert_int_equal(pvmm_fault_around(16), 0);
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA, READ), 0);
	assert_int_equal(space.nr_pages, 16);
	assert_int_equal(*word(UNIT_VA + 5 * PVMM_PAGE_SIZE), 55);

	/* It ends with the region. */
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA + 999 * PVMM_PAGE_SIZE, WRITE), 0);
	assert_int_equal(space.nr_pages, 16 + 1000 % 16);
	assert_int_equal(pvmm_fault_around(0), -XEN_EINVAL);
	assert_int_equal(pvmm_fault_around(3), -XEN_EINVAL);
	assert_int_equal(pvmm_fault_around(128), -XEN_EINVAL);
	finish();
}

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

static void ranges_fill_at_once(void **state)
{
	(void)state;
	start(1024);
	model_counters_reset();
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 1024), 0);
	assert_in_range(model_counters().traps, 2, 3);
	assert_int_equal(space.nr_pages, 1024);
	for (uint64_t i = 0; i < 1024; i++)
		*word(UNIT_VA + i * PVMM_PAGE_SIZE) = i;
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA + 1000 * PVMM_PAGE_SIZE, 25),
			 -XEN_ENOENT);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 1024), 0);
	for (uint64_t i = 0; i < 1024; i++)
		assert_int_equal(*word(UNIT_VA + i * PVMM_PAGE_SIZE), i);

	model_counters_reset();
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 1024, PVMM_PROT_RO), 0);
	assert_true(model_write_faults(word(UNIT_VA + 512 * PVMM_PAGE_SIZE)));
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA, WRITE), -XEN_EFAULT);
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 1024, PVMM_PROT_RW), 0);
	assert_in_range(model_counters().traps, 2, 6);
	*word(UNIT_VA + 512 * PVMM_PAGE_SIZE) = 1;

	model_counters_reset();
	assert_int_equal(pvmm_space_unmap_range(&space, UNIT_VA, 1024), 0);
	assert_in_range(model_counters().traps, 2, 3);
	assert_int_equal(space.nr_pages, 0);
	assert_clean();
	finish();
}

/* What is shared with a copy does not become writable by a change of rights. */
static void protection_keeps_sharing(void **state)
{
	(void)state;
	start(8);
	put(&space, UNIT_VA, 5);
	assert_int_equal(pvmm_space_clone(&copy, &space, "copy"), 0);
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 8, PVMM_PROT_RO), 0);
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 8, PVMM_PROT_RW), 0);
	assert_true(model_write_faults(word(UNIT_VA)));
	put(&space, UNIT_VA, 6);
	assert_int_equal(pvmm_space_activate(&copy), 0);
	assert_int_equal(get(&copy, UNIT_VA), 5);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(pvmm_space_destroy(&copy), 0);
	assert_int_equal(pvmm_space_protect_range(&space, UNIT_VA, 9, PVMM_PROT_RO), -XEN_ENOENT);
	finish();
}

/* Every way to take a piece out of a region of 12 pages, with pages mapped in it. */
static void pieces_go(void **state)
{
	(void)state;
	for (unsigned int first = 0; first < 12; first++)
		for (unsigned int nr = 1; first + nr <= 12; nr += 2) {
			start(12);
			for (unsigned int i = 0; i < 12; i++)
				put(&space, UNIT_VA + i * PVMM_PAGE_SIZE, 100 + i);
			assert_int_equal(pvmm_space_unmap_range(
						 &space, UNIT_VA + first * PVMM_PAGE_SIZE, nr),
					 0);
			assert_int_equal(space.nr_pages, 12 - nr);
			for (unsigned int i = 0; i < 12; i++) {
				pvmm_va_t va = UNIT_VA + i * PVMM_PAGE_SIZE;

				if (i < first || i >= first + nr)
					assert_int_equal(get(&space, va), 100 + i);
				else
					assert_int_equal(pvmm_space_fault(&space, va, READ),
							 -XEN_EFAULT);
			}
			finish();
		}
}

/*
 * R25: a table that goes is flushed from every vCPU that may walk through it; also on a Xen that
 * does not flush by itself when an upper entry changes (before XSA-286).
 */
static void tables_go_after_the_flush(void **state)
{
	(void)state;
	unit_reboot(&(struct model_options){.no_upper_flush = true});
	start(512);
	model_vcpu_up(1);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 512), 0);
	model_set_vcpu(1);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(model_access(UNIT_VA, true), MODEL_DONE);
	assert_int_equal(model_access(UNIT_VA + 99 * PVMM_PAGE_SIZE, true), MODEL_DONE);
	model_set_vcpu(0);
	assert_int_equal(model_access(UNIT_VA, true), MODEL_DONE);
	assert_int_equal(pvmm_space_unmap_range(&space, UNIT_VA, 512), 0);
	assert_int_equal(space.nr_tables, 2 + 2); /* its L1 is gone */
	model_set_vcpu(1);
	assert_int_equal(model_access(UNIT_VA, true), MODEL_FAULT);
	assert_int_equal(model_access(UNIT_VA + 99 * PVMM_PAGE_SIZE, false), MODEL_FAULT);

	/* One that is kept changes no type, for which Xen would flush. */
	assert_int_equal(pvmm_space_region(&space, UNIT_VA, 4, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 4), 0);
	assert_int_equal(model_access(UNIT_VA + PVMM_PAGE_SIZE, true), MODEL_DONE);
	model_set_vcpu(0);
	assert_int_equal(pvmm_space_unmap_range(&space, UNIT_VA, 4), 0);
	model_set_vcpu(1);
	assert_int_equal(model_access(UNIT_VA + PVMM_PAGE_SIZE, true), MODEL_FAULT);

	/* The same with the whole user half. */
	assert_int_equal(pvmm_space_region(&space, UNIT_VA, 512, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 512), 0);
	assert_int_equal(model_access(UNIT_VA + 7 * PVMM_PAGE_SIZE, true), MODEL_DONE);
	model_set_vcpu(0);
	assert_int_equal(pvmm_space_clear(&space), 0);
	model_set_vcpu(1);
	assert_int_equal(model_access(UNIT_VA + 7 * PVMM_PAGE_SIZE, true), MODEL_FAULT);
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	model_set_vcpu(0);
	finish();
}

/* --- tables kept for their next use --- */

/* The second process of a kind needs no validation but of the upper levels of its copy. */
static void kept_tables_are_used_again(void **state)
{
	(void)state;
	start(30);
	put(&space, UNIT_VA, 1);
	assert_int_equal(pvmm_space_clear(&space), 0);
	assert_int_equal(pvmm_table_cache_stats().nr_pages, 3);
	assert_clean();

	model_counters_reset();
	assert_int_equal(pvmm_space_region(&space, UNIT_VA, 30, PVMM_PROT_RW), 0);
	assert_int_equal(get(&space, UNIT_VA), 0);
	put(&space, UNIT_VA, 2);
	assert_int_equal(model_counters().validations, 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(pvmm_table_cache_stats().nr_pages, 0);
	assert_int_equal(pvmm_space_clear(&space), 0);

	assert_int_equal(pvmm_space_region(&space, UNIT_VA, 30, PVMM_PROT_RW), 0);
	put(&space, UNIT_VA, 3);
	for (unsigned int i = 0; i < 5; i++) {
		model_counters_reset();
		assert_int_equal(pvmm_space_clone(&copy, &space, "copy"), 0);
		assert_int_equal(pvmm_space_destroy(&copy), 0);
		assert_clean();
		/* L3, L2 and two roots; not the L1, from the second time on. */
		assert_int_equal(model_counters().validations, i ? 4 : 5);
	}
	finish();
}

/* One that is dense is validated as a whole: no entry of it costs an operation. */
static void dense_tables_are_not_kept(void **state)
{
	(void)state;
	start(512);
	assert_int_equal(pvmm_space_populate(&space, UNIT_VA, 512), 0);
	assert_int_equal(pvmm_space_clear(&space), 0);
	assert_int_equal(pvmm_table_cache_stats().nr_pages, 2); /* L2 and L3 */
	finish();
}

static void the_cache_is_limited_and_given_back(void **state)
{
	uint64_t kept;

	(void)state;
	free_before = pvmm_free_pages();
	assert_int_equal(pvmm_space_create(&space, "wide"), 0);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(
			pvmm_space_region(&space, UNIT_VA + i * TABLE_BYTES, 1, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_activate(&space), 0);
	for (uint64_t i = 0; i < 100; i++)
		put(&space, UNIT_VA + i * TABLE_BYTES, i);
	assert_int_equal(pvmm_space_clear(&space), 0);
	kept = pvmm_table_cache_stats().nr_pages;
	assert_in_range(kept, 20, 90);
	assert_clean();

	model_counters_reset();
	assert_int_equal(pvmm_table_cache_shrink(), kept);
	assert_int_equal(model_counters().traps, kept > 64 ? 2 : 1);
	assert_int_equal(pvmm_table_cache_shrink(), 0);
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

static void fault_with_little_memory(void **state)
{
	(void)state;
	start(30);
	assert_int_equal(pvmm_fault_around(16), 0);
	while (pvmm_free_pages() > 2)
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
	assert_int_equal(pvmm_space_fault(&space, UNIT_VA, READ), -XEN_ENOMEM);
	assert_int_equal(pvmm_free_pages(), 2);
	assert_clean();
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

/* Random operations on two spaces against a plain record of their contents. */
static void random_contents(void **state)
{
	enum { NR = 48, STEPS = 3000 };
	static uint64_t expected[2][NR];
	struct pvmm_space *spaces[2] = {&space, &copy};
	bool exists[2] = {true, false};
	unsigned int at = 0;
	uint64_t seed = 42;

	(void)state;
	memset(expected, 0, sizeof(expected));
	start(NR);
	for (unsigned int step = 0; step < STEPS; step++) {
		uint64_t what = unit_random(&seed) % 100, i = unit_random(&seed) % NR;
		pvmm_va_t va = UNIT_VA + i * PVMM_PAGE_SIZE;

		if (what < 40) {
			put(spaces[at], va, expected[at][i] = step + 1);
		} else if (what < 80) {
			assert_int_equal(get(spaces[at], va), expected[at][i]);
		} else if (what < 84) {
			assert_int_equal(pvmm_fault_around(1u << unit_random(&seed) % 7), 0);
		} else if (what < 90 && exists[!at]) {
			at = !at;
			assert_int_equal(pvmm_space_activate(spaces[at]), 0);
		} else if (what < 94 && exists[!at]) {
			assert_int_equal(pvmm_space_destroy(spaces[!at]), 0);
			exists[!at] = false;
		} else if (what < 98 && !exists[!at]) {
			assert_int_equal(pvmm_space_clone(spaces[!at], spaces[at], "copy"), 0);
			memcpy(expected[!at], expected[at], sizeof(expected[at]));
			exists[!at] = true;
		} else {
			assert_int_equal(pvmm_space_unmap_range(spaces[at], va, 1), 0);
			assert_int_equal(pvmm_space_region(spaces[at], va, 1, PVMM_PROT_RW), 0);
			expected[at][i] = 0;
		}
		if (!(step % 100))
			assert_clean();
	}
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	for (unsigned int i = 0; i < 2; i++)
		if (exists[i])
			assert_int_equal(pvmm_space_destroy(spaces[i]), 0);
	assert_clean();
	pvmm_table_cache_shrink();
	assert_clean();
	assert_int_equal(pvmm_free_pages(), free_before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(pages_appear_zeroed),
		UNIT_TEST(only_what_regions_allow),
		UNIT_TEST(regions_do_not_overlap),
		UNIT_TEST(faults_fill_groups),
		UNIT_TEST(copies_part_at_the_first_write),
		UNIT_TEST(copies_of_copies),
		UNIT_TEST(copies_cost_one_trap),
		UNIT_TEST(ranges_fill_at_once),
		UNIT_TEST(protection_keeps_sharing),
		UNIT_TEST(pieces_go),
		UNIT_TEST(tables_go_after_the_flush),
		UNIT_TEST(kept_tables_are_used_again),
		UNIT_TEST(dense_tables_are_not_kept),
		UNIT_TEST(the_cache_is_limited_and_given_back),
		UNIT_TEST(copy_with_little_memory),
		UNIT_TEST(fault_with_little_memory),
		UNIT_TEST(refused_pins_leave_no_copy),
		UNIT_TEST(refused_operations_change_nothing),
		UNIT_TEST(random_contents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
