/* SPDX-License-Identifier: MIT */
/*
 * Owns the p2m: which machine frame is behind each pfn. The array is at PVMM_P2M_BASE, built by
 * the domain builder and mapped there at boot; the m2p is Xen's and only read.
 *
 * Invariant: for every pfn with a frame, m2p[p2m[pfn]] == pfn; one without has PVMM_INVALID_FRAME.
 * Only the balloon changes an entry, of a page that nobody else has; readers need no lock.
 */
#include <pvmm/layout.h>
#include <pvmm/p2m.h>
#include "mm.h"

static const uint64_t *p2m, *m2p;
static uint64_t max_pfn, m2p_nr;

void pvmm_p2m_init(const uint64_t *p2m_table, uint64_t nr_pages, const uint64_t *m2p_table,
		   uint64_t nr_m2p)
{
	p2m = p2m_table;
	max_pfn = nr_pages;
	m2p = m2p_table;
	m2p_nr = nr_m2p;
}

uint64_t pvmm_max_pfn(void)
{
	return __atomic_load_n(&max_pfn, __ATOMIC_ACQUIRE);
}

static uint64_t frame_of(uint64_t pfn)
{
	return __atomic_load_n(&p2m[pfn], __ATOMIC_RELAXED);
}

mfn_t pvmm_pfn_to_mfn(pfn_t pfn)
{
	if (pfn_x(pfn) >= pvmm_max_pfn())
		return PVMM_INVALID_MFN;
	return _mfn(frame_of(pfn_x(pfn)));
}

pfn_t pvmm_mfn_to_pfn(mfn_t mfn)
{
	uint64_t pfn;

	if (mfn_x(mfn) >= m2p_nr || !pvmm_read_safe(&m2p[mfn_x(mfn)], &pfn))
		return PVMM_INVALID_PFN;

	/* A frame of another domain has a pfn too, but that domain's: only ours leads back. */
	if (pfn >= pvmm_max_pfn() || frame_of(pfn) != mfn_x(mfn))
		return PVMM_INVALID_PFN;
	return _pfn(pfn);
}

static uint64_t *entry_of(uint64_t pfn)
{
	return (uint64_t *)(uintptr_t)PVMM_P2M_BASE + pfn;
}

void p2m_set(pfn_t pfn, mfn_t mfn)
{
	__atomic_store_n(entry_of(pfn_x(pfn)), mfn_x(mfn), __ATOMIC_RELAXED);
}

void p2m_grow(uint64_t to_pfn)
{
	/* What is known of the new pages is there before they are. */
	__atomic_store_n(&max_pfn, to_pfn, __ATOMIC_RELEASE);
}
