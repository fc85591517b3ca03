/* SPDX-License-Identifier: MIT */
/*
 * Owns the store's ring (xen/io/xs_wire.h), a message on its way out and one on its way in: either
 * may be longer than the ring and goes through it in pieces.
 *
 * Invariant: what has been begun is sent to its end before another message is begun, whoever has
 * lost his patience meanwhile, so the store always finds a message where it looks for one.
 *
 * Called with the turn (xenstore.c), which is its lock. The page is dom0's as well: its indices are
 * checked, and ours are kept here and only shown there.
 */
#include <pvmm/log.h>
#include "xenstore.h"

static volatile struct xenstore_domain_interface *ring;
static uint32_t req_prod, rsp_cons;
static bool is_broken;

static struct {
	struct xs_message message;
	size_t len, done;
} out, in; /* of in, len is not used */

void xs_ring_use(volatile struct xenstore_domain_interface *page)
{
	ring = page;
	is_broken = false;
	out.len = out.done = in.done = 0;
	req_prod = page ? page->req_prod : 0;
	rsp_cons = page ? page->rsp_cons : 0;
}

void xs_ring_renew(void)
{
	if (!ring)
		return;
	__atomic_store_n(&ring->rsp_cons, ring->rsp_prod, __ATOMIC_RELEASE);
	xs_ring_use(ring);
}

bool xs_ring_is_quiet(void)
{
	return !ring || is_broken ||
	       (out.done == out.len && !in.done && ring->req_cons == req_prod &&
		ring->rsp_prod == rsp_cons);
}

bool xs_ring_is_there(void)
{
	return ring;
}

/* There is no way to find the start of the next message again. */
static int give_up(const char *what, uint32_t value)
{
	if (!is_broken)
		pvmm_log(PVMM_ERROR, "xenstore: given up: %s (%u)", what, value);
	is_broken = true;
	return -XEN_EIO;
}

struct xs_message *xs_ring_out(void)
{
	return &out.message;
}

void xs_ring_put(void)
{
	out.len = sizeof(out.message.head) + out.message.head.len;
	out.done = 0;
}

int xs_ring_send(void)
{
	const char *bytes = (const char *)&out.message;
	uint32_t used = req_prod - __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE);
	size_t before = out.done;

	if (is_broken)
		return -XEN_EIO;
	if (used > XENSTORE_RING_SIZE)
		return give_up("it has taken more than was sent", used);
	for (; used < XENSTORE_RING_SIZE && out.done < out.len; used++)
		ring->req[MASK_XENSTORE_IDX(req_prod++)] = bytes[out.done++];
	if (out.done != before) {
		__atomic_store_n(&ring->req_prod, req_prod, __ATOMIC_RELEASE);
		xs_port_notify();
	}
	return out.done < out.len ? -XEN_EAGAIN : 0;
}

/* How long the message that comes is, as far as is known. */
static size_t in_len(void)
{
	size_t head = sizeof(in.message.head);

	return in.done < head ? head : head + in.message.head.len;
}

/* Up to the end of the head or of the message, or to what has come. */
static bool take_bytes(uint32_t available)
{
	char *bytes = (char *)&in.message;
	size_t len = in_len(), before = in.done;

	for (; available && in.done < len; available--)
		bytes[in.done++] = ring->rsp[MASK_XENSTORE_IDX(rsp_cons++)];
	return in.done != before;
}

int xs_ring_receive(const struct xs_message **message)
{
	uint32_t prod = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE);
	bool took = false;

	if (is_broken)
		return -XEN_EIO;
	if (prod - rsp_cons > XENSTORE_RING_SIZE)
		return give_up("more in the ring than it holds", prod - rsp_cons);
	while (take_bytes(prod - rsp_cons)) {
		took = true;
		if (in.done >= sizeof(in.message.head) &&
		    in.message.head.len > XENSTORE_PAYLOAD_MAX)
			return give_up("a message longer than any may be", in.message.head.len);
	}
	if (took) {
		__atomic_store_n(&ring->rsp_cons, rsp_cons, __ATOMIC_RELEASE);
		xs_port_notify();
	}
	if (in.done < in_len())
		return -XEN_EAGAIN;
	in.message.payload[in.message.head.len] = '\0';
	in.done = 0;
	*message = &in.message;
	return 0;
}

bool xs_ring_has_more(void)
{
	return ring && __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) !=
			       __atomic_load_n(&ring->rsp_cons, __ATOMIC_ACQUIRE);
}
