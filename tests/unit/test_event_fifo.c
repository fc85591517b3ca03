/* SPDX-License-Identifier: MIT */
/*
 * The queues of FIFO event channels (arch-xen/event_fifo.c), filled by the test in Xen's place,
 * good and broken: what is pending is handled once, in order; what is masked is left; and whatever
 * the links say, a walk ends.
 */
#include "arch-xen/event_fifo.c"
#include "tests/unit/unit.h"

static pvmm_port_t handled[PVMM_EVENT_PORTS + 1];
static unsigned int nr_handled;
static void (*meanwhile)(pvmm_port_t port); /* what Xen does while a handler runs */

void event_handle(pvmm_port_t port)
{
	assert_true(nr_handled < PVMM_ARRAY_SIZE(handled));
	handled[nr_handled++] = port;
	if (meanwhile)
		meanwhile(port);
}

/* Xen's side, without its care: appends a port to a queue of vCPU 0. */
static pvmm_port_t tails[EVTCHN_FIFO_MAX_QUEUES];

static void send(pvmm_port_t port, unsigned int queue)
{
	words[port] |= PENDING;
	if (words[port] & (MASKED | LINKED))
		return;
	words[port] |= LINKED;
	if (tails[queue] && tails[queue] != port && (words[tails[queue]] & LINKED)) {
		words[tails[queue]] = (words[tails[queue]] & ~LINK) | port;
	} else {
		control.block[0].head[queue] = port;
		control.block[0].ready |= 1u << queue;
	}
	tails[queue] = port;
}

static int set_up(void **state)
{
	(void)state;
	reset();
	nr_handled = 0;
	meanwhile = NULL;
	for (unsigned int i = 0; i < EVTCHN_FIFO_MAX_QUEUES; i++)
		tails[i] = 0;
	for (pvmm_port_t port = 1; port < PVMM_EVENT_PORTS; port++)
		assert_true(try_unmask(port));
	return 0;
}

static void assert_handled(const pvmm_port_t *ports, unsigned int nr)
{
	assert_int_equal(nr_handled, nr);
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(handled[i], ports[i]);
}

static void all_are_handled_by_priority(void **state)
{
	const pvmm_port_t order[] = {40, 10, 20, 2047, 30};

	(void)state;
	send(10, 7);
	send(20, 7);
	send(30, 15);
	send(2047, 7);
	send(40, 0);
	take();
	assert_handled(order, 5);
	for (pvmm_port_t port = 1; port < PVMM_EVENT_PORTS; port++)
		assert_int_equal(words[port], 0);
	take();
	assert_int_equal(nr_handled, 5);
}

/* The same port again, another behind it, and one that is more urgent. */
static void send_more(pvmm_port_t port)
{
	if (port != 10 || nr_handled > 1)
		return;
	send(10, 7);
	send(20, 7);
	send(5, 3);
}

static void what_comes_meanwhile_is_handled_too(void **state)
{
	const pvmm_port_t order[] = {10, 5, 11, 10, 20};

	(void)state;
	meanwhile = send_more;
	send(10, 7);
	send(11, 7);
	take();
	assert_handled(order, 5);
}

static void what_is_masked_waits(void **state)
{
	const pvmm_port_t order[] = {20};

	(void)state;
	send(10, 7);
	send(20, 7);
	mask(10);
	assert_true(is_masked(10));
	take();
	assert_handled(order, 1);
	assert_int_equal(words[10], MASKED | PENDING);
	assert_false(try_unmask(10)); /* Xen has to put it into a queue */
	clear(10);
	assert_true(try_unmask(10));
	assert_int_equal(words[10], 0);
}

/* A queue that leads nowhere, out of the words, back to itself, or round: each ends, and is said.
 */
static void a_broken_queue_ends(void **state)
{
	const uint32_t links[] = {99, PVMM_EVENT_PORTS, LINK, 10, 20};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(links); i++) {
		set_up(state);
		send(10, 7);
		send(20, 7);
		words[20] |= links[i];
		take();
		assert_int_equal(nr_handled, 2);
		assert_int_equal(handled[1], 20);
		/* And it is good again. */
		send(30, 7);
		take();
		assert_int_equal(nr_handled, 3);
	}
	set_up(state);
	control.block[0].ready = ~0u;
	take();
	assert_int_equal(nr_handled, 0);
	control.block[0].head[7] = UINT32_MAX;
	control.block[0].ready = 1u << 7;
	take();
	assert_int_equal(nr_handled, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_are_handled_by_priority, set_up),
		cmocka_unit_test_setup(what_comes_meanwhile_is_handled_too, set_up),
		cmocka_unit_test_setup(what_is_masked_waits, set_up),
		cmocka_unit_test_setup(a_broken_queue_ends, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
