/* SPDX-License-Identifier: MIT */
/* The clock's arithmetic (clock.c), apart from the processor and from Xen's page: for time.c. */
#ifndef PVMM_ARCH_CLOCK_H
#define PVMM_ARCH_CLOCK_H

#include <pvmm/types.h>

/* Nanoseconds of so many ticks, by a vCPU's multiplier and shift (xen/xen.h, vcpu_time_info). */
uint64_t clock_scale(uint64_t ticks, uint32_t mul, int shift);

/* What is added to Xen's time so that the guest's clock stands at clock_ns when Xen's does at
 * xen_ns. Modulo 2^64: Xen's clock may be ahead or behind. */
uint64_t clock_offset(uint64_t clock_ns, uint64_t xen_ns);

/*
 * The moment of the guest's clock as Xen has it, for a timer or a poll. At least 1 (0 is "for ever"
 * to SCHEDOP_poll), at most what Xen takes for a time, a signed number.
 */
uint64_t clock_to_xen(uint64_t clock_ns, uint64_t offset);

/* The wall clock from its time at Xen's boot and Xen's time now. */
uint64_t clock_wall(uint32_t sec_hi, uint32_t sec, uint32_t nsec, uint64_t xen_ns);

#endif
