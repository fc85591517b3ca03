/* SPDX-License-Identifier: MIT */
/* Printing what others wrote, and JSON. */
#ifndef TOOLS_TEXT_H
#define TOOLS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Prints text that came out of a domain: every byte that is no printable ASCII comes as \xNN, and
 * so do the quote and the backslash, so that it can neither steer a terminal nor end a string.
 */
void text_escaped(FILE *out, const char *text);

/* The same into a buffer; what does not fit is left out. */
void text_escape(char *to, size_t room_bytes, const char *text);

/* A JSON document that is written as it is told. The caller says what is what. */
struct json {
	FILE *out;
	unsigned int depth;
	bool has_members[32]; /* by depth */
};

/* key is NULL in arrays and at the top. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_string(struct json *j, const char *key, const char *value);
void json_number(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
/* Frames, addresses and entries are strings "0x...": they do not fit into every reader's numbers.
 */
void json_hex(struct json *j, const char *key, uint64_t value);

#endif
