/* SPDX-License-Identifier: MIT */
/*
 * Owns event delivery: which handler a port has, and the masks in Xen's shared page (two-level
 * event channels: a selector word a vCPU, one bit for each word of pending bits).
 *
 * The pending bits of all vCPUs share their words, so a vCPU takes only those ports that are bound
 * to it; the others' are left for them, whose selectors Xen has set.
 */
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/vcpu.h>
#include "arch.h"

#define BITS 64u

/* Written before the port is unmasked, read by its handler's vCPU only afterwards: no lock. */
static struct {
	pvmm_event_fn *fn;
	void *ctx;
	unsigned int vcpu; /* the one that Xen notifies; new ports start at the boot vCPU */
} handlers[PVMM_EVENT_PORTS];

void event_entry(void);
void failsafe_entry(void);
void syscall_entry(void);

static void bit_set(xen_ulong_t *words, pvmm_port_t port)
{
	__atomic_fetch_or(&words[port / BITS], 1UL << (port % BITS), __ATOMIC_ACQ_REL);
}

static void bit_clear(xen_ulong_t *words, pvmm_port_t port)
{
	__atomic_fetch_and(&words[port / BITS], ~(1UL << (port % BITS)), __ATOMIC_ACQ_REL);
}

static bool bit_test(const xen_ulong_t *words, pvmm_port_t port)
{
	return __atomic_load_n(&words[port / BITS], __ATOMIC_ACQUIRE) >> (port % BITS) & 1;
}

static bool is_mine(pvmm_port_t port)
{
	return port >= PVMM_EVENT_PORTS || handlers[port].vcpu == pvmm_this_vcpu();
}

static void call_handler(pvmm_port_t port)
{
	if (port < PVMM_EVENT_PORTS && handlers[port].fn)
		handlers[port].fn(port, handlers[port].ctx);
	else
		pvmm_log(PVMM_WARN, "event on port %u, which has no handler", port);
}

/* Handles every pending, unmasked port of this vCPU. Runs with events masked. */
static void deliver(void)
{
	struct shared_info *shared = pvmm_shared_info();
	struct vcpu_info *vcpu = pvmm_vcpu_info();

	while (__atomic_exchange_n(&vcpu->evtchn_upcall_pending, 0, __ATOMIC_ACQ_REL)) {
		xen_ulong_t words =
			__atomic_exchange_n(&vcpu->evtchn_pending_sel, 0, __ATOMIC_ACQ_REL);

		for (; words; words &= words - 1) {
			unsigned int word = (unsigned int)__builtin_ctzl(words);
			xen_ulong_t bits;

			bits = shared->evtchn_pending[word] & ~shared->evtchn_mask[word];
			for (; bits; bits &= bits - 1) {
				pvmm_port_t port = word * BITS + (unsigned int)__builtin_ctzl(bits);

				if (!is_mine(port))
					continue;
				bit_clear(shared->evtchn_pending, port);
				call_handler(port);
			}
		}
	}
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

int pvmm_event_bind(pvmm_port_t port, pvmm_event_fn *fn, void *ctx)
{
	if (port >= PVMM_EVENT_PORTS)
		return -XEN_EINVAL;
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
	if (port < PVMM_EVENT_PORTS)
		handlers[port].vcpu = 0;
	return pvmm_hc_event_channel_op(EVTCHNOP_close, &close);
}

/* Xen has bound a new port to this vCPU. */
static int note_own(pvmm_port_t new_port, pvmm_port_t *port)
{
	if (new_port >= PVMM_EVENT_PORTS) {
		(void)pvmm_event_close(new_port);
		return -XEN_ENOSPC;
	}
	handlers[new_port].vcpu = pvmm_this_vcpu();
	*port = new_port;
	return 0;
}

int pvmm_event_bind_virq(unsigned int virq, pvmm_port_t *port)
{
	struct evtchn_bind_virq bind = {.virq = virq, .vcpu = pvmm_this_vcpu()};
	int err = pvmm_hc_event_channel_op(EVTCHNOP_bind_virq, &bind);

	return err ? err : note_own(bind.port, port);
}

int pvmm_event_bind_ipi(pvmm_port_t *port)
{
	struct evtchn_bind_ipi bind = {.vcpu = pvmm_this_vcpu()};
	int err = pvmm_hc_event_channel_op(EVTCHNOP_bind_ipi, &bind);

	return err ? err : note_own(bind.port, port);
}

int pvmm_event_move(pvmm_port_t port, unsigned int vcpu)
{
	struct evtchn_bind_vcpu bind = {.port = port, .vcpu = vcpu};
	bool was_masked;
	int err;

	if (port >= PVMM_EVENT_PORTS || vcpu >= pvmm_nr_vcpus())
		return -XEN_EINVAL;
	/* Masked meanwhile: unmasking tells the new vCPU what the old one leaves to it. */
	was_masked = bit_test(pvmm_shared_info()->evtchn_mask, port);
	pvmm_event_mask(port);
	err = pvmm_hc_event_channel_op(EVTCHNOP_bind_vcpu, &bind);
	if (!err)
		__atomic_store_n(&handlers[port].vcpu, vcpu, __ATOMIC_RELEASE);
	if (!was_masked)
		pvmm_event_unmask(port);
	return err;
}

int pvmm_event_alloc(unsigned int domid, pvmm_port_t *port)
{
	struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = (domid_t)domid};
	int err = pvmm_hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc);

	if (!err)
		*port = alloc.port;
	return err;
}

