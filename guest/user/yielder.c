/* SPDX-License-Identifier: MIT */
/* Two processes that yield to each other as often as arg says: twice as many changes of process. */
#include "user.h"

static void yield(uint64_t times)
{
	while (times--)
		sys_yield();
}

unsigned int main(uint64_t arg)
{
	long pid = sys_fork();

	yield(arg);
	if (pid == 0)
		sys_exit(0);
	return pid < 0 || sys_wait(NULL) != pid;
}
