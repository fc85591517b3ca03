/* SPDX-License-Identifier: MIT */
/*
 * See <pvmm/suspend.h>. Owns the order in which the domain is made ready to be stopped, and set
 * going again.
 *
 * vCPU 0 does the work, the others wait. Invariant while they do: their events are masked, they
 * read neither the clock nor the shared page, and hold nothing. Every machine frame that the domain
 * knows is then in a page table that Xen has validated, in the p2m, or in the start info page;
 * these are what the toolstack translates.
 *
 * A round is over when vCPU 0 has set a new number; a vCPU's number of arrivals belongs to one
 * round.
 */
#include <pvmm/batch.h>
#include <pvmm/console.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/mm.h>
#include <pvmm/p2m.h>
#include <pvmm/patience.h>
#include <pvmm/suspend.h>
#include <pvmm/time.h>
#include <pvmm/vcpu.h>
#include "arch.h"
#include "xenstore.h"

/* What another vCPU needs to go on: some hypercalls. One that takes this long is not there. */
#define PATIENCE_NS 60000000000ULL

static struct {
	unsigned int arrived, gone; /* of the other vCPUs */
	unsigned int round;
	int result; /* of the round that is over */
} meeting;

static unsigned int nr_others(void)
{
	return pvmm_nr_vcpus() - 1;
}

/* --- the other vCPUs --- */

/* Its ports are gone, like all ports, and a new vCPU has a tick. */
static void vcpu_resume(void)
{
	int err = events_vcpu_init(pvmm_this_vcpu());

	if (err)
		pvmm_panic("suspend: vCPU %u gets no events: %s (%d)", pvmm_this_vcpu(),
			   pvmm_errno_name(err), err);
	fpu_forbid();
	timer_resume();
	calls_init();
	lock_port_init();
}

static int wait_for_vcpu_0(void)
{
	unsigned int round = __atomic_load_n(&meeting.round, __ATOMIC_ACQUIRE);
	int result;

	__atomic_fetch_add(&meeting.arrived, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&meeting.round, __ATOMIC_ACQUIRE) == round)
		pvmm_vcpu_yield();
	result = meeting.result;
	if (result == PVMM_SUSPEND_RESTORED)
		vcpu_resume();
	__atomic_fetch_add(&meeting.gone, 1, __ATOMIC_ACQ_REL);
	return result;
}

/* --- vCPU 0 --- */

static void wait_for_others(void)
{
	while (__atomic_load_n(&meeting.arrived, __ATOMIC_ACQUIRE) != nr_others())
		pvmm_vcpu_yield();
	meeting.arrived = meeting.gone = 0;
}

static void let_others_go(int result)
{
	struct pvmm_patience patience = pvmm_patience_of(PATIENCE_NS);

	meeting.result = result;
	__atomic_store_n(&meeting.round, meeting.round + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&meeting.gone, __ATOMIC_ACQUIRE) != nr_others()) {
		if (!pvmm_patience_lasts(&patience))
			pvmm_panic("suspend: %u of %u other vCPUs have come back", meeting.gone,
				   nr_others());
		pvmm_vcpu_yield();
	}
}

/* Between the shared page's going and its coming back nothing may want events or the time. */
static int stop(void)
{
	int err = shared_info_hide(), result;

	if (err) {
		pvmm_log(PVMM_ERROR, "suspend: Xen leaves the shared page mapped: %s (%d)",
			 pvmm_errno_name(err), err);
		return err;
	}
	start_info_give();
	result = pvmm_hc_suspend(start_info_mfn());
	if (result == PVMM_SUSPEND_RESTORED)
		start_info_renew();
	else
		start_info_take_back();
	shared_info_map();
	if (result < 0)
		pvmm_log(PVMM_ERROR, "suspend: Xen does not stop the domain: %s (%d)",
			 pvmm_errno_name(result), result);
	return result;
}

/* The domain is another one. */
static void resume(uint64_t stopped_ns)
{
	uint64_t nr_taken = 0;
	int err;

	clock_resume(stopped_ns);
	lock_ports_forget();
	events_resume();
	vcpu_resume();
	console_resume(pvmm_start_info());
	store_renew(pvmm_start_info());
	err = pvmm_p2m_publish(pvmm_max_pfn(), &nr_taken);
	if (err) /* it had its pages before */
		pvmm_panic("suspend: the p2m cannot be published: %s (%d)", pvmm_errno_name(err),
			   err);
}

static int stop_and_go(void)
{
	uint64_t stopped_ns;
	int result = pvmm_mm_suspend();

	if (result)
		return result;
	pvmm_console_flush();
	stopped_ns = pvmm_clock_ns();
	result = stop();
	if (result == PVMM_SUSPEND_RESTORED)
		resume(stopped_ns);
	pvmm_mm_resume();
	return result;
}

/* Without the grant table's frames, which are Xen's and in no p2m. */
static int without_grants(void)
{
	int result = grants_suspend();

	if (result)
		return result;
	result = stop_and_go();
	grants_resume(result != PVMM_SUSPEND_RESTORED);
	return result;
}

/* The others wait for their turn at the store while it is told what it must know. */
static int meet(void)
{
	int result;

	wait_for_others();
	result = xs_suspend();
	if (result) {
		let_others_go(result);
		return result;
	}
	result = without_grants();
	let_others_go(result);
	xs_resume();
	return result;
}

int pvmm_suspend(void)
{
	bool were_on;
	int result;

	pvmm_batch_assert_closed("suspend");
	were_on = pvmm_events_save();
	result = pvmm_this_vcpu() ? wait_for_vcpu_0() : meet();
	pvmm_events_restore(were_on);
	return result;
}
