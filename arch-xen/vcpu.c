/* SPDX-License-Identifier: MIT */
/*
 * Owns the vCPUs: which are up, what each needs before it can run, and each one's local data, which
 * gs points to. Called by the start of day alone, once, when there is memory and nothing else runs.
 *
 * Invariant: a vCPU that is up has its stack, its batch, its callbacks, and its event ports, and
 * runs on the kernel's address space unless it has chosen another.
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/time.h>
#include <pvmm/vcpu.h>
#include "arch.h"

#define CR0_TS 0x8

/* As large as the boot vCPU's (entry_x86_64.S), each above a page that is never mapped. */
#define STACK_PAGES	 8
#define STACK_BYTES	 (STACK_PAGES * PVMM_PAGE_SIZE)
#define STACK_AREA_BYTES (2 * STACK_BYTES)

_Static_assert(PVMM_MAX_VCPUS *STACK_AREA_BYTES <= PVMM_STACKS_BYTES, "a stack for every vCPU");

/* A vCPU needs milliseconds to come up; one that takes this long never will. */
#define PATIENCE_NS 60000000000ULL

/* The trap without the counting, which needs the number that is being set up. */
long hypercall_uncounted(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
			 unsigned int op);

struct vcpu_local vcpu_local[PVMM_MAX_VCPUS];
static unsigned int nr_up = 1;

unsigned int pvmm_this_vcpu(void)
{
	unsigned int id;

	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(id) : "i"(offsetof(struct vcpu_local, id)));
	return id;
}

unsigned int pvmm_nr_vcpus(void)
{
	return __atomic_load_n(&nr_up, __ATOMIC_ACQUIRE);
}

void pvmm_vcpu_yield(void)
{
	/* It always succeeds; if it did not, the caller would only wait less politely. */
	(void)pvmm_hc_sched_op(SCHEDOP_yield, NULL);
}

static uintptr_t entry_stack_top(unsigned int vcpu)
{
	return (uintptr_t)(vcpu_local[vcpu].entry_stack + ENTRY_STACK_WORDS);
}

void boot_vcpu_init(void)
{
	if (hypercall_uncounted(SEGBASE_GS_KERNEL, (uintptr_t)&vcpu_local[0], 0, 0, 0,
				__HYPERVISOR_set_segment_base))
		pvmm_shutdown(SHUTDOWN_crash); /* nothing to say it with yet */
	if (pvmm_hc_stack_switch(FLAT_KERNEL_SS, entry_stack_top(0)))
		pvmm_panic("Xen refuses the entry stack at 0x%lx", entry_stack_top(0));
	fpu_forbid();
}

/* --- what the other vCPUs need --- */

static struct pvmm_page *must_alloc(unsigned int order, unsigned int vcpu)
{
	struct pvmm_page *page = pvmm_page_alloc(order, PVMM_PAGE_KERNEL);
	unsigned char *bytes;

	if (!page)
		refuse_boot("this domain is too small: no memory for vCPU %u", vcpu);
	bytes = pvmm_page_virt(page);
	for (size_t i = 0; i < PVMM_PAGE_SIZE << order; i++)
		bytes[i] = 0;
	return page;
}

/* Maps a new stack and returns its top. */
static pvmm_va_t map_stack(unsigned int vcpu)
{
	pvmm_va_t area_end = PVMM_STACKS_BASE + (vcpu + 1ULL) * STACK_AREA_BYTES;

	for (unsigned int i = 1; i <= STACK_PAGES; i++) {
		struct pvmm_page *page = must_alloc(0, vcpu);
		pvmm_va_t va = area_end - i * PVMM_PAGE_SIZE;
		int err = pvmm_space_map(&pvmm_kernel_space, va, page, PVMM_PROT_RW);

		if (err == -XEN_ENOMEM)
			refuse_boot("this domain is too small: no memory for vCPU %u", vcpu);
		if (err)
			pvmm_panic("stack of vCPU %u not mapped at 0x%llx: %s (%d)", vcpu,
				   (unsigned long long)va, pvmm_errno_name(err), err);
		pvmm_page_put(page); /* the mapping's reference keeps it */
	}
	return area_end;
}

