/* SPDX-License-Identifier: MIT */
/*
 * Event channels: sent, delivered once, held back by either mask, and the timer's VIRQ wakes a
 * blocked vCPU. (xen/event_channel.h)
 */
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/kernel.h>
#include <pvmm/vcpu.h>
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

/*
 * Xen tells the vCPU at once, unless another processor is just telling it of another port: then
 * with that one.
 */
static unsigned int events_after(unsigned int nr)
{
	uint64_t deadline = pvmm_clock_ns() + 10000000000ULL;

	while (*(volatile unsigned int *)&nr_events < nr && pvmm_clock_ns() < deadline)
		pvmm_vcpu_yield();
	return nr_events;
}

static void an_event_arrives_once(void)
{
	pvmm_port_t from, to;

	if (!open_loop(&from, &to))
		return;
	for (unsigned int i = 1; i <= 100; i++) {
		CHECK_EQUAL(pvmm_event_send(from), 0);
		CHECK_EQUAL(events_after(i), i);
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
	CHECK_EQUAL(events_after(1), 1);
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
	CHECK_EQUAL(events_after(1), 1);
	close_loop(from, to);
}

/* Xen fires timers a little early to batch them. */
#define SLOP_NS 1000000ULL

static void count_timer(void *ctx)
{
	*(unsigned int *)ctx += 1;
}

static void set_again(void *ctx)
{
	count_timer(ctx);
	pvmm_timer_set(100000, count_timer, ctx);
}

/* Blocks until so many have come. */
static void wait_for_events(unsigned int nr)
{
	bool were_on = pvmm_events_save();

	while (*(volatile unsigned int *)&nr_events < nr)
		pvmm_events_wait();
	pvmm_events_restore(were_on);
}

static void the_timer_wakes_a_blocked_vcpu(void)
{
	const uint64_t delay_ns = 20000000;
	uint64_t start = pvmm_clock_ns();

	nr_events = 0;
	pvmm_timer_set(delay_ns, count_timer, &nr_events);
	wait_for_events(1);
	CHECK(pvmm_clock_ns() - start >= delay_ns - SLOP_NS);
}

/* A later time takes the place of an earlier one, though the event of that one is on its way. */
static void a_timer_that_is_set_again_fires_once(void)
{
	const uint64_t second_ns = 20000000;
	uint64_t start = pvmm_clock_ns();
	bool were_on = pvmm_events_save();

	nr_events = 0;
	pvmm_timer_set(0, count_timer, &nr_events);
	pvmm_timer_set(second_ns, count_timer, &nr_events);
	pvmm_events_restore(were_on);
	wait_for_events(1);
	CHECK(pvmm_clock_ns() - start >= second_ns - SLOP_NS);

	/* At once, and from its own handler. */
	pvmm_timer_set(0, set_again, &nr_events);
	wait_for_events(3);
	CHECK_EQUAL(nr_events, 3);
}

static void ports_out_of_range_are_refused(void)
{
	CHECK_EQUAL(pvmm_event_bind(PVMM_EVENT_PORTS, count_event, NULL), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_event_move(PVMM_EVENT_PORTS, 0), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_event_move(1, pvmm_nr_vcpus()), -XEN_EINVAL);
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
			{"a timer that is set again fires once",
			 a_timer_that_is_set_again_fires_once},
			{"a port out of range is refused", ports_out_of_range_are_refused},
			{NULL, NULL},
		},
};
