/* SPDX-License-Identifier: MIT */
/*
 * Taking pages out of the direct map and putting them back, in one batch with one flush. A page
 * that is out (PVMM_PAGE_NODIRECT) is reached by pvmm_kmap and vmap only, and by no stray pointer.
 *
 * What is out must be put back before its last reference goes: a page that is freed while it is
 * out is a panic, so what the page allocator hands out, page tables among it, is always in the
 * direct map.
 */
#ifndef PVMM_DIRECTMAP_H
#define PVMM_DIRECTMAP_H

#include <pvmm/page.h>

/*
 * Takes pages out. 0; -XEN_EINVAL for a page that is free, not the kernel's or a user's, or out
 * already; or Xen's refusal. All or nothing. No page twice, and no batch may be open.
 */
PVMM_API int pvmm_directmap_remove(struct pvmm_page *const *pages, uint64_t nr_pages);

/* Puts them back, writable. -XEN_EINVAL for a page that is not out. All or nothing; no batch open.
 */
PVMM_API int pvmm_directmap_restore(struct pvmm_page *const *pages, uint64_t nr_pages);

#endif
