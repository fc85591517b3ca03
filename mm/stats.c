/* SPDX-License-Identifier: MIT */
/* Prints the memory manager's figures, as hypercall/stats.c does for those of the hypercalls. */
#include <pvmm/alloc.h>
#include <pvmm/kmap.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/vmap.h>

void pvmm_mm_stats_print(void)
{
	const struct pvmm_vmap_stats v = pvmm_vmap_stats();
	const struct pvmm_ledger_stats l = pvmm_ledger_stats();
	const struct pvmm_kmap_stats k = pvmm_kmap_stats();
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"pages_free", pvmm_free_pages()},
		{"vmap_maps", v.maps},
		{"vmap_unmaps", v.unmaps},
		{"vmap_live_areas", v.live_areas},
		{"vmap_live_pages", v.live_pages},
		{"vmap_stale_areas", v.stale_areas},
		{"vmap_stale_pages", v.stale_pages},
		{"vmap_chunks", v.chunks},
		{"kmap_hits", k.hits},
		{"kmap_misses", k.misses},
		{"kmap_reused", k.reused},
		{"kmap_in_use", k.in_use},
		{"kmap_stale", k.stale},
		{"purges", l.purges},
		{"purges_asked", l.purges_by[PVMM_PURGE_ASKED]},
		{"purges_threshold", l.purges_by[PVMM_PURGE_THRESHOLD]},
		{"purges_memory", l.purges_by[PVMM_PURGE_MEMORY]},
		{"purges_age", l.purges_by[PVMM_PURGE_AGE]},
		{"purges_addresses", l.purges_by[PVMM_PURGE_ADDRESSES]},
		{"purges_by_pins", l.drops},
		{"pages_purged", l.pages_purged},
		{"notifiers_asked", l.asked},
	};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(rows); i++)
		pvmm_print("stat %-22s %10llu\n", rows[i].name, (unsigned long long)rows[i].value);
}
