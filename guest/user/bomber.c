/* SPDX-License-Identifier: MIT */
/*
 * Forks until the kernel says no, for want of a table entry or of memory; all that came to be end
 * as they should. With an argument it ends without waiting for a child that ends after it.
 */
#include "user.h"

#define NAP_NS 30000000

static unsigned int leave_an_orphan(void)
{
	long pid = sys_fork();

	if (pid == 0) {
		sys_sleep(NAP_NS);
		sys_exit(0);
	}
	return pid < 0;
}

unsigned int main(uint64_t arg)
{
	unsigned int nr = 0;
	int status;
	long pid;

	if (arg)
		return leave_an_orphan();
	while ((pid = sys_fork()) > 0)
		nr++;
	if (pid == 0) {
		sys_sleep(NAP_NS);
		sys_exit(7);
	}
	if (pid != -E_AGAIN && pid != -E_NOMEM)
		return 1;
	for (; nr; nr--)
		if (sys_wait(&status) < 0 || (status != 7 && pid == -E_AGAIN))
			return 2;
	return 0;
}
