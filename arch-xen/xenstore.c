/* SPDX-License-Identifier: MIT */
/*
 * Owns whose turn it is to ask the store, which request the answer must be to, and the watches.
 *
 * Invariant: whoever has the turn has the ring, in both directions; an answer is taken only for the
 * request whose number it bears. What comes in is dom0's: its lengths, types and texts are checked,
 * and what fails is said and refused.
 *
 * The turn is a ticket, not a spinlock: its holder sleeps. The list of watches has a spinlock,
 * which the event handler takes, so it is held with events masked.
 *
 * Another store may take the place of the one before, when the domain has been saved and restored.
 * It knows nothing of this client: so each transaction and each watch says which connection it is
 * of.
 */
#include <pvmm/batch.h>
#include <pvmm/clock.h>
#include <pvmm/cmdline.h>
#include <pvmm/event.h>
#include <pvmm/log.h>
#include <pvmm/spinlock.h>
#include <pvmm/xenstore.h>
#include "xenstore.h"

/* --- turns --- */

static struct {
	uint32_t next, serving;
} turn;

/* Those of whoever has the turn. */
static uint32_t last_id;      /* numbers from 1 have been given to requests */
static unsigned int nr_late;  /* requests whose answers have not come in time, or yet */
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

static void turn_end(void)
{
	bool wakes = watches_may_wake;

	watches_may_wake = false;
	xs_port_release();
	__atomic_store_n(&turn.serving, turn.serving + 1, __ATOMIC_RELEASE);
	if (wakes)
		xs_wake_watchers();
}

/* --- watches --- */

/* Guards the list. Held with events masked. */
static struct pvmm_spinlock watches_lock = PVMM_SPINLOCK_INIT;
static struct pvmm_store_watch *watches;
static uint32_t last_token; /* never used twice: an event of a watch that is gone is told apart */

static bool watches_enter(void)
{
	bool were_on = pvmm_events_save();

	pvmm_spin_lock(&watches_lock);
	return were_on;
}

static void watches_leave(bool were_on)
{
	pvmm_spin_unlock(&watches_lock);
	pvmm_events_restore(were_on);
}

void xs_wake_watchers(void)
{
	bool were_on = watches_enter();

	for (struct pvmm_store_watch *w = watches; w; w = w->next)
		if (w->wake)
			w->wake(w->ctx);
	watches_leave(were_on);
}

static void watches_add(struct pvmm_store_watch *watch)
{
	bool were_on = watches_enter();

	watch->token = ++last_token;
	watch->connection = __atomic_load_n(&connection, __ATOMIC_RELAXED);
	watch->has_fired = false;
	watch->next = watches;
	watches = watch;
	watches_leave(were_on);
}

static void watches_remove(const struct pvmm_store_watch *watch)
{
	bool were_on = watches_enter();

	for (struct pvmm_store_watch **link = &watches; *link; link = &(*link)->next)
		if (*link == watch) {
			*link = watch->next;
			break;
		}
	watches_leave(were_on);
}

static void watches_fire(uint64_t token)
{
	bool were_on = watches_enter();

	for (struct pvmm_store_watch *w = watches; w; w = w->next)
		if (w->token == token) {
			__atomic_store_n(&w->has_fired, true, __ATOMIC_RELEASE);
			watches_may_wake = true;
		}
	watches_leave(were_on);
}

/* --- what comes in --- */

static size_t text_len(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return len;
}

/* A path and a token, each with its NUL. */
static void note_event(const struct xs_message *m)
{
	size_t path_len = text_len(m->payload) + 1, len = m->head.len;
	uint64_t token;

	if (path_len >= len || path_len + text_len(m->payload + path_len) + 1 != len ||
	    !pvmm_parse_number(m->payload + path_len, &token)) {
		pvmm_log(PVMM_WARN, "xenstore: malformed watch event of %zu bytes refused", len);
		return;
	}
	watches_fire(token);
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

static int error_of(const struct xs_message *m)
{
	static const struct {
		int value;
		const char *name;
	} names[] = {
#define XEN_ERRNO(name, value) {value, #name},
#include <xen/errno.h>
	};

	for (size_t i = 0; i < PVMM_ARRAY_SIZE(names); i++)
		if (pvmm_text_equal(names[i].name, m->payload))
			return -names[i].value;
	pvmm_log(PVMM_WARN, "xenstore: unknown error \"%.32s\" to request %u, taken for EINVAL",
		 m->payload, m->head.req_id);
	return -XEN_EINVAL;
}

/* --- one request --- */

struct part {
	const char *text;
	size_t len_bytes; /* what is sent of it: with its NUL or without */
};

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
	pvmm_log(PVMM_WARN, "xenstore: answer of type %u to request %u of type %u refused",
		 m->head.type, request->id, request->type);
	return -XEN_EIO;
}

