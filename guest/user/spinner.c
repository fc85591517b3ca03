/* SPDX-License-Identifier: MIT */
/* Spins for arg million ticks of the TSC, without a single system call. */
#include "user.h"

unsigned int main(uint64_t arg)
{
	uint64_t start = read_tsc();

	while (read_tsc() - start < arg * 1000000)
		;
	return 0;
}
