/* SPDX-License-Identifier: MIT */
/*
 * What pvmm-pinwatch hears of Xen: the console ring, domains that have crashed, and what a guest of
 * this library publishes of itself. Used by one thread.
 */
#ifndef TOOLS_PINWATCH_XEN_H
#define TOOLS_PINWATCH_XEN_H

#include "dom_xen.h"
#include "pinwatch_ring.h"

struct watch;

/* NULL, and why (TOOL_ERROR_BYTES). */
struct watch *watch_open(char *why);
void watch_close(struct watch *w);

/* A ring_read_fn; ctx is the watch. */
int watch_read_ring(void *ctx, char *buf, uint32_t *nr, uint32_t *index, bool from_start);

/*
 * Sleeps until the console has been written, a domain has come to its end, the time is over or a
 * signal has come. 0 or -errno; a signal and the end of the time are 0.
 */
int watch_wait(struct watch *w, uint64_t timeout_ms);

/*
 * Domains whose crash has not been told yet, and are still there: at most max. At the first call
 * those that were found crashed are told only if wanted. Their number or -errno.
 */
int watch_crashes(struct watch *w, bool tell_old, uint32_t *domids, unsigned int max);

/* What a guest of this library has in data/pvmm of the store. */
#define WATCH_WORDS	 24u
#define WATCH_WORD_BYTES 48u
struct watch_word {
	char name[WATCH_WORD_BYTES];  /* letters, digits, '-' and '_' */
	char value[WATCH_WORD_BYTES]; /* the guest's: print it escaped */
};
unsigned int watch_guest_words(struct watch *w, uint32_t domid, struct watch_word *words);

#endif
