/* SPDX-License-Identifier: MIT */
/*
 * The command line and the formatter: text that the user of a guest writes.
 *
 *	every word is taken in by exactly one option, in order, or the line is refused with a message
 *	what the formatter prints is what the C library prints, at any buffer size; nothing is
 *	written behind the buffer
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <pvmm/cmdline.h>
#include <pvmm/log.h>
#include <pvmm/symbol.h>
#include <pvmm/xen.h>
#include "tests/fuzz/fuzz.h"

const char *pvmm_symbol_lookup(uintptr_t addr, uintptr_t *offset)
{
	(void)addr, (void)offset;
	return NULL;
}

/* --- the command line --- */

static unsigned int taken;
static char seen[2048];

static const char *take(const char *name, const char *value)
{
	taken++;
	snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s=%s ", name, value);
	return NULL;
}

static const char *parse_name(const char *value)
{
	return take("suite", value);
}

static const char *parse_seed(const char *value)
{
	uint64_t number;

	return pvmm_parse_number(value, &number) ? take("seed", value) : "is not a number";
}

static const char *parse_list(const char *value)
{
	fuzz_must(!*value);
	return take("list", value);
}

static const struct pvmm_option options[] = {
	{"suite", "NAME", parse_name},
	{"seed", "NUMBER", parse_seed},
	{"list", NULL, parse_list},
	{NULL, NULL, NULL},
};

/* What the header says, written another way: true if the C library reads it as that number. */
static bool is_number(const char *text)
{
	const bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	char *end;

	if (!*digits || digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")])
		return false;
	errno = 0;
	strtoull(digits, &end, hex ? 16 : 10);
	return !errno;
}

/* The words of a line, taken one by one; false if one of them must be refused. */
static bool expected_of(const char *line, char *expected, size_t len_bytes)
{
	char copy[1024], *word, *rest;

	strcpy(copy, line);
	expected[0] = '\0';
	for (word = strtok_r(copy, " \t\n\r", &rest); word;
	     word = strtok_r(NULL, " \t\n\r", &rest)) {
		char *value = strchr(word, '=');
		size_t at = strlen(expected);

		if (value)
			*value++ = '\0';
		if (!strcmp(word, "list")    ? value != NULL
		    : !strcmp(word, "suite") ? !value
		    : !strcmp(word, "seed")  ? !value || !is_number(value)
					     : true)
			return false;
		snprintf(expected + at, len_bytes - at, "%s=%s ", word, value ? value : "");
	}
	return true;
}

static void fuzz_cmdline(const char *text)
{
	char line[1024], message[64], expected[2048];
	bool good;
	int err;

	strcpy(line, text);
	strcpy(message, "(untouched)");
	taken = 0;
	seen[0] = '\0';
	good = expected_of(text, expected, sizeof(expected));
	err = pvmm_cmdline_parse(line, options, message, sizeof(message));
	fuzz_must(err == (good ? 0 : -XEN_EINVAL));
	fuzz_must(memchr(message, '\0', sizeof(message)));
	fuzz_must(good == !strcmp(message, "(untouched)"));
	fuzz_must(!strncmp(seen, expected, good ? sizeof(seen) : strlen(seen)));
}

/* --- the formatter --- */

/* Compares one conversion of one value with what the C library makes of it. */
#define COMPARE(value)                                         \
	do {                                                   \
		ours = pvmm_snprintf(got, room, fmt, (value)); \
		theirs = snprintf(want, room, fmt, (value));   \
	} while (0)

static void fuzz_format(struct fuzz_input *in)
{
	static const char *const flags[] = {"", "-", "0", "#", "-#", "0#", "+", " ", "+0"};
	static const char *const kinds[] = {"d",  "u",	 "x",  "X", "ld", "lu",
					    "lx", "llx", "zu", "c", "s"};
	unsigned int flag = fuzz_byte(in) % PVMM_ARRAY_SIZE(flags);
	unsigned int kind = fuzz_byte(in) % PVMM_ARRAY_SIZE(kinds);
	unsigned int width = fuzz_byte(in) % 80, precision = fuzz_byte(in);
	size_t room = fuzz_byte(in) % 128;
	char fmt[64], got[160], want[160], text[17] = "";
	uint64_t value = fuzz_bytes(in, 8);
	int ours, theirs;

	/* Flags that a conversion does not have are the caller's mistake, which the compiler finds.
	 */
	if (kind >= 9)
		flag %= 2;
	else if ((kind == 0 || kind == 4) && (flag == 3 || flag == 4 || flag == 5))
		flag = 2;
	else if (kind != 0 && kind != 4 && flag > 5)
		flag = 1;
	if ((kind == 1 || kind == 5 || kind == 8) && flag >= 3)
		flag = 0;
	snprintf(fmt, sizeof(fmt), "<%%%s", flags[flag]);
	if (width)
		snprintf(fmt + strlen(fmt), 8, "%u", width);
	if (precision < 60 && kind != 9)
		snprintf(fmt + strlen(fmt), 8, ".%u", precision);
	snprintf(fmt + strlen(fmt), 8, "%s>", kinds[kind]);
	memcpy(text, &value, 8);
	memset(got, '~', sizeof(got));
	memset(want, '~', sizeof(want));

	if (kind == 10)
		COMPARE((const char *)text);
	else if (kind < 4)
		COMPARE((int)value);
	else if (kind == 9)
		COMPARE((int)(value % 255 + 1));
	else
		COMPARE((long)value);
	if (ours == theirs && !memcmp(got, want, room) && (!room || got[room] == '~'))
		return;
	fprintf(stderr, "\"%s\" of 0x%llx in %zu bytes: %d \"%.*s\", should be %d \"%.*s\"\n", fmt,
		(unsigned long long)value, room, ours, (int)room, got, theirs, (int)room, want);
	abort();
}

/* Any format at all: what is not known is printed as it stands, and nothing is overrun. */
static void fuzz_any_format(const char *fmt, size_t room)
{
	char got[128];
	int len;

	/* Widths and precisions of four digits say nothing new, and take their time. */
	for (const char *p = fmt; *p; p++)
		if (*p == '*' || (isdigit((unsigned char)p[0]) && strspn(p, "0123456789") > 3))
			return;
	memset(got, '~', sizeof(got));
	len = pvmm_snprintf(got, room, fmt, fmt, fmt, fmt, fmt, fmt, fmt, fmt, fmt, fmt, fmt, fmt,
			    fmt, fmt, fmt, fmt, fmt, fmt, fmt, fmt, fmt);
	fuzz_must(len >= 0);
	for (size_t i = room; i < sizeof(got); i++)
		fuzz_must(got[i] == '~');
	fuzz_must(!room || memchr(got, '\0', room));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, data + size};
	uint8_t what = fuzz_byte(&in);
	char text[1024];
	size_t len = (size_t)(in.end - in.at);

	if (len >= sizeof(text))
		return -1;
	if (size)
		memcpy(text, in.at, len);
	text[len] = '\0';
	if (what % 4 == 0)
		fuzz_cmdline(text);
	else if (what % 4 < 3)
		while (fuzz_more(&in))
			fuzz_format(&in);
	else if (len <= 40) /* twenty conversions at most */
		fuzz_any_format(text, what / 4);
	return 0;
}
