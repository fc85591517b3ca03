/* SPDX-License-Identifier: MIT */
/*
 * demo=count: what vmap areas and ranges of user memory cost in traps, and then an address space of
 * 100 tables is pinned and unpinned as often as a number typed on the console says, and what the
 * guest has counted meanwhile is printed: for comparing with what the hypervisor has counted
 * (tests/xl/counters.t). "quit" ends.
 */
#include <pvmm/alloc.h>
#include <pvmm/cmdline.h>
#include <pvmm/hypercall.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/space.h>
#include <pvmm/stats.h>
#include <pvmm/vmap.h>
#include "demo.h"
#include "line.h"

#define USER_VA	  0x0000000000400000ULL
#define NR_TABLES 100
#define NR_L1	  (NR_TABLES - 4) /* a root for each mode, one L3, one L2 */

static struct pvmm_space space;

/* --- vmap --- */

enum { MOST_PAGES = 64, PAIRS = 1000 };

static struct pvmm_page *pages[MOST_PAGES];

static bool pair(unsigned int nr_pages, enum pvmm_vmap_policy policy)
{
	struct pvmm_vmap_how how = {.policy = policy};
	void *addr;

	return !pvmm_vmap(pages, nr_pages, PVMM_PROT_RW, &how, &addr) && !pvmm_vunmap(addr);
}

static bool own_pair(unsigned int nr_pages, enum pvmm_vmap_policy policy)
{
	struct pvmm_vmap_how how = {.policy = policy};
	void *addr;

	return !pvmm_vmalloc(nr_pages * PVMM_PAGE_SIZE, &how, &addr) && !pvmm_vfree(addr);
}

/* The traps of a thousand pairs, purges included, after as many to get into the swing. */
static bool count_pairs(const char *name, bool (*run)(unsigned int, enum pvmm_vmap_policy),
			unsigned int nr_pages, enum pvmm_vmap_policy policy)
{
	uint64_t traps = 0;

	for (unsigned int i = 0; i < 2 * PAIRS; i++) {
		if (i == PAIRS)
			traps = pvmm_batch_stats().traps;
		if (!run(nr_pages, policy))
			return false;
	}
	pvmm_print("count: %-16s %2u pages, %s: traps of %u pairs %llu\n", name, nr_pages,
		   policy == PVMM_VMAP_EAGER ? "eager" : "lazy", PAIRS,
		   (unsigned long long)(pvmm_batch_stats().traps - traps));
	return true;
}

static bool count_purge(void)
{
	uint64_t traps;

	for (unsigned int i = 0; i < 64; i++)
		if (!pair(16, PVMM_VMAP_LAZY))
			return false;
	traps = pvmm_batch_stats().traps;
	pvmm_purge();
	pvmm_print("count: purge of 64 areas of 16 pages: traps %llu\n",
		   (unsigned long long)(pvmm_batch_stats().traps - traps));
	return true;
}

static bool count_vmap(void)
{
	static const unsigned int sizes[] = {1, 16, 64};
	bool good = true;

	for (unsigned int i = 0; i < MOST_PAGES; i++) {
		pages[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		if (!pages[i])
			return false;
	}
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(sizes); i++)
		good = good && count_pairs("vmap + vunmap", pair, sizes[i], PVMM_VMAP_LAZY) &&
		       count_pairs("vmap + vunmap", pair, sizes[i], PVMM_VMAP_EAGER);
	good = good && count_pairs("vmalloc + vfree", own_pair, 16, PVMM_VMAP_LAZY);
	pvmm_purge();
	good = good && count_purge();
	for (unsigned int i = 0; i < MOST_PAGES; i++)
		pvmm_page_put(pages[i]);
	return good;
}

/* --- user memory --- */

#define NR_PAGES 1024

static bool in_range(const char *what, int (*run)(struct pvmm_space *, pvmm_va_t, uint64_t))
{
	uint64_t traps = pvmm_hypercall_traps();

	if (run(&space, USER_VA, NR_PAGES))
		return false;
	pvmm_print("count: 4 MiB %-24s traps %llu\n", what,
		   (unsigned long long)(pvmm_hypercall_traps() - traps));
	return true;
}

static int declare(struct pvmm_space *s, pvmm_va_t va, uint64_t nr_pages)
{
	return pvmm_space_region(s, va, nr_pages, PVMM_PROT_RW);
}

static int protect_and_back(struct pvmm_space *s, pvmm_va_t va, uint64_t nr_pages)
{
	int err = pvmm_space_protect_range(s, va, nr_pages, PVMM_PROT_RO);

	return err ? err : pvmm_space_protect_range(s, va, nr_pages, PVMM_PROT_RW);
}

/* What a kernel's system calls for memory come to, without the calls themselves. */
static bool count_ranges(void)
{
	bool good = !pvmm_space_create(&space, "ranges") && !pvmm_space_activate(&space) &&
		    in_range("declared", declare) &&
		    in_range("unmapped untouched", pvmm_space_unmap_range) &&
		    in_range("declared again", declare) &&
		    in_range("populated at once", pvmm_space_populate) &&
		    in_range("protected and back", protect_and_back) &&
		    in_range("unmapped", pvmm_space_unmap_range);

	return good && !pvmm_space_activate(&pvmm_kernel_space) && !pvmm_space_destroy(&space);
}

/* --- pins --- */

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

	if (!count_vmap() || !count_ranges() || !build())
		return false;
	pvmm_print("count: %u tables, ready\n", space.nr_tables);
	while (line_read(line, sizeof(line))) {
		if (pvmm_text_equal(line, "quit")) {
			pvmm_stats_print();
			pvmm_mm_stats_print();
			return !pvmm_space_destroy(&space);
		}
		if (!pvmm_parse_number(line, &times))
			pvmm_print("count: \"%s\" is no number\n", line);
		else if (!pin_often(times))
			return false;
	}
	return false;
}

const struct demo demo_count = {"count", "traps of vmap, and pins for comparing with xenperf", run};
