/* SPDX-License-Identifier: MIT */
/*
 * The lines of the hypervisor's console, each once and in order. Xen counts the bytes that it has
 * ever written there (modulo 2^32); a reader that gives the count it has got to is told whether
 * what came next is still in the ring, so that what was lost is known to the byte.
 */
#ifndef TOOLS_PINWATCH_RING_H
#define TOOLS_PINWATCH_RING_H

#include <stdbool.h>
#include <stdint.h>

/* A longer line is cut. Xen itself formats 1,023 bytes at most. */
#define RING_LINE_BYTES 1024u
#define RING_READ_BYTES 16384u

/*
 * Copies what follows *index, or, if from_start, all that there is: at most *nr bytes; sets *nr and
 * the *index behind the last byte. 0 or -errno.
 */
typedef int ring_read_fn(void *ctx, char *buf, uint32_t *nr, uint32_t *index, bool from_start);

struct ring_events {
	void *ctx;
	/* A line without its newline, printable ASCII only: what is not came as '?'. */
	void (*line)(void *ctx, const char *text);
	/* So many bytes were gone before they were read: the ring turned, or was cleared. */
	void (*lost)(void *ctx, uint32_t nr_bytes);
};

struct ring {
	ring_read_fn *read;
	void *ctx;
	uint32_t index;
	bool is_started;
	bool is_torn; /* what comes up to the next newline may be the end of a line that was lost */
	uint32_t len;
	char line[RING_LINE_BYTES];
	char buf[RING_READ_BYTES];
};

void ring_init(struct ring *ring, ring_read_fn *read, void *ctx);

/* Passes over all that is there now; a line that is not complete yet will come whole. */
int ring_skip(struct ring *ring);

/*
 * Hands over what has come; at most some 64 reads at a time. 1: there may be more, 0: that was all,
 * or -errno.
 */
int ring_poll(struct ring *ring, const struct ring_events *events);

#endif
