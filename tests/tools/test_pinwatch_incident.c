/* SPDX-License-Identifier: MIT */
/*
 * Which lines are one incident, what is remembered, and that a flood costs a bounded amount (R44).
 * A fault looks like one refusal told twice, two told as one, or memory that grows with the
 * console.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tools/pinwatch_incident.h"

static struct book book;

static int begin(void **state)
{
	(void)state;
	book_init(&book);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	book_free(&book);
	return 0;
}

static struct incident *say(const char *text, uint64_t now)
{
	int err = -1;
	struct incident *incident = book_line(&book, text, now, 1000, &err);

	assert_int_equal(err, 0);
	return incident;
}

static struct incident *bad_type(unsigned int dom, unsigned int vcpu, unsigned int mfn,
				 uint64_t now)
{
	char text[200];

	snprintf(text, sizeof(text),
		 "(XEN) arch/x86/mm.c:2940:d%uv%u Bad type (saw e400000000000001 != exp "
		 "2000000000000000) for mfn %05x (pfn 00001)",
		 dom, vcpu, mfn);
	return say(text, now);
}

/* What the laboratory's debug hypervisor printed of one fork of a Linux with stray mappings. */
static void one_fork_is_one_incident(void **state)
{
	static const char *const lines[] = {
		"(XEN) arch/x86/mm.c:2940:d1v0 Bad type (saw e400000000000001 != exp 4000000000000000) for mfn "
		"3838f (pfn 0698f)",
		"(XEN) arch/x86/mm.c:1148:d1v0 Attempt to create linear p.t. with write perms",
		"(XEN) arch/x86/mm.c:1593:d1v0 Failure -22 in promote_l3_table: slot 0",
		"(XEN) arch/x86/mm.c:2649:d1v0 Error while validating mfn 3831f (pfn 0691f) for type "
		"6000000000000000: caf=8000000000000003 taf=6000000000000001",
		"(XEN) arch/x86/mm.c:1172:d1v0 Attempt to create linear p.t. with write perms",
		"(XEN) arch/x86/mm.c:1784:d1v0 Failure -22 in promote_l4_table: slot 0",
		"(XEN) arch/x86/mm.c:2649:d1v0 Error while validating mfn 3834e (pfn 0694e) for type "
		"8000000000000000: caf=8000000000000003 taf=8000000000000001",
		"(XEN) arch/x86/mm.c:3346:d1v0 Error while installing new baseptr 3834e",
		"(XEN) arch/x86/mm.c:3642:d1v0 mfn 3834e not pinned",
		"(d1) [    8.964723] ------------[ cut here ]------------",
		"(XEN) arch/x86/mm.c:2940:d1v0 Bad type (saw e400000000000001 != exp 2000000000000000) for mfn "
		"38384 (pfn 06984)",
		"(XEN) arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 38384",
	};
	struct incident *incident;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		say(lines[i], 100 + i);
	assert_null(book_close(&book, 200));
	assert_int_equal(book_due(&book), 111 + INCIDENT_QUIET_MS);
	incident = book_close(&book, 111 + INCIDENT_QUIET_MS);
	assert_non_null(incident);
	assert_null(book_close(&book, 10000));
	assert_int_equal(incident->domid, 1);
	assert_int_equal(incident->vcpu, 0);
	assert_int_equal(incident->nr_lines, 11);
	assert_int_equal(incident->nr_frames, 2);
	assert_int_equal(incident->frames[0].mfn, 0x3838f);
	assert_int_equal(incident->frames[1].mfn, 0x38384);
	assert_int_equal(incident->when, 1000);
	assert_false(incident->is_crash_only);
	/* Two of the words about linear tables are one fact. */
	assert_int_equal(incident->facts[0].line.kind, LINE_LINEAR);
	assert_int_equal(incident->facts[0].times, 2);
	assert_int_equal(book_due(&book), LINE_NONE);
	free(incident);
}

static void vcpus_and_domains_are_kept_apart(void **state)
{
	struct incident *a, *b, *c;

	(void)state;
	a = bad_type(1, 0, 1, 0);
	b = bad_type(1, 1, 2, 1);
	c = bad_type(2, 0, 3, 2);
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(b, c);
	assert_ptr_equal(bad_type(1, 0, 4, 3), a);
	assert_int_equal(a->nr_frames, 2);
	assert_int_equal(b->number, 2);
}

static void a_moment_later_is_another(void **state)
{
	struct incident *a;

	(void)state;
	a = bad_type(1, 0, 1, 0);
	assert_ptr_equal(bad_type(1, 0, 1, INCIDENT_QUIET_MS - 1), a);
	assert_int_equal(a->frames[0].times, 2);
	assert_ptr_not_equal(bad_type(1, 0, 1, 2 * INCIDENT_QUIET_MS), a);
	/* One that never ends is told all the same. */
	a = bad_type(2, 0, 1, 0);
	for (uint64_t now = 0; now < INCIDENT_LONGEST_MS; now += INCIDENT_QUIET_MS / 2)
		assert_ptr_equal(bad_type(2, 0, 1, now), a);
	assert_ptr_not_equal(bad_type(2, 0, 1, INCIDENT_LONGEST_MS), a);
}

