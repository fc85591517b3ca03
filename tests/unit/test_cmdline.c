/* SPDX-License-Identifier: MIT */
/*
 * The command line (include/pvmm/cmdline.h): good ones are taken in, anything else is refused with
 * the culprit's name, and nothing is skipped in silence.
 */
#include <pvmm/cmdline.h>
#include "tests/unit/unit.h"

static char suite[64];
static uint64_t seed;
static unsigned int listed, calls;

static const char *parse_suite(const char *value)
{
	calls++;
	if (strlen(value) >= sizeof(suite))
		return "is too long";
	strcpy(suite, value);
	return NULL;
}

static const char *parse_seed(const char *value)
{
	calls++;
	return pvmm_parse_number(value, &seed) ? NULL : "is not a number";
}

static const char *parse_list(const char *value)
{
	calls++;
	assert_string_equal(value, "");
	listed++;
	return NULL;
}

static const struct pvmm_option options[] = {
	{"suite", "NAME", parse_suite},
	{"seed", "NUMBER", parse_seed},
	{"list", NULL, parse_list},
	{NULL, NULL, NULL},
};

static char message[256];

static int parse(const char *text)
{
	static char line[4096];

	suite[0] = '\0';
	seed = 0;
	listed = calls = 0;
	strcpy(message, "(untouched)");
	assert_true(strlen(text) < sizeof(line));
	strcpy(line, text);
	return pvmm_cmdline_parse(line, options, message, sizeof(message));
}

static void good_lines(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_int_equal(calls, 0);
	assert_int_equal(parse(" \t \n "), 0);
	assert_int_equal(calls, 0);
	assert_int_equal(parse("list"), 0);
	assert_int_equal(listed, 1);
	assert_int_equal(parse("  suite=memory\tseed=0x10   list\n"), 0);
	assert_string_equal(suite, "memory");
	assert_int_equal(seed, 16);
	assert_int_equal(listed, 1);
	assert_int_equal(parse("suite=a=b,c"), 0);
	assert_string_equal(suite, "a=b,c");
	assert_int_equal(parse("suite="), 0);
	assert_string_equal(suite, "");
}

/* Given twice, each is taken in, in order: the last one counts. */
static void duplicates(void **state)
{
	(void)state;
	assert_int_equal(parse("seed=1 seed=2 suite=x suite=y list list"), 0);
	assert_int_equal(seed, 2);
	assert_string_equal(suite, "y");
	assert_int_equal(listed, 2);
}

static void bad_lines(void **state)
{
	const struct {
		const char *line, *culprit, *says;
	} cases[] = {
		{"quiet", "\"quiet\"", "unknown option"},
		{"suite=x quiet=3", "\"quiet\"", "unknown option"},
		{"sui=x", "\"sui\"", "unknown option"},
		{"suites=x", "\"suites\"", "unknown option"},
		{"SUITE=x", "\"SUITE\"", "unknown option"},
		{"=x", "\"\"", "unknown option"},
		{"=", "\"\"", "unknown option"},
		{"suite", "\"suite\"", "needs a value"},
		{"list=1", "\"list\"", "takes no value"},
		{"list=", "\"list\"", "takes no value"},
		{"seed=12x", "\"12x\"", "is not a number"},
		{"seed=", "\"seed\"", "is not a number"},
		{"seed=-1", "\"-1\"", "is not a number"},
	};

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].line), -XEN_EINVAL);
		if (!strstr(message, cases[i].culprit) || !strstr(message, cases[i].says))
			fail_msg("line \"%s\": message \"%s\"", cases[i].line, message);
		assert_null(strchr(message, '\n'));
	}

	/* The unknown one's message lists those that are known. */
	parse("quiet");
	assert_non_null(strstr(message, "suite=NAME"));
	assert_non_null(strstr(message, "seed=NUMBER"));
	assert_non_null(strstr(message, "list"));
}

/* The first culprit is the one named, and nothing behind it is taken in. */
static void first_culprit_stops(void **state)
{
	(void)state;
	assert_int_equal(parse("seed=7 bogus list other"), -XEN_EINVAL);
	assert_non_null(strstr(message, "bogus"));
	assert_null(strstr(message, "other"));
	assert_int_equal(seed, 7);
	assert_int_equal(listed, 0);
}

/* Long words and short message buffers: cut, never overrun. */
static void long_words(void **state)
{
	static char line[2000];
	char text[32];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	assert_int_equal(parse(line), -XEN_EINVAL);
	assert_int_equal(strlen(message), sizeof(message) - 1);
	memcpy(line, "suite=", 6);
	assert_int_equal(parse(line), -XEN_EINVAL);
	assert_non_null(strstr(message, "suite"));

	for (size_t len = 0; len < 24; len++) {
		char bad[] = "bogus=1";

		memset(text, '#', sizeof(text));
		assert_int_equal(pvmm_cmdline_parse(bad, options, text, len), -XEN_EINVAL);
		for (size_t i = len; i < sizeof(text); i++)
			assert_int_equal(text[i], '#');
		if (len)
			assert_int_equal(strlen(text), len - 1);
	}
}

static void numbers(void **state)
{
	const struct {
		const char *text;
		bool good;
		uint64_t value;
	} cases[] = {
		{"0", true, 0},
		{"42", true, 42},
		{"007", true, 7},
		{"0x0", true, 0},
		{"0xdeadBEEF", true, 0xdeadbeef},
		{"0XfF", true, 255},
		{"18446744073709551615", true, UINT64_MAX},
		{"0xffffffffffffffff", true, UINT64_MAX},
		{"18446744073709551616", false, 0},
		{"0x10000000000000000", false, 0},
		{"99999999999999999999999", false, 0},
		{"", false, 0},
		{"0x", false, 0},
		{"-1", false, 0},
		{"+1", false, 0},
		{" 1", false, 0},
		{"1 ", false, 0},
		{"12a", false, 0},
		{"a", false, 0},
		{"0xg", false, 0},
		{"x10", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(cases); i++) {
		uint64_t value = 12345;

		assert_int_equal(pvmm_parse_number(cases[i].text, &value), cases[i].good);
		assert_int_equal(value, cases[i].good ? cases[i].value : 12345);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lines), cmocka_unit_test(duplicates),
		cmocka_unit_test(bad_lines),  cmocka_unit_test(first_culprit_stops),
		cmocka_unit_test(long_words), cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
