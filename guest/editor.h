/* SPDX-License-Identifier: MIT */
/*
 * A line that is being typed: what the keys do to it, and what a terminal has to be sent so that it
 * shows it. Knows no console and no thread; the hosted tests type into it.
 *
 *	left right home end, ^B ^F ^A ^E	move
 *	backspace, ^D delete, ^W ^U ^K		take a character, a word, all before, all behind
 *	up down, ^P ^N				lines typed before
 *	tab					completes the first word
 *	^C					another line
 *	^L					shows the line anew
 *
 * What cannot be shown (other control characters, bytes above 0x7e) is no key.
 */
#ifndef GUEST_EDITOR_H
#define GUEST_EDITOR_H

#include <pvmm/types.h>

#define EDITOR_BYTES   128u /* of a line, with its NUL */
#define EDITOR_HISTORY 16u  /* lines that are kept */

struct editor {
	/* The caller's: */
	const char *prompt;
	void (*out)(const char *text, size_t len_bytes);
	const char *(*word)(unsigned int i); /* those that tab knows; NULL behind the last */

	/* Ends with a NUL when editor_key has returned true; the caller may change it then. */
	char line[EDITOR_BYTES];

	/* The editor's: */
	size_t len, at;
	enum { EDITOR_PLAIN, EDITOR_ESCAPE, EDITOR_SEQUENCE } state;
	char parameter; /* of an escape sequence: its last digit */
	bool after_cr;	/* a newline right now belongs to the carriage return before it */
	char history[EDITOR_HISTORY][EDITOR_BYTES]; /* round and round */
	unsigned int nr_history;		    /* since the start */
	unsigned int shown; /* how many lines back the line comes from; 0: typed */
};

/* An empty line, and its prompt. */
void editor_begin(struct editor *e);

/* Shows prompt and line at the beginning of a line of the terminal. */
void editor_show(struct editor *e);

/* Takes a byte from the keyboard; true when the line is done. */
bool editor_key(struct editor *e, char c);

#endif
