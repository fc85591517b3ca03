/* SPDX-License-Identifier: MIT */
/*
 * The store's client (arch-xen/xenstore.c, xenstore_ring.c) against a store in the process: a ring,
 * and a script of what the other side does each time the client waits. Good answers are taken, in
 * whatever pieces they come; hostile ones are refused with a line, and none of them is believed.
 */
#include <pvmm/event.h>
#include <pvmm/xen.h>
#include <pvmm/xenstore.h>
#include "arch-xen/xenstore.h"
#include "tests/unit/unit.h"

static struct xenstore_domain_interface ring;

/* --- the port --- */

static void (*peer)(void); /* runs whenever the client waits */
static unsigned int nr_waits, max_waits, holds;
static uint64_t patience_ns; /* what was left of it at the last wait */

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
	fail_msg("nobody else has the turn");
}

bool xs_port_wait(struct pvmm_patience *how_long)
{
	patience_ns = how_long->left_ns;
	assert_int_equal(holds, 1);
	if (nr_waits == max_waits)
		return false;
	nr_waits++;
	if (peer)
		peer();
	return true;
}

bool pvmm_events_save(void)
{
	return true;
}

void pvmm_events_restore(bool were_on)
{
	(void)were_on;
}

/* --- the other side --- */

static struct xs_message request; /* the last one, whole */
static size_t request_got;

/* Takes what is in the ring; true when that makes a request whole. */
static bool take_request(void)
{
	while (ring.req_cons != ring.req_prod) {
		assert_true(request_got < sizeof(request));
		((char *)&request)[request_got++] = ring.req[MASK_XENSTORE_IDX(ring.req_cons++)];
		if (request_got >= sizeof(request.head) &&
		    request_got == sizeof(request.head) + request.head.len) {
			request_got = 0;
			return true;
		}
	}
	return false;
}

/* What is on its way to the client, as far as the ring has had no room. */
static char queue[65536];
static size_t queue_len, queue_done, piece;

static void push(void)
{
	for (size_t i = 0; i < piece && queue_done < queue_len; i++) {
		if (ring.rsp_prod - ring.rsp_cons == XENSTORE_RING_SIZE)
			return;
		ring.rsp[MASK_XENSTORE_IDX(ring.rsp_prod++)] = queue[queue_done++];
	}
}

static void say(uint32_t type, uint32_t id, const void *payload, size_t len)
{
	struct xsd_sockmsg head = {.type = type, .req_id = id, .len = (uint32_t)len};

	memcpy(queue + queue_len, &head, sizeof(head));
	memcpy(queue + queue_len + sizeof(head), payload, len);
	queue_len += sizeof(head) + len;
}

/* What is said to each request. */
static struct {
	uint32_t type, id; /* 0: the request's own */
	const char *payload;
	size_t len;
	bool silent;
} answer;

static void polite_peer(void)
{
	if (take_request() && !answer.silent)
		say(answer.type ? answer.type : request.head.type,
		    answer.id ? answer.id : request.head.req_id, answer.payload, answer.len);
	push();
}

static void answer_with(uint32_t type, const char *payload, size_t len)
{
	answer.type = type;
	answer.id = 0;
	answer.payload = payload;
	answer.len = len;
	answer.silent = false;
}

static int start(void **state)
{
	unit_boot(state);
	memset(&ring, 0, sizeof(ring));
	/* The indices run freely: they wrap in the middle of the test. */
	ring.req_cons = ring.req_prod = ring.rsp_cons = ring.rsp_prod = 0xffffff00;
	xs_ring_use(&ring);
	peer = polite_peer;
	nr_waits = 0;
	max_waits = 100000;
	queue_len = queue_done = request_got = 0;
	piece = sizeof(queue);
	answer_with(0, "OK", 3);
	return 0;
}

static char value[PVMM_STORE_BYTES];

static int read_it(void)
{
	return pvmm_store_read(PVMM_STORE_NO_TX, "name", value, sizeof(value), NULL);
}

/* --- what is good --- */

