/* SPDX-License-Identifier: MIT */
/*
 * demo=count: an address space of 100 tables is pinned and unpinned as often as a number typed on
 * the console says, and what the guest has counted meanwhile is printed: for comparing with what
 * the hypervisor has counted (tests/xl/counters.t). "quit" ends.
 */
#include <pvmm/alloc.h>
#include <pvmm/cmdline.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/space.h>
#include <pvmm/stats.h>
#include "demo.h"
#include "line.h"

#define USER_VA	  0x0000000000400000ULL
#define NR_TABLES 100
#define NR_L1	  (NR_TABLES - 3) /* one root, one L3, one L2 */

static struct pvmm_space space;

static bool build(void)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_USER);

	if (!page || pvmm_space_create(&space, "a hundred tables"))
		return false;
	for (uint64_t i = 0; i < NR_L1; i++)
		if (pvmm_space_map(&space, USER_VA + i * pvmm_level_bytes(2), page, PVMM_PROT_RW))
			return false;
	pvmm_page_put(page);
	return space.nr_tables == NR_TABLES;
}

static bool pin_often(uint64_t times)
{
	struct pvmm_batch_stats before = pvmm_batch_stats(), after;
	uint64_t multicalls = pvmm_hypercall_count(__HYPERVISOR_multicall);
	uint64_t plain = pvmm_hypercall_count(__HYPERVISOR_mmu_update) +
			 pvmm_hypercall_count(__HYPERVISOR_mmuext_op);

	for (uint64_t i = 0; i < times; i++)
		if (pvmm_space_pin(&space) || pvmm_space_unpin(&space))
			return false;

	after = pvmm_batch_stats();
	multicalls = pvmm_hypercall_count(__HYPERVISOR_multicall) - multicalls;
	plain = pvmm_hypercall_count(__HYPERVISOR_mmu_update) +
		pvmm_hypercall_count(__HYPERVISOR_mmuext_op) - plain;
	pvmm_print("count: pins and unpins %llu\n"
		   "count: multicalls %llu\n"
		   "count: plain calls %llu\n"
		   "count: page updates %llu\n"
		   "count: mmuext ops %llu\n"
		   "count: done\n",
		   (unsigned long long)times * 2, (unsigned long long)multicalls,
		   (unsigned long long)plain,
		   (unsigned long long)(after.mmu_updates - before.mmu_updates),
		   (unsigned long long)(after.mmuext_ops - before.mmuext_ops));
	return true;
}

static bool run(void)
{
	char line[32];
	uint64_t times;

	if (!build())
		return false;
	pvmm_print("count: %u tables, ready\n", space.nr_tables);
	while (line_read(line, sizeof(line))) {
		if (pvmm_text_equal(line, "quit")) {
			pvmm_stats_print();
			return !pvmm_space_destroy(&space);
		}
		if (!pvmm_parse_number(line, &times))
			pvmm_print("count: \"%s\" is no number\n", line);
		else if (!pin_often(times))
			return false;
	}
	return false;
}

const struct demo demo_count = {"count", "pins counted, for comparing with xenperf", run};
