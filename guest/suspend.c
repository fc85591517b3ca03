/* SPDX-License-Identifier: MIT */
/*
 * See suspend.h. Owns a thread for each vCPU, from the moment at which somebody wants to suspend
 * until the domain goes on.
 *
 * Kernel code is not preempted, so a vCPU whose current thread is one of these is at rest: what it
 * ran before has left it of its own will. But the threads must all be there at the same time, and
 * one that waits for another keeps its vCPU from threads that the other vCPU's work may depend on.
 * So each is present for a while, longer than a slice of user code, then lets others run, and tries
 * again.
 *
 * Invariant: once present is nr nobody leaves.
 */
#include <pvmm/batch.h>
#include <pvmm/clock.h>
#include <pvmm/log.h>
#include "control.h"
#include "suspend.h"
#include "thread.h"

/* At first, and at most: a vCPU that others do not find may be one that does not get a processor.
 */
#define PRESENT_NS	40000000ULL
#define PRESENT_MOST_NS 1280000000ULL

/* The toolstack waits a minute for the domain to stop, and some seconds may be needed after this.
 */
#define PATIENCE_NS 20000000000ULL

static struct {
	struct thread threads[PVMM_MAX_VCPUS], *waiter;
	unsigned int nr, present, at_work;
	bool called_off, over;
	uint64_t deadline;
	int result;
} meeting;

static const struct suspend_judge *judge;
static uint64_t resumes, problems;

void suspend_judge_set(const struct suspend_judge *new_judge)
{
	judge = new_judge;
}

uint64_t suspend_resumes(void)
{
	return __atomic_load_n(&resumes, __ATOMIC_ACQUIRE);
}

uint64_t suspend_problems(void)
{
	return __atomic_load_n(&problems, __ATOMIC_ACQUIRE);
}

struct pvmm_page *suspend_stack(unsigned int vcpu)
{
	return meeting.threads[vcpu].stack;
}

/* --- coming together --- */

static unsigned int nr_present(void)
{
	return __atomic_load_n(&meeting.present, __ATOMIC_ACQUIRE);
}

/* False when it is too late to leave. */
static bool leave(void)
{
	unsigned int present = nr_present();

	do
		if (present == meeting.nr)
			return false;
	while (!__atomic_compare_exchange_n(&meeting.present, &present, present - 1, true,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return true;
}

static bool all_come(uint64_t patience_ns)
{
	uint64_t until = pvmm_clock_ns() + patience_ns;

	__atomic_fetch_add(&meeting.present, 1, __ATOMIC_ACQ_REL);
	while (nr_present() != meeting.nr && pvmm_clock_ns() < until)
		pvmm_vcpu_yield();
	return !leave();
}

static void call_off(int why)
{
	meeting.result = why;
	__atomic_store_n(&meeting.called_off, true, __ATOMIC_RELEASE);
}

static bool is_called_off(void)
{
	return __atomic_load_n(&meeting.called_off, __ATOMIC_ACQUIRE);
}

static bool come_together(void)
{
	uint64_t patience_ns = PRESENT_NS;

	while (!all_come(patience_ns)) {
		if (patience_ns < PRESENT_MOST_NS)
			patience_ns *= 2;
		if (is_called_off())
			return false;
		if (pvmm_clock_ns() >= meeting.deadline) {
			call_off(-XEN_EBUSY);
			return false;
		}
		thread_yield();
	}
	return true;
}

/* --- together --- */

static void lead(void)
{
	if (judge && judge->before)
		judge->before();
	meeting.result = pvmm_suspend();
	if (meeting.result == PVMM_SUSPEND_RESTORED)
		counters_forget(); /* they are written to a new place */
	if (meeting.result >= 0) {
		if (judge && judge->after)
			problems += judge->after((enum pvmm_suspended)meeting.result);
		__atomic_store_n(&resumes, resumes + 1, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&meeting.over, true, __ATOMIC_RELEASE);
}

static void follow(void)
{
	(void)pvmm_suspend();
	while (!__atomic_load_n(&meeting.over, __ATOMIC_ACQUIRE))
		pvmm_vcpu_yield();
}

static void take_part(void *ctx)
{
	(void)ctx;
	if (!come_together())
		return;
	if (pvmm_this_vcpu())
		follow();
	else
		lead();
}

static void gone(void *ctx)
{
	(void)ctx;
	if (!__atomic_sub_fetch(&meeting.at_work, 1, __ATOMIC_ACQ_REL))
		thread_wake(meeting.waiter);
}

/* All vCPUs' threads, or none that goes on: one that is missing keeps the others from coming
 * together. */
static void start_threads(void)
{
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu = pvmm_next_vcpu(vcpu + 1)) {
		struct thread *thread = &meeting.threads[vcpu];

		*thread = (struct thread){
			.name = "suspend",
			.only_on = (int)vcpu,
			.run = take_part,
			.gone = gone,
		};
		__atomic_add_fetch(&meeting.at_work, 1, __ATOMIC_ACQ_REL);
		if (thread_start(thread)) {
			call_off(-XEN_ENOMEM);
			__atomic_sub_fetch(&meeting.at_work, 1, __ATOMIC_ACQ_REL);
			return;
		}
	}
}

static void wait_for_threads(void)
{
	for (;;) {
		thread_block_begin();
		if (!__atomic_load_n(&meeting.at_work, __ATOMIC_ACQUIRE))
			break;
		thread_block();
	}
	thread_block_cancel();
}

int suspend_all(void)
{
	thread_vcpus_hold();
	meeting.nr = pvmm_nr_vcpus();
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++)
		meeting.threads[vcpu].stack = NULL;
	meeting.waiter = thread_current();
	meeting.present = meeting.at_work = 0;
	meeting.called_off = meeting.over = false;
	meeting.deadline = pvmm_clock_ns() + PATIENCE_NS;
	start_threads();
	wait_for_threads();
	thread_vcpus_release();
	if (is_called_off())
		pvmm_log(PVMM_WARN, "suspend refused: %s: %s (%d)",
			 meeting.result == -XEN_ENOMEM ? "no memory for a thread"
						       : "a vCPU does not leave its kernel code",
			 pvmm_errno_name(meeting.result), meeting.result);
	return meeting.result;
}