static void requests_are_as_the_protocol_has_them(void **state)
{
	(void)state;
	assert_int_equal(pvmm_store_write(7, "data/a", "red"), 0);
	assert_int_equal(request.head.type, XS_WRITE);
	assert_int_equal(request.head.tx_id, 7);
	assert_int_equal(request.head.len, 10);
	assert_memory_equal(request.payload, "data/a\0red", 10);
	assert_int_equal(pvmm_store_rm(0, "x"), 0);
	assert_int_equal(request.head.type, XS_RM);
	assert_memory_equal(request.payload, "x\0", 2);
	assert_int_equal(pvmm_store_tx_end(9, false), 0);
	assert_memory_equal(request.payload, "F\0", 2);
	answer_with(0, "12", 3);
	pvmm_store_tx_t tx;
	assert_int_equal(pvmm_store_tx_start(&tx), 0);
	assert_int_equal(tx, 12);
}

/* Longer than the ring, both ways, in pieces of every size. */
static void messages_come_in_pieces(void **state)
{
	static char longest[XENSTORE_PAYLOAD_MAX], sent[4000];

	(void)state;
	memset(longest, 'v', sizeof(longest));
	memset(sent, 'w', sizeof(sent) - 1);
	for (piece = 1; piece < 40; piece += 2) {
		queue_len = queue_done = 0;
		answer_with(0, longest, sizeof(longest));
		assert_int_equal(read_it(), 0);
		assert_memory_equal(value, longest, sizeof(longest));
		assert_int_equal(value[sizeof(longest)], '\0');
		answer_with(0, "OK", 3);
		assert_int_equal(pvmm_store_write(0, "data/long", sent), 0);
		assert_memory_equal(request.payload + 10, sent, sizeof(sent) - 1);
	}
}

static void lists(void **state)
{
	char names[8];
	unsigned int nr = 99;

	(void)state;
	answer_with(0, "a\0bc\0", 5);
	assert_int_equal(pvmm_store_list(0, "data", names, sizeof(names), &nr), 0);
	assert_int_equal(nr, 2);
	assert_memory_equal(names, "a\0bc\0", 5);
	answer_with(0, "", 0);
	assert_int_equal(pvmm_store_list(0, "data", names, sizeof(names), &nr), 0);
	assert_int_equal(nr, 0);
	answer_with(0, "abcdefg\0", 8);
	assert_int_equal(pvmm_store_list(0, "data", names, sizeof(names), &nr), -XEN_ERANGE);
	answer_with(0, "a\0bc", 4);
	assert_int_equal(pvmm_store_list(0, "data", names, sizeof(names), &nr), -XEN_EIO);
	assert_said("list of 4 bytes without an end refused");
}

static void errors_have_numbers(void **state)
{
	(void)state;
	answer_with(XS_ERROR, "ENOENT", 7);
	assert_int_equal(read_it(), -XEN_ENOENT);
	answer_with(XS_ERROR, "EAGAIN", 7);
	assert_int_equal(pvmm_store_tx_end(1, true), -XEN_EAGAIN);
	answer_with(XS_ERROR, "EFUNNY", 7);
	assert_int_equal(read_it(), -XEN_EINVAL);
	assert_said("unknown error \"EFUNNY\"");
	/* Without its NUL, and with nothing at all. */
	answer_with(XS_ERROR, "EACCES", 6);
	assert_int_equal(read_it(), -XEN_EACCES);
	answer_with(XS_ERROR, "", 0);
	assert_int_equal(read_it(), -XEN_EINVAL);
}

static void what_cannot_be_sent_is_not(void **state)
{
	static char text[5000];

	(void)state;
	assert_int_equal(pvmm_store_rm(0, ""), -XEN_EINVAL);
	memset(text, 'p', XENSTORE_REL_PATH_MAX);
	assert_int_equal(pvmm_store_rm(0, text), -XEN_ENAMETOOLONG);
	text[0] = '/';
	assert_int_equal(pvmm_store_rm(0, text), 0);
	memset(text, '/', XENSTORE_ABS_PATH_MAX);
	assert_int_equal(pvmm_store_rm(0, text), -XEN_ENAMETOOLONG);
	memset(text, 'v', sizeof(text) - 1);
	assert_int_equal(pvmm_store_write(0, "data/a", text), -XEN_E2BIG);
	/* The one that was sent: 2065 bytes, through a ring of a kilobyte. */
	assert_int_equal(nr_waits, 3);
}

