/* SPDX-License-Identifier: MIT */
/* Maps 4 MiB, touches each page and unmaps them, as often as arg says. */
#include "user.h"

enum { PAGES = 1024 };

unsigned int main(uint64_t arg)
{
	for (; arg; arg--) {
		volatile char *bytes = sys_map(PAGES);

		if (!bytes)
			return 1;
		for (uint64_t i = 0; i < PAGES; i++)
			bytes[i * PAGE_BYTES] = 1;
		if (sys_unmap((void *)bytes, PAGES))
			return 2;
	}
	return 0;
}
