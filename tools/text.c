/* SPDX-License-Identifier: MIT */
/* See text.h. Owns nothing. */
#include <assert.h>
#include <string.h>
#include "text.h"

/* Bytes that one of the text's takes, and how they look. */
static size_t escape_byte(unsigned char c, char out[5])
{
	if (c >= ' ' && c < 0x7f && c != '"' && c != '\\')
		return (size_t)snprintf(out, 5, "%c", c);
	return (size_t)snprintf(out, 5, "\\x%02x", c);
}

void text_escaped(FILE *out, const char *text)
{
	char byte[5];

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		escape_byte(*c, byte);
		fputs(byte, out);
	}
}

void text_escape(char *to, size_t room_bytes, const char *text)
{
	size_t at = 0;
	char byte[5];

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		size_t len = escape_byte(*c, byte);

		if (at + len >= room_bytes)
			break;
		memcpy(to + at, byte, len);
		at += len;
	}
	to[at] = 0;
}

static void begin(struct json *j, const char *key)
{
	if (j->has_members[j->depth])
		fputs(",", j->out);
	j->has_members[j->depth] = true;
	if (key)
		fprintf(j->out, "\"%s\":", key);
}

static void open_level(struct json *j, const char *key, char bracket)
{
	begin(j, key);
	putc(bracket, j->out);
	j->depth++;
	assert(j->depth < sizeof(j->has_members) / sizeof(j->has_members[0]));
	j->has_members[j->depth] = false;
}

void json_object(struct json *j, const char *key)
{
	open_level(j, key, '{');
}

void json_array(struct json *j, const char *key)
{
	open_level(j, key, '[');
}

void json_end_object(struct json *j)
{
	j->depth--;
	fputs(j->depth ? "}" : "}\n", j->out);
}

void json_end_array(struct json *j)
{
	j->depth--;
	putc(']', j->out);
}

void json_string(struct json *j, const char *key, const char *value)
{
	begin(j, key);
	putc('"', j->out);
	for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
		if (*c >= ' ' && *c < 0x7f && *c != '"' && *c != '\\')
			putc(*c, j->out);
		else
			fprintf(j->out, "\\u%04x", *c);
	}
	putc('"', j->out);
}

void json_number(struct json *j, const char *key, uint64_t value)
{
	begin(j, key);
	fprintf(j->out, "%llu", (unsigned long long)value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_null(struct json *j, const char *key)
{
	begin(j, key);
	fputs("null", j->out);
}

void json_hex(struct json *j, const char *key, uint64_t value)
{
	begin(j, key);
	fprintf(j->out, "\"0x%llx\"", (unsigned long long)value);
}
