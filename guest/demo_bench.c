/* SPDX-License-Identifier: MIT */
/*
 * demo=bench: what operations cost, in ticks of the TSC, the least of several tries. Meaningful
 * under "lab/run --icount", where ticks count instructions (make bench); elsewhere it is as noisy
 * as the machine. Lines: "bench NAME N TICKS-EACH".
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/check.h>
#include <pvmm/directmap.h>
#include <pvmm/hypercall.h>
#include <pvmm/kmap.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/vmap.h>
#include "bench.h"
#include "demo.h"

#define VA (PVMM_VMAP_BASE + 0x60000000ULL)

static struct pvmm_page *page;
static pfn_t tables[2]; /* two L1 tables of the kernel's, for updates in one or in turn */

static void null_hypercall(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		(void)pvmm_hc_xen_version(XENVER_version, NULL);
}

static void updates_in(unsigned int nr, unsigned int nr_tables)
{
	pvmm_pte_t entry = pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), PVMM_PROT_RO);

	pvmm_batch_begin();
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t maddr = pvmm_pt_entry_maddr(tables[i % nr_tables], 1 + i % 256);

		/* Mapped and unmapped in turn, so that each update changes something. */
		pvmm_batch_mmu_update(maddr, i & 256 ? 0 : entry);
	}
	pvmm_batch_end(NULL);
	pvmm_batch_begin();
	for (unsigned int i = 0; i < nr && i < 256; i++)
		pvmm_batch_mmu_update(pvmm_pt_entry_maddr(tables[i % nr_tables], 1 + i % 256), 0);
	pvmm_batch_end(NULL);
}

static void updates_one_table(unsigned int nr)
{
	updates_in(nr, 1);
}

static void updates_in_turn(unsigned int nr)
{
	updates_in(nr, 2);
}

/* One update and its flush: as a multicall of two kinds, and as the call made for that. */
static void update_and_flush(unsigned int nr)
{
	pvmm_pte_t entry = pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), PVMM_PROT_RO);

	for (unsigned int i = 0; i < nr; i++) {
		pvmm_batch_begin();
		pvmm_batch_mmu_update(pvmm_pt_entry_maddr(tables[0], 1), i & 1 ? 0 : entry);
		pvmm_batch_flush_va(VA + PVMM_PAGE_SIZE);
		pvmm_batch_end(NULL);
	}
}

static void va_mapping(unsigned int nr)
{
	pvmm_pte_t entry = pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), PVMM_PROT_RO);

	for (unsigned int i = 0; i < nr; i++) {
		pvmm_batch_begin();
		pvmm_batch_va_mapping(VA + PVMM_PAGE_SIZE, pvmm_pt_entry_maddr(tables[0], 1),
				      i & 1 ? 0 : entry, true);
		pvmm_batch_end(NULL);
	}
}

static void map_and_unmap(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (pvmm_space_map(&pvmm_kernel_space, VA + PVMM_PAGE_SIZE, page, PVMM_PROT_RW) ||
		    pvmm_space_unmap(&pvmm_kernel_space, VA + PVMM_PAGE_SIZE))
			pvmm_panic("no mapping");
}

/* nr addresses flushed, one operation each, and the translations read again. */
static void touch(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		(void)*(volatile uint64_t *)(PVMM_DIRECTMAP_BASE + i * PVMM_PAGE_SIZE);
}

static void flush_singly(unsigned int nr)
{
	struct mmuext_op op[64];
	unsigned int done;

	for (unsigned int i = 0; i < nr; i++)
		op[i] = (struct mmuext_op){
			.cmd = MMUEXT_INVLPG_ALL,
			.arg1.linear_addr = PVMM_DIRECTMAP_BASE + i * PVMM_PAGE_SIZE,
		};
	if (pvmm_hc_mmuext_op(op, nr, &done))
		pvmm_panic("flush refused");
	touch(64);
}

static void flush_all(unsigned int nr)
{
	struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_ALL};
	unsigned int done;

	(void)nr;
	if (pvmm_hc_mmuext_op(&op, 1, &done))
		pvmm_panic("flush refused");
	touch(64);
}

