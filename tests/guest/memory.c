/* SPDX-License-Identifier: MIT */
/*
 * User memory on real Xen: regions whose pages appear when the page-fault handler is asked for
 * them, copies that part at the first write, ranges that go. The kernel touches the user half
 * itself here; the suite "process" does the same from ring 3. R1, R25, R27.
 */
#include <pvmm/alloc.h>
#include <pvmm/check.h>
#include <pvmm/space.h>
#include <pvmm/stats.h>
#include <pvmm/trap.h>
#include "suites.h"

#define USER_VA	    0x0000000000400000ULL
#define TABLE_BYTES (1ULL << 21)

static struct pvmm_space space, copy;
static pvmm_trap_fn *handler_before;
static volatile uint64_t nr_faults; /* an access to memory changes it */

static bool resolve(struct pvmm_regs *regs, pvmm_va_t va)
{
	if (!pvmm_va_is_user(va) ||
	    pvmm_space_fault(pvmm_space_current(), va, regs->error_code | PVMM_PF_USER))
		return handler_before && handler_before(regs, va);
	nr_faults++;
	return true;
}

static volatile uint64_t *word(pvmm_va_t va)
{
	return (volatile uint64_t *)va;
}

/* Asking Xen about pages that are allocated or freed is traps, too. */
static bool is_checked(void)
{
	return pvmm_check_config().modes & (PVMM_CHECK_ALLOC | PVMM_CHECK_FREE);
}

static void start(uint64_t nr_pages, unsigned int around)
{
	CHECK_EQUAL(pvmm_fault_around(around), 0);
	CHECK_EQUAL(pvmm_space_create(&space, "original"), 0);
	CHECK_EQUAL(pvmm_space_region(&space, USER_VA, nr_pages, PVMM_PROT_RW), 0);
	CHECK_EQUAL(pvmm_space_activate(&space), 0);
	handler_before = pvmm_trap_set(PVMM_TRAP_PF, resolve);
	nr_faults = 0;
}

static void finish(void)
{
	pvmm_trap_set(PVMM_TRAP_PF, handler_before);
	CHECK_EQUAL(pvmm_fault_around(16), 0);
	CHECK_EQUAL(pvmm_space_activate(&pvmm_kernel_space), 0);
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
}

/* 4 MiB of them, or half of what there is in the smallest domains: whole groups in any case. */
static uint64_t nr_large(void)
{
	uint64_t half = pvmm_free_pages() / 2 & ~15ULL;

	return half < 1024 ? half : 1024;
}

static void pages_appear(void)
{
	uint64_t wrong = 0, nr = nr_large();

	start(nr, 16);
	for (uint64_t i = 0; i < nr; i++) {
		wrong += *word(USER_VA + i * PVMM_PAGE_SIZE) != 0;
		*word(USER_VA + i * PVMM_PAGE_SIZE) = i;
	}
	for (uint64_t i = 0; i < nr; i++)
		wrong += *word(USER_VA + i * PVMM_PAGE_SIZE) != i;
	CHECK_EQUAL(wrong, 0);
	CHECK_EQUAL(nr_faults, nr / 16);
	CHECK_EQUAL(space.nr_pages, nr);
	finish();
}

static void copies_part_at_the_first_write(void)
{
	uint64_t traps;

	start(600, 1);
	for (uint64_t i = 0; i < 600; i += 100)
		*word(USER_VA + i * PVMM_PAGE_SIZE) = i;
	traps = pvmm_hypercall_traps();
	CHECK_EQUAL(pvmm_space_clone(&copy, &space, "copy"), 0);
	CHECK(is_checked() || pvmm_hypercall_traps() - traps == 1);

	nr_faults = 0;
	*word(USER_VA) = 1000;
	CHECK_EQUAL(nr_faults, 1);
	CHECK_EQUAL(pvmm_space_activate(&copy), 0);
	CHECK_EQUAL(*word(USER_VA), 0);
	*word(USER_VA) = 2000;
	for (uint64_t i = 100; i < 600; i += 100)
		CHECK_EQUAL(*word(USER_VA + i * PVMM_PAGE_SIZE), i);
	CHECK_EQUAL(pvmm_space_activate(&space), 0);
	CHECK_EQUAL(*word(USER_VA), 1000);
	traps = pvmm_hypercall_traps();
	CHECK_EQUAL(pvmm_space_destroy(&copy), 0);
	CHECK(is_checked() || pvmm_hypercall_traps() - traps == 1);
	*word(USER_VA + 100 * PVMM_PAGE_SIZE) = 5; /* alone with it: no copy is made */
	CHECK_EQUAL(space.nr_pages, 6);
	finish();
}

static void ranges_at_once(void)
{
	uint64_t traps, nr = nr_large();

	start(nr, 1);
	traps = pvmm_hypercall_traps();
	CHECK_EQUAL(pvmm_space_populate(&space, USER_VA, nr), 0);
	CHECK(is_checked() || pvmm_hypercall_traps() - traps == (nr > 512 ? 2 : 1));
	*word(USER_VA + (nr - 1) * PVMM_PAGE_SIZE) = 1;
	CHECK_EQUAL(nr_faults, 0);
	CHECK_EQUAL(pvmm_space_protect_range(&space, USER_VA, nr, PVMM_PROT_RO), 0);
	CHECK_EQUAL(pvmm_space_fault(&space, USER_VA, PVMM_PF_WRITE), -XEN_EFAULT);
	CHECK_EQUAL(pvmm_space_protect_range(&space, USER_VA, nr, PVMM_PROT_RW), 0);
	*word(USER_VA) = 2;
	CHECK_EQUAL(nr_faults, 0);
	CHECK_EQUAL(pvmm_space_unmap_range(&space, USER_VA + 20 * PVMM_PAGE_SIZE, nr - 40), 0);
	CHECK_EQUAL(space.nr_pages, 40);
	CHECK_EQUAL(*word(USER_VA), 2);
	CHECK_EQUAL(*word(USER_VA + (nr - 1) * PVMM_PAGE_SIZE), 1);
	CHECK_EQUAL(pvmm_space_clear(&space), 0);
	CHECK_EQUAL(space.nr_tables, 2);
	CHECK_EQUAL(pvmm_space_fault(&space, USER_VA, 0), -XEN_EFAULT);
	finish();
}

/* A parent whose children come and go, each with its own writes, all of memory used again. */
static void generations(void)
{
	start(64, 16);
	for (uint64_t round = 0; round < 100; round++) {
		*word(USER_VA) = round;
		CHECK_EQUAL(pvmm_space_clone(&copy, &space, "child"), 0);
		CHECK_EQUAL(pvmm_space_activate(&copy), 0);
		CHECK_EQUAL(*word(USER_VA), round);
		*word(USER_VA + (round % 64) * PVMM_PAGE_SIZE) = ~round;
		CHECK_EQUAL(pvmm_space_activate(&space), 0);
		CHECK_EQUAL(pvmm_space_destroy(&copy), 0);
		CHECK_EQUAL(*word(USER_VA), round);
	}
	finish();
}

const struct suite suite_memory = {
	.name = "memory",
	.about = "user memory: demand-zero regions, copy-on-write, ranges",
	.tests =
		(const struct test[]){
			{"pages of a region appear, 16 for a fault", pages_appear},
			{"a copy costs one trap and parts at the first write",
			 copies_part_at_the_first_write},
			{"ranges are filled, protected, unmapped and cleared at once",
			 ranges_at_once},
			{"a hundred children come and go", generations},
			{NULL, NULL},
		},
};
