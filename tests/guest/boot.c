/* SPDX-License-Identifier: MIT */
/*
 * What the start of day must leave behind: all memory in the direct map, the image with no more
 * rights than it needs, and no second mapping of anything. (R1: a page that could be mapped
 * writable by a forgotten boot mapping could never become a page table.)
 */
#include <pvmm/kernel.h>
#include <pvmm/p2m.h>
#include <pvmm/stray.h>
#include "probe.h"
#include "suites.h"

extern char pvmm_image_text_end[], pvmm_image_rodata_end[], pvmm_image_end[];
extern char pvmm_boot_stack_guard[];

static void all_memory_is_mapped(void)
{
	uint64_t last = pvmm_start_info()->nr_pages - 1;

	CHECK(pvmm_max_pfn() >= pvmm_start_info()->nr_pages);
	CHECK(!probe_read((uintptr_t)pvmm_pfn_to_virt(_pfn(0))).faulted);
	CHECK(!probe_read((uintptr_t)pvmm_pfn_to_virt(_pfn(last))).faulted);
	CHECK(probe_read((uintptr_t)pvmm_pfn_to_virt(_pfn(pvmm_max_pfn()))).faulted);
}

/* What the balloon has, after the suite "balloon", has no frame. */
static void p2m_and_m2p_agree(void)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < pvmm_max_pfn(); i++)
		wrong += pvmm_page(_pfn(i))->kind != PVMM_PAGE_BALLOONED &&
			 !pfn_eq(pvmm_mfn_to_pfn(pvmm_pfn_to_mfn(_pfn(i))), _pfn(i));
	CHECK_EQUAL(wrong, 0);
	CHECK(!pfn_valid(pvmm_mfn_to_pfn(_mfn(0))));
	CHECK(!pfn_valid(pvmm_mfn_to_pfn(_mfn(0xfee00))));
	CHECK(!pfn_valid(pvmm_mfn_to_pfn(_mfn(1ULL << 39))));
	CHECK(!mfn_valid(pvmm_pfn_to_mfn(_pfn(pvmm_max_pfn()))));
}

static void constants_stay_constant(void)
{
	const pvmm_va_t text_end = (uintptr_t)pvmm_image_text_end;
	const pvmm_va_t constant[] = {PVMM_KERNEL_BASE, text_end - 8, text_end,
				      (uintptr_t)pvmm_image_rodata_end - 8};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(constant); i++) {
		CHECK(!probe_read(constant[i]).faulted);
		CHECK(probe_write(constant[i], 0).faulted);
		CHECK(probe_write(constant[i] - PVMM_KERNEL_BASE + PVMM_DIRECTMAP_BASE, 0).faulted);
	}
}

static void nothing_behind_the_image(void)
{
	unsigned int mapped = 0;

	for (uint64_t i = 0; i < 4096; i++)
		mapped += pvmm_pte_present(pvmm_pt_lookup(
			pvmm_kernel_space.root, (uintptr_t)pvmm_image_end + i * PVMM_PAGE_SIZE));
	CHECK_EQUAL(mapped, 0);
}

static void the_stack_has_a_guard(void)
{
	CHECK(probe_read((uintptr_t)pvmm_boot_stack_guard).faulted);
}

/* One look at every L1 entry there is: each writable one of a page that the allocator has. */
static void free_pages_are_mapped_once(void)
{
	unsigned int others = 0;

	for (uint64_t i = 0; i < pvmm_max_pfn(); i += pvmm_max_pfn() / 8) {
		if (pvmm_page(_pfn(i))->kind != PVMM_PAGE_FREE)
			continue;
		others += pvmm_find_mappings(_pfn(i), 0, NULL, 0) - 1;
	}
	CHECK_EQUAL(others, 0);
}

const struct suite suite_boot = {
	.name = "boot",
	.about = "what the start of day leaves behind",
	.tests =
		(const struct test[]){
			{"all memory is in the direct map, and no more", all_memory_is_mapped},
			{"p2m and m2p agree on every page", p2m_and_m2p_agree},
			{"text and constants cannot be written, by either mapping",
			 constants_stay_constant},
			{"nothing is mapped behind the image", nothing_behind_the_image},
			{"the boot stack has a guard page", the_stack_has_a_guard},
			{"free pages are mapped by the direct map alone",
			 free_pages_are_mapped_once},
			{NULL, NULL},
		},
};
