/* SPDX-License-Identifier: MIT */
/*
 * Event channels: sent, delivered once, held back by either mask, and the timer's VIRQ wakes a
 * blocked vCPU. The same by both of Xen's ways (events=2l|fifo). (xen/event_channel.h)
 */
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/kernel.h>
#include <pvmm/log.h>
#include <pvmm/patience.h>
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
static unsigned int counted_after(const unsigned int *counter, unsigned int nr)
{
	struct pvmm_patience patience = pvmm_patience_of(10000000000ULL);

	while (*(const volatile unsigned int *)counter < nr && pvmm_patience_lasts(&patience))
		pvmm_vcpu_yield();
	return *counter;
}

static unsigned int events_after(unsigned int nr)
{
	return counted_after(&nr_events, nr);
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

/* A port that is masked while its event is on the way has nothing handled until it is unmasked. */
static void an_event_on_its_way_can_be_masked(void)
{
	pvmm_port_t from, to;
	bool were_on;

	if (!open_loop(&from, &to))
		return;
	for (unsigned int i = 0; i < 10; i++) {
		nr_events = 0;
		were_on = pvmm_events_save();
		CHECK_EQUAL(pvmm_event_send(from), 0);
		pvmm_event_mask(to);
		pvmm_events_restore(were_on);
		CHECK_EQUAL(nr_events, 0);
		pvmm_event_unmask(to);
		CHECK_EQUAL(events_after(1), 1);
	}
	close_loop(from, to);
}

/*
 * As the store's client waits: by SCHEDOP_poll, on a masked port. What is pending ends it at once,
 * on however slow a host; what is not, after a second.
 */
static bool poll_says_pending(pvmm_port_t port)
{
	uint64_t patience = 1000000000, start = pvmm_clock_ns();
	struct sched_poll poll = {.nr_ports = 1, .timeout = start + patience};

	set_xen_guest_handle(poll.ports, &port);
	CHECK_EQUAL(pvmm_hc_sched_op(SCHEDOP_poll, &poll), 0);
	return pvmm_clock_ns() - start < patience / 2;
}

/*
 * Any event of the vCPU's ends a poll, the console's too: two of some last. One may last because
 * the machine stands still.
 */
static bool poll_says_nothing(pvmm_port_t port)
{
	unsigned int nr_long = 0;

	for (unsigned int i = 0; i < 6 && nr_long < 2; i++)
		nr_long += !poll_says_pending(port);
	return nr_long == 2;
}

static void a_masked_port_can_be_polled(void)
{
	pvmm_port_t from, to;

	if (!open_loop(&from, &to))
		return;
	pvmm_event_mask(to);
	CHECK_EQUAL(pvmm_event_send(from), 0);
	CHECK(!poll_says_nothing(to));
	pvmm_event_clear(to);
	CHECK(poll_says_nothing(to));
	CHECK_EQUAL(pvmm_event_send(from), 0);
	CHECK(!poll_says_nothing(to));
	pvmm_event_clear(to);
	pvmm_event_unmask(to);
	CHECK_EQUAL(pvmm_event_send(from), 0);
	CHECK_EQUAL(events_after(1), 1);
	close_loop(from, to);
}

/* Who has polled and cleared gives the port back to its handler, which is called once. */
static void what_was_cleared_can_come_again(void)
{
	pvmm_port_t from, to;
	bool were_on;

	if (!open_loop(&from, &to))
		return;
	for (unsigned int i = 1; i <= 10; i += 2) {
		were_on = pvmm_events_save();
		CHECK_EQUAL(pvmm_event_send(from), 0);
		pvmm_event_clear(to);
		pvmm_event_again(to);
		pvmm_events_restore(were_on);
		CHECK_EQUAL(events_after(i), i);
		/* Also when nothing has come before. */
		pvmm_event_again(to);
		CHECK_EQUAL(events_after(i + 1), i + 1);
	}
	pvmm_event_mask(to);
	pvmm_event_again(to);
	pvmm_event_unmask(to);
	CHECK_EQUAL(pvmm_event_send(from), 0);
	CHECK_EQUAL(events_after(11), 11);
	close_loop(from, to);
}

/* --- order, and many at once --- */

static struct {
	pvmm_port_t port[3];
	unsigned int nr;
} order;

static void note_order(pvmm_port_t port, void *ctx)
{
	(void)ctx;
	if (order.nr < PVMM_ARRAY_SIZE(order.port))
		order.port[order.nr] = port;
	order.nr++;
}

/* Three ports, sent to in the order of their numbers; the last of them is the most urgent. */
static void the_most_urgent_event_is_first(void)
{
	const unsigned int priority[3] = {15, 7, 0};
	bool has_priorities = pvmm_text_equal(pvmm_event_abi(), "fifo"), were_on;
	pvmm_port_t from[3], to[3];

	pvmm_print("# event channels: %s\n", pvmm_event_abi());
	for (unsigned int i = 0; i < 3; i++) {
		if (!open_loop(&from[i], &to[i]))
			return;
		CHECK_EQUAL(pvmm_event_bind(to[i], note_order, NULL), 0);
		CHECK_EQUAL(pvmm_event_priority(to[i], priority[i]),
			    has_priorities ? 0 : -XEN_ENOSYS);
		CHECK(!i || to[i] > to[i - 1]);
	}
	CHECK(!has_priorities || pvmm_event_priority(to[0], 16) == -XEN_EINVAL);
	order.nr = 0;
	were_on = pvmm_events_save();
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQUAL(pvmm_event_send(from[i]), 0);
	pvmm_events_restore(were_on);
	CHECK_EQUAL(counted_after(&order.nr, 3), 3);
	for (unsigned int i = 0; i < 3; i++) {
		CHECK_EQUAL(order.port[i], to[has_priorities ? 2 - i : i]);
		close_loop(from[i], to[i]);
	}
}

enum { MANY = 1000 };

static struct {
	pvmm_port_t from, to;
	unsigned int nr;
} many[MANY];

static void count_many(pvmm_port_t port, void *ctx)
{
	(void)port;
	(*(unsigned int *)ctx)++;
}

/* Until there are enough, or Xen gives no more ports. */
static unsigned int open_many(void)
{
	unsigned int nr = 0;
	int err = 0;

	for (; nr < MANY; nr++) {
		many[nr].nr = 0;
		err = pvmm_event_alloc(DOMID_SELF, &many[nr].to);
		if (err)
			break;
		err = pvmm_event_connect(DOMID_SELF, many[nr].to, &many[nr].from);
		if (err) {
			CHECK_EQUAL(pvmm_event_close(many[nr].to), 0);
			break;
		}
		CHECK_EQUAL(pvmm_event_bind(many[nr].to, count_many, &many[nr].nr), 0);
	}
	CHECK(!err || err == -XEN_ENOSPC);
	return nr;
}

/* As many ports as the domain may have (max_event_channels=), all pending at the same time. */
static void many_ports_at_once(void)
{
	unsigned int nr = open_many(), missing = 0;
	bool were_on;

	pvmm_print("# %u channels, the last port is %u\n", nr, nr ? many[nr - 1].from : 0);
	CHECK(nr >= 400);
	for (unsigned int round = 1; round <= 3; round++) {
		were_on = pvmm_events_save();
		for (unsigned int i = 0; i < nr; i++)
			CHECK_EQUAL(pvmm_event_send(many[nr - 1 - i].from), 0);
		pvmm_events_restore(were_on);
		for (unsigned int i = 0; i < nr; i++)
			missing += counted_after(&many[i].nr, round) != round;
	}
	CHECK_EQUAL(missing, 0);
	for (unsigned int i = 0; i < nr; i++)
		close_loop(many[i].from, many[i].to);
}

/* --- the timer --- */

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
	CHECK_EQUAL(pvmm_event_move(1, PVMM_MAX_VCPUS), -XEN_EINVAL);
}

const struct suite suite_event = {
	.name = "event",
	.about = "event channels and the timer",
	.tests =
		(const struct test[]){
			{"an event arrives, once", an_event_arrives_once},
			{"an event on a masked port waits", a_masked_port_waits},
			{"events wait while delivery is masked", masked_delivery_waits},
			{"an event on its way can be masked", an_event_on_its_way_can_be_masked},
			{"a masked port can be polled", a_masked_port_can_be_polled},
			{"what was cleared can come again", what_was_cleared_can_come_again},
			{"the most urgent event is handled first", the_most_urgent_event_is_first},
			{"many ports are pending at once", many_ports_at_once},
			{"the timer wakes a blocked vCPU", the_timer_wakes_a_blocked_vcpu},
			{"a timer that is set again fires once",
			 a_timer_that_is_set_again_fires_once},
			{"a port out of range is refused", ports_out_of_range_are_refused},
			{NULL, NULL},
		},
};
