/* SPDX-License-Identifier: MIT */
/*
 * Where the hypercalls of the 32-bit (PAE) interface take their arguments differently from the
 * 64-bit one: a 64-bit value is two words, the low one first. Included by <pvmm/hypercall.h>.
 */
#ifndef PVMM_X86_32_ABI_H
#define PVMM_X86_32_ABI_H

/* Sets the L1 entry that maps va in the loaded tables. flags: UVMF_*. */
static inline int pvmm_hc_update_va_mapping(pvmm_va_t va, uint64_t pte, uint64_t flags)
{
	return (int)pvmm_hypercall((unsigned long)va, (unsigned long)pte,
				   (unsigned long)(pte >> 32), (unsigned long)flags, 0,
				   __HYPERVISOR_update_va_mapping);
}

/* Nanoseconds of system time at which VIRQ_TIMER comes; 0 cancels. */
static inline int pvmm_hc_set_timer_op(uint64_t when_ns)
{
	return (int)pvmm_hypercall((unsigned long)when_ns, (unsigned long)(when_ns >> 32), 0, 0, 0,
				   __HYPERVISOR_set_timer_op);
}

#endif