/* --- the checker's question, in three orders --- */

#define PROBES 128

static pfn_t probes[PROBES];

static void queue_access(unsigned int i, uint64_t prot)
{
	pvmm_va_t va = (uintptr_t)pvmm_pfn_to_virt(probes[i]);
	struct pvmm_walk w = pvmm_pt_walk(pvmm_kernel_space.root, va);

	pvmm_batch_mmu_update(pvmm_pt_entry_maddr(w.step[1].table, w.step[1].slot),
			      pvmm_pte(pvmm_pfn_to_mfn(probes[i]), prot));
}

static void queue_op(unsigned int i, unsigned int cmd)
{
	pvmm_batch_mmuext(&(struct mmuext_op){
		.cmd = cmd,
		.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(probes[i])),
	});
}

/* Page by page: each one's type changes twice, with a flush each time. */
static void probe_singly(unsigned int nr)
{
	pvmm_batch_begin();
	for (unsigned int i = 0; i < nr; i++) {
		queue_access(i, PVMM_PROT_RO);
		queue_op(i, MMUEXT_PIN_L1_TABLE);
		queue_op(i, MMUEXT_UNPIN_TABLE);
		queue_access(i, PVMM_PROT_RW);
	}
	pvmm_batch_end(NULL);
}

/* Kind by kind; then with each pin's unpin behind it, as the library does it. */
static void probe_by_kind(unsigned int nr)
{
	pvmm_batch_begin();
	for (unsigned int i = 0; i < nr; i++)
		queue_access(i, PVMM_PROT_RO);
	for (unsigned int i = 0; i < nr; i++)
		queue_op(i, MMUEXT_PIN_L1_TABLE);
	for (unsigned int i = 0; i < nr; i++)
		queue_op(i, MMUEXT_UNPIN_TABLE);
	for (unsigned int i = 0; i < nr; i++)
		queue_access(i, PVMM_PROT_RW);
	pvmm_batch_end(NULL);
}

static void probe_in_pairs(unsigned int nr)
{
	pvmm_batch_begin();
	for (unsigned int i = 0; i < nr; i++)
		queue_access(i, PVMM_PROT_RO);
	for (unsigned int i = 0; i < nr; i++) {
		queue_op(i, MMUEXT_PIN_L1_TABLE);
		queue_op(i, MMUEXT_UNPIN_TABLE);
	}
	for (unsigned int i = 0; i < nr; i++)
		queue_access(i, PVMM_PROT_RW);
	pvmm_batch_end(NULL);
}

/* The library's own, with everything around it: off the free lists, zeroed, asked, back. */
static void sweep(unsigned int nr)
{
	pvmm_check_sweep_at(probes[0]);
	pvmm_check_sweep(nr);
}

static void alloc_and_free(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct pvmm_page *p = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);

		if (!p)
			pvmm_panic("no page");
		pvmm_page_free(p, 0);
	}
}

static void alloc_all_and_free(unsigned int nr)
{
	static struct pvmm_page *taken[PROBES];

	for (unsigned int i = 0; i < nr; i++)
		taken[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	for (unsigned int i = 0; i < nr; i++)
		pvmm_page_free(taken[i], 0);
}

static void bench_checker(void)
{
	static const unsigned int sizes[] = {1, 8, 31, 32, 128};
	struct pvmm_check_config before = pvmm_check_config(), config = before;
	struct pvmm_page *block = pvmm_page_alloc(7, PVMM_PAGE_KERNEL);

	if (!block)
		pvmm_panic("no block of %u pages", PROBES);
	for (unsigned int i = 0; i < PROBES; i++) {
		uint64_t *words = pvmm_page_virt(&block[i]);

		probes[i] = pvmm_page_pfn(&block[i]);
		for (unsigned int k = 0; k < PVMM_PAGE_SIZE / sizeof(*words); k++)
			words[k] = 0;
	}
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(sizes); i++) {
		measure("probe, page by page", probe_singly, sizes[i]);
		measure("probe, kind by kind", probe_by_kind, sizes[i]);
		measure("probe, pin with its unpin", probe_in_pairs, sizes[i]);
	}
	pvmm_page_free(block, 7);
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(sizes); i++)
		measure("sweep", sweep, sizes[i]);

	measure("alloc, free", alloc_and_free, 64);
	config.modes = PVMM_CHECK_PIN | PVMM_CHECK_FREE;
	pvmm_check_configure(&config);
	measure("... 124 at a time, check=free", alloc_all_and_free, 124);
	config.modes = PVMM_CHECK_PIN | PVMM_CHECK_ALLOC;
	pvmm_check_configure(&config);
	measure("alloc, free, check=alloc", alloc_and_free, 64);
	pvmm_check_configure(&before);
}

