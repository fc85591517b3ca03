/* SPDX-License-Identifier: MIT */
/* Runs suites and prints TAP. Owns the counters of the run. */
#include <pvmm/alloc.h>
#include <pvmm/balloon.h>
#include <pvmm/check.h>
#include <pvmm/cmdline.h>
#include <pvmm/grant.h>
#include <pvmm/log.h>
#include <pvmm/stray.h>
#include <pvmm/vcpu.h>
#include "suite.h"

static unsigned int nr_tests, nr_failed;
static unsigned int failed_checks; /* of the running test */

void suite_fail(const char *text, const char *file, int line)
{
	failed_checks++;
	pvmm_print("# %s:%d: this does not hold: %s\n", file, line, text);
}

bool suite_check_equal(uint64_t a, uint64_t b, const char *text, const char *file, int line)
{
	bool ok = suite_check(a == b, text, file, line);

	if (!ok)
		pvmm_print("#   left 0x%llx (%lld), right 0x%llx (%lld)\n", (unsigned long long)a,
			   (long long)a, (unsigned long long)b, (long long)b);
	return ok;
}

uint64_t pages_accounted_for(void)
{
	struct pvmm_balloon_stats b = pvmm_balloon_stats();

	return pvmm_free_pages() + pvmm_table_cache_stats().nr_pages + pvmm_kernel_space.nr_tables +
	       pvmm_check_stats().quarantined + pvmm_vcpu_pages() + b.records + b.given - b.taken +
	       pvmm_grant_stats().nr_record_pages;
}

static void run_test(const struct suite *suite, const struct test *test)
{
	uint64_t before = pages_accounted_for();
	bool ok;

	failed_checks = 0;
	test->run();
	pvmm_check_tick();
	CHECK_EQUAL(pages_accounted_for(), before);
	CHECK_EQUAL(pvmm_audit(), 0);
	CHECK_EQUAL(pvmm_balloon_audit(), 0);

	ok = !failed_checks;
	nr_tests++;
	nr_failed += !ok;
	pvmm_print("%s %u - %s: %s\n", ok ? "ok" : "not ok", nr_tests, suite->name, test->name);
}

/* Takes the first name off "a,b"; true if there is a comma and so another one behind it. */
static bool take_name(const char **names, char *name, size_t len_bytes)
{
	size_t len = 0;

	for (; **names && **names != ','; (*names)++)
		if (len + 1 < len_bytes)
			name[len++] = **names;
	name[len] = '\0';
	if (!**names)
		return false;
	(*names)++;
	return true;
}

static bool matches(const char *name, const struct suite *suite)
{
	return (pvmm_text_equal(name, "all") && !suite->on_request) ||
	       pvmm_text_equal(name, suite->name);
}

bool suites_known(const char *names)
{
	char name[32];
	bool more;

	do {
		const struct suite *const *s = suites;

		more = take_name(&names, name, sizeof(name));
		while (*s && !matches(name, *s))
			s++;
		if (!*s)
			return false;
	} while (more);
	return true;
}

static void run_suite(const struct suite *suite)
{
	pvmm_print("# suite %s: %s\n", suite->name, suite->about);
	for (const struct test *t = suite->tests; t->name; t++)
		run_test(suite, t);
}

bool suites_run(const char *names)
{
	char name[32];
	bool more;

	pvmm_print("TAP version 13\n");
	do {
		more = take_name(&names, name, sizeof(name));
		for (const struct suite *const *s = suites; *s; s++)
			if (matches(name, *s))
				run_suite(*s);
	} while (more);
	pvmm_print("1..%u\n", nr_tests);
	pvmm_print("# %u passed, %u failed\n", nr_tests - nr_failed, nr_failed);
	return !nr_failed;
}