/* --- watches --- */

static unsigned int nr_wakes;

static void wake(void *ctx)
{
	(void)ctx;
	nr_wakes++;
	assert_int_equal(holds, 0);
}

static void say_event(const char *payload, size_t len)
{
	say(XS_WATCH_EVENT, 0, payload, len);
}

static void watches_fire_and_are_told_apart(void **state)
{
	struct pvmm_store_watch a = {.path = "a", .wake = wake}, b = {.path = "b"};
	char event[16];
	int len;

	(void)state;
	nr_wakes = 0;
	assert_int_equal(pvmm_store_watch(&a), 0);
	assert_int_equal(pvmm_store_watch(&b), 0);
	assert_false(pvmm_store_watch_fired(&a));
	len = snprintf(event, sizeof(event), "a%c%u", 0, a.token) + 1;
	say_event(event, (size_t)len);
	push();
	assert_true(pvmm_store_watch_fired(&a));
	assert_false(pvmm_store_watch_fired(&a));
	assert_false(pvmm_store_watch_fired(&b));
	assert_int_equal(nr_wakes, 1);

	/* In front of an answer to another's request. */
	say_event(event, (size_t)len);
	assert_int_equal(read_it(), 0);
	assert_int_equal(nr_wakes, 2);
	assert_true(pvmm_store_watch_fired(&a));

	/* It was on its way when the watch went. */
	assert_int_equal(pvmm_store_unwatch(&a), 0);
	say_event(event, (size_t)len);
	assert_int_equal(read_it(), 0);
	assert_false(a.has_fired);
	assert_int_equal(pvmm_store_unwatch(&b), 0);
}

static void malformed_events_are_refused(void **state)
{
	static const struct {
		const char *payload;
		size_t len;
	} bad[] = {{"", 0},	  {"a", 1},	      {"a\0", 2},   {"a\0001", 3},
		   {"a\0x\0", 4}, {"a\0001\0b\0", 6}, {"\0\0\0", 3}};
	struct pvmm_store_watch watch = {.path = "a"};

	(void)state;
	assert_int_equal(pvmm_store_watch(&watch), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		model_output_clear();
		say_event(bad[i].payload, bad[i].len);
		assert_int_equal(read_it(), 0);
		assert_false(watch.has_fired);
		assert_said("malformed watch event");
	}
	assert_int_equal(pvmm_store_unwatch(&watch), 0);
}

/* --- what is hostile --- */

static void an_answer_of_the_wrong_type_is_refused(void **state)
{
	(void)state;
	answer_with(XS_DIRECTORY, "forged", 7);
	assert_int_equal(read_it(), -XEN_EIO);
	assert_string_equal(value, "");
	assert_said("answer of type 1 to request");
	answer_with(0, "no", 3);
	assert_int_equal(pvmm_store_rm(0, "x"), -XEN_EIO);
	assert_said("\"no\", not \"OK\"");
	answer_with(0, "0", 2);
	pvmm_store_tx_t tx;
	assert_int_equal(pvmm_store_tx_start(&tx), -XEN_EIO);
	answer_with(0, "4294967296", 11);
	assert_int_equal(pvmm_store_tx_start(&tx), -XEN_EIO);
	answer_with(0, "good", 4);
	assert_int_equal(read_it(), 0);
	assert_string_equal(value, "good");
}

static void an_answer_to_nothing_is_refused(void **state)
{
	(void)state;
	say(XS_READ, 0xfffffff0, "forged", 6);
	say(XS_READ, 0, "forged", 6);
	say(XS_ERROR, 0, "EACCES", 7);
	answer_with(0, "good", 4);
	assert_int_equal(read_it(), 0);
	assert_string_equal(value, "good");
	assert_said("request 4294967280, which was not made, refused");
}

