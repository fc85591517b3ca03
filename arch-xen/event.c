/* SPDX-License-Identifier: MIT */
/*
 * Owns event delivery: which handler a port has, which vCPU it is bound to, and in which of Xen's
 * two ways events are told (event_abi.h); masking of all delivery on a vCPU.
 *
 * Invariant: a port that is bound to a vCPU has that vCPU prepared for it (events_vcpu_init), and a
 * vCPU that is down has no ports but its own, a VIRQ's or an IPI's.
 */
#include <pvmm/batch.h>
#include <pvmm/cmdline.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/spinlock.h>
#include <pvmm/vcpu.h>
#include "arch.h"
#include "event_abi.h"

/* Written before the port is unmasked, read by its handler's vCPU only afterwards: no lock. */
static struct handler {
	pvmm_event_fn *fn;
	void *ctx;
	uint8_t vcpu; /* the one that Xen notifies; new ports start at the boot vCPU */
	bool is_own;  /* bound to it for good */
} handlers[PVMM_EVENT_PORTS];

_Static_assert(PVMM_MAX_VCPUS <= UINT8_MAX, "a vCPU fits into its field");

/* Until the command line is known, the way that needs no preparation. */
static const struct event_abi *abi = &event_2l;

/* Guards the moves of ports: none goes to a vCPU that is on its way down. Not for handlers. */
static struct pvmm_spinlock move_lock = PVMM_SPINLOCK_INIT;

void event_entry(void);
void failsafe_entry(void);
void syscall_entry(void);

bool event_is_mine(pvmm_port_t port)
{
	return port >= PVMM_EVENT_PORTS ||
	       __atomic_load_n(&handlers[port].vcpu, __ATOMIC_ACQUIRE) == pvmm_this_vcpu();
}

void event_handle(pvmm_port_t port)
{
	if (port < PVMM_EVENT_PORTS && handlers[port].fn)
		handlers[port].fn(port, handlers[port].ctx);
	else
		pvmm_log(PVMM_WARN, "event on port %u, which has no handler", port);
}

/* Handles every pending, unmasked port of this vCPU. Runs with events masked. */
static void deliver(void)
{
	struct vcpu_info *vcpu = pvmm_vcpu_info();

	while (__atomic_exchange_n(&vcpu->evtchn_upcall_pending, 0, __ATOMIC_ACQ_REL))
		abi->take();
}

void event_upcall(struct pvmm_regs *regs)
{
	deliver();
	if (pvmm_trap_from_user(regs))
		user_return();
}

bool pvmm_events_save(void)
{
	struct vcpu_info *vcpu = pvmm_vcpu_info();
	bool were_on = !vcpu->evtchn_upcall_mask;

	vcpu->evtchn_upcall_mask = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return were_on;
}

void pvmm_events_restore(bool were_on)
{
	struct vcpu_info *vcpu = pvmm_vcpu_info();

	if (!were_on)
		return;
	/* Between unmasking and the look at pending, an event is delivered by Xen itself. */
	__atomic_store_n(&vcpu->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vcpu->evtchn_upcall_pending, __ATOMIC_SEQ_CST))
		(void)pvmm_hc_xen_version(XENVER_version, NULL); /* any trap delivers */
}

void pvmm_events_wait(void)
{
	/* SCHEDOP_block unmasks, and returns when an event is pending. */
	if (pvmm_hc_sched_op(SCHEDOP_block, NULL))
		pvmm_panic("SCHEDOP_block refused");
	(void)pvmm_events_save();
}

/* --- ports --- */

int pvmm_event_bind(pvmm_port_t port, pvmm_event_fn *fn, void *ctx)
{
	int err = port < PVMM_EVENT_PORTS ? abi->reach(port) : -XEN_EINVAL;

	if (err)
		return err;
	handlers[port].ctx = ctx;
	handlers[port].fn = fn;
	pvmm_event_unmask(port);
	return 0;
}

void pvmm_event_unbind(pvmm_port_t port)
{
	if (port >= PVMM_EVENT_PORTS)
		return;
	pvmm_event_mask(port);
	handlers[port].fn = NULL;
}

int pvmm_event_close(pvmm_port_t port)
{
	struct evtchn_close close = {.port = port};

	pvmm_event_unbind(port);
	if (port < PVMM_EVENT_PORTS) {
		handlers[port].vcpu = 0;
		handlers[port].is_own = false;
	}
	return pvmm_hc_event_channel_op(EVTCHNOP_close, &close);
}

