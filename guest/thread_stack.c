/* SPDX-License-Identifier: MIT */
/* Makes, checks and frees the threads' stacks. Owns nothing. */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include "sched.h"

#define STACK_ORDER 2
#define STACK_BYTES (PVMM_PAGE_SIZE << STACK_ORDER)

/* At the low end of each stack: an overflow shows at the next change of threads. */
#define CANARY 0x7374616b656e6421ULL

void thread_entry(void);

static uint64_t *stack_bottom(const struct thread *thread)
{
	return pvmm_page_virt(thread->stack);
}

pvmm_va_t stack_top(const struct thread *thread)
{
	return (uintptr_t)stack_bottom(thread) + STACK_BYTES;
}

int make_stack(struct thread *thread)
{
	uint64_t *sp;

	thread->stack = pvmm_page_alloc(STACK_ORDER, PVMM_PAGE_KERNEL);
	if (!thread->stack)
		return -XEN_ENOMEM;
	*stack_bottom(thread) = CANARY;
	sp = (uint64_t *)stack_top(thread);
	*--sp = (uintptr_t)thread_entry;
	for (unsigned int i = 0; i < 6; i++)
		*--sp = 0; /* what switch_stacks takes off */
	thread->sp = (uintptr_t)sp;
	return 0;
}

void free_stack(struct thread *thread)
{
	pvmm_page_free(thread->stack, STACK_ORDER);
}

void check_stack(const struct thread *thread)
{
	if (thread->stack && *stack_bottom(thread) != CANARY)
		pvmm_panic("stack of thread \"%s\" has overflowed: 0x%llx where 0x%llx was",
			   thread->name, (unsigned long long)*stack_bottom(thread), CANARY);
}
