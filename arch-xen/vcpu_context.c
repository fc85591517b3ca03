/* SPDX-License-Identifier: MIT */
/*
 * Owns what the other vCPUs need before they can run: a stack above a page that is never mapped, a
 * batch, event ports, and the context that Xen starts them with.
 *
 * Invariant: a vCPU has all of its memory or none. What it once has it keeps, down or up, until the
 * domain ends: to take a vCPU down and up again costs no memory and cannot fail for want of it.
 *
 * Called by who brings a vCPU up, alone with it (vcpu.c): no lock.
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/vcpu.h>
#include "arch.h"

#define CR0_TS 0x8

/* As large as the boot vCPU's (entry_x86_64.S), each above a page that is never mapped. */
#define STACK_PAGES	 8
#define STACK_BYTES	 (STACK_PAGES * PVMM_PAGE_SIZE)
#define STACK_AREA_BYTES (2 * STACK_BYTES)

_Static_assert(PVMM_MAX_VCPUS *STACK_AREA_BYTES <= PVMM_STACKS_BYTES, "a stack for every vCPU");

static bool has_memory[PVMM_MAX_VCPUS];

static struct pvmm_page *alloc_zeroed(unsigned int order)
{
	struct pvmm_page *page = pvmm_page_alloc(order, PVMM_PAGE_KERNEL);
	unsigned char *bytes;

	if (!page)
		return NULL;
	bytes = pvmm_page_virt(page);
	for (size_t i = 0; i < PVMM_PAGE_SIZE << order; i++)
		bytes[i] = 0;
	return page;
}

static unsigned int order_for(size_t len_bytes)
{
	unsigned int order = 0;

	while (PVMM_PAGE_SIZE << order < len_bytes)
		order++;
	return order;
}

pvmm_va_t vcpu_stack_top(unsigned int vcpu)
{
	return PVMM_STACKS_BASE + (vcpu + 1ULL) * STACK_AREA_BYTES;
}

static int map_stack_page(pvmm_va_t va)
{
	struct pvmm_page *page = alloc_zeroed(0);
	int err;

	if (!page)
		return -XEN_ENOMEM;
	err = pvmm_space_map(&pvmm_kernel_space, va, page, PVMM_PROT_RW);
	pvmm_page_put(page); /* the mapping's reference keeps it */
	return err;
}

static void unmap_stack(unsigned int vcpu, unsigned int nr_pages)
{
	for (; nr_pages; nr_pages--) {
		pvmm_va_t va = vcpu_stack_top(vcpu) - nr_pages * PVMM_PAGE_SIZE;
		int err = pvmm_space_unmap(&pvmm_kernel_space, va);

		if (err)
			pvmm_panic("stack of vCPU %u not unmapped at 0x%llx: %s (%d)", vcpu,
				   (unsigned long long)va, pvmm_errno_name(err), err);
	}
}

static int map_stack(unsigned int vcpu)
{
	for (unsigned int i = 1; i <= STACK_PAGES; i++) {
		int err = map_stack_page(vcpu_stack_top(vcpu) - i * PVMM_PAGE_SIZE);

		if (err) {
			unmap_stack(vcpu, i - 1);
			return err;
		}
	}
	return 0;
}

static int take_memory(unsigned int vcpu)
{
	unsigned int order = order_for(pvmm_batch_bytes());
	struct pvmm_page *batch = alloc_zeroed(order);
	int err = batch ? map_stack(vcpu) : -XEN_ENOMEM;

	if (!err)
		pvmm_batch_give(vcpu, pvmm_page_virt(batch));
	else if (batch)
		pvmm_page_free(batch, order);
	return err;
}

uint64_t pvmm_vcpu_pages(void)
{
	uint64_t nr = 0;

	for (unsigned int vcpu = 1; vcpu < PVMM_MAX_VCPUS; vcpu++)
		if (__atomic_load_n(&has_memory[vcpu], __ATOMIC_RELAXED))
			nr += STACK_PAGES + (1ULL << order_for(pvmm_batch_bytes()));
	return nr;
}

int vcpu_prepare(unsigned int vcpu)
{
	int err = has_memory[vcpu] ? 0 : take_memory(vcpu);

	if (err)
		return err;
	__atomic_store_n(&has_memory[vcpu], true, __ATOMIC_RELAXED);
	err = events_vcpu_init(vcpu);
	if (!err)
		err = timer_open(vcpu);
	if (!err)
		err = calls_open(vcpu);
	return err ? err : lock_port_open(vcpu);
}

int vcpu_initialise(unsigned int vcpu, struct vcpu_local *local)
{
	unsigned int order = order_for(sizeof(struct vcpu_guest_context));
	struct pvmm_page *page = alloc_zeroed(order);
	struct vcpu_guest_context *c;
	int err;

	if (!page)
		return -XEN_ENOMEM;
	c = pvmm_page_virt(page);
	c->flags = VGCF_in_kernel;
	traps_fill_context(c);
	events_fill_context(c);
	c->user_regs.rip = (uintptr_t)secondary_entry;
	c->user_regs.cs = FLAT_KERNEL_CS;
	c->user_regs.ss = FLAT_KERNEL_SS;
	c->user_regs.rsp = vcpu_stack_top(vcpu);
	c->kernel_ss = FLAT_KERNEL_SS;
	c->kernel_sp = entry_stack_top(local);
	c->ctrlreg[0] = CR0_TS; /* as fpu_forbid does */
	c->ctrlreg[3] = xen_pfn_to_cr3(mfn_x(pvmm_pfn_to_mfn(pvmm_kernel_space.root)));
	c->gs_base_kernel = (uintptr_t)local;
	/* It comes up with events masked, whatever the shared page said. */
	pvmm_shared_info()->vcpu_info[vcpu].evtchn_upcall_mask = 1;
	err = pvmm_hc_vcpu_op(VCPUOP_initialise, vcpu, c);
	pvmm_page_free(page, order);
	return err;
}