static struct pvmm_space space;

static void pin_and_unpin(unsigned int nr)
{
	(void)nr;
	if (pvmm_space_pin(&space) || pvmm_space_unpin(&space))
		pvmm_panic("pin refused");
}

static void bench_space(unsigned int nr_l1)
{
	if (pvmm_space_create(&space, "bench"))
		pvmm_panic("no address space");
	for (unsigned int i = 0; i < nr_l1; i++)
		if (pvmm_space_map(&space, 0x400000 + i * pvmm_level_bytes(2), page, PVMM_PROT_RW))
			pvmm_panic("no mapping");
	measure("pin and unpin, by table", pin_and_unpin, space.nr_tables);
	if (pvmm_space_destroy(&space))
		pvmm_panic("space not destroyed");
}

/* --- vmap: pairs of mapping and giving up, with the purges that they come to --- */

#define MOST_PAGES 64

static struct pvmm_page *area_pages[MOST_PAGES];
static unsigned int area_nr; /* pages of each area */
static enum pvmm_vmap_policy area_policy;

static void *area_map(unsigned int nr)
{
	struct pvmm_vmap_how how = {.policy = area_policy};
	void *addr;

	if (pvmm_vmap(area_pages, nr, PVMM_PROT_RW, &how, &addr))
		pvmm_panic("no area");
	return addr;
}

static void area_pairs(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (pvmm_vunmap(area_map(area_nr)))
			pvmm_panic("no such area");
}

/* With the purge of what is left in the end, so that each threshold pays for all its areas. */
static void area_pairs_purged(unsigned int nr)
{
	area_pairs(nr);
	pvmm_purge();
}

static void vmalloc_pairs(unsigned int nr)
{
	void *addr;

	for (unsigned int i = 0; i < nr; i++)
		if (pvmm_vmalloc(65536, NULL, &addr) || pvmm_vfree(addr))
			pvmm_panic("no memory of its own");
	pvmm_purge();
}

static void bench_pairs(const char *name, enum pvmm_vmap_policy policy, unsigned int nr)
{
	area_policy = policy;
	area_nr = nr;
	measure(name, area_pairs_purged, 1024);
}

/* What one purge of so many stale areas takes, without what made them. */
static void bench_purge(unsigned int nr_areas, unsigned int nr_pages)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < BENCH_TRIES; i++) {
		uint64_t ticks;

		area_nr = nr_pages;
		area_pairs(nr_areas);
		ticks = bench_ticks();
		pvmm_purge();
		ticks = bench_ticks() - ticks;
		least = ticks < least ? ticks : least;
	}
	pvmm_print("bench purge of %3u areas of %-9u %5u %8llu\n", nr_areas, nr_pages,
		   nr_areas * nr_pages, (unsigned long long)least / (nr_areas * nr_pages));
}

/* The pair's cost by how many areas gather before a purge. */
static void bench_thresholds(void)
{
	const struct pvmm_vmap_params defaults = pvmm_vmap_params();
	static const unsigned int sizes[] = {1, 16, 64};
	struct pvmm_vmap_params params = defaults;

	params.lazy_pages = UINT32_MAX;
	for (unsigned int s = 0; s < PVMM_ARRAY_SIZE(sizes); s++)
		for (params.lazy_areas = 1; params.lazy_areas <= 512; params.lazy_areas *= 2) {
			char name[40];

			pvmm_snprintf(name, sizeof(name), "... %2u pages, purge behind %u",
				      sizes[s], params.lazy_areas);
			if (pvmm_vmap_set_params(&params))
				pvmm_panic("no such parameters");
			bench_pairs(name, PVMM_VMAP_LAZY, sizes[s]);
		}
	if (pvmm_vmap_set_params(&defaults))
		pvmm_panic("no such parameters");
}

