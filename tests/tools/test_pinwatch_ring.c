/* SPDX-License-Identifier: MIT */
/*
 * The console's ring as Xen keeps it: a count of bytes that wraps, a reader that is too slow,
 * somebody who clears it (R44). A fault looks like a line that comes twice, not at all, or made of
 * two halves, or a loss that nobody is told of.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tools/pinwatch_ring.h"

#define XEN_RING 64u

/* Xen's side: the ring, how far it has been written, from where on it is there. */
static struct {
	char bytes[XEN_RING];
	uint32_t produced, consumed;
	int err;
	uint32_t most; /* at a time */
} xen;

static struct ring ring;
static char got[4096];
static uint32_t nr_lost, nr_losses;

static void print(const char *text)
{
	for (; *text; text++)
		xen.bytes[xen.produced++ % XEN_RING] = *text;
	if (xen.produced - xen.consumed > XEN_RING)
		xen.consumed = xen.produced - XEN_RING;
}

static int read_ring(void *ctx, char *buf, uint32_t *nr, uint32_t *index, bool from_start)
{
	uint32_t at = xen.consumed, sofar = 0, ahead = *index - xen.consumed;

	assert_null(ctx);
	if (xen.err)
		return xen.err;
	if (!from_start && ahead <= xen.produced - xen.consumed)
		at = *index;
	while (at != xen.produced && sofar < *nr && sofar < xen.most)
		buf[sofar++] = xen.bytes[at++ % XEN_RING];
	*nr = sofar;
	*index = at;
	return 0;
}

static void on_line(void *ctx, const char *text)
{
	(void)ctx;
	assert_true(strlen(got) + strlen(text) + 2 < sizeof(got));
	strcat(got, text);
	strcat(got, "|");
}

static void on_lost(void *ctx, uint32_t nr_bytes)
{
	(void)ctx;
	nr_lost += nr_bytes;
	nr_losses++;
}

static int poll_ring(void)
{
	const struct ring_events events = {.line = on_line, .lost = on_lost};

	*got = 0;
	return ring_poll(&ring, &events);
}

static int begin(void **state)
{
	(void)state;
	memset(&xen, 0, sizeof(xen));
	xen.most = 7;
	nr_lost = nr_losses = 0;
	ring_init(&ring, read_ring, NULL);
	return 0;
}

static void lines_come_once(void **state)
{
	(void)state;
	print("one\ntwo\nthr");
	assert_int_equal(poll_ring(), 0);
	assert_string_equal(got, "one|two|");
	assert_int_equal(poll_ring(), 0);
	assert_string_equal(got, "");
	print("ee\r\n\n");
	poll_ring();
	assert_string_equal(got, "three||");
	assert_int_equal(nr_losses, 0);
}

static void from_now_on(void **state)
{
	(void)state;
	print("old\nolder\nhalf of");
	assert_int_equal(ring_skip(&ring), 0);
	print(" a line\nnew\n");
	poll_ring();
	assert_string_equal(got, "half of a line|new|");
	assert_int_equal(nr_losses, 0);
}

/* Longer than the ring, read in time. */
static void the_ring_turns(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		char text[32], wanted[32];

		snprintf(text, sizeof(text), "line %u of many\n", i);
		snprintf(wanted, sizeof(wanted), "line %u of many|", i);
		print(text);
		poll_ring();
		assert_string_equal(got, wanted);
	}
	assert_int_equal(nr_losses, 0);
}

/* Xen counts in 32 bits. */
static void the_count_wraps(void **state)
{
	(void)state;
	xen.produced = xen.consumed = UINT32_MAX - 5;
	print("wraps here\n");
	assert_int_equal(poll_ring(), 0);
	assert_string_equal(got, "wraps here|");
	print("and on\n");
	poll_ring();
	assert_string_equal(got, "and on|");
	assert_int_equal(nr_losses, 0);
}

