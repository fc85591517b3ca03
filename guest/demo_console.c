/* SPDX-License-Identifier: MIT */
/* demo=echo: says back what is typed on its console (xl console NAME), line by line, until "quit".
 */
#include <pvmm/cmdline.h>
#include <pvmm/console.h>
#include <pvmm/log.h>
#include "demo.h"
#include "line.h"

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
	while (line_read(line, sizeof(line))) {
		say_back(line);
		if (pvmm_text_equal(line, "quit"))
			return true;
	}
	pvmm_print("echo: nobody types any more\n");
	return false;
}

const struct demo demo_echo = {"echo", "says back what is typed on the console", echo};