static void a_message_that_is_too_long_ends_it(void **state)
{
	struct xsd_sockmsg head = {.type = XS_READ, .len = XENSTORE_PAYLOAD_MAX + 1};

	(void)state;
	memcpy(queue, &head, sizeof(head));
	queue_len = sizeof(head);
	assert_int_equal(read_it(), -XEN_EIO);
	assert_said("a message longer than any may be (4097)");
	model_output_clear();
	assert_int_equal(read_it(), -XEN_EIO);
	assert_null(strstr(model_output(), "given up"));
}

static void break_rsp(void)
{
	ring.rsp_prod = ring.rsp_cons + XENSTORE_RING_SIZE + 1;
}

static void break_req(void)
{
	ring.req_cons = ring.req_prod + 1;
}

static void indices_that_make_no_sense_end_it(void **state)
{
	(void)state;
	peer = break_rsp;
	assert_int_equal(read_it(), -XEN_EIO);
	assert_said("more in the ring than it holds (1025)");
	start(state);
	peer = break_req;
	assert_int_equal(read_it(), -XEN_EIO);
	assert_said("it has taken more than was sent");
}

/* The client goes by its own indices, whatever the page says of them. */
static void meddle(void)
{
	uint32_t cons = ring.rsp_cons, prod = ring.req_prod;

	polite_peer();
	ring.rsp_cons = cons ^ 0x5a5a;
	ring.req_prod = prod ^ 0x1111;
}

static void our_own_indices_are_not_read_back(void **state)
{
	(void)state;
	answer_with(0, "good", 4);
	peer = meddle;
	assert_int_equal(read_it(), 0);
	assert_string_equal(value, "good");
}

/* --- patience --- */

static void a_silent_store_is_given_up_and_its_late_answer_dropped(void **state)
{
	uint32_t late;

	(void)state;
	answer.silent = true;
	max_waits = 5;
	assert_int_equal(read_it(), -XEN_ETIMEDOUT);
	assert_said("no answer to request");
	late = request.head.req_id;

	nr_waits = 0;
	say(XS_READ, late, "late", 4);
	answer_with(0, "mine", 4);
	assert_int_equal(read_it(), 0);
	assert_string_equal(value, "mine");
	assert_said("late answer to request");

	/* Once: a second one is no late answer any more. */
	model_output_clear();
	say(XS_READ, late, "late", 4);
	assert_int_equal(read_it(), 0);
	assert_string_equal(value, "mine");
	assert_said("which was not made");
}

/* It is waited for once; then every request would be late, and every caller would say so. */
static void a_store_that_is_gone_is_said_once(void **state)
{
	(void)state;
	answer.silent = true;
	max_waits = 5;
	assert_int_equal(read_it(), -XEN_ETIMEDOUT);
	assert_int_equal(patience_ns, PVMM_STORE_PATIENCE_NS);
	model_output_clear();
	for (unsigned int i = 0; i < 3; i++) {
		nr_waits = 0;
		assert_int_equal(read_it(), -XEN_ETIMEDOUT);
		assert_in_range(patience_ns, 1, PVMM_STORE_PATIENCE_NS / 10);
	}
	assert_string_equal(model_output(), "");

	/* Any sound of it: it may take its time again, and is said again. */
	nr_waits = 0;
	answer_with(0, "good", 4);
	assert_int_equal(read_it(), 0);
	assert_said("xenstore: answers again");
	answer.silent = true;
	assert_int_equal(read_it(), -XEN_ETIMEDOUT);
	assert_int_equal(patience_ns, PVMM_STORE_PATIENCE_NS);
	assert_said("no answer to request");

	/* For the tests behind this one. */
	answer.silent = false;
	nr_waits = 0;
	assert_int_equal(read_it(), 0);
}