/* Takes what has come, up to the answer to the request: 0, and judged. Else as xs_ring_receive. */
static int take_in(struct request *request)
{
	const struct xs_message *m;
	int err;

	while (!(err = xs_ring_receive(&m))) {
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
static int exchange(struct request *request, uint64_t deadline)
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
		if (!xs_port_wait(deadline))
			return -XEN_ETIMEDOUT;
	}
}

/* Puts the parts into the message to send. Its length has been checked. */
static void fill(struct request *request, pvmm_store_tx_t tx, const struct part *parts,
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

static void note_timeout(const struct request *request)
{
	if (request->id)
		nr_late++;
	pvmm_log(PVMM_WARN, "xenstore: no answer to request %u of type %u within %llu s", last_id,
		 request->type, PVMM_STORE_PATIENCE_NS / 1000000000);
}

/* Asks; the answer is valid until the turn ends. The caller has the turn. */
static int ask(uint32_t type, pvmm_store_tx_t tx, const struct part *parts, unsigned int nr_parts,
	       const struct xs_message **answer)
{
	uint64_t deadline = pvmm_clock_ns() + PVMM_STORE_PATIENCE_NS;
	struct request request = {.type = type};
	int err;

	/* A transaction that another store has begun is over, and was not done. */
	if (tx && tx >> 32 != connection)
		return -XEN_EAGAIN;
	/* What an impatient one before has left to be sent comes first. */
	err = exchange(&request, deadline);
	if (!err) {
		fill(&request, tx, parts, nr_parts);
		err = exchange(&request, deadline);
	}
	if (err == -XEN_ETIMEDOUT)
		note_timeout(&request);
	if (err)
		return err;
	*answer = request.answer;
	return judge(&request, request.answer);
}

/* Whether the parts can be sent, the first of which is a path with its NUL. */
static int check_parts(const struct part *parts, unsigned int nr_parts)
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

static struct part with_nul(const char *text)
{
	return (struct part){text, text_len(text) + 1};
}

/* A request whose answer is "OK". The caller has the turn. */
static int ask_ok(uint32_t type, pvmm_store_tx_t tx, const struct part *parts,
		  unsigned int nr_parts)
{
	const struct xs_message *answer;
	int err = ask(type, tx, parts, nr_parts, &answer);

	if (!err && !pvmm_text_equal(answer->payload, "OK")) {
		pvmm_log(PVMM_WARN, "xenstore: answer to request %u is \"%.32s\", not \"OK\"",
			 answer->head.req_id, answer->payload);
		err = -XEN_EIO;
	}
	return err;
}

/* --- watches that the store must be told of again --- */

/* One that this store does not know yet, or NULL. */
static struct pvmm_store_watch *watches_first_old(void)
{
	bool were_on = watches_enter();
	struct pvmm_store_watch *watch = watches;

	while (watch && watch->connection == connection)
		watch = watch->next;
	watches_leave(were_on);
	return watch;
}

/* Tells the store of a watch, or of its end. */
static int ask_watch(uint32_t type, const struct pvmm_store_watch *watch)
{
	char token[16];
	const struct part parts[] = {
		with_nul(watch->path),
		{token, (size_t)pvmm_snprintf(token, sizeof(token), "%u", watch->token) + 1},
	};
	int err = check_parts(parts, 2);

	return err ? err : ask_ok(type, PVMM_STORE_NO_TX, parts, 2);
}

/*
 * With the turn; nobody takes a watch off the list meanwhile, because to unwatch takes a turn. When
 * the store does not answer, the next request tries again.
 */
static void watches_tell(void)
{
	struct pvmm_store_watch *watch;

	watches_are_old = false;
	while ((watch = watches_first_old())) {
		int err = ask_watch(XS_WATCH, watch);

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

static int request_begin(void)
{
	int err = turn_begin();

	if (!err && watches_are_old)
		watches_tell();
	return err;
}

static int order(uint32_t type, pvmm_store_tx_t tx, const struct part *parts, unsigned int nr_parts)
{
	int err = request_begin();

	if (err)
		return err;
	err = ask_ok(type, tx, parts, nr_parts);
	turn_end();
	return err;
}

static int order_path(uint32_t type, pvmm_store_tx_t tx, const char *path)
{
	const struct part parts[] = {with_nul(path)};
	int err = check_parts(parts, 1);

	return err ? err : order(type, tx, parts, 1);
}

/* --- reading --- */

/* Copies the answer's payload, and a NUL. */
static int copy_out(const struct xs_message *answer, char *to, size_t room_bytes)
{
	if (answer->head.len >= room_bytes)
		return -XEN_ERANGE;
	for (uint32_t i = 0; i <= answer->head.len; i++)
		to[i] = answer->payload[i];
	return 0;
}

static int fetch(uint32_t type, pvmm_store_tx_t tx, const char *path, char *to, size_t room_bytes,
		 size_t *len_bytes)
{
	const struct part parts[] = {with_nul(path)};
	const struct xs_message *answer;
	int err = check_parts(parts, 1);

	if (!room_bytes)
		return -XEN_ERANGE;
	*to = '\0';
	if (!err)
		err = request_begin();
	if (err)
		return err;
	err = ask(type, tx, parts, 1, &answer);
	if (!err)
		err = copy_out(answer, to, room_bytes);
	if (!err)
		*len_bytes = answer->head.len;
	turn_end();
	return err;
}

int pvmm_store_read(pvmm_store_tx_t tx, const char *path, char *value, size_t room_bytes,
		    size_t *len_bytes)
{
	size_t ignored;

	return fetch(XS_READ, tx, path, value, room_bytes, len_bytes ? len_bytes : &ignored);
}

int pvmm_store_list(pvmm_store_tx_t tx, const char *path, char *names, size_t room_bytes,
		    unsigned int *nr)
{
	size_t len;
	int err = fetch(XS_DIRECTORY, tx, path, names, room_bytes, &len);

	if (err)
		return err;
	if (len && names[len - 1]) {
		pvmm_log(PVMM_WARN, "xenstore: list of %zu bytes without an end refused", len);
		*names = '\0';
		return -XEN_EIO;
	}
	*nr = 0;
	for (size_t i = 0; i < len; i++)
		*nr += !names[i];
	return 0;
}

/* --- writing --- */

int pvmm_store_write(pvmm_store_tx_t tx, const char *path, const char *value)
{
	const struct part parts[] = {with_nul(path), {value, text_len(value)}};
	int err = check_parts(parts, 2);

	return err ? err : order(XS_WRITE, tx, parts, 2);
}

int pvmm_store_mkdir(pvmm_store_tx_t tx, const char *path)
{
	return order_path(XS_MKDIR, tx, path);
}

int pvmm_store_rm(pvmm_store_tx_t tx, const char *path)
{
	return order_path(XS_RM, tx, path);
}

/* --- transactions --- */

int pvmm_store_tx_start(pvmm_store_tx_t *tx)
{
	const struct part nothing = {"", 1};
	const struct xs_message *answer;
	uint64_t number;
	int err = request_begin();

	if (err)
		return err;
	err = ask(XS_TRANSACTION_START, PVMM_STORE_NO_TX, &nothing, 1, &answer);
	if (!err &&
	    (!pvmm_parse_number(answer->payload, &number) || !number || number > UINT32_MAX)) {
		pvmm_log(PVMM_WARN, "xenstore: \"%.32s\" is no transaction", answer->payload);
		err = -XEN_EIO;
	}
	if (!err)
		*tx = (pvmm_store_tx_t)connection << 32 | number;
	turn_end();
	return err;
}

int pvmm_store_tx_end(pvmm_store_tx_t tx, bool commits)
{
	const struct part parts[] = {with_nul(commits ? "T" : "F")};

	return order(XS_TRANSACTION_END, tx, parts, 1);
}

/* --- watching --- */

static int order_watch(uint32_t type, const struct pvmm_store_watch *watch)
{
	int err = request_begin();

	if (err)
		return err;
	err = ask_watch(type, watch);
	turn_end();
	return err;
}

int pvmm_store_watch(struct pvmm_store_watch *watch)
{
	int err;

	watches_add(watch);
	err = order_watch(XS_WATCH, watch);
	if (err)
		watches_remove(watch);
	return err;
}

int pvmm_store_unwatch(struct pvmm_store_watch *watch)
{
	int err = order_watch(XS_UNWATCH, watch);

	watches_remove(watch);
	return err;
}

bool pvmm_store_watch_fired(struct pvmm_store_watch *watch)
{
	if (!__atomic_load_n(&watch->has_fired, __ATOMIC_ACQUIRE) && xs_ring_has_more() &&
	    !turn_begin()) {
		/* What is wrong with the ring has been said; whoever asks next is told. */
		(void)take_in(NULL);
		turn_end();
	}
	return __atomic_exchange_n(&watch->has_fired, false, __ATOMIC_ACQ_REL);
}

/* --- another store --- */

int xs_suspend(void)
{
	uint64_t deadline = pvmm_clock_ns() + PVMM_STORE_PATIENCE_NS;
	struct request nothing = {.type = 0};
	int err = 0;

	if (turn_begin())
		return 0; /* there is no store */
	while (!err && !xs_ring_is_quiet()) {
		err = exchange(&nothing, deadline);
		if (!err && !xs_ring_is_quiet() && !xs_port_wait(deadline))
			err = -XEN_ETIMEDOUT;
	}
	if (err != -XEN_ETIMEDOUT)
		return 0; /* at rest, or of no use for anybody */
	pvmm_log(PVMM_WARN, "suspend refused: the store does not come to rest within %llu s",
		 PVMM_STORE_PATIENCE_NS / 1000000000);
	turn_end();
	return -XEN_EBUSY;
}

void xs_renew(void)
{
	xs_ring_renew();
	__atomic_store_n(&connection, connection + 1, __ATOMIC_RELAXED);
	nr_late = 0;
	watches_are_old = true;
}

void xs_resume(void)
{
	if (!xs_ring_is_there())
		return;
	if (watches_are_old)
		watches_tell();
	watches_may_wake = true;
	turn_end();
}
