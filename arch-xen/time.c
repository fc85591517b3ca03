/* SPDX-License-Identifier: MIT */
/*
 * Reads the clock that Xen keeps for each vCPU (xen/xen.h, struct vcpu_time_info): a time stamp,
 * and how fast the TSC has run since. Owns
 * the decision that there is no tick: VIRQ_TIMER comes only when it was asked for.
 */
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/vcpu.h>
#include "arch.h"

static uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

uint64_t pvmm_clock_ns(void)
{
	const volatile struct vcpu_time_info *time = &pvmm_vcpu_info()->time;
	uint64_t ns, ticks;
	uint32_t version;

	do {
		/* Odd while Xen writes it; changed if Xen has written it since. */
		version = __atomic_load_n(&time->version, __ATOMIC_ACQUIRE);
		ticks = read_tsc() - time->tsc_timestamp;
		if (time->tsc_shift >= 0)
			ticks <<= time->tsc_shift;
		else
			ticks >>= -time->tsc_shift;
		ns = time->system_time +
		     (uint64_t)(((unsigned __int128)ticks * time->tsc_to_system_mul) >> 32);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((version & 1) || version != time->version);
	return ns;
}

/* A PV vCPU starts with a timer of 100 Hz that it never asked for (xen/vcpu.h). */
void timer_init(void)
{
	int err = pvmm_hc_vcpu_op(VCPUOP_stop_periodic_timer, pvmm_this_vcpu(), NULL);

	if (err)
		pvmm_panic("Xen does not stop the periodic timer: %d", err);
}