static void kmap_pairs(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		pvmm_kunmap(pvmm_kmap(page));
}

static void kmap_local_pairs(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		pvmm_kunmap_local(pvmm_kmap_local(page));
}

static void out_and_back(unsigned int nr)
{
	if (pvmm_directmap_remove(area_pages, nr) || pvmm_directmap_restore(area_pages, nr))
		pvmm_panic("the direct map does not change");
}

static bool bench_vmap(void)
{
	static const unsigned int sizes[] = {1, 16, 64};

	for (unsigned int i = 0; i < MOST_PAGES; i++) {
		area_pages[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		if (!area_pages[i])
			return false;
	}
	for (unsigned int s = 0; s < PVMM_ARRAY_SIZE(sizes); s++) {
		char name[40];

		pvmm_snprintf(name, sizeof(name), "vmap + vunmap, %u pages", sizes[s]);
		bench_pairs(name, PVMM_VMAP_LAZY, sizes[s]);
		bench_pairs("... eager", PVMM_VMAP_EAGER, sizes[s]);
		bench_pairs("... hold", PVMM_VMAP_HOLD, sizes[s]);
	}
	measure("vmalloc + vfree, 64 KiB", vmalloc_pairs, 1024);
	area_policy = PVMM_VMAP_LAZY;
	for (unsigned int nr = 1; nr <= 64; nr *= 4)
		bench_purge(nr, 1);
	for (unsigned int nr = 1; nr <= 64; nr *= 4)
		bench_purge(nr, 16);
	bench_thresholds();

	measure("64 pages out and back", out_and_back, 64);
	if (pvmm_directmap_remove(&page, 1))
		return false;
	measure("kmap + kunmap, cached", kmap_pairs, 64);
	measure("local kmap + kunmap", kmap_local_pairs, 64);
	pvmm_purge();
	if (pvmm_directmap_restore(&page, 1))
		return false;
	for (unsigned int i = 0; i < MOST_PAGES; i++)
		pvmm_page_put(area_pages[i]);
	return true;
}

static bool run(void)
{
	static const unsigned int sizes[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

	page = pvmm_page_alloc(0, PVMM_PAGE_USER);
	for (unsigned int i = 0; i < 2; i++) {
		pvmm_va_t va = VA + i * pvmm_level_bytes(2);

		if (!page || pvmm_space_map(&pvmm_kernel_space, va, page, PVMM_PROT_RW))
			return false;
		tables[i] = pvmm_pt_walk(pvmm_kernel_space.root, va).step[1].table;
	}

	pvmm_print("#     what                            n ticks each\n");
	measure("null hypercall", null_hypercall, 64);
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(sizes); i++)
		measure("map and unmap, one table", updates_one_table, sizes[i]);
	measure("... two tables in turn", updates_in_turn, 256);
	measure("update + flush, multicall", update_and_flush, 64);
	measure("the same, va_mapping", va_mapping, 64);
	measure("map + unmap a page", map_and_unmap, 64);
	for (unsigned int nr = 1; nr <= 64; nr *= 2)
		measure("flush singly, touch 64 pages", flush_singly, nr);
	measure("flush all, touch 64 pages", flush_all, 1);
	for (unsigned int nr = 1; nr <= 256; nr *= 4)
		bench_space(nr);
	if (!bench_copies())
		return false;
	if (!bench_vmap())
		return false;
	bench_checker();

	for (unsigned int i = 0; i < 2; i++)
		if (pvmm_space_unmap(&pvmm_kernel_space, VA + i * pvmm_level_bytes(2)))
			return false;
	pvmm_page_put(page);
	return true;
}

const struct demo demo_bench = {"bench", "what operations cost (see make bench)", run};
