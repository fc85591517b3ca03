/* SPDX-License-Identifier: MIT */
/*
 * Owns the calls from one vCPU to another: a list of waiting calls for each vCPU, and the event
 * port that makes it look.
 *
 * A call lies on its caller's stack until done is set, which is the last that the callee touches.
 *
 * A vCPU that goes down answers what waits and closes its desk in one step: what came before is
 * answered, what comes later is refused, and nothing waits for a vCPU that does not run. Its port
 * stays, so that who kicks it meanwhile does no harm.
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

static struct call closed; /* a list that begins with it takes no calls */

static struct {
	struct call *waiting; /* pushed by anyone, taken as a whole by the vCPU itself */
	pvmm_port_t port;
} desks[PVMM_MAX_VCPUS];

/* Runs what waits for this vCPU, and leaves the list as said. Events are masked. */
static void answer(struct call *leave)
{
	struct call **list = &desks[pvmm_this_vcpu()].waiting;
	struct call *call = __atomic_load_n(list, __ATOMIC_RELAXED);

	if (call == leave || call == &closed)
		return;
	call = __atomic_exchange_n(list, leave, __ATOMIC_ACQ_REL);
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
	answer(NULL);
}

void pvmm_vcpu_kick(unsigned int vcpu)
{
	int err = desks[vcpu].port ? pvmm_event_send(desks[vcpu].port) : 0;

	if (err)
		pvmm_panic("Xen sends no event to vCPU %u on port %u: %s (%d)", vcpu,
			   desks[vcpu].port, pvmm_errno_name(err), err);
}

/* False when the vCPU takes none any more. */
static bool push(unsigned int vcpu, struct call *call)
{
	struct call **list = &desks[vcpu].waiting;
	struct call *first = __atomic_load_n(list, __ATOMIC_RELAXED);

	do {
		if (first == &closed)
			return false;
		call->next = first;
	} while (!__atomic_compare_exchange_n(list, &first, call, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	/* Behind another one: its event is on the way. */
	if (!first)
		pvmm_vcpu_kick(vcpu);
	return true;
}

int pvmm_vcpu_call(unsigned int vcpu, pvmm_vcpu_fn *fn, void *ctx)
{
	struct call call = {.fn = fn, .ctx = ctx};
	bool were_on;
	int err = 0;

	if (!pvmm_vcpu_is_up(vcpu))
		return -XEN_ENOENT;
	were_on = pvmm_events_save();
	if (vcpu == pvmm_this_vcpu()) {
		fn(ctx);
	} else if (push(vcpu, &call)) {
		while (!__atomic_load_n(&call.done, __ATOMIC_ACQUIRE)) {
			answer(NULL);
			pvmm_vcpu_yield();
		}
	} else {
		err = -XEN_ENOENT;
	}
	pvmm_events_restore(were_on);
	return err;
}

int calls_open(unsigned int vcpu)
{
	pvmm_port_t *port = &desks[vcpu].port;
	int err = 0;

	if (!event_is_bound(*port, vcpu, call_event))
		err = event_bind_ipi_of(vcpu, port);
	if (!err)
		err = pvmm_event_bind(*port, call_event, NULL);
	if (!err)
		__atomic_store_n(&desks[vcpu].waiting, NULL, __ATOMIC_RELEASE);
	return err;
}

void calls_init(void)
{
	int err = calls_open(pvmm_this_vcpu());

	if (err)
		pvmm_panic("Xen gives vCPU %u no port for calls: %s (%d)", pvmm_this_vcpu(),
			   pvmm_errno_name(err), err);
}

void calls_close(void)
{
	answer(&closed);
}