/* Xen has made a port: *port, or back it goes if it cannot be told of. */
static int take_port(pvmm_port_t new_port, pvmm_port_t *port)
{
	int err = new_port < PVMM_EVENT_PORTS ? abi->reach(new_port) : -XEN_ENOSPC;

	if (err) {
		(void)pvmm_event_close(new_port);
		return err;
	}
	*port = new_port;
	return 0;
}

/* ... and bound it to a vCPU for good. */
static int take_own_port(pvmm_port_t new_port, unsigned int vcpu, pvmm_port_t *port)
{
	int err = take_port(new_port, port);

	if (!err) {
		handlers[new_port].vcpu = (uint8_t)vcpu;
		handlers[new_port].is_own = true;
	}
	return err;
}

int event_bind_virq_of(unsigned int vcpu, unsigned int virq, pvmm_port_t *port)
{
	struct evtchn_bind_virq bind = {.virq = virq, .vcpu = vcpu};
	int err = pvmm_hc_event_channel_op(EVTCHNOP_bind_virq, &bind);

	return err ? err : take_own_port(bind.port, vcpu, port);
}

int event_bind_ipi_of(unsigned int vcpu, pvmm_port_t *port)
{
	struct evtchn_bind_ipi bind = {.vcpu = vcpu};
	int err = pvmm_hc_event_channel_op(EVTCHNOP_bind_ipi, &bind);

	return err ? err : take_own_port(bind.port, vcpu, port);
}

int pvmm_event_bind_virq(unsigned int virq, pvmm_port_t *port)
{
	return event_bind_virq_of(pvmm_this_vcpu(), virq, port);
}

int pvmm_event_bind_ipi(pvmm_port_t *port)
{
	return event_bind_ipi_of(pvmm_this_vcpu(), port);
}

bool event_is_bound(pvmm_port_t port, unsigned int vcpu, pvmm_event_fn *fn)
{
	return port < PVMM_EVENT_PORTS && handlers[port].fn == fn && handlers[port].vcpu == vcpu;
}

static int move(pvmm_port_t port, unsigned int vcpu)
{
	struct evtchn_bind_vcpu bind = {.port = port, .vcpu = vcpu};
	bool was_masked = abi->is_masked(port);
	int err;

	/* Masked meanwhile: unmasking tells the new vCPU what the old one leaves to it. */
	pvmm_event_mask(port);
	err = pvmm_hc_event_channel_op(EVTCHNOP_bind_vcpu, &bind);
	if (!err)
		__atomic_store_n(&handlers[port].vcpu, (uint8_t)vcpu, __ATOMIC_RELEASE);
	if (!was_masked)
		pvmm_event_unmask(port);
	return err;
}

int pvmm_event_move(pvmm_port_t port, unsigned int vcpu)
{
	int err = -XEN_EINVAL;

	pvmm_spin_lock(&move_lock);
	if (port < PVMM_EVENT_PORTS && pvmm_vcpu_is_up(vcpu))
		err = move(port, vcpu);
	pvmm_spin_unlock(&move_lock);
	return err;
}

int pvmm_event_priority(pvmm_port_t port, unsigned int priority)
{
	struct evtchn_set_priority set = {.port = port, .priority = priority};

	return pvmm_hc_event_channel_op(EVTCHNOP_set_priority, &set);
}

int pvmm_event_alloc(unsigned int domid, pvmm_port_t *port)
{
	struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = (domid_t)domid};
	int err = pvmm_hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc);

	return err ? err : take_port(alloc.port, port);
}

int pvmm_event_connect(unsigned int domid, pvmm_port_t remote, pvmm_port_t *port)
{
	struct evtchn_bind_interdomain bind = {.remote_dom = (domid_t)domid, .remote_port = remote};
	int err = pvmm_hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind);

	return err ? err : take_port(bind.local_port, port);
}

int pvmm_event_send(pvmm_port_t port)
{
	struct evtchn_send send = {.port = port};

	return pvmm_hc_event_channel_op(EVTCHNOP_send, &send);
}

void pvmm_event_mask(pvmm_port_t port)
{
	if (port < PVMM_EVENT_PORTS)
		abi->mask(port);
}

