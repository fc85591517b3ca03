/* SPDX-License-Identifier: MIT */
/*
 * Owns the store's event channel, and how one waits for it: masked while a request is under way, so
 * that an event stays pending and SCHEDOP_poll sees it on whichever vCPU; else it wakes the
 * watchers. Who has the turn (xenstore.c) is the only one to call these, but for xs_port_nap.
 */
#include <pvmm/event.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/page.h>
#include "arch.h"
#include "xenstore.h"

/* One look at the ring this often, should an event be lost: two domains write its indices. */
#define POLL_NS 100000000ULL

/* How long one who waits for a turn does not look: less than a request takes. */
#define NAP_NS 200000ULL

static pvmm_port_t port;

void xs_port_notify(void)
{
	/* The port was given to us by the domain builder: no answer could tell us anything new. */
	(void)pvmm_event_send(port);
}

void xs_port_hold(void)
{
	pvmm_event_mask(port);
}

void xs_port_release(void)
{
	pvmm_event_unmask(port);
}

void xs_port_clear(void)
{
	pvmm_event_clear(port);
}

bool xs_port_wait(struct pvmm_patience *patience)
{
	if (!pvmm_patience_lasts(patience))
		return false;
	vcpu_poll(port, pvmm_clock_ns() + POLL_NS);
	return true;
}

void xs_port_nap(void)
{
	vcpu_poll(port, pvmm_clock_ns() + NAP_NS);
}

static void store_event(pvmm_port_t event_port, void *ctx)
{
	(void)event_port, (void)ctx;
	xs_wake_watchers();
}

static void bind_port(const struct start_info *si)
{
	port = si->store_evtchn;
	if (pvmm_event_bind(port, store_event, NULL))
		pvmm_panic("the store's event port %u is out of range", port);
}

void store_init(const struct start_info *si)
{
	pfn_t pfn = pvmm_mfn_to_pfn(_mfn(si->store_mfn));

	if (!pfn_valid(pfn) || !si->store_evtchn)
		return;
	xs_ring_use(pvmm_pfn_to_virt(pfn));
	bind_port(si);
}

/* Who asks holds the port until he gives back his turn. */
void store_renew(const struct start_info *si)
{
	if (!xs_ring_is_there())
		return;
	bind_port(si);
	xs_port_hold();
	xs_renew();
}
