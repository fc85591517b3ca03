/* SPDX-License-Identifier: MIT */
/*
 * Owns the p2m: which machine frame is behind each pfn. The array is at PVMM_P2M_BASE, built by
 * the domain builder and mapped there at boot; the m2p is Xen's and only read.
 *
 * Invariant: for every pfn with a frame, m2p[p2m[pfn]] == pfn.
 */
#include <pvmm/p2m.h>

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
	return max_pfn;
}

mfn_t pvmm_pfn_to_mfn(pfn_t pfn)
{
	if (pfn_x(pfn) >= max_pfn)
		return PVMM_INVALID_MFN;
	return _mfn(p2m[pfn_x(pfn)]);
}

pfn_t pvmm_mfn_to_pfn(mfn_t mfn)
{
	uint64_t pfn;

	if (mfn_x(mfn) >= m2p_nr || !pvmm_read_safe(&m2p[mfn_x(mfn)], &pfn))
		return PVMM_INVALID_PFN;

	/* A frame of another domain has a pfn too, but that domain's: only ours leads back. */
	if (pfn >= max_pfn || p2m[pfn] != mfn_x(mfn))
		return PVMM_INVALID_PFN;
	return _pfn(pfn);
}
