/* SPDX-License-Identifier: MIT */
/*
 * pvmm_snprintf (include/pvmm/log.h) against the C library's, on every combination of conversion,
 * flags, width, precision and value that it promises. R42: what a report says must be right.
 */
#include "tests/unit/unit.h"

static unsigned int compared;

/* Both buffers are larger than the text; what lies behind it stays. */
static void compare_number(const char *fmt, bool wide, uint64_t value)
{
	char ours[128], libc[128];
	int our_len, libc_len;

	memset(ours, '#', sizeof(ours));
	memset(libc, '#', sizeof(libc));
	if (wide) {
		our_len = pvmm_snprintf(ours, sizeof(ours), fmt, (unsigned long)value);
		libc_len = snprintf(libc, sizeof(libc), fmt, (unsigned long)value);
	} else {
		our_len = pvmm_snprintf(ours, sizeof(ours), fmt, (unsigned int)value);
		libc_len = snprintf(libc, sizeof(libc), fmt, (unsigned int)value);
	}
	compared++;
	if (our_len == libc_len && !memcmp(ours, libc, sizeof(ours)))
		return;
	print_error("format \"%s\" of 0x%llx: \"%s\" (%d), the C library: \"%s\" (%d)\n", fmt,
		    (unsigned long long)value, ours, our_len, libc, libc_len);
	fail();
}

/* Flags that C leaves undefined for a conversion are left out. */
static void numbers(void **state)
{
	const char *const flags[] = {"", "-", "0", "#", "#0", "#-", "-0"};
	const char *const sizes[] = {"", "l", "ll", "z", "j"};
	const char *const widths[] = {"", "1", "2", "5", "16", "20", "33"};
	const char *const precisions[] = {"", ".0", ".1", ".4", ".20"};
	const uint64_t values[] = {0,
				   1,
				   9,
				   10,
				   15,
				   16,
				   255,
				   0x7fffffff,
				   0x80000000,
				   0xffffffff,
				   0x100000000ULL,
				   0x7fffffffffffffffULL,
				   0x8000000000000000ULL,
				   0xffffffffffffffffULL,
				   1234567890123456789ULL};

	(void)state;
	for (const char *c = "diuxX"; *c; c++)
		for (size_t f = 0; f < PVMM_ARRAY_SIZE(flags); f++)
			for (size_t s = 0; s < PVMM_ARRAY_SIZE(sizes); s++)
				for (size_t w = 0; w < PVMM_ARRAY_SIZE(widths); w++)
					for (size_t p = 0; p < PVMM_ARRAY_SIZE(precisions); p++) {
						char fmt[64];

						if (strchr(flags[f], '#') && !strchr("xX", *c))
							continue;
						snprintf(fmt, sizeof(fmt), "<%%%s%s%s%s%c>",
							 flags[f], widths[w], precisions[p],
							 sizes[s], *c);
						for (size_t v = 0; v < PVMM_ARRAY_SIZE(values); v++)
							compare_number(fmt, *sizes[s], values[v]);
					}
	assert_true(compared > 50000);
}

/* Signs: '+' and ' ' for signed conversions. */
static void signs(void **state)
{
	const char *const formats[] = {"%+d", "% d", "%+5d|", "%-+5d|", "%+05d", "% 05d", "%+.3d"};
	const int values[] = {0, 1, -1, 42, -42, INT32_MAX, INT32_MIN};

	(void)state;
	for (size_t f = 0; f < PVMM_ARRAY_SIZE(formats); f++)
		for (size_t v = 0; v < PVMM_ARRAY_SIZE(values); v++)
			compare_number(formats[f], false, (uint64_t)(int64_t)values[v]);
}

static void compare_text(const char *fmt, const char *text)
{
	char ours[128], libc[128];
	int our_len = pvmm_snprintf(ours, sizeof(ours), fmt, text);
	int libc_len = snprintf(libc, sizeof(libc), fmt, text);

	assert_string_equal(ours, libc);
	assert_int_equal(our_len, libc_len);
}

