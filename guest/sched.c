/* SPDX-License-Identifier: MIT */
/*
 * Owns which thread runs on which vCPU, and what becomes of the threads when a vCPU comes or goes.
 *
 * Invariant, under the lock: a running thread is the current one of exactly one vCPU; a runnable
 * one is in the queue, unless it is on_vcpu: then its vCPU has yet to leave its stack and its
 * address space, and will queue it when it has. So whoever runs a thread, or destroys what it ran
 * on, is alone with it. A vCPU whose current thread is its idle one, and that has not been kicked
 * since, sleeps or is about to: who queues a thread kicks it. A vCPU without a current thread is
 * down, or as good as down: nobody counts on it. One that leaves has no threads that run only
 * there.
 */
#include <pvmm/alloc.h>
#include <pvmm/event.h>
#include <pvmm/kernel.h>
#include <pvmm/log.h>
#include <pvmm/user.h>
#include "sched.h"

#define SLICE_NS 10000000ULL

void switch_stacks(uintptr_t *save, uintptr_t load);
void thread_begin(void);

struct pvmm_spinlock sched_lock = PVMM_SPINLOCK_INIT;

static struct {
	struct thread *first, *last;
	unsigned int nr;
} queue;

struct vcpu {
	struct thread *current, *before; /* before: whose stack was left last */
	struct thread idle;
	bool kicked;
	bool has_work; /* queued since it last looked, by itself: not to go to sleep */
	uint64_t slice_end;
	unsigned int nr_bound; /* threads that run only here, but the idle one */
	bool is_leaving;       /* takes no more of those */
};

static struct vcpu vcpus[PVMM_MAX_VCPUS];

static struct vcpu *this(void)
{
	return &vcpus[pvmm_this_vcpu()];
}

struct thread *thread_current(void)
{
	return this()->current;
}

static PVMM_NORETURN void idle(void *ctx);

static bool is_idle(const struct thread *thread)
{
	return thread->run == idle;
}

pvmm_va_t thread_stack_top(void)
{
	return stack_top(thread_current());
}

/* --- the queue --- */

static bool may_run_on(const struct thread *thread, unsigned int vcpu)
{
	return thread->only_on == THREAD_ANYWHERE || thread->only_on == (int)vcpu;
}

static void kick(unsigned int vcpu)
{
	if (vcpu == pvmm_this_vcpu() || vcpus[vcpu].kicked)
		return;
	vcpus[vcpu].kicked = true;
	pvmm_vcpu_kick(vcpu);
}

/* Kicks another vCPU that could take the thread, and has nothing better to do. */
static void tell_another(const struct thread *thread)
{
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++) {
		struct vcpu *v = &vcpus[vcpu];

		if (v != this() && v->current && is_idle(v->current) && !v->kicked &&
		    may_run_on(thread, vcpu)) {
			kick(vcpu);
			return;
		}
	}
}

/*
 * Tells a vCPU that could take the thread. One that runs user code notices at its next return there
 * that somebody waits; for a thread that only it may take it has to be made to return.
 */
static void tell(const struct thread *thread)
{
	unsigned int self = pvmm_this_vcpu();

	if (!may_run_on(thread, self)) {
		kick((unsigned int)thread->only_on);
		return;
	}
	/* An event's handler, while this vCPU comes or goes: it runs nothing. */
	if (!vcpus[self].current) {
		kick(0);
		return;
	}
	if (is_idle(vcpus[self].current)) {
		vcpus[self].has_work = true;
		return;
	}
	tell_another(thread);
}

static void enqueue(struct thread *thread)
{
	thread->state = THREAD_RUNNABLE;
	thread->next = NULL;
	if (queue.first)
		queue.last->next = thread;
	else
		queue.first = thread;
	queue.last = thread;
	__atomic_store_n(&queue.nr, queue.nr + 1, __ATOMIC_RELAXED);
}

/* The first that may run here, or NULL. */
static struct thread *dequeue(void)
{
	struct thread **link = &queue.first, *before = NULL, *thread;

	while (*link && !may_run_on(*link, pvmm_this_vcpu())) {
		before = *link;
		link = &before->next;
	}
	thread = *link;
	if (!thread)
		return NULL;
	*link = thread->next;
	if (queue.last == thread)
		queue.last = before;
	__atomic_store_n(&queue.nr, queue.nr - 1, __ATOMIC_RELAXED);
	return thread;
}

