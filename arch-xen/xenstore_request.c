/* SPDX-License-Identifier: MIT */
/*
 * Owns whose turn it is to ask the store, and which request the answer must be to.
 *
 * Invariant: whoever has the turn has the ring, in both directions; an answer is taken only for the
 * request whose number it bears. What comes in is dom0's: its lengths, types and texts are checked,
 * and what fails is said and refused.
 *
 * The turn is a ticket, not a spinlock: its holder sleeps.
 *
 * Another store may take the place of the one before, when the domain has been saved and restored.
 * It knows nothing of this client: so each transaction and each watch says which connection it is
 * of.
 */
#include <pvmm/batch.h>
#include <pvmm/cmdline.h>
#include <pvmm/log.h>
#include <pvmm/patience.h>
#include <pvmm/xenstore.h>
#include "xenstore.h"

/*
 * For a store that has not answered the request before: enough for one that is there again, and
 * little enough for a kernel that shuts down, with some requests, without one.
 */
#define SILENT_PATIENCE_NS 300000000ULL

/* --- turns --- */

static struct {
	uint32_t next, serving;
} turn;

/* Those of whoever has the turn. */
static uint32_t last_id;      /* numbers from 1 have been given to requests */
static unsigned int nr_late;  /* requests whose answers have not come in time, or yet */
static bool is_silent;	      /* it did not answer in time, and nothing has come since */
static bool watches_may_wake; /* one has fired while the port was held */
static uint32_t connection;   /* stores that have come since the boot's; also read without */
static bool watches_are_old;  /* some are of a connection before */

static int turn_begin(void)
{
	uint32_t ticket;

	if (!xs_ring_is_there())
		return -XEN_ENODEV;
	ticket = __atomic_fetch_add(&turn.next, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&turn.serving, __ATOMIC_ACQUIRE) != ticket)
		xs_port_nap();
	xs_port_hold();
	return 0;
}

void xs_end(void)
{
	bool wakes = watches_may_wake;

	watches_may_wake = false;
	xs_port_release();
	__atomic_store_n(&turn.serving, turn.serving + 1, __ATOMIC_RELEASE);
	if (wakes)
		xs_wake_watchers();
}

/* --- what comes in --- */

size_t xs_text_len(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return len;
}

/* A path and a token, each with its NUL. */
static void note_event(const struct xs_message *m)
{
	size_t path_len = xs_text_len(m->payload) + 1, len = m->head.len;
	uint64_t token;

	if (path_len >= len || path_len + xs_text_len(m->payload + path_len) + 1 != len ||
	    !pvmm_parse_number(m->payload + path_len, &token)) {
		pvmm_log(PVMM_WARN, "xenstore: malformed watch event of %zu bytes refused", len);
		return;
	}
	watches_may_wake |= xs_watches_fire(token);
}

/* An answer that nobody waits for. */
static void note_stranger(const struct xs_message *m)
{
	if (m->head.req_id - 1 < last_id && nr_late) {
		nr_late--;
		pvmm_log(PVMM_WARN, "xenstore: late answer to request %u dropped", m->head.req_id);
		return;
	}
	pvmm_log(PVMM_WARN,
		 "xenstore: answer of type %u to request %u, which was not made, refused",
		 m->head.type, m->head.req_id);
}

/* What a request is called, of those that are made here. */
static const char *request_name(uint32_t type)
{
	static const char *const names[] = {
		[XS_DIRECTORY] = "list",
		[XS_READ] = "read",
		[XS_WATCH] = "watch",
		[XS_UNWATCH] = "unwatch",
		[XS_TRANSACTION_START] = "begin transaction",
		[XS_TRANSACTION_END] = "end transaction",
		[XS_WRITE] = "write",
		[XS_MKDIR] = "make directory",
		[XS_RM] = "remove",
	};

	return type < PVMM_ARRAY_SIZE(names) && names[type] ? names[type] : "unknown";
}

static int error_of(const struct xs_message *m)
{
	int err = pvmm_errno_of_name(m->payload);

	if (err)
		return err;
	pvmm_log(PVMM_WARN, "xenstore: unknown error \"%.32s\" to request %u, taken for EINVAL",
		 m->payload, m->head.req_id);
	return -XEN_EINVAL;
}

/* --- one request --- */

struct request {
	uint32_t type, id;
	const struct xs_message *answer;
};

