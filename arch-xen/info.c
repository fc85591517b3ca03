/* SPDX-License-Identifier: MIT */
/*
 * Owns the two pages through which the domain is told who it is: the start info page, filled by
 * the domain builder and again by whoever restores the domain, and Xen's shared page.
 *
 * The start info is used as a copy; its page stays the builder's, in the direct map, for the next
 * suspend. The shared page is a frame of Xen's, mapped over a page of the image. While the domain
 * is suspended no entry may map a frame that is not its own, so the image's page is there instead,
 * as a copy in which all events are masked.
 *
 * Used by the start of day, and by suspend.c while all other vCPUs wait.
 */
#include <pvmm/batch.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/page.h>
#include <pvmm/paging.h>
#include <pvmm/vcpu.h>
#include "arch.h"

static struct start_info start_info;
static pfn_t start_info_pfn;

const struct start_info *pvmm_start_info(void)
{
	return &start_info;
}

void start_info_init(const struct start_info *si)
{
	start_info = *si;
	start_info_pfn = _pfn(((uintptr_t)si - PVMM_KERNEL_BASE) >> PVMM_PAGE_SHIFT);
}

struct shared_info *pvmm_shared_info(void)
{
	return (struct shared_info *)pvmm_shared_info_page;
}

struct vcpu_info *pvmm_vcpu_info(void)
{
	return &pvmm_shared_info()->vcpu_info[pvmm_this_vcpu()];
}

/* --- the shared page --- */

static int put_behind_shared_info(mfn_t mfn)
{
	return pvmm_hc_update_va_mapping((uintptr_t)pvmm_shared_info_page,
					 pvmm_pte(mfn, PVMM_PROT_RW), UVMF_INVLPG | UVMF_ALL);
}

void shared_info_map(void)
{
	mfn_t mfn = _mfn(start_info.shared_info >> PVMM_PAGE_SHIFT);
	int err = put_behind_shared_info(mfn);

	if (err)
		pvmm_panic("Xen refuses to map the shared page, mfn 0x%llx: %s (%d)",
			   (unsigned long long)mfn_x(mfn), pvmm_errno_name(err), err);
}

int shared_info_hide(void)
{
	pfn_t pfn = _pfn(((uintptr_t)pvmm_shared_info_page - PVMM_KERNEL_BASE) >> PVMM_PAGE_SHIFT);
	struct shared_info *image = pvmm_pfn_to_virt(pfn);

	/* What Xen changes meanwhile are other vCPUs' times, which nobody reads here. */
	*image = *pvmm_shared_info();
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(image->vcpu_info); i++) {
		image->vcpu_info[i].evtchn_upcall_mask = 1;
		image->vcpu_info[i].evtchn_upcall_pending = 0;
	}
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(image->evtchn_mask); i++)
		image->evtchn_mask[i] = ~0UL;
	return put_behind_shared_info(pvmm_pfn_to_mfn(pfn));
}

/* --- the start info page --- */

static struct start_info *start_info_page(void)
{
	return pvmm_pfn_to_virt(start_info_pfn);
}

mfn_t start_info_mfn(void)
{
	return pvmm_pfn_to_mfn(start_info_pfn);
}

/* The toolstack expects pfns in the place of the two rings' frames. */
void start_info_give(void)
{
	struct start_info *page = start_info_page();

	page->store_mfn = pfn_x(pvmm_mfn_to_pfn(_mfn(start_info.store_mfn)));
	page->console.domU.mfn = pfn_x(pvmm_mfn_to_pfn(_mfn(start_info.console.domU.mfn)));
}

void start_info_take_back(void)
{
	start_info_page()->store_mfn = start_info.store_mfn;
	start_info_page()->console.domU.mfn = start_info.console.domU.mfn;
}

/* What differs in another domain; the rest is what this kernel has booted with. */
void start_info_renew(void)
{
	const struct start_info *page = start_info_page();

	start_info.shared_info = page->shared_info;
	start_info.flags = page->flags;
	start_info.store_mfn = page->store_mfn;
	start_info.store_evtchn = page->store_evtchn;
	start_info.console.domU = page->console.domU;
}
