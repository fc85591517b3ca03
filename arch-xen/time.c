/* SPDX-License-Identifier: MIT */
/*
 * Reads the clock that Xen keeps for each vCPU (xen/xen.h, struct vcpu_time_info): a time stamp,
 * and how fast the TSC has run since. Owns each vCPU's one-shot timer, and the decision that there
 * is no tick: VIRQ_TIMER comes only when it was asked for.
 *
 * The guest's clock is Xen's plus an offset, which changes only when the domain goes on under
 * another Xen, or in another domain of the same one, with all vCPUs in suspend.c. Everything but
 * what is handed to Xen is in the guest's time.
 */
#include <pvmm/batch.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/time.h>
#include <pvmm/vcpu.h>
#include "arch.h"
#include "clock.h"

static uint64_t offset;

static uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* What this vCPU's record says: Xen's time. */
static uint64_t xen_clock_ns(void)
{
	const volatile struct vcpu_time_info *time = &pvmm_vcpu_info()->time;
	uint32_t version;
	uint64_t ns;

	do {
		/* Odd while Xen writes it; changed if Xen has written it since. */
		version = __atomic_load_n(&time->version, __ATOMIC_ACQUIRE);
		ns = time->system_time + clock_scale(read_tsc() - time->tsc_timestamp,
						     time->tsc_to_system_mul, time->tsc_shift);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((version & 1) || version != time->version);
	return ns;
}

/* This vCPU's idea of the guest's time. */
static uint64_t vcpu_clock_ns(void)
{
	return xen_clock_ns() + __atomic_load_n(&offset, __ATOMIC_RELAXED);
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

uint64_t clock_for_xen(uint64_t clock_ns)
{
	return clock_to_xen(clock_ns, __atomic_load_n(&offset, __ATOMIC_RELAXED));
}

void clock_resume(uint64_t clock_ns)
{
	__atomic_store_n(&offset, clock_offset(clock_ns, xen_clock_ns()), __ATOMIC_RELAXED);
}

uint64_t pvmm_wallclock_ns(void)
{
	const volatile struct shared_info *shared = pvmm_shared_info();
	uint32_t version, sec_hi, sec, nsec;

	do {
		/* As above. */
		version = __atomic_load_n(&shared->wc_version, __ATOMIC_ACQUIRE);
		sec_hi = shared->wc_sec_hi;
		sec = shared->wc_sec;
		nsec = shared->wc_nsec;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((version & 1) || version != shared->wc_version);
	return clock_wall(sec_hi, sec, nsec, xen_clock_ns());
}

/* --- the timer --- */

/* Xen fires a timer so much early that others can share its interrupt (timer_slop, 50 us). */
#define EARLY_NS 100000ULL

/* Each belongs to its vCPU, and is touched with events masked. */
static struct {
	uint64_t deadline; /* of the guest's clock */
	pvmm_timer_fn *fn; /* NULL: it is not set */
	void *ctx;
	pvmm_port_t port; /* written by who brings the vCPU up */
} timers[PVMM_MAX_VCPUS];

static void arm(uint64_t deadline)
{
	struct vcpu_set_singleshot_timer set = {.timeout_abs_ns = clock_for_xen(deadline)};
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

void timer_resume(void)
{
	unsigned int vcpu = pvmm_this_vcpu();

	timer_init();
	if (timers[vcpu].fn)
		arm(timers[vcpu].deadline);
}

void timer_stop(void)
{
	/* Without a function the event does nothing, if it is on its way. */
	timers[pvmm_this_vcpu()].fn = NULL;
	(void)pvmm_hc_vcpu_op(VCPUOP_stop_singleshot_timer, pvmm_this_vcpu(), NULL);
}
