/* SPDX-License-Identifier: MIT */
/*
 * Bringing the memory manager up: what arch-xen/ (or a hosted test) has prepared, handed over once.
 * Afterwards the allocator is empty; the caller gives it the free memory with pvmm_mm_add_free.
 */
#ifndef PVMM_MM_H
#define PVMM_MM_H

#include <pvmm/page.h>

/*
 * pfns 0 to nr_pages - 1 have their struct pvmm_page, p2m entry (pvmm_p2m_init has been called) and
 * direct map; kernel_root is the pinned, loaded root table. Every page starts as RESERVED with one
 * reference; the tables of the kernel's root are recognised by walking it.
 */
PVMM_API void pvmm_mm_init(uint64_t nr_pages, pfn_t kernel_root);

/* Gives RESERVED pages to the allocator. */
PVMM_API void pvmm_mm_add_free(pfn_t first, uint64_t nr_pages);

/*
 * Before the domain is stopped: pins what is building, and makes sure that no mapping is of a frame
 * that is not the domain's own (-XEN_EBUSY). Or Xen's refusal of a pin. An error is said in one
 * line, and nothing has changed then. Afterwards resume, whatever became of it: what was building
 * is building again. Called by one vCPU, while all others wait outside of the manager.
 */
PVMM_API int pvmm_mm_suspend(void);
PVMM_API void pvmm_mm_resume(void);

/* The part of it that pins, for who wants to see memory as it will be; resume is its end, too. */
PVMM_API int pvmm_mm_pin_all(void);

#endif
