/* SPDX-License-Identifier: MIT */
/*
 * pfn to mfn and back. The p2m is the guest's own array, at PVMM_P2M_BASE; the m2p is Xen's,
 * readable by every guest and covering the whole machine. Reading either needs no lock.
 */
#ifndef PVMM_P2M_H
#define PVMM_P2M_H

#include <pvmm/types.h>

/*
 * Says where the tables are: the p2m with an entry for each of the domain's nr_pages, and Xen's
 * m2p. The boot uses the domain builder's list first; before pvmm_mm_init it must be at
 * PVMM_P2M_BASE.
 */
PVMM_API void pvmm_p2m_init(const uint64_t *p2m, uint64_t nr_pages, const uint64_t *m2p,
			    uint64_t m2p_nr);

/* The frame behind pfn; PVMM_INVALID_MFN for one in the balloon or past the end. */
PVMM_API mfn_t pvmm_pfn_to_mfn(pfn_t pfn);

/* The domain's pfn of this frame; PVMM_INVALID_PFN for a frame that is not the domain's. */
PVMM_API pfn_t pvmm_mfn_to_pfn(mfn_t mfn);

/*
 * pfns are 0 to this, exclusive: all that have a record, with a frame behind them or without. It
 * only ever grows (pvmm/balloon.h).
 */
PVMM_API uint64_t pvmm_max_pfn(void);

/*
 * Reads *addr where a page may be missing: false instead of a fault. Provided by arch-xen/ (and the
 * hosted model); the m2p has holes where the machine has none of its memory.
 */
PVMM_API bool pvmm_read_safe(const uint64_t *addr, uint64_t *value);

/*
 * Tells the toolstack where the p2m is and how many entries it has: at boot, before it grows, after
 * a resume. -XEN_ENOMEM (what was told before holds), or -XEN_E2BIG for more than the direct map
 * reaches. Adds to *nr_taken the pages that it took and keeps. Provided by arch-xen/ (and the hosted
 * model). No lock is held, no batch open.
 */
PVMM_API int pvmm_p2m_publish(uint64_t nr_pfns, uint64_t *nr_taken);

#endif
