/* SPDX-License-Identifier: MIT */
/*
 * Test suites that run inside the domU, as TAP on its console.
 *
 * A test is a function that checks with CHECK; it passes when every check held, the full audit
 * afterwards finds nothing wrong, and no page is missing.
 */
#ifndef GUEST_SUITE_H
#define GUEST_SUITE_H

#include <pvmm/types.h>

struct test {
	const char *name; /* what must hold, as a sentence */
	void (*run)(void);
};

struct suite {
	const char *name;
	const char *about;
	bool on_request;	  /* only by its name, not as part of "all" */
	const struct test *tests; /* ended by one without a name */
};

/* All suites, ended by NULL. */
extern const struct suite *const suites[];

/* The running test has failed: says what does not hold, and where. */
void suite_fail(const char *text, const char *file, int line);

/* Notes a check's outcome for the running test; returns ok. */
static inline bool suite_check(bool ok, const char *text, const char *file, int line)
{
	if (!ok)
		suite_fail(text, file, line);
	return ok;
}

#define CHECK(condition) suite_check((condition), #condition, __FILE__, __LINE__)

/* Like CHECK(a == b) for numbers, and shows both. */
bool suite_check_equal(uint64_t a, uint64_t b, const char *text, const char *file, int line);

#define CHECK_EQUAL(a, b) \
	suite_check_equal((uint64_t)(a), (uint64_t)(b), #a " == " #b, __FILE__, __LINE__)

/*
 * Free pages, and those that are not missing: tables that are kept for their next use, tables of
 * the kernel's own and the grant table's books, which stay, pages in quarantine, and what vCPUs
 * keep that have been up.
 */
uint64_t pages_accounted_for(void);

/* Runs the named suites ("a,b" or "all"), then prints the plan; true if every test passed. */
bool suites_run(const char *names);

/* Whether every name in "a,b" is a suite's, or "all". */
bool suites_known(const char *names);

#endif
