/* SPDX-License-Identifier: MIT */
/* Forks as often as arg says; each child goes on as "hello", which ends with the code it is given.
 */
#include "user.h"

unsigned int main(uint64_t arg)
{
	for (unsigned int i = 0; i < arg; i++) {
		unsigned int code = 1 + i % 255;
		long pid = sys_fork();
		int status = -1;

		if (pid == 0) {
			sys_exec("hello", code);
			sys_exit(0);
		}
		if (pid < 0 || sys_wait(&status) != pid || status != (int)code)
			return 1;
	}
	return 0;
}
