/* SPDX-License-Identifier: MIT */
/* Says hello; with an argument it only ends with that for its code. */
#include "user.h"

static const char text[] = "hello from ring 3\n";

unsigned int main(uint64_t arg)
{
	if (!arg && sys_write(text, sizeof(text) - 1) != sizeof(text) - 1)
		return 1;
	return (unsigned int)arg;
}