static void texts(void **state)
{
	const char *const formats[] = {"%s",	  "[%5s]",    "[%-5s]", "[%.3s]",
				       "[%5.2s]", "[%-7.1s]", "[%.0s]", "[%20s]"};
	const char *const values[] = {"", "a", "abc", "abcdefgh", "exactly 20 letters.."};
	const char *volatile none = NULL; /* not known to the compiler, which would object */
	char ours[64], libc[64];

	(void)state;
	for (size_t f = 0; f < PVMM_ARRAY_SIZE(formats); f++)
		for (size_t v = 0; v < PVMM_ARRAY_SIZE(values); v++)
			compare_text(formats[f], values[v]);

	/* With a precision, the text need not end. */
	pvmm_snprintf(ours, sizeof(ours), "%.4s", (const char[]){'a', 'b', 'c', 'd'});
	assert_string_equal(ours, "abcd");
	pvmm_snprintf(ours, sizeof(ours), "%s", none);
	assert_string_equal(ours, "(null)");

	pvmm_snprintf(ours, sizeof(ours), "%*d|%-*d|%.*s|%*s", 6, 42, 5, 7, 2, "xyz", -4, "q");
	snprintf(libc, sizeof(libc), "%*d|%-*d|%.*s|%*s", 6, 42, 5, 7, 2, "xyz", -4, "q");
	assert_string_equal(ours, libc);
	pvmm_snprintf(ours, sizeof(ours), "%c%c[%3c][%-3c]%%", 'a', 'z', 'm', 'n');
	assert_string_equal(ours, "az[  m][n  ]%");
}

/* Addresses: %p as 0x..., %pS the same where no symbol is known. */
static void pointers(void **state)
{
	char text[64];

	(void)state;
	assert_int_equal(pvmm_snprintf(text, sizeof(text), "%p", (void *)0xffff888000001000ULL),
			 18);
	assert_string_equal(text, "0xffff888000001000");
	pvmm_snprintf(text, sizeof(text), "%p", NULL);
	assert_string_equal(text, "0x0");
	pvmm_snprintf(text, sizeof(text), "<%pS>", (void *)0x1234);
	assert_string_equal(text, "<0x1234>");
	pvmm_snprintf(text, sizeof(text), "%ps", (void *)0x1234);
	assert_string_equal(text, "0x1234s");
}

/* The text is cut to the room there is, ends with a NUL, and its whole length is told. */
static void room(void **state)
{
	char text[32];

	(void)state;
	for (size_t len = 0; len < 20; len++) {
		memset(text, '#', sizeof(text));
		assert_int_equal(pvmm_snprintf(text, len, "%s %d", "number", 123456), 13);
		for (size_t i = len; i < sizeof(text); i++)
			assert_int_equal(text[i], '#');
		if (len) {
			assert_int_equal(strlen(text), len - 1 < 13 ? len - 1 : 13);
			assert_memory_equal(text, "number 123456", strlen(text));
		}
	}
	assert_int_equal(pvmm_snprintf(NULL, 0, "%4095d", 1), 4095);
}

/* What it does not know is shown as it stands, so that the mistake is seen. */
static void unknown_conversions(void **state)
{
	char text[32];
	/* Not literals: the compiler would refuse them, as it should. */
	const char *volatile odd = "a%qb", *volatile end = "100%";

	(void)state;
	pvmm_snprintf(text, sizeof(text), odd, 0);
	assert_string_equal(text, "a%qb");
	pvmm_snprintf(text, sizeof(text), end, 0);
	assert_string_equal(text, "100%");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers), cmocka_unit_test(signs),
		cmocka_unit_test(texts),   cmocka_unit_test(pointers),
		cmocka_unit_test(room),	   cmocka_unit_test(unknown_conversions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