int pvmm_event_connect(unsigned int domid, pvmm_port_t remote, pvmm_port_t *port)
{
	struct evtchn_bind_interdomain bind = {.remote_dom = (domid_t)domid, .remote_port = remote};
	int err = pvmm_hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind);

	if (!err)
		*port = bind.local_port;
	return err;
}

int pvmm_event_send(pvmm_port_t port)
{
	struct evtchn_send send = {.port = port};

	return pvmm_hc_event_channel_op(EVTCHNOP_send, &send);
}

void pvmm_event_mask(pvmm_port_t port)
{
	bit_set(pvmm_shared_info()->evtchn_mask, port);
}

void pvmm_event_unmask(pvmm_port_t port)
{
	struct shared_info *shared = pvmm_shared_info();
	struct evtchn_unmask unmask = {.port = port};

	/* Xen's unmask also raises what came while the port was masked; a plain store would not. */
	if (!bit_test(shared->evtchn_pending, port)) {
		bit_clear(shared->evtchn_mask, port);
		if (!bit_test(shared->evtchn_pending, port))
			return;
		bit_set(shared->evtchn_mask, port);
	}
	if (pvmm_hc_event_channel_op(EVTCHNOP_unmask, &unmask))
		pvmm_panic("Xen does not unmask event port %u", port);
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
	struct shared_info *shared = pvmm_shared_info();
	const struct callback_register callbacks[] = {
		{.type = CALLBACKTYPE_event, .address = (uintptr_t)event_entry},
		{.type = CALLBACKTYPE_failsafe,
		 .flags = CALLBACKF_mask_events,
		 .address = (uintptr_t)failsafe_entry},
		{.type = CALLBACKTYPE_syscall,
		 .flags = CALLBACKF_mask_events,
		 .address = (uintptr_t)syscall_entry},
	};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(shared->evtchn_mask); i++)
		shared->evtchn_mask[i] = ~0UL;
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(callbacks); i++) {
		int err = pvmm_hc_callback_op(CALLBACKOP_register, &callbacks[i]);

		if (err)
			pvmm_panic("Xen refuses callback type %u: %d", callbacks[i].type, err);
	}
}

/* The domain goes on as another one: none of its ports is there any more. */
void events_resume(void)
{
	for (unsigned int port = 0; port < PVMM_EVENT_PORTS; port++) {
		handlers[port].fn = NULL;
		handlers[port].ctx = NULL;
		handlers[port].vcpu = 0;
	}
	events_init();
}