static void a_slow_reader_is_told(void **state)
{
	(void)state;
	print("first\nhalf of a ");
	poll_ring();
	print("line, ................................................................\n");
	print("after\n");
	poll_ring();
	/* What is left of the torn line is not taken for one, nor glued to the half from before. */
	assert_string_equal(got, "after|");
	assert_int_equal(nr_losses, 1);
	assert_int_equal(nr_lost, 71 + 6 - XEN_RING);
	print("as before\n");
	poll_ring();
	assert_string_equal(got, "as before|");
	assert_int_equal(nr_losses, 1);
	/* Not even where the half shows its start. */
	print("(XEN) half of ");
	poll_ring();
	print("a line ...................................................................\nafter\n");
	poll_ring();
	assert_string_equal(got, "after|");
	assert_int_equal(nr_losses, 2);
}

static void somebody_clears_it(void **state)
{
	(void)state;
	print("seen\n");
	poll_ring();
	print("not seen\n");
	xen.consumed = xen.produced;
	poll_ring();
	assert_string_equal(got, "");
	assert_int_equal(nr_lost, 9);
	/* The loss may have ended in the middle of a line: one is passed over. */
	print("torn, perhaps\nwhole\n");
	poll_ring();
	assert_string_equal(got, "whole|");
	/* A line of Xen's shows where it begins. */
	xen.consumed = xen.produced + 3;
	print("...(XEN) one\n");
	poll_ring();
	assert_string_equal(got, "(XEN) one|");
	assert_int_equal(nr_losses, 2);
}

static void hostile_bytes(void **state)
{
	char text[2 * RING_LINE_BYTES];

	(void)state;
	xen.most = XEN_RING;
	print("a\033[2Jb\x80\xff\x01\n");
	poll_ring();
	assert_string_equal(got, "a?[2Jb???|");
	memset(text, 'x', sizeof(text));
	for (unsigned int i = 0; i < sizeof(text); i += 32) {
		text[i + 31] = 0;
		print(text + i);
		poll_ring();
		assert_string_equal(got, "");
	}
	print("\nnext\n");
	poll_ring();
	/* Cut, and nothing of it spills into the next. */
	assert_int_equal(strcspn(got, "|"), RING_LINE_BYTES - 1);
	assert_string_equal(strchr(got, '|'), "|next|");
}

static void errors_are_handed_on(void **state)
{
	(void)state;
	xen.err = -EPERM;
	assert_int_equal(poll_ring(), -EPERM);
	assert_int_equal(ring_skip(&ring), -EPERM);
	xen.err = 0;
	print("later\n");
	assert_int_equal(poll_ring(), 0);
	assert_string_equal(got, "later|");
}

/* A console that is written as fast as it is read does not keep the watch to itself. */
static int endless(void *ctx, char *buf, uint32_t *nr, uint32_t *index, bool from_start)
{
	(void)ctx;
	(void)from_start;
	memset(buf, '\n', *nr);
	*index += *nr;
	return 0;
}

static void on_empty_line(void *ctx, const char *text)
{
	(void)ctx;
	assert_string_equal(text, "");
}

static void a_flood_has_pauses(void **state)
{
	const struct ring_events events = {.line = on_empty_line, .lost = on_lost};

	(void)state;
	ring_init(&ring, endless, NULL);
	assert_int_equal(ring_poll(&ring, &events), 1);
	assert_int_equal(ring_skip(&ring), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lines_come_once, begin),
		cmocka_unit_test_setup(from_now_on, begin),
		cmocka_unit_test_setup(the_ring_turns, begin),
		cmocka_unit_test_setup(the_count_wraps, begin),
		cmocka_unit_test_setup(a_slow_reader_is_told, begin),
		cmocka_unit_test_setup(somebody_clears_it, begin),
		cmocka_unit_test_setup(hostile_bytes, begin),
		cmocka_unit_test_setup(errors_are_handed_on, begin),
		cmocka_unit_test_setup(a_flood_has_pauses, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
