/* SPDX-License-Identifier: MIT */
/*
 * See editor.h. The cursor of the terminal is always where at is; it is moved by printing and by
 * backspaces alone, which every terminal understands.
 */
#include "editor.h"

#define CTRL(letter) ((char)((letter)&0x1f))
#define BACKSPACE    '\b'
#define RUBOUT	     '\x7f'
#define ESCAPE	     '\x1b'
#define BELL	     "\a"

static size_t length(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return len;
}

static void say(struct editor *e, const char *text)
{
	e->out(text, length(text));
}

static void back(struct editor *e, size_t nr)
{
	for (; nr; nr--)
		say(e, "\b");
}

/* --- showing --- */

/* Shows what is behind the cursor anew, where blanks more were before. */
static void show_rest(struct editor *e, size_t blanks)
{
	e->out(e->line + e->at, e->len - e->at);
	for (size_t i = 0; i < blanks; i++)
		say(e, " ");
	back(e, e->len - e->at + blanks);
}

void editor_show(struct editor *e)
{
	say(e, e->prompt);
	e->out(e->line, e->len);
	back(e, e->len - e->at);
}

void editor_begin(struct editor *e)
{
	e->len = e->at = 0;
	e->shown = 0;
	e->line[0] = '\0';
	editor_show(e);
}

/* --- moving --- */

static void go_to(struct editor *e, size_t at)
{
	if (at < e->at)
		back(e, e->at - at);
	else
		e->out(e->line + e->at, at - e->at);
	e->at = at;
}

static void go_left(struct editor *e)
{
	if (e->at)
		go_to(e, e->at - 1);
}

static void go_right(struct editor *e)
{
	if (e->at < e->len)
		go_to(e, e->at + 1);
}

/* --- changing --- */

static void insert(struct editor *e, char c)
{
	if (e->len + 1 == EDITOR_BYTES) {
		say(e, BELL);
		return;
	}
	for (size_t i = e->len; i > e->at; i--)
		e->line[i] = e->line[i - 1];
	e->line[e->at] = c;
	e->len++;
	e->line[e->len] = '\0';
	e->out(&e->line[e->at++], 1);
	show_rest(e, 0);
}

/* Takes out what is between two places, and leaves the cursor there. */
static void cut(struct editor *e, size_t from, size_t to)
{
	go_to(e, from);
	for (size_t i = to; i <= e->len; i++)
		e->line[from + i - to] = e->line[i];
	e->len -= to - from;
	show_rest(e, to - from);
}

static void cut_word(struct editor *e)
{
	size_t from = e->at;

	while (from && e->line[from - 1] == ' ')
		from--;
	while (from && e->line[from - 1] != ' ')
		from--;
	cut(e, from, e->at);
}

static void replace(struct editor *e, const char *text)
{
	cut(e, 0, e->len);
	while (*text)
		insert(e, *text++);
}

/* --- lines typed before --- */

static char *line_before(struct editor *e, unsigned int back_by)
{
	return e->history[(e->nr_history - back_by) % EDITOR_HISTORY];
}

static void remember(struct editor *e)
{
	if (!e->len)
		return;
	for (size_t i = 0; i <= e->len; i++)
		e->history[e->nr_history % EDITOR_HISTORY][i] = e->line[i];
	e->nr_history++;
}

static void go_back(struct editor *e)
{
	if (e->shown == e->nr_history || e->shown == EDITOR_HISTORY)
		return;
	e->shown++;
	replace(e, line_before(e, e->shown));
}

static void go_forth(struct editor *e)
{
	if (!e->shown)
		return;
	e->shown--;
	replace(e, e->shown ? line_before(e, e->shown) : "");
}

/* --- completing --- */

static bool begins_with(const char *word, const char *text, size_t len_bytes)
{
	for (size_t i = 0; i < len_bytes; i++)
		if (word[i] != text[i])
			return false;
	return true;
}

/* Adds what all words that begin like the line have in common; a blank if it is one word only. */
static void complete(struct editor *e)
{
	const char *first = NULL, *word;
	size_t common = 0, typed = e->len;
	unsigned int nr = 0;

	if (e->at != e->len)
		return;
	for (unsigned int i = 0; (word = e->word(i)); i++) {
		if (!begins_with(word, e->line, typed))
			continue;
		if (!nr++) {
			first = word;
			common = length(word);
		}
		while (!begins_with(word, first, common))
			common--;
	}
	for (size_t i = typed; i < common; i++)
		insert(e, first[i]);
	if (nr == 1)
		insert(e, ' ');
	else if (common <= typed)
		say(e, BELL);
}

/* --- keys --- */

/* The end of an escape sequence, as terminals of the VT100 kind and their children send them. */
static void sequence(struct editor *e, char last)
{
	switch (last) {
	case 'A':
		go_back(e);
		break;
	case 'B':
		go_forth(e);
		break;
	case 'C':
		go_right(e);
		break;
	case 'D':
		go_left(e);
		break;
	case 'H':
		go_to(e, 0);
		break;
	case 'F':
		go_to(e, e->len);
		break;
	case '~':
		if (e->parameter == '1' || e->parameter == '7')
			go_to(e, 0);
		else if (e->parameter == '4' || e->parameter == '8')
			go_to(e, e->len);
		else if (e->parameter == '3' && e->at < e->len)
			cut(e, e->at, e->at + 1);
		break;
	default:
		break; /* some key that this editor does not have */
	}
}

static void key(struct editor *e, char c)
{
	switch (c) {
	case CTRL('a'):
		go_to(e, 0);
		break;
	case CTRL('b'):
		go_left(e);
		break;
	case CTRL('d'):
		if (e->at < e->len)
			cut(e, e->at, e->at + 1);
		break;
	case CTRL('e'):
		go_to(e, e->len);
		break;
	case CTRL('f'):
		go_right(e);
		break;
	case BACKSPACE:
	case RUBOUT:
		if (e->at)
			cut(e, e->at - 1, e->at);
		break;
	case '\t':
		complete(e);
		break;
	case CTRL('k'):
		cut(e, e->at, e->len);
		break;
	case CTRL('l'):
		say(e, "\n");
		editor_show(e);
		break;
	case CTRL('n'):
		go_forth(e);
		break;
	case CTRL('p'):
		go_back(e);
		break;
	case CTRL('u'):
		cut(e, 0, e->at);
		break;
	case CTRL('w'):
		cut_word(e);
		break;
	case CTRL('c'):
		say(e, "^C\n");
		editor_begin(e);
		break;
	case ESCAPE:
		e->state = EDITOR_ESCAPE;
		break;
	default:
		if (c >= ' ' && c < RUBOUT)
			insert(e, c);
	}
}

static bool enter(struct editor *e)
{
	go_to(e, e->len);
	say(e, "\n");
	remember(e);
	return true;
}

bool editor_key(struct editor *e, char c)
{
	bool after_cr = e->after_cr;

	e->after_cr = c == '\r';
	switch (e->state) {
	case EDITOR_ESCAPE:
		e->parameter = '\0';
		e->state = c == '[' || c == 'O' ? EDITOR_SEQUENCE : EDITOR_PLAIN;
		return false;
	case EDITOR_SEQUENCE:
		if ((c >= '0' && c <= '9') || c == ';') {
			e->parameter = c;
			return false;
		}
		e->state = EDITOR_PLAIN;
		sequence(e, c);
		return false;
	case EDITOR_PLAIN:
		break;
	}
	if (c == '\n' && after_cr)
		return false;
	if (c == '\r' || c == '\n')
		return enter(e);
	key(e, c);
	return false;
}
