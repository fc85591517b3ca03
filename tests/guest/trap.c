/* SPDX-License-Identifier: MIT */
/*
 * Traps arrive with the right vector, error code and address, and the kernel goes on where its
 * handler says. (Intel SDM volume 3, chapter 6; Xen delivers them through the trap table.)
 */
#include <pvmm/alloc.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include "probe.h"
#include "suites.h"

#define UNMAPPED      (PVMM_VMAP_BASE + 0x123450008ULL)
#define NOT_CANONICAL 0x0000900000000000ULL

static void page_faults_say_where(void)
{
	struct probe p = probe_read(UNMAPPED);

	CHECK(p.faulted);
	CHECK_EQUAL(p.vector, PVMM_TRAP_PF);
	CHECK_EQUAL(p.fault_va, UNMAPPED);
	CHECK_EQUAL(p.error_code & (PVMM_PF_PRESENT | PVMM_PF_WRITE), 0);

	p = probe_write(PVMM_KERNEL_BASE, 0);
	CHECK(p.faulted);
	CHECK_EQUAL(p.fault_va, PVMM_KERNEL_BASE);
	CHECK_EQUAL(p.error_code & (PVMM_PF_PRESENT | PVMM_PF_WRITE),
		    PVMM_PF_PRESENT | PVMM_PF_WRITE);
}

static void other_faults_have_their_vector(void)
{
	CHECK_EQUAL(probe_read(NOT_CANONICAL).vector, PVMM_TRAP_GP);
	CHECK_EQUAL(probe_invalid_opcode().vector, PVMM_TRAP_UD);
	CHECK(probe_divide().faulted);
	CHECK_EQUAL(probe_breakpoint().vector, PVMM_TRAP_BP);
}

static struct pvmm_page *late_page;

/* Resolves a fault: the story of demand paging in one function. */
static bool map_late(struct pvmm_regs *regs, pvmm_va_t fault_va)
{
	(void)regs;
	if (fault_va != UNMAPPED)
		return false;
	return !pvmm_space_map(&pvmm_kernel_space, UNMAPPED & PVMM_PAGE_MASK, late_page,
			       PVMM_PROT_RW);
}

static void a_handler_can_resolve_a_fault(void)
{
	pvmm_trap_fn *before = pvmm_trap_set(PVMM_TRAP_PF, map_late);
	volatile uint64_t *word = (volatile uint64_t *)UNMAPPED;

	late_page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	if (!CHECK(late_page))
		return;
	*word = 42;
	CHECK_EQUAL(((uint64_t *)pvmm_page_virt(late_page))[1], 42);
	pvmm_trap_set(PVMM_TRAP_PF, before);
	CHECK_EQUAL(pvmm_space_unmap(&pvmm_kernel_space, UNMAPPED & PVMM_PAGE_MASK), 0);
	CHECK(probe_read(UNMAPPED).faulted);
	pvmm_page_put(late_page);
}

static void an_unreadable_word_is_no_fault(void)
{
	uint64_t value = 7;

	CHECK(!pvmm_read_safe((const uint64_t *)UNMAPPED, &value));
	CHECK_EQUAL(value, 7);
	CHECK(pvmm_read_safe((const uint64_t *)PVMM_KERNEL_BASE, &value));
}

const struct suite suite_trap = {
	.name = "trap",
	.about = "traps, faults and their handlers",
	.tests =
		(const struct test[]){
			{"a page fault says where and why", page_faults_say_where},
			{"other faults arrive with their vector", other_faults_have_their_vector},
			{"a handler can resolve a fault", a_handler_can_resolve_a_fault},
			{"a safe read of what is not mapped is no fault",
			 an_unreadable_word_is_no_fault},
			{NULL, NULL},
		},
};
