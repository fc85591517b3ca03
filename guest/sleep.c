/* SPDX-License-Identifier: MIT */
/*
 * Owns the sleeping threads, and what each vCPU's timer is set to.
 *
 * The timer of a vCPU is set for the first that needs it: the end of a slice while somebody waits,
 * or a sleeper that went to sleep there. One that comes too early looks again. Any vCPU's timer
 * wakes all whose time has come; so it is enough that for the first of them some vCPU's is set.
 */
#include <pvmm/event.h>
#include <pvmm/log.h>
#include <pvmm/time.h>
#include "sched.h"

static struct thread *sleepers; /* the first to wake first; under the lock */

/* What each vCPU's timer is set to, 0 for nothing: its own, touched with events masked. */
static uint64_t timer_at[PVMM_MAX_VCPUS];

static void timer(void *ctx);

void sched_look_again_at(uint64_t ns)
{
	uint64_t now = pvmm_clock_ns(), *at = &timer_at[pvmm_this_vcpu()];

	/* What is past has come, or others (tests) have used the timer for something else. */
	if (*at > now && *at <= ns)
		return;
	*at = ns;
	pvmm_timer_set(ns > now ? ns - now : 0, timer, NULL);
}

static void wake_sleepers(uint64_t now)
{
	while (sleepers && sleepers->wake_ns <= now) {
		struct thread *thread = sleepers;

		sleepers = thread->next_sleeper;
		thread->wake_ns = 0;
		sched_wake_locked(thread);
	}
}

static void timer(void *ctx)
{
	uint64_t now = pvmm_clock_ns();

	(void)ctx;
	timer_at[pvmm_this_vcpu()] = 0;
	pvmm_spin_lock(&sched_lock);
	wake_sleepers(now);
	if (sleepers)
		sched_look_again_at(sleepers->wake_ns);
	pvmm_spin_unlock(&sched_lock);
}

/* Puts the thread where the timer finds it. */
static void sleepers_insert(struct thread *self)
{
	struct thread **link = &sleepers;

	while (*link && (*link)->wake_ns <= self->wake_ns)
		link = &(*link)->next_sleeper;
	self->next_sleeper = *link;
	*link = self;
	sched_look_again_at(self->wake_ns);
}

void thread_sleep(uint64_t ns)
{
	bool were_on = pvmm_events_save();
	struct thread *self = thread_current();

	pvmm_spin_lock(&sched_lock);
	self->wake_ns = pvmm_clock_ns() + ns;
	sleepers_insert(self);
	/* Somebody may wake it for a reason of his own: it sleeps on. */
	while (self->wake_ns) {
		self->state = THREAD_BLOCKED;
		pvmm_spin_unlock(&sched_lock);
		thread_block();
		pvmm_spin_lock(&sched_lock);
	}
	pvmm_spin_unlock(&sched_lock);
	pvmm_events_restore(were_on);
}

void sleepers_leave(void)
{
	int err = pvmm_vcpu_call(0, timer, NULL);

	if (err)
		pvmm_panic("vCPU 0 takes no calls: %d", err);
	timer_at[pvmm_this_vcpu()] = 0;
}
