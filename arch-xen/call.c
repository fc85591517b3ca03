/* SPDX-License-Identifier: MIT */
/*
 * Owns the calls from one vCPU to another: a list of waiting calls for each vCPU, and the event
 * port that makes it look.
 *
 * A call lies on its caller's stack until done is set, which is the last that the callee touches.
 */
#include <pvmm/batch.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/vcpu.h>
#include "arch.h"

struct call {
	struct call *next;
	pvmm_vcpu_fn *fn;
	void *ctx;
	bool done;
};

static struct {
	struct call *waiting; /* pushed by anyone, taken as a whole by the vCPU itself */
	pvmm_port_t port;
} desks[PVMM_MAX_VCPUS];

/* Runs what waits for this vCPU. Events are masked. */
static void answer(void)
{
	struct call **list = &desks[pvmm_this_vcpu()].waiting;
	struct call *call;

	if (!__atomic_load_n(list, __ATOMIC_RELAXED))
		return;
	call = __atomic_exchange_n(list, NULL, __ATOMIC_ACQ_REL);
	while (call) {
		struct call *next = call->next;

		call->fn(call->ctx);
		__atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
		call = next;
	}
}

static void call_event(pvmm_port_t port, void *ctx)
{
	(void)port, (void)ctx;
	answer();
}

void pvmm_vcpu_kick(unsigned int vcpu)
{
	int err = pvmm_event_send(desks[vcpu].port);

	if (err)
		pvmm_panic("Xen sends no event to vCPU %u on port %u: %s (%d)", vcpu,
			   desks[vcpu].port, pvmm_errno_name(err), err);
}

static void push(unsigned int vcpu, struct call *call)
{
	struct call **list = &desks[vcpu].waiting;
	struct call *first = __atomic_load_n(list, __ATOMIC_RELAXED);

	do
		call->next = first;
	while (!__atomic_compare_exchange_n(list, &first, call, true, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED));
	/* Behind another one: its event is on the way. */
	if (!first)
		pvmm_vcpu_kick(vcpu);
}

int pvmm_vcpu_call(unsigned int vcpu, pvmm_vcpu_fn *fn, void *ctx)
{
	struct call call = {.fn = fn, .ctx = ctx};
	bool were_on;

	if (vcpu >= pvmm_nr_vcpus())
		return -XEN_ENOENT;
	were_on = pvmm_events_save();
	if (vcpu == pvmm_this_vcpu()) {
		fn(ctx);
	} else {
		push(vcpu, &call);
		while (!__atomic_load_n(&call.done, __ATOMIC_ACQUIRE)) {
			answer();
			pvmm_vcpu_yield();
		}
	}
	pvmm_events_restore(were_on);
	return 0;
}

void calls_init(void)
{
	pvmm_port_t *port = &desks[pvmm_this_vcpu()].port;
	int err = pvmm_event_bind_ipi(port);

	if (!err)
		err = pvmm_event_bind(*port, call_event, NULL);
	if (err)
		pvmm_panic("Xen gives vCPU %u no port for calls: %s (%d)", pvmm_this_vcpu(),
			   pvmm_errno_name(err), err);
}
