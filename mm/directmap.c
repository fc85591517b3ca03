/* SPDX-License-Identifier: MIT */
/*
 * Owns which pages are not in the direct map.
 *
 * Invariant: an allocated page carries PVMM_PAGE_NODIRECT exactly if its direct-map entry is 0; no
 * free page and no page table does. The flag belongs to the page's holder, as the page does.
 */
#include <pvmm/batch.h>
#include <pvmm/directmap.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/pagetable.h>
#include <pvmm/space.h>
#include "mm.h"

static bool is_out(const struct pvmm_page *page)
{
	return __atomic_load_n(&page->flags, __ATOMIC_RELAXED) & PVMM_PAGE_NODIRECT;
}

static bool may_go(const struct pvmm_page *page)
{
	return (page->kind == PVMM_PAGE_KERNEL || page->kind == PVMM_PAGE_USER) && !is_out(page);
}

void directmap_mark(struct pvmm_page *page, bool out)
{
	if (out)
		__atomic_fetch_or(&page->flags, PVMM_PAGE_NODIRECT, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&page->flags, (uint8_t)~PVMM_PAGE_NODIRECT, __ATOMIC_RELAXED);
}

/* A new translation needs no flush; one that is gone does, and so does the undoing of either. */
static int set_all(struct pvmm_page *const *pages, uint64_t nr_pages, bool out, bool flush,
		   struct pvmm_batch_failure *failure)
{
	pvmm_batch_begin();
	for (uint64_t i = 0; i < nr_pages; i++)
		directmap_queue(pages[i], out ? 0 : PVMM_PROT_RW);
	if (flush && nr_pages)
		pvmm_batch_flush_all();
	return pvmm_batch_end(failure);
}

static int change(struct pvmm_page *const *pages, uint64_t nr_pages, bool out)
{
	struct pvmm_batch_failure failure;
	char what[128];
	int err;

	pvmm_batch_assert_closed("a change of the direct map");
	for (uint64_t i = 0; i < nr_pages; i++)
		if (out ? !may_go(pages[i]) : !is_out(pages[i]))
			return -XEN_EINVAL;
	err = set_all(pages, nr_pages, out, out, &failure);
	if (err) {
		pvmm_batch_describe(&failure, what, sizeof(what));
		pvmm_log(PVMM_WARN, "change of the direct map refused by Xen: %s", what);
		set_all(pages, nr_pages, !out, true, NULL);
		return err;
	}
	for (uint64_t i = 0; i < nr_pages; i++)
		directmap_mark(pages[i], out);
	return 0;
}

int pvmm_directmap_remove(struct pvmm_page *const *pages, uint64_t nr_pages)
{
	return change(pages, nr_pages, true);
}

int pvmm_directmap_restore(struct pvmm_page *const *pages, uint64_t nr_pages)
{
	return change(pages, nr_pages, false);
}