static bool others_wait(void)
{
	return __atomic_load_n(&queue.nr, __ATOMIC_RELAXED);
}

/* Makes a thread that is on no vCPU one that somebody will run. */
static void offer(struct thread *thread)
{
	enqueue(thread);
	tell(thread);
}

void sched_wake_locked(struct thread *thread)
{
	if (thread->state != THREAD_BLOCKED)
		return;
	thread->state = THREAD_RUNNABLE;
	if (!thread->on_vcpu)
		offer(thread);
}

/* --- the change of threads --- */

/*
 * The first thing that a thread does when it runs again: leaves the address space of the one
 * before, whose stack has been left already, and lets go of that one.
 */
static void finish_switch(void)
{
	struct thread *self = this()->current, *before = this()->before;
	int err = pvmm_space_activate(self->space ? self->space : &pvmm_kernel_space);

	if (err)
		pvmm_panic("thread \"%s\" cannot run on its address space: %d", self->name, err);
	check_stack(before);
	if (before->state == THREAD_DEAD) {
		pvmm_spin_lock(&sched_lock);
		sched_unlist(before);
		pvmm_spin_unlock(&sched_lock);
		free_stack(before);
		before->gone(before->ctx);
		return;
	}
	pvmm_spin_lock(&sched_lock);
	before->on_vcpu = false;
	if (before->state == THREAD_RUNNABLE && !is_idle(before))
		offer(before);
	pvmm_spin_unlock(&sched_lock);
}

/* Who runs on this vCPU from now on: the running one if there is nobody else, unless it must go. */
static struct thread *choose(struct vcpu *v)
{
	bool must_go = pvmm_vcpu_must_go();
	struct thread *self = v->current, *next = must_go ? NULL : dequeue();
	bool goes_on = self->state == THREAD_RUNNING || self->state == THREAD_RUNNABLE;

	if (!next)
		next = goes_on && !must_go ? self : &v->idle;
	if (goes_on)
		self->state = THREAD_RUNNABLE;
	next->state = THREAD_RUNNING;
	next->on_vcpu = true;
	return next;
}

/* Runs somebody else, if there is anybody; returns when it is this thread's turn again. */
static void schedule(void)
{
	bool were_on = pvmm_events_save();
	struct vcpu *v = this();
	struct thread *self = v->current;

	pvmm_spin_lock(&sched_lock);
	v->has_work = v->kicked = false;
	v->slice_end = pvmm_clock_ns() + SLICE_NS;
	v->before = self;
	v->current = choose(v);
	pvmm_spin_unlock(&sched_lock);
	if (v->current != self) {
		if (v->current->stack)
			pvmm_user_stack(stack_top(v->current));
		switch_stacks(&self->sp, v->current->sp);
		finish_switch();
	}
	pvmm_events_restore(were_on);
}

void thread_yield(void)
{
	schedule();
}

/* A new thread's first function; events are masked. */
void thread_begin(void)
{
	struct thread *self = this()->current;

	finish_switch();
	pvmm_events_restore(true);
	self->run(self->ctx);
	thread_exit();
}

void thread_exit(void)
{
	struct thread *self = thread_current();

	(void)pvmm_events_save();
	pvmm_spin_lock(&sched_lock);
	self->state = THREAD_DEAD;
	if (self->only_on != THREAD_ANYWHERE)
		vcpus[self->only_on].nr_bound--;
	pvmm_spin_unlock(&sched_lock);
	schedule();
	pvmm_panic("thread \"%s\" runs after its end", thread_current()->name);
}

/* Whether the vCPU that it wants takes it; it stays then as long as the thread lives. */
static bool bind(const struct thread *thread)
{
	struct vcpu *v;

	if (thread->only_on == THREAD_ANYWHERE)
		return true;
	v = &vcpus[thread->only_on];
	if (!v->current || v->is_leaving)
		return false;
	v->nr_bound++;
	return true;
}

int thread_start(struct thread *thread)
{
	int err = make_stack(thread);
	bool were_on;

	if (err)
		return err;
	were_on = pvmm_events_save();
	pvmm_spin_lock(&sched_lock);
	if (bind(thread)) {
		sched_list(thread);
		offer(thread);
	} else {
		err = -XEN_ENOENT;
	}
	pvmm_spin_unlock(&sched_lock);
	pvmm_events_restore(were_on);
	if (err)
		free_stack(thread);
	return err;
}

