/* SPDX-License-Identifier: MIT */
/* Asks for its number as often as arg says: a system call that does next to nothing. */
#include "user.h"

unsigned int main(uint64_t arg)
{
	long pid = sys_getpid();

	while (arg--)
		if (sys_getpid() != pid)
			return 1;
	return 0;
}
