/* SPDX-License-Identifier: MIT */
/* Takes a command line apart. Owns nothing. */
#include <pvmm/cmdline.h>
#include <pvmm/log.h>
#include <pvmm/xen.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool pvmm_text_equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* Ends the word at *at and returns where the next one can start. */
static char *end_word(char *at)
{
	while (*at && !is_blank(*at))
		at++;
	if (*at)
		*at++ = '\0';
	return at;
}

/* Ends the name at its '='; the value, or NULL. */
static char *split_value(char *word)
{
	for (; *word; word++)
		if (*word == '=') {
			*word = '\0';
			return word + 1;
		}
	return NULL;
}

static const struct pvmm_option *find_option(const struct pvmm_option *options, const char *name)
{
	for (; options->name; options++)
		if (pvmm_text_equal(options->name, name))
			return options;
	return NULL;
}

/* "unknown option "x"; known are: suite=NAME, list" */
static void say_unknown(const struct pvmm_option *options, const char *name, char *message,
			size_t len_bytes)
{
	size_t at = (size_t)pvmm_snprintf(message, len_bytes,
					  "unknown option \"%s\"; known are:", name);

	for (; options->name && at < len_bytes; options++)
		at += (size_t)pvmm_snprintf(message + at, len_bytes - at, " %s%s%s", options->name,
					    options->values ? "=" : "",
					    options->values ? options->values : "");
}

static int parse_word(char *word, const struct pvmm_option *options, char *message,
		      size_t len_bytes)
{
	char *value = split_value(word);
	const struct pvmm_option *option = find_option(options, word);
	const char *wrong;

	if (!option) {
		say_unknown(options, word, message, len_bytes);
		return -XEN_EINVAL;
	}
	if (!value != !option->values) {
		pvmm_snprintf(message, len_bytes,
			      option->values ? "option \"%s\" needs a value: %s=%s"
					     : "option \"%s\" takes no value",
			      word, word, option->values);
		return -XEN_EINVAL;
	}
	wrong = option->parse(value ? value : "");
	if (wrong) {
		pvmm_snprintf(message, len_bytes, "option \"%s\": \"%s\" %s", word,
			      value ? value : "", wrong);
		return -XEN_EINVAL;
	}
	return 0;
}

int pvmm_cmdline_parse(char *line, const struct pvmm_option *options, char *message,
		       size_t len_bytes)
{
	int err = 0;

	while (!err) {
		char *word;

		while (is_blank(*line))
			line++;
		if (!*line)
			break;
		word = line;
		line = end_word(line);
		err = parse_word(word, options, message, len_bytes);
	}
	return err;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

bool pvmm_parse_number(const char *text, uint64_t *value)
{
	unsigned int base = 10;
	uint64_t v = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned int digit = (unsigned int)digit_of(*text);

		if (digit >= base || __builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return false;
	}
	*value = v;
	return true;
}
