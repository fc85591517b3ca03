/* SPDX-License-Identifier: MIT */
/*
 * Owns what the toolstack is told of where the p2m is (xen/arch-x86/xen.h, struct
 * arch_shared_info): save, migrate and dump-core translate frames with it.
 *
 * There are two forms, and both are given: an address in given page tables, which Xen 4.6 and later
 * save by, and a tree of frames, which is all that dump-core of releases before 4.16 knows. The
 * tree holds mfns and is nothing but a copy: it is made anew when the p2m grows, and whenever the
 * domain has resumed.
 */
#include <pvmm/alloc.h>
#include <pvmm/kernel.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include "arch.h"

#define FRAMES_PER_PAGE (PVMM_PAGE_SIZE / sizeof(uint64_t))

/* The tree's upper levels; the lowest is the p2m itself. As many as the direct map is large. */
static struct pvmm_page *top, *middles[FRAMES_PER_PAGE];

static mfn_t mfn_of(const struct pvmm_page *page)
{
	return pvmm_pfn_to_mfn(pvmm_page_pfn(page));
}

static bool must_have(struct pvmm_page **page, uint64_t *nr_taken)
{
	if (*page)
		return true;
	*page = pvmm_page_alloc(0, PVMM_PAGE_RESERVED);
	*nr_taken += *page != NULL;
	return *page;
}

static int take_pages(uint64_t nr_middles, uint64_t *nr_taken)
{
	if (nr_middles > FRAMES_PER_PAGE)
		return -XEN_E2BIG;
	if (!must_have(&top, nr_taken))
		return -XEN_ENOMEM;
	for (uint64_t i = 0; i < nr_middles; i++)
		if (!must_have(&middles[i], nr_taken))
			return -XEN_ENOMEM;
	return 0;
}

/* The frame of the p2m's nr-th page. */
static uint64_t p2m_frame(uint64_t nr)
{
	pvmm_pte_t entry =
		pvmm_pt_lookup(pvmm_kernel_space.root, PVMM_P2M_BASE + (nr << PVMM_PAGE_SHIFT));

	return mfn_x(pvmm_pte_mfn(entry));
}

static void fill_tree(uint64_t nr_pages, uint64_t nr_middles)
{
	uint64_t *tops = pvmm_page_virt(top);

	for (uint64_t i = 0; i < FRAMES_PER_PAGE; i++)
		tops[i] = 0;
	for (uint64_t m = 0; m < nr_middles; m++) {
		uint64_t *frames = pvmm_page_virt(middles[m]);

		tops[m] = mfn_x(mfn_of(middles[m]));
		for (uint64_t i = 0; i < FRAMES_PER_PAGE; i++) {
			uint64_t nr = m * FRAMES_PER_PAGE + i;

			frames[i] = nr < nr_pages ? p2m_frame(nr) : 0;
		}
	}
}

int pvmm_p2m_publish(uint64_t nr_pfns, uint64_t *nr_taken)
{
	struct arch_shared_info *arch = &pvmm_shared_info()->arch;
	uint64_t nr_pages = pvmm_pages_for(nr_pfns * sizeof(uint64_t));
	uint64_t nr_middles = (nr_pages + FRAMES_PER_PAGE - 1) / FRAMES_PER_PAGE;
	int err = take_pages(nr_middles, nr_taken);

	if (err)
		return err;
	/* Odd while it changes: a save that reads meanwhile begins anew, or gives up. */
	__atomic_store_n(&arch->p2m_generation, arch->p2m_generation | 1, __ATOMIC_SEQ_CST);
	fill_tree(nr_pages, nr_middles);
	arch->max_pfn = nr_pfns;
	arch->pfn_to_mfn_frame_list_list = mfn_x(mfn_of(top));
	arch->p2m_vaddr = PVMM_P2M_BASE;
	arch->p2m_cr3 = xen_pfn_to_cr3(mfn_x(pvmm_pfn_to_mfn(pvmm_kernel_space.root)));
	__atomic_store_n(&arch->p2m_generation, arch->p2m_generation + 1, __ATOMIC_SEQ_CST);
	return 0;
}
