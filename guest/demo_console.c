/* SPDX-License-Identifier: MIT */
/* demo=echo: says back what is typed on its console (xl console NAME), line by line, until "quit".
 */
#include <pvmm/cmdline.h>
#include <pvmm/console.h>
#include <pvmm/log.h>
#include "demo.h"

#define PATIENCE_NS 120000000000ULL

/* One line without its end; false when nobody types any more. */
static bool read_line(char *line, size_t len_bytes)
{
	size_t len = 0;
	char c;

	for (;;) {
		if (!pvmm_console_read(&c, 1)) {
			if (!pvmm_console_wait(PATIENCE_NS))
				return false;
			continue;
		}
		if (c == '\r' || c == '\n')
			break;
		if (len + 1 < len_bytes)
			line[len++] = c;
	}
	line[len] = '\0';
	return true;
}

/* In pieces: a line can be longer than what one print takes. */
static void say_back(const char *line)
{
	size_t len = 0;

	while (line[len])
		len++;
	pvmm_print("echo: \"");
	pvmm_console_write(line, len);
	pvmm_print("\"\n");
}

static bool echo(void)
{
	char line[2048];

	pvmm_print("echo: type lines, \"quit\" ends\n");
	while (read_line(line, sizeof(line))) {
		say_back(line);
		if (pvmm_text_equal(line, "quit"))
			return true;
	}
	pvmm_print("echo: nothing was typed for %llu s\n", PATIENCE_NS / 1000000000);
	return false;
}

const struct demo demo_echo = {"echo", "says back what is typed on the console", echo};
