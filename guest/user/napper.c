/* SPDX-License-Identifier: MIT */
/* Sleeps arg milliseconds, three times; it must not be woken early. */
#include "user.h"

#define SLOP_NS 1000000 /* Xen fires timers a little early */

unsigned int main(uint64_t arg)
{
	for (int i = 0; i < 3; i++) {
		uint64_t ns = arg * 1000000, start = sys_clock();

		if (sys_sleep(ns) || sys_clock() - start + SLOP_NS < ns)
			return 1;
	}
	return 0;
}