static int judge(const struct request *request, const struct xs_message *m)
{
	if (m->head.type == XS_ERROR)
		return error_of(m);
	if (m->head.type == request->type)
		return 0;
	pvmm_log(PVMM_WARN, "xenstore: answer of type %u to request %u (%s) refused", m->head.type,
		 request->id, request_name(request->type));
	return -XEN_EIO;
}

static void note_sound(void)
{
	if (is_silent)
		pvmm_log(PVMM_INFO, "xenstore: answers again");
	is_silent = false;
}

/* Takes what has come, up to the answer to the request: 0, and judged. Else as xs_ring_receive. */
static int take_in(struct request *request)
{
	const struct xs_message *m;
	int err;

	while (!(err = xs_ring_receive(&m))) {
		note_sound();
		if (m->head.type == XS_WATCH_EVENT) {
			note_event(m);
		} else if (request && request->id && m->head.req_id == request->id) {
			request->answer = m;
			return 0;
		} else {
			note_stranger(m);
		}
	}
	return err;
}

/* Sends and takes in until the answer is there; for a request without a number, until all is sent.
 */
static int exchange(struct request *request, struct pvmm_patience *patience)
{
	for (;;) {
		int unsent, err;

		xs_port_clear();
		unsent = xs_ring_send();
		if (unsent && unsent != -XEN_EAGAIN)
			return unsent;
		err = take_in(request);
		if (err != -XEN_EAGAIN || (!request->id && !unsent))
			return err == -XEN_EAGAIN ? 0 : err;
		if (!xs_port_wait(patience))
			return -XEN_ETIMEDOUT;
	}
}

/* Puts the parts into the message to send. Its length has been checked. */
static void fill(struct request *request, pvmm_store_tx_t tx, const struct xs_part *parts,
		 unsigned int nr_parts)
{
	struct xs_message *m = xs_ring_out();
	uint32_t len = 0;

	for (unsigned int i = 0; i < nr_parts; i++)
		for (size_t at = 0; at < parts[i].len_bytes; at++)
			m->payload[len++] = parts[i].text[at];
	/* The numbers begin anew after 2^32 - 1 requests; 0 is that of watch events. */
	request->id = ++last_id ? last_id : ++last_id;
	m->head = (struct xsd_sockmsg){
		.type = request->type,
		.req_id = request->id,
		.tx_id = (uint32_t)tx,
		.len = len,
	};
	xs_ring_put();
}

/* Said once: a store that is gone would be missed by everybody who asks. */
static void note_timeout(const struct request *request)
{
	if (request->id)
		nr_late++;
	if (!is_silent)
		pvmm_log(PVMM_WARN, "xenstore: no answer to request %u (%s) within %llu s", last_id,
			 request_name(request->type), PVMM_STORE_PATIENCE_NS / 1000000000);
	is_silent = true;
}

/* Asks; the answer is valid until the turn ends. The caller has the turn. */
int xs_ask(uint32_t type, pvmm_store_tx_t tx, const struct xs_part *parts, unsigned int nr_parts,
	   const struct xs_message **answer)
{
	struct pvmm_patience patience =
		pvmm_patience_of(is_silent ? SILENT_PATIENCE_NS : PVMM_STORE_PATIENCE_NS);
	struct request request = {.type = type};
	int err;

	/* A transaction that another store has begun is over, and was not done. */
	if (tx && tx >> 32 != connection)
		return -XEN_EAGAIN;
	/* What an impatient one before has left to be sent comes first. */
	err = exchange(&request, &patience);
	if (!err) {
		fill(&request, tx, parts, nr_parts);
		err = exchange(&request, &patience);
	}
	if (err == -XEN_ETIMEDOUT)
		note_timeout(&request);
	if (err)
		return err;
	*answer = request.answer;
	return judge(&request, request.answer);
}

/* Whether the parts can be sent, the first of which is a path with its NUL. */
int xs_check_parts(const struct xs_part *parts, unsigned int nr_parts)
{
	size_t max = parts[0].text[0] == '/' ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX;
	size_t len = 0;

	if (parts[0].len_bytes <= 1)
		return -XEN_EINVAL;
	if (parts[0].len_bytes > max)
		return -XEN_ENAMETOOLONG;
	for (unsigned int i = 0; i < nr_parts; i++)
		len += parts[i].len_bytes;
	return len > XENSTORE_PAYLOAD_MAX ? -XEN_E2BIG : 0;
}

