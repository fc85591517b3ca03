/* SPDX-License-Identifier: MIT */
/* What the files of the scheduler tell each other: sched.c, sleep.c, thread_stack.c,
 * thread_list.c, thread_vcpu.c. */
#ifndef GUEST_SCHED_H
#define GUEST_SCHED_H

#include <pvmm/spinlock.h>
#include "thread.h"

/* Guards queues, states and sleepers. Taken with events masked: the timer's handler takes it. */
extern struct pvmm_spinlock sched_lock;

/* Onto the list of all, and off it; sched_lock is held. */
void sched_list(struct thread *thread);
void sched_unlist(struct thread *thread);

/* Makes a blocked thread runnable; sched_lock is held. */
void sched_wake_locked(struct thread *thread);

/* Makes sure that this vCPU looks again at that time. Events are masked. */
void sched_look_again_at(uint64_t ns);

/* The boot vCPU wakes those from now on whom this vCPU, which goes down, would have woken. */
void sleepers_leave(void);

/*
 * A vCPU leaves: from now on no thread can be bound to it. -XEN_EBUSY if one is. It stays after
 * all. And it has begun, or begun again, and takes threads.
 */
int sched_leaving(unsigned int vcpu);
void sched_staying(unsigned int vcpu);
void sched_wait_for_idle(unsigned int vcpu);

/*
 * Stacks. make_stack makes one look as if the thread had been left in thread_entry, about to begin;
 * check_stack panics if it has overflowed.
 */
int make_stack(struct thread *thread);
void free_stack(struct thread *thread);
void check_stack(const struct thread *thread);
pvmm_va_t stack_top(const struct thread *thread);

#endif
