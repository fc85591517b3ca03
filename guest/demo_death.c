/* SPDX-License-Identifier: MIT */
/*
 * The ways in which a kernel can die, to see what is said about it and what xl makes of it:
 * demo=fault (a wild pointer), demo=panic (a broken invariant), demo=overflow (a stack too deep),
 * demo=hang (no sign of life).
 */
#include <pvmm/alloc.h>
#include <pvmm/event.h>
#include <pvmm/log.h>
#include <pvmm/space.h>
#include "demo.h"

/* Writes to a page table of a pinned space: the direct map has it, read-only. */
static bool fault(void)
{
	static struct pvmm_space space;

	if (pvmm_space_create(&space, "pinned") || pvmm_space_pin(&space))
		return false;
	pvmm_print("demo: a plain store into pfn 0x%llx, which is a pinned page table\n",
		   (unsigned long long)pfn_x(space.root));
	*(volatile uint64_t *)pvmm_pfn_to_virt(space.root) = 0;
	return false;
}

/* Frees a page twice. */
static bool panic(void)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);

	if (!page)
		return false;
	pvmm_page_free(page, 0);
	pvmm_page_free(page, 0);
	return false;
}

static unsigned int descend(volatile unsigned int *deeper)
{
	volatile unsigned int here[64];

	here[0] = *deeper + 1;
	if (!here[0]) /* never: no stack is that deep */
		return 0;
	return descend(here) + here[0];
}

static bool overflow(void)
{
	volatile unsigned int zero = 0;

	return descend(&zero);
}

static bool hang(void)
{
	volatile bool forever = true;

	pvmm_print("demo: events masked, and round and round\n");
	(void)pvmm_events_save();
	while (forever)
		__asm__ volatile("pause");
	return false;
}

const struct demo demo_fault = {"fault", "a store into a pinned page table: the fault report",
				fault};
const struct demo demo_panic = {"panic", "a page is freed twice: the panic's report", panic};
const struct demo demo_overflow = {"overflow", "the stack runs into its guard page", overflow};
const struct demo demo_hang = {"hang", "the kernel hangs: for those who watch it", hang};
