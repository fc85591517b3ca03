/* SPDX-License-Identifier: MIT */
/* Brings the rooms of mm/ up in the order in which they need each other. */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "check.h"
#include "kmap.h"
#include "ledger.h"
#include "space.h"
#include "vmap.h"

/* A table of the kernel's root as the boot left it: read-only already, and for good. */
static int claim_table(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	struct pvmm_page *page = pvmm_page(table);

	(void)va, (void)ctx;
	page->kind = (uint8_t)(PVMM_PAGE_L1 + level - 1);
	page->flags |= PVMM_PAGE_READONLY;
	pvmm_kernel_space.nr_tables++;
	return 0;
}

void pvmm_mm_init(uint64_t nr_pages, pfn_t kernel_root)
{
	pages_init(nr_pages);
	check_init();
	alloc_init();
	ledger_init();
	holders_init();
	vmap_init();
	ledger_add_keeper(&vmap_keeper);
	space_init(kernel_root);
	regions_init();
	table_cache_init();
	table_spare_init();
	space_visit(&pvmm_kernel_space, claim_table, NULL);
	pvmm_page(kernel_root)->flags |= PVMM_PAGE_PINNED;
	kmap_init();
	balloon_init(nr_pages);
	ledger_add_keeper(&kmap_keeper);
}
