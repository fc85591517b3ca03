/* SPDX-License-Identifier: MIT */
/*
 * Gives system calls what they must refuse: each answers with an error, and the process goes on.
 * The code says which of them did not.
 */
#include "user.h"

static const char *const bad[] = {
	(const char *)0,
	(const char *)8,
	(const char *)0x300000,
	(const char *)0x00007ffffffffff8,
	(const char *)0x0000800000000000,
	(const char *)0x0000900000000000,
	(const char *)0xffff800000000000,
	(const char *)0xffff888000000000,
	(const char *)0xffffffff80000000,
	(const char *)0xfffffffffffffffc,
};

/* Addresses of which nothing, or not all, is the program's. */
static unsigned int bad_addresses(void)
{
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (sys_write(bad[i], 64) != -E_FAULT)
			return 10 + i;
		if (sys_exec(bad[i], 0) != -E_FAULT)
			return 30 + i;
		if (sys_unmap((void *)(uintptr_t)bad[i], 1) >= 0 && i != 2)
			return 50 + i;
	}
	return 0;
}

/* The status goes into constants, and the child is not lost for that. */
static unsigned int bad_status(void)
{
	long pid = sys_fork();
	int status;

	if (pid == 0)
		sys_exit(9);
	if (sys_wait((int *)(uintptr_t)bad) != -E_FAULT)
		return 70;
	if (sys_wait(&status) != pid || status != 9)
		return 71;
	return 0;
}

static unsigned int bad_numbers(void)
{
	if (syscall3((enum syscall)SYS_CALLS, 0, 0, 0) != -E_NOSYS)
		return 80;
	if (syscall3((enum syscall) - 1, 0, 0, 0) != -E_NOSYS)
		return 81;
	if (sys_map(0) || sys_map(1ULL << 40) || sys_map(~0ULL))
		return 82;
	if (sys_unmap((void *)0x10000000, ~0ULL) != -E_INVAL)
		return 83;
	if (sys_exec("nonesuch", 0) != -E_NOENT)
		return 84;
	if (sys_exec("a name that is longer than any program's name is", 0) != -E_NOENT)
		return 85;
	return sys_wait(NULL) == -E_CHILD ? 0 : 86;
}

unsigned int main(uint64_t arg)
{
	unsigned int wrong = bad_addresses();

	(void)arg;
	if (!wrong)
		wrong = bad_status();
	return wrong ? wrong : bad_numbers();
}
