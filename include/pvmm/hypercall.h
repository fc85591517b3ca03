/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls a PV guest uses, typed. All of them go through one function,
 * pvmm_hypercall(), which is the only thing that traps: the guest's stub jumps into the hypercall
 * page that Xen fills (hypercall/stub_x86_64.S), the hosted tests' model answers in-process.
 *
 * Every function returns 0 (or what its comment says) or a negative Xen error, which the caller
 * must look at. None of them sleeps, takes a lock or allocates; any context may call them.
 *
 * Page tables and pins are changed through <pvmm/batch.h>, not from here, unless one wants exactly
 * one operation and nothing else.
 */
#ifndef PVMM_HYPERCALL_H
#define PVMM_HYPERCALL_H

#include <pvmm/types.h>
#include <pvmm/xen.h>

/*
 * The trap. The operation comes last so that on 64 bits the arguments sit in their registers
 * already. All registers that Xen changes are among those that a C call gives away.
 */
PVMM_API long pvmm_hypercall(unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4,
			     unsigned long a5, unsigned int op);

/* What a foreign-domain argument says for "this domain". */
#define PVMM_SELF DOMID_SELF

static inline unsigned long pvmm_arg(const volatile void *p)
{
	return (unsigned long)(uintptr_t)p;
}

/* What differs between the widths. */
#if defined(__x86_64__)
#include <pvmm/x86_64/abi.h>
#else
#include <pvmm/x86_32/abi.h>
#endif

/*
 * Applies nr page-table updates in order, stops at the first one that Xen refuses; *done tells how
 * many were applied. (xen/xen.h, HYPERVISOR_mmu_update)
 */
static inline int pvmm_hc_mmu_update(const struct mmu_update *req, unsigned int nr,
				     unsigned int *done)
{
	return (int)pvmm_hypercall(pvmm_arg(req), nr, pvmm_arg(done), PVMM_SELF, 0,
				   __HYPERVISOR_mmu_update);
}

/* Extended MMU operations (pin, base pointer, flushes); as above. */
static inline int pvmm_hc_mmuext_op(const struct mmuext_op *op, unsigned int nr, unsigned int *done)
{
	return (int)pvmm_hypercall(pvmm_arg(op), nr, pvmm_arg(done), PVMM_SELF, 0,
				   __HYPERVISOR_mmuext_op);
}

/* Runs nr calls; each entry's result says how it went. Xen goes on after one that failed. */
static inline int pvmm_hc_multicall(struct multicall_entry *calls, unsigned int nr)
{
	return (int)pvmm_hypercall(pvmm_arg(calls), nr, 0, 0, 0, __HYPERVISOR_multicall);
}

/* XENMEM_*; some of these return a count. */
static inline long pvmm_hc_memory_op(unsigned int cmd, void *arg)
{
	return pvmm_hypercall(cmd, pvmm_arg(arg), 0, 0, 0, __HYPERVISOR_memory_op);
}

/* The virtual IDT; ends at an entry with address 0. */
static inline int pvmm_hc_set_trap_table(const struct trap_info *table)
{
	return (int)pvmm_hypercall(pvmm_arg(table), 0, 0, 0, 0, __HYPERVISOR_set_trap_table);
}

/* Where the kernel's stack starts when a trap comes from user mode. */
static inline int pvmm_hc_stack_switch(unsigned long ss, unsigned long sp)
{
	return (int)pvmm_hypercall(ss, sp, 0, 0, 0, __HYPERVISOR_stack_switch);
}

/* Frames (at most 14, read-only for everybody) with this many descriptors between them. */
static inline int pvmm_hc_set_gdt(const xen_pfn_t *frames, unsigned int nr_entries)
{
	return (int)pvmm_hypercall(pvmm_arg(frames), nr_entries, 0, 0, 0, __HYPERVISOR_set_gdt);
}

/* Sets (1) or clears (0) CR0.TS: the next use of the FPU traps, or does not. */
static inline int pvmm_hc_fpu_taskswitch(int set)
{
	return (int)pvmm_hypercall((unsigned long)set, 0, 0, 0, 0, __HYPERVISOR_fpu_taskswitch);
}

/* which: SEGBASE_*; 64 bits only */
static inline int pvmm_hc_set_segment_base(unsigned int which, unsigned long base)
{
	return (int)pvmm_hypercall(which, base, 0, 0, 0, __HYPERVISOR_set_segment_base);
}

/* CALLBACKOP_register and the like. */
static inline int pvmm_hc_callback_op(unsigned int cmd, const void *arg)
{
	return (int)pvmm_hypercall(cmd, pvmm_arg(arg), 0, 0, 0, __HYPERVISOR_callback_op);
}

static inline int pvmm_hc_sched_op(unsigned int cmd, const void *arg)
{
	return (int)pvmm_hypercall(cmd, pvmm_arg(arg), 0, 0, 0, __HYPERVISOR_sched_op);
}

/*
 * SCHEDOP_shutdown with SHUTDOWN_suspend, on vCPU 0: the third argument, the frame of the start
 * info page, is where the toolstack looks for it and, in the domain that goes on, rewrites it
 * (xen/sched.h). 0 in a new domain, 1 when this one goes on (XEN_ELFNOTE_SUSPEND_CANCEL).
 */
static inline int pvmm_hc_suspend(mfn_t start_info)
{
	struct sched_shutdown shutdown = {.reason = SHUTDOWN_suspend};

	return (int)pvmm_hypercall(SCHEDOP_shutdown, pvmm_arg(&shutdown), mfn_x(start_info), 0, 0,
				   __HYPERVISOR_sched_op);
}

static inline int pvmm_hc_vcpu_op(unsigned int cmd, unsigned int vcpu, const void *arg)
{
	return (int)pvmm_hypercall(cmd, vcpu, pvmm_arg(arg), 0, 0, __HYPERVISOR_vcpu_op);
}

static inline int pvmm_hc_event_channel_op(unsigned int cmd, void *arg)
{
	return (int)pvmm_hypercall(cmd, pvmm_arg(arg), 0, 0, 0, __HYPERVISOR_event_channel_op);
}

/* GNTTABOP_* on an array of nr; each has a status of its own. */
static inline int pvmm_hc_grant_table_op(unsigned int cmd, void *ops, unsigned int nr)
{
	return (int)pvmm_hypercall(cmd, pvmm_arg(ops), nr, 0, 0, __HYPERVISOR_grant_table_op);
}

static inline int pvmm_hc_physdev_op(unsigned int cmd, void *arg)
{
	return (int)pvmm_hypercall(cmd, pvmm_arg(arg), 0, 0, 0, __HYPERVISOR_physdev_op);
}

/* CONSOLEIO_write from a domU reaches only a debug or verbose hypervisor's console. */
static inline int pvmm_hc_console_io(unsigned int cmd, unsigned int len_bytes, const char *text)
{
	return (int)pvmm_hypercall(cmd, len_bytes, pvmm_arg(text), 0, 0, __HYPERVISOR_console_io);
}

/* XENVER_version returns major << 16 | minor, the others 0. */
static inline int pvmm_hc_xen_version(unsigned int cmd, void *arg)
{
	return (int)pvmm_hypercall(cmd, pvmm_arg(arg), 0, 0, 0, __HYPERVISOR_xen_version);
}

/* VMASST_CMD_*, VMASST_TYPE_* */
static inline int pvmm_hc_vm_assist(unsigned int cmd, unsigned int type)
{
	return (int)pvmm_hypercall(cmd, type, 0, 0, 0, __HYPERVISOR_vm_assist);
}

#endif
