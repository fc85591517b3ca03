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

/* The trap. The operation comes last so that the arguments sit in their registers already. */
PVMM_API long pvmm_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
			     unsigned int op);

/* What a foreign-domain argument says for "this domain". */
#define PVMM_SELF DOMID_SELF

static inline uint64_t pvmm_arg(const volatile void *p)
{
	return (uint64_t)(uintptr_t)p;
}

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

/* Sets the L1 entry that maps va in the loaded tables. flags: UVMF_*. */
static inline int pvmm_hc_update_va_mapping(pvmm_va_t va, uint64_t pte, uint64_t flags)
{
	return (int)pvmm_hypercall(va, pte, flags, 0, 0, __HYPERVISOR_update_va_mapping);
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
static inline int pvmm_hc_stack_switch(uint64_t ss, uint64_t sp)
{
	return (int)pvmm_hypercall(ss, sp, 0, 0, 0, __HYPERVISOR_stack_switch);
}

/* which: SEGBASE_* */
static inline int pvmm_hc_set_segment_base(unsigned int which, uint64_t base)
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

static inline int pvmm_hc_vcpu_op(unsigned int cmd, unsigned int vcpu, const void *arg)
{
	return (int)pvmm_hypercall(cmd, vcpu, pvmm_arg(arg), 0, 0, __HYPERVISOR_vcpu_op);
}

static inline int pvmm_hc_event_channel_op(unsigned int cmd, void *arg)
{
	return (int)pvmm_hypercall(cmd, pvmm_arg(arg), 0, 0, 0, __HYPERVISOR_event_channel_op);
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

/* Nanoseconds of system time at which VIRQ_TIMER comes; 0 cancels. */
static inline int pvmm_hc_set_timer_op(uint64_t when_ns)
{
	return (int)pvmm_hypercall(when_ns, 0, 0, 0, 0, __HYPERVISOR_set_timer_op);
}

/* VMASST_CMD_*, VMASST_TYPE_* */
static inline int pvmm_hc_vm_assist(unsigned int cmd, unsigned int type)
{
	return (int)pvmm_hypercall(cmd, type, 0, 0, 0, __HYPERVISOR_vm_assist);
}

#endif
