/* SPDX-License-Identifier: MIT */
/*
 * Where the hypercalls of the 64-bit interface take their arguments differently from the 32-bit
 * one: a 64-bit value is one word. Included by <pvmm/hypercall.h>.
 */
#ifndef PVMM_X86_64_ABI_H
#define PVMM_X86_64_ABI_H

/* Sets the L1 entry that maps va in the loaded tables. flags: UVMF_*. */
static inline int pvmm_hc_update_va_mapping(pvmm_va_t va, uint64_t pte, uint64_t flags)
{
	return (int)pvmm_hypercall(va, pte, flags, 0, 0, __HYPERVISOR_update_va_mapping);
}

/* Nanoseconds of system time at which VIRQ_TIMER comes; 0 cancels. */
static inline int pvmm_hc_set_timer_op(uint64_t when_ns)
{
	return (int)pvmm_hypercall(when_ns, 0, 0, 0, 0, __HYPERVISOR_set_timer_op);
}

#endif
