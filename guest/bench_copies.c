/* SPDX-License-Identifier: MIT */
/*
 * What the copy of a small process and its end cost, by the pages in each of its three L1 tables:
 * with tables kept validated for their next use, and without. Where the two meet is what
 * "table-keep=" should be.
 */
#include <pvmm/log.h>
#include <pvmm/space.h>
#include "bench.h"

#define VA	  0x0000000000400000ULL
#define NR_TABLES 3

static struct pvmm_space original;

static void copies(unsigned int nr)
{
	static struct pvmm_space copy;

	for (unsigned int i = 0; i < nr; i++)
		if (pvmm_space_clone(&copy, &original, "copy") || pvmm_space_destroy(&copy))
			pvmm_panic("bench: a space cannot be copied");
}

static bool bench_with(unsigned int nr_pages)
{
	char name[40];

	for (unsigned int i = 0; i < NR_TABLES; i++) {
		pvmm_va_t va = VA + i * pvmm_level_bytes(2);

		if (pvmm_space_region(&original, va, nr_pages, PVMM_PROT_RW) ||
		    pvmm_space_populate(&original, va, nr_pages))
			return false;
	}
	for (unsigned int kept = 0; kept <= 1; kept++) {
		if (pvmm_table_keep(kept ? nr_pages : 0))
			return false;
		pvmm_snprintf(name, sizeof(name), "copy + end, 3 x %u pages%s", nr_pages,
			      kept ? ", kept" : "");
		measure(name, copies, 16);
		pvmm_table_cache_shrink();
	}
	return !pvmm_space_clear(&original);
}

bool bench_copies(void)
{
	static const unsigned int sizes[] = {1, 8, 16, 24, 32, 40};
	bool good = !pvmm_space_create(&original, "original");

	for (unsigned int i = 0; good && i < PVMM_ARRAY_SIZE(sizes); i++)
		good = bench_with(sizes[i]);
	return good && !pvmm_table_keep(32) && !pvmm_space_destroy(&original);
}
