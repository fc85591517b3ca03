/* SPDX-License-Identifier: MIT */
/*
 * Keys are typed into the line editor, and a terminal that knows printing, backspace and newline
 * alone shows what it is sent: line and screen must agree after every key.
 */
#include "guest/editor.h"
#include "tests/unit/unit.h"

#include <string.h>

/* The terminal's bottom line. */
static struct {
	char text[256];
	size_t cursor;
	unsigned int bells;
} screen;

static void terminal(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '\b':
			assert_true(screen.cursor > 0);
			screen.cursor--;
			break;
		case '\a':
			screen.bells++;
			break;
		case '\n':
			memset(&screen, 0, sizeof(screen));
			break;
		default:
			assert_in_range(text[i], ' ', '~');
			screen.text[screen.cursor++] = text[i];
		}
	}
}

static const char *word(unsigned int i)
{
	static const char *const words[] = {"aliases", "check", "vmap", "vmalloc", NULL};

	return words[i];
}

static struct editor editor;

static void begin(void)
{
	memset(&screen, 0, sizeof(screen));
	memset(&editor, 0, sizeof(editor));
	editor.prompt = "> ";
	editor.out = terminal;
	editor.word = word;
	editor_begin(&editor);
}

/* The screen shows the prompt, the line, and blanks, with the cursor where the editor has it. */
static void check_screen(void)
{
	size_t shown = strlen(screen.text);

	assert_memory_equal(screen.text, "> ", 2);
	assert_int_equal(strlen(editor.line), editor.len);
	assert_memory_equal(screen.text + 2, editor.line, editor.len);
	for (size_t i = 2 + editor.len; i < shown; i++)
		assert_int_equal(screen.text[i], ' ');
	assert_int_equal(screen.cursor, 2 + editor.at);
}

/* Types; true if the last key has ended the line. */
static bool type(const char *keys)
{
	bool done = false;

	for (; *keys; keys++) {
		assert_false(done);
		done = editor_key(&editor, *keys);
		if (!done)
			check_screen();
	}
	return done;
}

static void expect(const char *keys, const char *line)
{
	begin();
	assert_true(type(keys));
	assert_string_equal(editor.line, line);
}

static void test_keys(void **state)
{
	(void)state;
	expect("mem\r", "mem");
	expect("mem\n", "mem");
	expect("mxe\bem\n", "mxem");
	expect("mxe\b\x7f"
	       "em\n",
	       "mem");
	expect("em\x01m\n", "mem");
	expect("em\x1b[Hm\x1b[F!\n", "mem!");
	expect("em\x1b[1~m\x1b[4~!\n", "mem!");
	expect("em\x1bOHm\x1bOF!\n", "mem!");
	expect("ac\x1b[Db\x1b[Cd\n", "abcd");
	expect("ac\x02"
	       "b\x06"
	       "d\n",
	       "abcd");
	expect("abxc\x1b[D\x1b[D\x1b[3~\n", "abc");
	expect("abxc\x02\x02\x04\n", "abc");
	expect("one two  \x17three\n", "one three");
	expect("one\x15two\n", "two");
	expect("one two\x1b[D\x1b[D\x1b[D\x0b\n", "one ");
	expect("junk\x03mem\n", "mem");
	expect("me\x0cm\n", "mem");
	expect("\b\x7f\x17\x15\x0b\x04\x1b[D\x1b[C\x1b[3~mem\n", "mem");
}

static void test_what_is_no_key(void **state)
{
	(void)state;
	expect("m\x07\xff\x80"
	       "em\n",
	       "mem");
	expect("m\x1b[5~e\x1b[12;34Rm\x1bx\n", "mem"); /* page up, a report, alt and a letter */
	/* A carriage return and the newline behind it are one end, not two. */
	begin();
	assert_true(type("one\r"));
	editor_begin(&editor);
	assert_false(type("\n"));
	assert_true(type("\n"));
	assert_string_equal(editor.line, "");
}

static void test_history(void **state)
{
	char line[16];

	(void)state;
	begin();
	for (unsigned int i = 0; i < EDITOR_HISTORY + 3; i++) {
		snprintf(line, sizeof(line), "line %u\n", i);
		assert_true(type(line));
		editor_begin(&editor);
		assert_true(type("\n")); /* an empty one is not kept */
		editor_begin(&editor);
	}
	assert_false(type("\x1b[A"));
	assert_string_equal(editor.line, "line 18");
	assert_false(type("\x10\x10\x0e"));
	assert_string_equal(editor.line, "line 17");
	for (unsigned int i = 0; i < 2 * EDITOR_HISTORY; i++)
		assert_false(type("\x1b[A"));
	assert_string_equal(editor.line, "line 3");
	for (unsigned int i = 0; i < 2 * EDITOR_HISTORY; i++)
		assert_false(type("\x1b[B"));
	assert_string_equal(editor.line, "");
}

static void test_completion(void **state)
{
	(void)state;
	expect("al\t0x12\n", "aliases 0x12");
	begin();
	assert_false(type("v\t"));
	assert_string_equal(editor.line, "vma");
	assert_int_equal(screen.bells, 0);
	assert_false(type("\t"));
	assert_int_equal(screen.bells, 1);
	assert_false(type("p\t"));
	assert_string_equal(editor.line, "vmap ");
	assert_false(type("zz\t"));
	assert_string_equal(editor.line, "vmap zz");
	assert_int_equal(screen.bells, 2);
}

/* Nobody's paste is longer than the line; what is too much is refused with a bell. */
static void test_long_line(void **state)
{
	(void)state;
	begin();
	for (unsigned int i = 0; i < 3 * EDITOR_BYTES; i++)
		assert_false(type("x"));
	assert_int_equal(editor.len, EDITOR_BYTES - 1);
	assert_int_equal(screen.bells, 2 * EDITOR_BYTES + 1);
	assert_false(type("\x01y"));
	assert_int_equal(editor.line[0], 'x');
	assert_true(type("\n"));
	editor_begin(&editor);
	assert_false(type("\x1b[A"));
	assert_int_equal(editor.len, EDITOR_BYTES - 1);
}

/* Any bytes at all: screen and line agree, and nothing is written beyond the line. */
static void test_noise(void **state)
{
	uint32_t random = 1;

	(void)state;
	begin();
	for (unsigned int i = 0; i < 200000; i++) {
		random = random * 1664525 + 1013904223;
		if (editor_key(&editor, (char)(random >> 24 & (random & 0x100 ? 0x7f : 0x1f)))) {
			assert_int_equal(strlen(editor.line), editor.len);
			editor_begin(&editor);
		}
		check_screen();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),	  cmocka_unit_test(test_what_is_no_key),
		cmocka_unit_test(test_history),	  cmocka_unit_test(test_completion),
		cmocka_unit_test(test_long_line), cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
