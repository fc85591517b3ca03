/* SPDX-License-Identifier: MIT */
/*
 * The console ring holds 2 KiB; here goes far more than that, as fast as it can. Whether every line
 * arrived is for the other side to judge: tests/xl/console.t counts them in dom0's log.
 */
#include <pvmm/console.h>
#include <pvmm/log.h>
#include "suites.h"

#define NR_LINES 1000

static void many_lines(void)
{
	for (unsigned int i = 1; i <= NR_LINES; i++)
		pvmm_print("# line %4u of %u: the quick brown fox jumps over the lazy dog %08x\n",
			   i, NR_LINES, i * 2654435761u);
	pvmm_console_flush();
}

static void nothing_typed_is_no_hang(void)
{
	char c;

	CHECK(!pvmm_console_wait(1000000));
	CHECK_EQUAL(pvmm_console_read(&c, 1), 0);
}

static void formats(void)
{
	char text[64];

	CHECK_EQUAL(pvmm_snprintf(text, sizeof(text), "%5d|%-5u|%#lx|%s|%.2s|%c", -42, 7u, 255ul,
				  "abc", "xyz", 'q'),
		    25);
	CHECK_EQUAL(pvmm_snprintf(text, 4, "%s", "longer than that"), 16);
	CHECK_EQUAL(text[3], '\0');
}

const struct suite suite_console = {
	.name = "console",
	.about = "the console ring",
	.tests =
		(const struct test[]){
			{"more than the ring holds is written", many_lines},
			{"waiting for input ends", nothing_typed_is_no_hang},
			{"text is formatted", formats},
			{NULL, NULL},
		},
};
