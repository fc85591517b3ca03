/* SPDX-License-Identifier: MIT */
/* See line.h. */
#include <pvmm/console.h>
#include "line.h"

#define PATIENCE_NS 120000000000ULL

bool line_read(char *line, size_t len_bytes)
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