/* It stops reading in the middle of a request, which is sent to its end before the next. */
static void a_request_that_was_cut_is_finished_first(void **state)
{
	static char longest[4000];

	(void)state;
	memset(longest, 'w', sizeof(longest) - 1);
	peer = NULL;
	max_waits = 3;
	assert_int_equal(pvmm_store_write(0, "data/long", longest), -XEN_ETIMEDOUT);
	nr_waits = 0;
	assert_int_equal(read_it(), -XEN_ETIMEDOUT); /* nothing of this one is sent */

	nr_waits = 0;
	max_waits = 100;
	peer = polite_peer;
	assert_int_equal(pvmm_store_rm(0, "x"), 0);
	assert_int_equal(request.head.type, XS_RM);
	assert_said("late answer to request");
}

static void no_store_is_said(void **state)
{
	(void)state;
	xs_ring_use(NULL);
	assert_int_equal(read_it(), -XEN_ENODEV);
	assert_int_equal(pvmm_store_rm(0, "x"), -XEN_ENODEV);
}

#define STORE_TEST(fn) cmocka_unit_test_setup_teardown(fn, start, unit_shutdown)

/* --- another store takes over --- */

static unsigned int nr_requests;
static uint32_t watched[4]; /* the tokens that the store has been told */

static void new_store_peer(void)
{
	if (!take_request())
		return;
	if (request.head.type == XS_WATCH)
		watched[nr_requests++ % 4] =
			(uint32_t)strtoul(request.payload + strlen(request.payload) + 1, NULL, 10);
	say(request.head.type, request.head.req_id, "OK", 3);
	push();
}

/* What the toolstack does with the ring when it introduces the domain again. */
static void replace_store(void)
{
	assert_int_equal(xs_suspend(), 0);
	ring.req_cons = ring.req_prod = ring.rsp_cons = ring.rsp_prod = 0;
	queue_len = queue_done = request_got = 0;
	xs_renew();
	peer = new_store_peer;
	nr_requests = 0;
}

static void watches_are_registered_again(void **state)
{
	struct pvmm_store_watch a = {.path = "a", .wake = wake}, b = {.path = "b"};

	(void)state;
	assert_int_equal(pvmm_store_watch(&a), 0);
	assert_int_equal(pvmm_store_watch(&b), 0);
	nr_wakes = 0;
	replace_store();
	xs_resume();
	assert_int_equal(holds, 0);
	assert_int_equal(nr_requests, 2);
	assert_true((watched[0] == a.token && watched[1] == b.token) ||
		    (watched[0] == b.token && watched[1] == a.token));
	/* Whatever has changed in between is looked at. */
	assert_int_equal(nr_wakes, 1);
	assert_true(pvmm_store_watch_fired(&a));
	assert_true(pvmm_store_watch_fired(&b));
	/* Once is enough. */
	assert_int_equal(pvmm_store_rm(0, "x"), 0);
	assert_int_equal(nr_requests, 2);
	assert_int_equal(pvmm_store_unwatch(&a), 0);
	assert_int_equal(pvmm_store_unwatch(&b), 0);
}

/* A new store that does not answer yet: the next request tells it of the watches. */
static void watches_wait_for_a_store_that_answers(void **state)
{
	struct pvmm_store_watch watch = {.path = "a"};

	(void)state;
	assert_int_equal(pvmm_store_watch(&watch), 0);
	replace_store();
	peer = NULL;
	max_waits = 3;
	xs_resume();
	assert_said("a is not watched any more: ETIMEDOUT");
	assert_int_equal(nr_requests, 0);
	nr_waits = 0;
	max_waits = 1000;
	peer = new_store_peer;
	assert_int_equal(pvmm_store_rm(0, "x"), 0);
	assert_true(nr_requests >= 1);
	assert_int_equal(watched[nr_requests - 1], watch.token);
	assert_int_equal(pvmm_store_unwatch(&watch), 0);
}

/* A transaction of the store before is to be done again, and nothing of it is sent. */
static void transactions_do_not_outlive_their_store(void **state)
{
	pvmm_store_tx_t tx;

	(void)state;
	answer_with(0, "12", 3);
	assert_int_equal(pvmm_store_tx_start(&tx), 0);
	replace_store();
	xs_resume();
	assert_int_equal(pvmm_store_write(tx, "data/a", "red"), -XEN_EAGAIN);
	assert_int_equal(pvmm_store_read(tx, "name", value, sizeof(value), NULL), -XEN_EAGAIN);
	assert_int_equal(pvmm_store_tx_end(tx, true), -XEN_EAGAIN);
	assert_int_equal(ring.req_prod, 0);
	/* The same number of the new store's is another one. */
	peer = polite_peer;
	assert_int_equal(pvmm_store_tx_start(&tx), 0);
	answer_with(0, "OK", 3);
	assert_int_equal(pvmm_store_write(tx, "data/a", "red"), 0);
	assert_int_equal(request.head.tx_id, 12);
}