/* --- blocking --- */

static void set_state(enum thread_state state)
{
	bool were_on = pvmm_events_save();

	pvmm_spin_lock(&sched_lock);
	thread_current()->state = state;
	pvmm_spin_unlock(&sched_lock);
	pvmm_events_restore(were_on);
}

void thread_block_begin(void)
{
	set_state(THREAD_BLOCKED);
}

void thread_block_cancel(void)
{
	set_state(THREAD_RUNNING);
}

void thread_block(void)
{
	schedule();
}

void thread_wake(struct thread *thread)
{
	bool were_on = pvmm_events_save();

	pvmm_spin_lock(&sched_lock);
	sched_wake_locked(thread);
	pvmm_spin_unlock(&sched_lock);
	pvmm_events_restore(were_on);
}

/* --- user code --- */

void pvmm_kernel_user_return(void)
{
	if (pvmm_vcpu_must_go() || (others_wait() && pvmm_clock_ns() >= this()->slice_end))
		schedule();
	if (others_wait())
		sched_look_again_at(this()->slice_end);
}

/* --- idle --- */

/*
 * The vCPU goes down. Who was to run here is told to others, and the boot vCPU, which never leaves,
 * wakes the sleepers from now on; it looks at the queue then too. Events are masked.
 */
static PVMM_NORETURN void leave(void)
{
	pvmm_spin_lock(&sched_lock);
	for (const struct thread *thread = queue.first; thread; thread = thread->next)
		tell_another(thread);
	this()->current = NULL;
	pvmm_spin_unlock(&sched_lock);
	sleepers_leave();
	pvmm_vcpu_go_down();
}

static PVMM_NORETURN void idle(void *ctx)
{
	(void)ctx;
	(void)pvmm_events_save();
	for (;;) {
		schedule();
		if (pvmm_vcpu_must_go())
			leave();
		/* Another vCPU that has queued something since has sent an event: no sleep then. */
		if (!this()->has_work)
			pvmm_events_wait();
	}
}

/* A vCPU begins, or begins again, as its idle thread. */
static void vcpu_init(unsigned int vcpu)
{
	struct vcpu *v = &vcpus[vcpu];

	v->idle = (struct thread){
		.name = "idle",
		.state = THREAD_RUNNING,
		.only_on = (int)vcpu,
		.on_vcpu = true,
		.run = idle,
	};
	v->kicked = v->has_work = v->is_leaving = false;
	v->slice_end = 0;
}

/* Where the other vCPUs end up: what they boot on is their idle threads' stacks. */
void pvmm_kernel_secondary(void)
{
	struct vcpu *v = this();

	(void)pvmm_events_save();
	pvmm_spin_lock(&sched_lock);
	vcpu_init(pvmm_this_vcpu());
	__atomic_store_n(&v->current, &v->idle, __ATOMIC_RELEASE);
	pvmm_spin_unlock(&sched_lock);
	idle(NULL);
}

void sched_wait_for_idle(unsigned int vcpu)
{
	while (!__atomic_load_n(&vcpus[vcpu].current, __ATOMIC_ACQUIRE))
		pvmm_vcpu_yield();
}

void threads_init(void)
{
	static struct thread boot = {
		.name = "main",
		.state = THREAD_RUNNING,
		.only_on = 0,
		.on_vcpu = true,
	};

	vcpu_init(0);
	if (make_stack(&vcpus[0].idle))
		pvmm_panic("no memory for the first thread");
	vcpus[0].current = &boot;
	sched_list(&boot);
	for (unsigned int v = pvmm_next_vcpu(1); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1))
		sched_wait_for_idle(v);
}

/* --- vCPUs that come and go --- */

int sched_leaving(unsigned int vcpu)
{
	bool were_on = pvmm_events_save();
	int err = 0;

	pvmm_spin_lock(&sched_lock);
	if (vcpus[vcpu].nr_bound)
		err = -XEN_EBUSY;
	else
		vcpus[vcpu].is_leaving = true;
	pvmm_spin_unlock(&sched_lock);
	pvmm_events_restore(were_on);
	return err;
}

void sched_staying(unsigned int vcpu)
{
	__atomic_store_n(&vcpus[vcpu].is_leaving, false, __ATOMIC_RELEASE);
	pvmm_vcpu_kick(vcpu); /* it may have left the queue to others */
}
