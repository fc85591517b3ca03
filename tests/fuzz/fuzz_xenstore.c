/* SPDX-License-Identifier: MIT */
/*
 * The store's client against a store that says and does what the input says: answers in pieces,
 * answers to nothing, events, errors, indices that make no sense, silence, another store.
 *
 *	every call ends, with 0 or an error, and gives back its turn
 *	nothing is written behind what the caller has given, and a text there has its NUL
 *	what is sent is a stream of whole messages, whatever was lost in between
 *	a watch that was given up is never touched again
 */
#include <pvmm/event.h>
#include <pvmm/xen.h>
#include <pvmm/xenstore.h>
#include "arch-xen/xenstore.h"
#include "tests/fuzz/fuzz.h"

#define MAX_WAITS 24

static struct fuzz_input in;
static struct xenstore_domain_interface ring;
static unsigned int nr_waits, holds;

bool pvmm_events_save(void)
{
	return true;
}

void pvmm_events_restore(bool were_on)
{
	(void)were_on;
}

/* --- the store: it takes what is sent, and knows where each message begins --- */

static struct xs_message taken;
static size_t nr_taken;
static bool has_meddled; /* with the indices: the stream is worth nothing any more */

/* Nothing under way; the indices, which run freely, begin at some number. */
static void new_store(uint32_t index)
{
	memset(&ring, 0, sizeof(ring));
	memset(&taken, 0, sizeof(taken));
	ring.req_cons = ring.req_prod = ring.rsp_cons = ring.rsp_prod = index;
	nr_taken = 0;
	has_meddled = false;
}

static void take_requests(void)
{
	for (; ring.req_cons != ring.req_prod && !has_meddled; ring.req_cons++) {
		if (nr_taken == sizeof(taken.head) + taken.head.len && nr_taken)
			nr_taken = 0;
		((char *)&taken)[nr_taken++] = ring.req[MASK_XENSTORE_IDX(ring.req_cons)];
		if (nr_taken != sizeof(taken.head))
			continue;
		fuzz_must(taken.head.type <= XS_MKDIR || taken.head.type == XS_RM ||
			  taken.head.type == XS_WRITE);
		fuzz_must(taken.head.len <= XENSTORE_PAYLOAD_MAX);
		fuzz_must(taken.head.req_id);
	}
}

static void say_byte(char byte)
{
	if (ring.rsp_prod - ring.rsp_cons < XENSTORE_RING_SIZE)
		ring.rsp[MASK_XENSTORE_IDX(ring.rsp_prod++)] = byte;
}

static void say(const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		say_byte(((const char *)bytes)[i]);
}

static void say_input(size_t len)
{
	while (len--)
		say_byte((char)fuzz_byte(&in));
}

/* A ring full of it, or less: what makes messages long. */
static void say_run(char byte)
{
	unsigned int nr = fuzz_byte(&in) * 8;

	while (nr--)
		say_byte(byte);
}

/* A head that fits the last request, or nearly, and what the input has for the rest. */
static void say_answer(void)
{
	static const char *const texts[] = {"OK", "ENOENT", "EAGAIN", "1", "4294967295", ""};
	const char *text = texts[fuzz_byte(&in) % (sizeof(texts) / sizeof(texts[0]))];
	uint8_t how = fuzz_byte(&in);
	struct xsd_sockmsg head = {
		.type = how & 1 ? XS_ERROR : taken.head.type,
		.req_id = taken.head.req_id + (how & 2 ? fuzz_byte(&in) : 0),
		.len = (uint32_t)strlen(text) + 1,
	};

	if (how & 4) {
		head.len = (uint32_t)fuzz_bytes(&in, how & 8 ? 2 : 1);
		say(&head, sizeof(head));
		say_input(how & 16 ? head.len : fuzz_byte(&in));
	} else {
		say(&head, sizeof(head));
		say(text, head.len);
	}
}

static void say_event(void)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "a%c%u", 0, fuzz_byte(&in)) + 1;
	struct xsd_sockmsg head = {.type = XS_WATCH_EVENT, .len = (uint32_t)len};

	say(&head, sizeof(head));
	say(text, (size_t)len);
}