/* Cancelled: the same store, and everything goes on. */
static void a_store_that_stays_knows_everything(void **state)
{
	struct pvmm_store_watch watch = {.path = "a"};
	pvmm_store_tx_t tx;

	(void)state;
	assert_int_equal(pvmm_store_watch(&watch), 0);
	answer_with(0, "12", 3);
	assert_int_equal(pvmm_store_tx_start(&tx), 0);
	answer_with(0, "OK", 3);
	assert_int_equal(xs_suspend(), 0);
	assert_int_equal(holds, 1);
	xs_resume();
	assert_int_equal(holds, 0);
	assert_int_equal(pvmm_store_write(tx, "data/a", "red"), 0);
	assert_int_equal(request.head.type, XS_WRITE);
	assert_int_equal(request.head.tx_id, 12);
	assert_int_equal(pvmm_store_unwatch(&watch), 0);
}

/* What is half sent or half received would be lost: the suspend waits for it, and gives up. */
static void a_store_that_is_not_at_rest_refuses(void **state)
{
	(void)state;
	answer.silent = true;
	max_waits = 2;
	peer = NULL;
	assert_int_equal(read_it(), -XEN_ETIMEDOUT);
	nr_waits = 0;
	assert_int_equal(xs_suspend(), -XEN_EBUSY);
	assert_said("suspend refused: the store does not come to rest");
	assert_int_equal(holds, 0);
	/* It takes the request, and is at rest without its answer. */
	nr_waits = 0;
	peer = polite_peer;
	assert_int_equal(xs_suspend(), 0);
	xs_resume();
	/* Half of an answer. */
	nr_waits = 0;
	peer = NULL;
	say(XS_READ, 1, "late", 4);
	piece = 9;
	push();
	assert_int_equal(xs_suspend(), -XEN_EBUSY);
}

/* A ring that makes no sense any more is as good as new when another store has it. */
static void a_broken_ring_is_mended(void **state)
{
	(void)state;
	peer = break_rsp;
	assert_int_equal(read_it(), -XEN_EIO);
	replace_store();
	xs_resume();
	peer = polite_peer;
	answer_with(0, "good", 4);
	assert_int_equal(read_it(), 0);
	assert_string_equal(value, "good");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(requests_are_as_the_protocol_has_them),
		STORE_TEST(messages_come_in_pieces),
		STORE_TEST(lists),
		STORE_TEST(errors_have_numbers),
		STORE_TEST(what_cannot_be_sent_is_not),
		STORE_TEST(watches_fire_and_are_told_apart),
		STORE_TEST(malformed_events_are_refused),
		STORE_TEST(an_answer_of_the_wrong_type_is_refused),
		STORE_TEST(an_answer_to_nothing_is_refused),
		STORE_TEST(a_message_that_is_too_long_ends_it),
		STORE_TEST(indices_that_make_no_sense_end_it),
		STORE_TEST(our_own_indices_are_not_read_back),
		STORE_TEST(a_silent_store_is_given_up_and_its_late_answer_dropped),
		STORE_TEST(a_store_that_is_gone_is_said_once),
		STORE_TEST(a_request_that_was_cut_is_finished_first),
		STORE_TEST(watches_are_registered_again),
		STORE_TEST(watches_wait_for_a_store_that_answers),
		STORE_TEST(transactions_do_not_outlive_their_store),
		STORE_TEST(a_store_that_stays_knows_everything),
		STORE_TEST(a_store_that_is_not_at_rest_refuses),
		STORE_TEST(a_broken_ring_is_mended),
		STORE_TEST(no_store_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
