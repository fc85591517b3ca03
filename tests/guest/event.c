/* SPDX-License-Identifier: MIT */
/*
 * Event channels: sent, delivered once, held back by either mask, and the timer's VIRQ wakes a
 * blocked vCPU. (xen/event_channel.h)
 */
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/kernel.h>
#include "suites.h"

static unsigned int nr_events;

static void count_event(pvmm_port_t port, void *ctx)
{
	(void)port;
	*(unsigned int *)ctx += 1;
}

/* A channel from this domain to itself: what is sent on *from arrives on *to. */
static bool open_loop(pvmm_port_t *from, pvmm_port_t *to)
{
	nr_events = 0;
	return CHECK_EQUAL(pvmm_event_alloc(DOMID_SELF, to), 0) &&
	       CHECK_EQUAL(pvmm_event_connect(DOMID_SELF, *to, from), 0) &&
	       CHECK_EQUAL(pvmm_event_bind(*to, count_event, &nr_events), 0);
}

static void close_loop(pvmm_port_t from, pvmm_port_t to)
{
	CHECK_EQUAL(pvmm_event_close(from), 0);
	CHECK_EQUAL(pvmm_event_close(to), 0);
}

static void an_event_arrives_once(void)
{
	pvmm_port_t from, to;

	if (!open_loop(&from, &to))
		return;
	for (unsigned int i = 1; i <= 100; i++) {
		CHECK_EQUAL(pvmm_event_send(from), 0);
		CHECK_EQUAL(nr_events, i);
	}
	close_loop(from, to);
	CHECK(pvmm_event_send(from) != 0);
}

static void a_masked_port_waits(void)
{
	pvmm_port_t from, to;

	if (!open_loop(&from, &to))
		return;
	pvmm_event_mask(to);
	CHECK_EQUAL(pvmm_event_send(from), 0);
	CHECK_EQUAL(pvmm_event_send(from), 0);
	CHECK_EQUAL(nr_events, 0);
	pvmm_event_unmask(to);
	CHECK_EQUAL(nr_events, 1);
	close_loop(from, to);
}

static void masked_delivery_waits(void)
{
	pvmm_port_t from, to;
	bool were_on;

	if (!open_loop(&from, &to))
		return;
	were_on = pvmm_events_save();
	CHECK(were_on);
	CHECK_EQUAL(pvmm_event_send(from), 0);
	CHECK_EQUAL(nr_events, 0);
	pvmm_events_restore(were_on);
	CHECK_EQUAL(nr_events, 1);
	close_loop(from, to);
}

static void the_timer_wakes_a_blocked_vcpu(void)
{
	const uint64_t delay_ns = 20000000;
	const uint64_t slop_ns = 1000000; /* Xen fires timers a little early to batch them */
	uint64_t start;
	pvmm_port_t port;

	nr_events = 0;
	if (!CHECK_EQUAL(pvmm_event_bind_virq(VIRQ_TIMER, &port), 0))
		return;
	CHECK_EQUAL(pvmm_event_bind(port, count_event, &nr_events), 0);
	start = pvmm_clock_ns();
	CHECK_EQUAL(pvmm_hc_set_timer_op(start + delay_ns), 0);
	while (!nr_events) {
		bool were_on = pvmm_events_save();

		if (!nr_events)
			pvmm_events_wait();
		pvmm_events_restore(were_on);
	}
	CHECK(pvmm_clock_ns() - start >= delay_ns - slop_ns);
	CHECK_EQUAL(pvmm_event_close(port), 0);
}

static void ports_out_of_range_are_refused(void)
{
	CHECK_EQUAL(pvmm_event_bind(PVMM_EVENT_PORTS, count_event, NULL), -XEN_EINVAL);
}

const struct suite suite_event = {
	.name = "event",
	.about = "event channels and the timer",
	.tests =
		(const struct test[]){
			{"an event arrives, once", an_event_arrives_once},
			{"an event on a masked port waits", a_masked_port_waits},
			{"events wait while delivery is masked", masked_delivery_waits},
			{"the timer wakes a blocked vCPU", the_timer_wakes_a_blocked_vcpu},
			{"a port out of range is refused", ports_out_of_range_are_refused},
			{NULL, NULL},
		},
};
