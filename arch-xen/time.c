/* SPDX-License-Identifier: MIT */
/*
 * Reads the clock that Xen keeps for each vCPU (xen/xen.h, struct vcpu_time_info): a time stamp,
 * and how fast the TSC has run since. Owns each vCPU's one-shot timer, and the decision that there
 * is no tick: VIRQ_TIMER comes only when it was asked for.
 */
#include <pvmm/batch.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/time.h>
#include <pvmm/vcpu.h>
#include "arch.h"

static uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* What this vCPU's record says. */
static uint64_t vcpu_clock_ns(void)
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

uint64_t pvmm_clock_ns(void)
{
	/* The vCPUs' records differ by the time that a calibration is old. */
	static uint64_t latest;
	uint64_t ns = vcpu_clock_ns(), seen = __atomic_load_n(&latest, __ATOMIC_RELAXED);

	while (seen < ns)
		if (__atomic_compare_exchange_n(&latest, &seen, ns, true, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return ns;
	return seen;
}

/* --- the timer --- */

/* Xen fires a timer so much early that others can share its interrupt (timer_slop, 50 us). */
#define EARLY_NS 100000ULL

/* Each belongs to its vCPU, and is touched with events masked. */
static struct {
	uint64_t deadline;
	pvmm_timer_fn *fn; /* NULL: it is not set */
	void *ctx;
	pvmm_port_t port; /* written by who brings the vCPU up */
} timers[PVMM_MAX_VCPUS];

static void arm(uint64_t deadline)
{
	struct vcpu_set_singleshot_timer set = {.timeout_abs_ns = deadline};
	int err = pvmm_hc_vcpu_op(VCPUOP_set_singleshot_timer, pvmm_this_vcpu(), &set);

	if (err)
		pvmm_panic("Xen sets no timer for %llu ns: %s (%d)", (unsigned long long)deadline,
			   pvmm_errno_name(err), err);
}

void pvmm_timer_set(uint64_t ns_from_now, pvmm_timer_fn *fn, void *ctx)
{
	bool were_on = pvmm_events_save();
	unsigned int vcpu = pvmm_this_vcpu();

	timers[vcpu].deadline = vcpu_clock_ns() + ns_from_now;
	timers[vcpu].fn = fn;
	timers[vcpu].ctx = ctx;
	arm(timers[vcpu].deadline);
	pvmm_events_restore(were_on);
}

/* It may be the event of a time that has been replaced. */
static void timer_event(pvmm_port_t port, void *ctx)
{
	unsigned int vcpu = pvmm_this_vcpu();
	pvmm_timer_fn *fn = timers[vcpu].fn;

	(void)port, (void)ctx;
	if (!fn)
		return;
	if (vcpu_clock_ns() + EARLY_NS < timers[vcpu].deadline) {
		arm(timers[vcpu].deadline);
		return;
	}
	timers[vcpu].fn = NULL;
	fn(timers[vcpu].ctx);
}

/* A PV vCPU starts with a timer of 100 Hz that it never asked for (xen/vcpu.h). */
int timer_open(unsigned int vcpu)
{
	pvmm_port_t *port = &timers[vcpu].port;
	int err = pvmm_hc_vcpu_op(VCPUOP_stop_periodic_timer, vcpu, NULL);

	if (err || event_is_bound(*port, vcpu, timer_event))
		return err;
	err = event_bind_virq_of(vcpu, VIRQ_TIMER, port);
	return err ? err : pvmm_event_bind(*port, timer_event, NULL);
}

void timer_init(void)
{
	int err = timer_open(pvmm_this_vcpu());

	if (err)
		pvmm_panic("vCPU %u gets no one-shot timer: %s (%d)", pvmm_this_vcpu(),
			   pvmm_errno_name(err), err);
}

void timer_stop(void)
{
	/* Without a function the event does nothing, if it is on its way. */
	timers[pvmm_this_vcpu()].fn = NULL;
	(void)pvmm_hc_vcpu_op(VCPUOP_stop_singleshot_timer, pvmm_this_vcpu(), NULL);
}