static void act(void)
{
	switch (fuzz_byte(&in) % 9) {
	case 0:
		say_input(fuzz_byte(&in));
		break;
	case 1:
		say_event();
		break;
	case 2:
		if (!(fuzz_byte(&in) & 15)) {
			has_meddled = true;
			ring.rsp_prod = (uint32_t)fuzz_bytes(&in, 4);
		}
		break;
	case 3:
		if (!(fuzz_byte(&in) & 15)) {
			has_meddled = true;
			ring.req_cons = (uint32_t)fuzz_bytes(&in, 4);
		}
		break;
	case 4: /* silent, and does not read */
		break;
	case 5:
		say_run((char)fuzz_byte(&in));
		break;
	default:
		take_requests();
		say_answer();
	}
}

/* --- the port --- */

void xs_port_notify(void)
{
}

void xs_port_hold(void)
{
	holds++;
}

void xs_port_release(void)
{
	holds--;
}

void xs_port_clear(void)
{
}

void xs_port_nap(void)
{
	fuzz_must(!"nobody else has the turn");
}

bool xs_port_wait(struct pvmm_patience *patience)
{
	(void)patience;
	fuzz_must(holds == 1);
	if (nr_waits == MAX_WAITS || !fuzz_more(&in))
		return false;
	nr_waits++;
	act();
	return true;
}

/* --- the guest --- */

static struct pvmm_store_watch *watch;
static pvmm_store_tx_t tx;

static void wake(void *ctx)
{
	fuzz_must(ctx == &watch);
}

static int read_or_list(bool lists)
{
	size_t room = 1 + fuzz_byte(&in) * 17u, len = 0;
	char *to = malloc(room);
	unsigned int nr = 0, counted = 0;
	int err;

	if (lists)
		err = pvmm_store_list(tx, "data", to, room, &nr);
	else
		err = pvmm_store_read(tx, "name", to, room, &len);
	if (err)
		fuzz_must(!*to);
	else if (!lists)
		fuzz_must(len < room && !to[len]);
	for (size_t at = 0; lists && counted < nr; counted++) {
		fuzz_must(at < room);
		at += strlen(to + at) + 1;
		fuzz_must(at <= room);
	}
	free(to);
	return err;
}

static int watch_or_not(void)
{
	int err;

	if (!watch) {
		watch = calloc(1, sizeof(*watch));
		*watch = (struct pvmm_store_watch){.path = "a", .wake = wake, .ctx = &watch};
		err = pvmm_store_watch(watch);
		if (!err)
			return 0;
	} else {
		err = pvmm_store_unwatch(watch);
	}
	free(watch);
	watch = NULL;
	return err;
}

static int write_some(void)
{
	static char text[3000];
	size_t len = fuzz_bytes(&in, 2) % sizeof(text);
	int err;

	memset(text, 'w', len);
	text[len] = '\0';
	err = pvmm_store_write(tx, "data/a", text);
	memset(text, 0, len);
	return err;
}

static int suspend(bool is_another)
{
	int err = xs_suspend();

	if (err)
		return err;
	if (is_another) {
		new_store(0);
		xs_renew();
	}
	xs_resume();
	return 0;
}

static int one_call(void)
{
	nr_waits = 0;
	switch (fuzz_byte(&in) % 10) {
	case 0:
	case 1:
		return read_or_list(false);
	case 2:
		return read_or_list(true);
	case 3:
		return write_some();
	case 4:
		return watch_or_not();
	case 5:
		return pvmm_store_tx_start(&tx);
	case 6:
		return pvmm_store_tx_end(tx, fuzz_byte(&in) & 1);
	case 7:
		return pvmm_store_rm(tx, "data/a");
	case 8:
		if (watch)
			(void)pvmm_store_watch_fired(watch);
		return 0;
	default:
		return suspend(fuzz_byte(&in) & 1);
	}
}

/* Each input meets a client as it is after a restore; numbers of requests go on. */
static void begin(void)
{
	new_store(0xffffff00);
	xs_renew();
	xs_ring_use(&ring);
	tx = PVMM_STORE_NO_TX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	in = (struct fuzz_input){data, data + size};
	begin();
	while (fuzz_more(&in)) {
		int err = one_call();

		fuzz_must(err <= 0 && err > -200);
		fuzz_must(!holds);
	}
	if (watch)
		(void)watch_or_not();
	return 0;
}