static unsigned int order_for(size_t len_bytes)
{
	unsigned int order = 0;

	while (PVMM_PAGE_SIZE << order < len_bytes)
		order++;
	return order;
}

static void fill_context(struct vcpu_guest_context *c, unsigned int vcpu)
{
	pvmm_va_t stack_top = map_stack(vcpu);

	c->flags = VGCF_in_kernel;
	traps_fill_context(c);
	events_fill_context(c);
	c->user_regs.rip = (uintptr_t)secondary_entry;
	c->user_regs.cs = FLAT_KERNEL_CS;
	c->user_regs.ss = FLAT_KERNEL_SS;
	c->user_regs.rsp = stack_top;
	c->kernel_ss = FLAT_KERNEL_SS;
	c->kernel_sp = entry_stack_top(vcpu);
	c->ctrlreg[0] = CR0_TS; /* as fpu_forbid does */
	c->ctrlreg[3] = xen_pfn_to_cr3(mfn_x(pvmm_pfn_to_mfn(pvmm_kernel_space.root)));
	c->gs_base_kernel = (uintptr_t)&vcpu_local[vcpu];
}

static void must_vcpu_op(unsigned int op, const char *name, unsigned int vcpu, const void *arg)
{
	int err = pvmm_hc_vcpu_op(op, vcpu, arg);

	if (err)
		pvmm_panic("Xen refuses to %s vCPU %u: %s (%d)", name, vcpu, pvmm_errno_name(err),
			   err);
}

static void bring_up(unsigned int vcpu)
{
	unsigned int context_order = order_for(sizeof(struct vcpu_guest_context));
	struct pvmm_page *context = must_alloc(context_order, vcpu);
	struct pvmm_page *batch = must_alloc(order_for(pvmm_batch_bytes()), vcpu);
	uint64_t deadline = pvmm_clock_ns() + PATIENCE_NS;

	pvmm_batch_give(vcpu, pvmm_page_virt(batch));
	fill_context(pvmm_page_virt(context), vcpu);
	vcpu_local[vcpu].id = vcpu;
	/* It comes up with events masked, whatever the shared page said. */
	pvmm_shared_info()->vcpu_info[vcpu].evtchn_upcall_mask = 1;
	must_vcpu_op(VCPUOP_initialise, "initialise", vcpu, pvmm_page_virt(context));
	must_vcpu_op(VCPUOP_up, "start", vcpu, NULL);

	while (!__atomic_load_n(&vcpu_local[vcpu].up, __ATOMIC_ACQUIRE)) {
		if (pvmm_clock_ns() > deadline)
			pvmm_panic("vCPU %u did not come up within %llu s", vcpu,
				   PATIENCE_NS / 1000000000);
		pvmm_vcpu_yield();
	}
	pvmm_page_free(context, context_order);
}

void vcpus_start(void)
{
	unsigned int vcpu = 1;

	for (; pvmm_hc_vcpu_op(VCPUOP_is_up, vcpu, NULL) >= 0; vcpu++) {
		if (vcpu == PVMM_MAX_VCPUS) {
			pvmm_log(PVMM_WARN, "vCPUs from %u on stay down: the library knows no more",
				 vcpu);
			break;
		}
		bring_up(vcpu);
		__atomic_store_n(&nr_up, vcpu + 1, __ATOMIC_RELEASE);
	}
}

/* --- what they do --- */

static PVMM_NORETURN void idle(void)
{
	(void)pvmm_events_save();
	for (;;)
		pvmm_events_wait();
}

void secondary_start(void)
{
	timer_init();
	calls_init();
	__atomic_store_n(&vcpu_local[pvmm_this_vcpu()].up, true, __ATOMIC_RELEASE);
	pvmm_events_restore(true);
	if (pvmm_kernel_secondary)
		pvmm_kernel_secondary();
	idle();
}
