/* SPDX-License-Identifier: MIT */
/* Forks as often as arg says; each child ends at once, with a code that the parent knows. */
#include "user.h"

/* One child; true if it was waited for and ended as it should. */
static bool have_child(unsigned int code)
{
	long pid = sys_fork();
	int status = -1;

	if (pid == 0)
		sys_exit(code);
	return pid > 0 && sys_wait(&status) == pid && status == (int)code;
}

/* Several at once, waited for in any order. */
static bool have_children(unsigned int nr)
{
	unsigned int sum = 0, wanted = 0;

	for (unsigned int i = 1; i <= nr; i++) {
		long pid = sys_fork();

		if (pid == 0) {
			sys_yield();
			sys_exit(i);
		}
		if (pid < 0)
			return false;
		wanted += i;
	}
	for (unsigned int i = 1; i <= nr; i++) {
		int status = -1;

		if (sys_wait(&status) < 0)
			return false;
		sum += (unsigned int)status;
	}
	return sum == wanted;
}

unsigned int main(uint64_t arg)
{
	for (unsigned int i = 0; i < arg; i++)
		if (!have_child(i % 256))
			return 1;
	if (arg > 1 && !have_children(5))
		return 2;
	return sys_wait(NULL) == -E_CHILD ? 0 : 3;
}
