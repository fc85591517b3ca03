/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the store's client tell each other: xenstore.c, what a kernel asks;
 * xenstore_request.c, one request and its answer; xenstore_watch.c, the list of watches;
 * xenstore_ring.c, bytes; xenstore_port.c, events and waiting. The hosted tests have a port of
 * their own.
 */
#ifndef PVMM_XENSTORE_INTERNAL_H
#define PVMM_XENSTORE_INTERNAL_H

#include <pvmm/patience.h>
#include <pvmm/xen.h>
#include <pvmm/types.h>
#include <pvmm/xenstore.h>
#include <xen/io/xs_wire.h>

struct xs_message {
	struct xsd_sockmsg head;
	char payload[XENSTORE_PAYLOAD_MAX + 1]; /* there is always a NUL behind it */
};

_Static_assert(offsetof(struct xs_message, payload) == sizeof(struct xsd_sockmsg),
	       "a message is filled byte by byte");

/* --- xenstore_ring.c; the caller has the turn --- */

/* NULL: there is no store. */
void xs_ring_use(volatile struct xenstore_domain_interface *page);
bool xs_ring_is_there(void);

/* The same page, with another store at its other end: what is in the ring is from the one before.
 */
void xs_ring_renew(void);

/*
 * Nothing is on its way, out or in, or the ring makes no sense. When it is so, there is nothing
 * that a new store would have to know.
 */
bool xs_ring_is_quiet(void);

/* The message to send next, to be filled in when nothing is left of the one before. */
struct xs_message *xs_ring_out(void);
void xs_ring_put(void);

/* Sends what has room. 0: all is sent; -XEN_EAGAIN: not yet; -XEN_EIO: the ring makes no sense. */
int xs_ring_send(void);

/*
 * Takes what has come. 0: a whole message, valid until the next call; -XEN_EAGAIN: not yet;
 * -XEN_EIO: what comes makes no sense, now and for ever.
 */
int xs_ring_receive(const struct xs_message **message);

/* Whether there is something to take. Needs no turn. */
bool xs_ring_has_more(void);

/* --- xenstore_request.c --- */

/* What a request is made of. */
struct xs_part {
	const char *text;
	size_t len_bytes; /* what is sent of it: with its NUL or without */
};

size_t xs_text_len(const char *text);
struct xs_part xs_with_nul(const char *text);

/* Whether the parts can be sent, the first of which is a path with its NUL: 0 or an error. */
int xs_check_parts(const struct xs_part *parts, unsigned int nr_parts);

/* Waits for a turn: 0, or -XEN_ENODEV and no turn. */
int xs_begin(void);
void xs_end(void);

/*
 * With the turn: asks; the answer is valid until the turn ends. And the same where the answer is
 * "OK", or where the store is told of a watch (or of its end).
 */
int xs_ask(uint32_t type, pvmm_store_tx_t tx, const struct xs_part *parts, unsigned int nr_parts,
	   const struct xs_message **answer);
int xs_ask_ok(uint32_t type, pvmm_store_tx_t tx, const struct xs_part *parts,
	      unsigned int nr_parts);
int xs_ask_watch(uint32_t type, const struct pvmm_store_watch *watch);

/* A whole turn for a request whose answer is "OK". */
int xs_order(uint32_t type, pvmm_store_tx_t tx, const struct xs_part *parts, unsigned int nr_parts);
int xs_order_path(uint32_t type, pvmm_store_tx_t tx, const char *path);

/* Takes what has come by itself, if there is anything. */
void xs_take_in(void);

/* Stores that have come since the boot's. */
uint32_t xs_connection(void);

/*
 * Around a suspend, on one vCPU while all others wait. suspend takes the turn and waits until the
 * ring is quiet: 0, or -XEN_EBUSY with a line, and without the turn. What has come in is taken in.
 *
 * resume gives the turn back. renew before it, when another store is at the other end: transactions
 * are over, answers do not come any more, and resume has all watches registered again.
 */
int xs_suspend(void);
void xs_renew(void);
void xs_resume(void);

/* --- xenstore_watch.c --- */

/* The store has sent an event. Any context. */
void xs_wake_watchers(void);

void xs_watches_add(struct pvmm_store_watch *watch);
void xs_watches_remove(const struct pvmm_store_watch *watch);

/* The watch with this token has fired; false if there is none any more. */
bool xs_watches_fire(uint64_t token);

/* One that this store does not know yet, or NULL. */
struct pvmm_store_watch *xs_watches_first_old(void);

/* --- xenstore_port.c --- */

void xs_port_notify(void);

/* While held, the store's events wake the one that waits and call no handler. */
void xs_port_hold(void);
void xs_port_release(void);

/*
 * Forgets the events that have come; then the caller looks at the ring, and waits for the next one
 * if there is nothing. False, at once, when the patience is at its end.
 */
void xs_port_clear(void);
bool xs_port_wait(struct pvmm_patience *patience);

/* Sleeps a little. */
void xs_port_nap(void);

#endif