static void what_was_told_is_known(void **state)
{
	struct incident *a;

	(void)state;
	bad_type(1, 0, 7, 0);
	a = book_take(&book);
	assert_false(incident_is_repeated(a));
	book_remember(&book, a);
	free(a);
	assert_true(incident_is_repeated(bad_type(1, 0, 7, 1000)));
	/* Another frame, or another domain's of that number, or a crash, is news. */
	assert_false(incident_is_repeated(bad_type(1, 0, 8, 1001)));
	assert_false(incident_is_repeated(bad_type(2, 0, 7, 1002)));
	a = bad_type(1, 1, 7, 1003);
	assert_true(incident_is_repeated(a));
	say("(XEN) Domain 1 (vcpu#1) crashed on cpu#0:", 1004);
	assert_true(a->has_crashed);
	assert_false(incident_is_repeated(a));
	/* What is known is a bounded number of frames, the last ones. */
	for (unsigned int i = 0; i < 2 * BOOK_KNOWN; i++) {
		bad_type(3, 0, i, 10000 + 1000 * i);
		while ((a = book_close(&book, 10500 + 1000 * i))) {
			book_remember(&book, a);
			free(a);
		}
	}
	assert_int_equal(book.nr_known, BOOK_KNOWN);
	assert_true(incident_is_repeated(bad_type(3, 0, 2 * BOOK_KNOWN - 1, 9000000)));
	assert_false(incident_is_repeated(bad_type(3, 1, 1, 9000000)));
}

static void crashes(void **state)
{
	struct incident *a;
	int err;

	(void)state;
	/* The end of what went before. */
	a = bad_type(1, 2, 1, 0);
	assert_ptr_equal(book_crash(&book, 1, 10, 1000, &err), a);
	assert_true(a->has_crashed);
	assert_false(a->is_crash_only);
	/* Out of the blue, and told by the console and by the watcher of domains. */
	a = book_crash(&book, 2, 10, 1000, &err);
	assert_true(a->is_crash_only);
	assert_int_equal(a->vcpu, LINE_NONE);
	assert_ptr_equal(say("(XEN) Domain 2 (vcpu#3) crashed on cpu#0:", 20), a);
	assert_int_equal(a->vcpu, 3);
	assert_true(a->is_crash_only);
	/* All that a release hypervisor says of a user root that it refused. */
	a = say("(XEN) d4v0 Guest switching to user mode with no user page tables", 30);
	assert_int_equal(a->nr_facts, 1);
	assert_false(a->is_crash_only);
}

static void a_flood_is_bounded(void **state)
{
	struct incident *a = NULL;
	unsigned int nr = 0;
	int err;

	(void)state;
	for (unsigned int i = 0; i < 10000; i++)
		a = bad_type(1, 0, i, 1);
	assert_int_equal(a->nr_frames, INCIDENT_FRAMES);
	assert_int_equal(a->more_frames, 10000 - INCIDENT_FRAMES);
	assert_int_equal(a->nr_kept, INCIDENT_LINES);
	for (unsigned int i = 0; i < 1000; i++)
		nr += bad_type(i, 0, 1, 1) != NULL;
	assert_int_equal(book.nr_open, BOOK_OPEN);
	assert_int_equal(nr, BOOK_OPEN);
	assert_null(book_crash(&book, 2000, 1, 1000, &err));
	/* A place is made, though nothing is over. */
	a = book_close(&book, 1);
	assert_non_null(a);
	free(a);
	assert_non_null(bad_type(2000, 0, 1, 1));
	/* What Xen kept to itself is added up, and no further than a number goes. */
	say("(XEN) printk: 5 messages suppressed.", 1);
	assert_int_equal(book.nr_suppressed, 5);
	say("(XEN) printk: 9999999999999999999 messages suppressed.", 1);
	say("(XEN) printk: 9999999999999999999 messages suppressed.", 1);
	assert_int_equal(book.nr_suppressed, UINT64_MAX);
}

static void nobodys_lines(void **state)
{
	(void)state;
	assert_null(say("(XEN) arch/x86/mm.c:3642:d[IDLE]v0 mfn 38338 not pinned", 1));
	assert_null(say("(XEN) arch/x86/mm.c:3642:d99999v0 mfn 38338 not pinned", 1));
	assert_null(say("(XEN) Freed 664kB init memory", 1));
	/* dom0 maps pages of a domain that is going. */
	assert_null(say(
		"(XEN) arch/x86/mm.c:988:d0v0 pg_owner d1 l1e_owner d0, but real_pg_owner d-1", 1));
	assert_null(say(
		"(XEN) arch/x86/mm.c:1040:d0v0 Error getting mfn 3a068 (pfn 00068) from L1 entry "
		"800000003a068325 for l1e_owner d0, pg_owner d1",
		1));
	assert_null(say("(d1) arch/x86/mm.c:3642:d1v0 mfn 38338 not pinned", 1));
	assert_int_equal(book.nr_open, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_fork_is_one_incident, begin, finish),
		cmocka_unit_test_setup_teardown(vcpus_and_domains_are_kept_apart, begin, finish),
		cmocka_unit_test_setup_teardown(a_moment_later_is_another, begin, finish),
		cmocka_unit_test_setup_teardown(what_was_told_is_known, begin, finish),
		cmocka_unit_test_setup_teardown(crashes, begin, finish),
		cmocka_unit_test_setup_teardown(a_flood_is_bounded, begin, finish),
		cmocka_unit_test_setup_teardown(nobodys_lines, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
