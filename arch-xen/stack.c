/* SPDX-License-Identifier: MIT */
/*
 * Walks the chain of frame pointers. Owns nothing; believes nothing: a frame that does not lie
 * above the one before, or cannot be read, ends the walk.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "arch.h"

unsigned int stack_walk(uintptr_t rbp, uintptr_t *callers, unsigned int max)
{
	unsigned int nr = 0;

	while (nr < max && rbp && !(rbp & 7)) {
		const uint64_t *frame = (const uint64_t *)rbp;
		uint64_t next, ret;

		if (!pvmm_read_safe(&frame[0], &next) || !pvmm_read_safe(&frame[1], &ret) || !ret)
			break;
		callers[nr++] = ret;
		if (next <= rbp)
			break;
		rbp = next;
	}
	return nr;
}

unsigned int pvmm_stack_trace(uintptr_t *callers, unsigned int max, unsigned int skip)
{
	enum { DEEPEST = 32 };
	uintptr_t all[DEEPEST];
	unsigned int nr, i;

	nr = stack_walk((uintptr_t)__builtin_frame_address(0), all, DEEPEST);
	skip++; /* the function that asks */
	for (i = 0; i < max && i + skip < nr; i++)
		callers[i] = all[i + skip];
	return i;
}

void print_stack(uintptr_t rip, uintptr_t rbp)
{
	uintptr_t callers[16];
	unsigned int nr = stack_walk(rbp, callers, PVMM_ARRAY_SIZE(callers));

	pvmm_print("  stack      %pS\n", (void *)rip);
	for (unsigned int i = 0; i < nr; i++)
		pvmm_print("             %pS\n", (void *)callers[i]);
}

void print_stack_here(void)
{
	uintptr_t *frame = __builtin_frame_address(0);

	print_stack((uintptr_t)__builtin_return_address(0), frame[0]);
}