void pvmm_event_unmask(pvmm_port_t port)
{
	struct evtchn_unmask unmask = {.port = port};

	if (port >= PVMM_EVENT_PORTS || abi->try_unmask(port))
		return;
	/* Xen's unmask also raises what came while the port was masked; a plain store would not. */
	if (pvmm_hc_event_channel_op(EVTCHNOP_unmask, &unmask))
		pvmm_panic("Xen does not unmask event port %u", port);
}

void pvmm_event_clear(pvmm_port_t port)
{
	if (port < PVMM_EVENT_PORTS)
		abi->clear(port);
}

void pvmm_event_again(pvmm_port_t port)
{
	if (port >= PVMM_EVENT_PORTS || abi->is_masked(port))
		return;
	/* Xen tells the vCPU of what is pending when the port is unmasked. */
	abi->mask(port);
	abi->set(port);
	pvmm_event_unmask(port);
}

/* --- vCPUs --- */

int events_vcpu_init(unsigned int vcpu)
{
	return abi->vcpu_init(vcpu);
}

/*
 * What has been sent to a port before it moved is in this vCPU's queue, or is told to the new one
 * by the unmasking; the queue is emptied here, since nobody looks at it when the vCPU is down.
 */
void events_leave(void)
{
	unsigned int self = pvmm_this_vcpu();

	pvmm_spin_lock(&move_lock);
	for (pvmm_port_t port = 0; port < PVMM_EVENT_PORTS; port++) {
		int err;

		if (handlers[port].vcpu != self || handlers[port].is_own)
			continue;
		err = move(port, 0);
		if (err)
			pvmm_log(PVMM_WARN, "event port %u does not move from vCPU %u: %s (%d)",
				 port, self, pvmm_errno_name(err), err);
	}
	pvmm_spin_unlock(&move_lock);
	abi->take();
}

void events_fill_context(struct vcpu_guest_context *c)
{
	c->event_callback_eip = (uintptr_t)event_entry;
	c->failsafe_callback_eip = (uintptr_t)failsafe_entry;
	c->syscall_callback_eip = (uintptr_t)syscall_entry;
	c->flags |= VGCF_failsafe_disables_events | VGCF_syscall_disables_events;
}

void events_init(void)
{
	const struct callback_register callbacks[] = {
		{.type = CALLBACKTYPE_event, .address = (uintptr_t)event_entry},
		{.type = CALLBACKTYPE_failsafe,
		 .flags = CALLBACKF_mask_events,
		 .address = (uintptr_t)failsafe_entry},
		{.type = CALLBACKTYPE_syscall,
		 .flags = CALLBACKF_mask_events,
		 .address = (uintptr_t)syscall_entry},
	};

	event_2l.reset();
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(callbacks); i++) {
		int err = pvmm_hc_callback_op(CALLBACKOP_register, &callbacks[i]);

		if (err)
			pvmm_panic("Xen refuses callback type %u: %d", callbacks[i].type, err);
	}
}

/* --- the choice --- */

static const struct event_abi *wanted; /* by the option; NULL: the best that there is */

const char *events_parse(const char *value)
{
	if (pvmm_text_equal(value, event_2l.name))
		wanted = &event_2l;
	else if (pvmm_text_equal(value, event_fifo.name))
		wanted = &event_fifo;
	else
		return "is neither 2l nor fifo";
	return NULL;
}

const char *pvmm_event_abi(void)
{
	return abi->name;
}

/* Xen begins with two levels in every new domain, and there is no way back from the queues. */
static int use_fifo(void)
{
	int err;

	event_fifo.reset();
	err = event_fifo.vcpu_init(0);
	if (!err)
		abi = &event_fifo;
	return err;
}

void events_start(void)
{
	int err = wanted == &event_2l ? 0 : use_fifo();

	if (err && wanted)
		refuse_boot("option \"events\": Xen does not offer \"fifo\": %s (%d)",
			    pvmm_errno_name(err), err);
}

void events_resume(void)
{
	int err = 0;

	for (pvmm_port_t port = 0; port < PVMM_EVENT_PORTS; port++)
		handlers[port] = (struct handler){0};
	event_2l.reset();
	abi = &event_2l;
	if (wanted != &event_2l)
		err = use_fifo();
	if (err)
		pvmm_log(PVMM_INFO, "event channels: two levels here, Xen offers no fifo: %s (%d)",
			 pvmm_errno_name(err), err);
}
