/* SPDX-License-Identifier: MIT */
/* See pinwatch_ring.h. Owns the line that is not complete yet. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "pinwatch_ring.h"

/* So that signals and other domains are seen to while a console is written all the time. */
#define READS_AT_A_TIME 64u

void ring_init(struct ring *ring, ring_read_fn *read, void *ctx)
{
	*ring = (struct ring){.read = read, .ctx = ctx};
}

static void end_line(struct ring *ring, const struct ring_events *events)
{
	static const char mark[] = "(XEN) ";

	ring->line[ring->len] = 0;
	/* Behind a gap, only the mark of a line's start tells that this is a whole one. */
	if (!strncmp(ring->line, mark, sizeof(mark) - 1))
		ring->is_torn = false;
	if (!ring->is_torn && events)
		events->line(events->ctx, ring->line);
	ring->is_torn = false;
	ring->len = 0;
}

static void take(struct ring *ring, char c, const struct ring_events *events)
{
	if (c == '\n')
		end_line(ring, events);
	else if (c != '\r' && ring->len < sizeof(ring->line) - 1)
		ring->line[ring->len++] = c >= ' ' && c <= '~' ? c : '?';
}

/* One read; the number of bytes that came, or -errno. */
static int step(struct ring *ring, const struct ring_events *events)
{
	uint32_t nr = sizeof(ring->buf), index = ring->index, start;
	int err = ring->read(ring->ctx, ring->buf, &nr, &index, !ring->is_started);

	if (err)
		return err;
	if (nr > sizeof(ring->buf))
		return -ERANGE;
	start = index - nr;
	if (ring->is_started && start != ring->index) {
		ring->len = 0;
		ring->is_torn = true;
		if (events)
			events->lost(events->ctx, start - ring->index);
	}
	ring->is_started = true;
	ring->index = index;
	for (uint32_t i = 0; i < nr; i++)
		take(ring, ring->buf[i], events);
	return (int)nr;
}

static int steps(struct ring *ring, const struct ring_events *events)
{
	int nr = 0;

	for (unsigned int i = 0; i < READS_AT_A_TIME; i++) {
		nr = step(ring, events);
		if (nr <= 0)
			return nr;
	}
	return 1;
}

int ring_skip(struct ring *ring)
{
	int more;

	/* A console that is written faster than it is read is not waited for. */
	for (unsigned int i = 0; i < READS_AT_A_TIME; i++) {
		more = steps(ring, NULL);
		if (more <= 0)
			return more;
	}
	return 0;
}

int ring_poll(struct ring *ring, const struct ring_events *events)
{
	return steps(ring, events);
}