struct xs_part xs_with_nul(const char *text)
{
	return (struct xs_part){text, xs_text_len(text) + 1};
}

/* A request whose answer is "OK". The caller has the turn. */
int xs_ask_ok(uint32_t type, pvmm_store_tx_t tx, const struct xs_part *parts, unsigned int nr_parts)
{
	const struct xs_message *answer;
	int err = xs_ask(type, tx, parts, nr_parts, &answer);

	if (!err && !pvmm_text_equal(answer->payload, "OK")) {
		pvmm_log(PVMM_WARN, "xenstore: answer to request %u is \"%.32s\", not \"OK\"",
			 answer->head.req_id, answer->payload);
		err = -XEN_EIO;
	}
	return err;
}

/* --- watches that the store must be told of again --- */

/* Tells the store of a watch, or of its end. */
int xs_ask_watch(uint32_t type, const struct pvmm_store_watch *watch)
{
	char token[16];
	const struct xs_part parts[] = {
		xs_with_nul(watch->path),
		{token, (size_t)pvmm_snprintf(token, sizeof(token), "%u", watch->token) + 1},
	};
	int err = xs_check_parts(parts, 2);

	return err ? err : xs_ask_ok(type, PVMM_STORE_NO_TX, parts, 2);
}

/*
 * With the turn; nobody takes a watch off the list meanwhile, because to unwatch takes a turn. When
 * the store does not answer, the next request tries again.
 */
static void watches_tell(void)
{
	struct pvmm_store_watch *watch;

	watches_are_old = false;
	while ((watch = xs_watches_first_old())) {
		int err = xs_ask_watch(XS_WATCH, watch);

		if (err)
			pvmm_log(PVMM_WARN, "xenstore: %s is not watched any more: %s (%d)",
				 watch->path, pvmm_errno_name(err), err);
		if (err == -XEN_ETIMEDOUT) {
			watches_are_old = true;
			return;
		}
		watch->connection = connection;
		/* Its owner looks: something may have changed between the two stores. */
		__atomic_store_n(&watch->has_fired, true, __ATOMIC_RELEASE);
		watches_may_wake = true;
	}
}

int xs_begin(void)
{
	int err = turn_begin();

	if (!err && watches_are_old)
		watches_tell();
	return err;
}

int xs_order(uint32_t type, pvmm_store_tx_t tx, const struct xs_part *parts, unsigned int nr_parts)
{
	int err = xs_begin();

	if (err)
		return err;
	err = xs_ask_ok(type, tx, parts, nr_parts);
	xs_end();
	return err;
}

int xs_order_path(uint32_t type, pvmm_store_tx_t tx, const char *path)
{
	const struct xs_part parts[] = {xs_with_nul(path)};
	int err = xs_check_parts(parts, 1);

	return err ? err : xs_order(type, tx, parts, 1);
}

/* --- another store --- */

int xs_suspend(void)
{
	struct pvmm_patience patience = pvmm_patience_of(PVMM_STORE_PATIENCE_NS);
	struct request nothing = {.type = 0};
	int err = 0;

	if (turn_begin())
		return 0; /* there is no store */
	while (!err && !xs_ring_is_quiet()) {
		err = exchange(&nothing, &patience);
		if (!err && !xs_ring_is_quiet() && !xs_port_wait(&patience))
			err = -XEN_ETIMEDOUT;
	}
	if (err != -XEN_ETIMEDOUT)
		return 0; /* at rest, or of no use for anybody */
	pvmm_log(PVMM_WARN, "suspend refused: the store does not come to rest within %llu s",
		 PVMM_STORE_PATIENCE_NS / 1000000000);
	xs_end();
	return -XEN_EBUSY;
}

void xs_renew(void)
{
	xs_ring_renew();
	__atomic_store_n(&connection, connection + 1, __ATOMIC_RELAXED);
	nr_late = 0;
	is_silent = false;
	watches_are_old = true;
}

void xs_resume(void)
{
	if (!xs_ring_is_there())
		return;
	if (watches_are_old)
		watches_tell();
	watches_may_wake = true;
	xs_end();
}

uint32_t xs_connection(void)
{
	return __atomic_load_n(&connection, __ATOMIC_RELAXED);
}

void xs_take_in(void)
{
	if (!xs_ring_has_more() || turn_begin())
		return;
	/* What is wrong with the ring has been said; whoever asks next is told. */
	(void)take_in(NULL);
	xs_end();
}
