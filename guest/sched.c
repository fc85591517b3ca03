/* SPDX-License-Identifier: MIT */
/*
 * Owns which thread runs on which vCPU.
 *
 * Invariant, under the lock: a running thread is the current one of exactly one vCPU; a runnable
 * one is in the queue, unless it is on_vcpu: then its vCPU has yet to leave its stack and its
 * address space, and will queue it when it has. So whoever runs a thread, or destroys what it ran
 * on, is alone with it. A vCPU whose current thread is its idle one, and that has not been kicked
 * since, sleeps or is about to: who queues a thread kicks it.
 *
 * The timer of a vCPU is set for the first that needs it: the end of a slice while somebody waits,
 * or a sleeper that went to sleep there. One that comes too early looks again.
 */
#include <pvmm/alloc.h>
#include <pvmm/event.h>
#include <pvmm/kernel.h>
#include <pvmm/log.h>
#include <pvmm/user.h>
#include "thread.h"

#define SLICE_NS 10000000ULL

#define STACK_ORDER 2
#define STACK_BYTES (PVMM_PAGE_SIZE << STACK_ORDER)

/* At the low end of each stack: an overflow shows at the next change of threads. */
#define CANARY 0x7374616b656e6421ULL

void switch_stacks(uintptr_t *save, uintptr_t load);
void thread_entry(void);
void thread_begin(void);

/* Guards everything here. Taken with events masked: the timer's handler takes it. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;

static struct {
	struct thread *first, *last;
	unsigned int nr;
} queue;

static struct thread *sleepers; /* the first to wake first */

static struct thread *all; /* from their start until their end */

struct vcpu {
	struct thread *current, *before; /* before: whose stack was left last */
	struct thread idle;
	bool kicked;
	bool has_work; /* queued since it last looked, by itself: not to go to sleep */
	uint64_t slice_end;
	uint64_t timer_at; /* what the timer is set to, 0 for nothing */
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

/* --- stacks --- */

static uint64_t *stack_bottom(const struct thread *thread)
{
	return pvmm_page_virt(thread->stack);
}

static pvmm_va_t stack_top(const struct thread *thread)
{
	return (uintptr_t)stack_bottom(thread) + STACK_BYTES;
}

pvmm_va_t thread_stack_top(void)
{
	return stack_top(thread_current());
}

/* Makes the stack look as if the thread had been left in thread_entry, about to begin. */
static int make_stack(struct thread *thread)
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

static void check_stack(const struct thread *thread)
{
	if (thread->stack && *stack_bottom(thread) != CANARY)
		pvmm_panic("stack of thread \"%s\" has overflowed: 0x%llx where 0x%llx was",
			   thread->name, (unsigned long long)*stack_bottom(thread), CANARY);
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

/*
 * Tells a vCPU that could take the thread, and has nothing better to do. One that runs user code
 * notices at its next return there that somebody waits; for a thread that only it may take it has
 * to be made to return.
 */
static void tell(const struct thread *thread)
{
	unsigned int self = pvmm_this_vcpu();

	if (!may_run_on(thread, self)) {
		kick((unsigned int)thread->only_on);
		return;
	}
	if (is_idle(vcpus[self].current)) {
		vcpus[self].has_work = true;
		return;
	}
	for (unsigned int vcpu = 0; vcpu < pvmm_nr_vcpus(); vcpu++) {
		struct vcpu *v = &vcpus[vcpu];

		if (v->current && is_idle(v->current) && !v->kicked && may_run_on(thread, vcpu)) {
			kick(vcpu);
			return;
		}
	}
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

/* --- the timer --- */

static void timer(void *ctx);

/* Makes sure that this vCPU looks again at that time. Events are masked. */
static void look_again_at(uint64_t ns)
{
	uint64_t now = pvmm_clock_ns();

	/* What is past has come, or others (tests) have used the timer for something else. */
	if (this()->timer_at > now && this()->timer_at <= ns)
		return;
	this()->timer_at = ns;
	pvmm_timer_set(ns > now ? ns - now : 0, timer, NULL);
}

/* Makes a thread that is on no vCPU one that somebody will run. */
static void offer(struct thread *thread)
{
	enqueue(thread);
	tell(thread);
}

static void wake_locked(struct thread *thread)
{
	if (thread->state != THREAD_BLOCKED)
		return;
	thread->state = THREAD_RUNNABLE;
	if (!thread->on_vcpu)
		offer(thread);
}

static void wake_sleepers(uint64_t now)
{
	while (sleepers && sleepers->wake_ns <= now) {
		struct thread *thread = sleepers;

		sleepers = thread->next_sleeper;
		thread->wake_ns = 0;
		wake_locked(thread);
	}
}

static void timer(void *ctx)
{
	struct vcpu *v = this();
	uint64_t now = pvmm_clock_ns();

	(void)ctx;
	v->timer_at = 0;
	pvmm_spin_lock(&lock);
	wake_sleepers(now);
	if (sleepers)
		look_again_at(sleepers->wake_ns);
	pvmm_spin_unlock(&lock);
}

/* --- the list of all --- */

static void list(struct thread *thread)
{
	thread->next_of_all = all;
	all = thread;
}

static void unlist(struct thread *thread)
{
	struct thread **link = &all;

	while (*link != thread)
		link = &(*link)->next_of_all;
	*link = thread->next_of_all;
}

/* What is printed of a thread, noted under the lock: the console may keep its writer waiting. */
struct row {
	const char *name;
	enum thread_state state;
	bool is_user;
	int only_on;
	uint64_t wake_ns;
};

static unsigned int note_rows(struct row *rows, unsigned int max)
{
	bool were_on = pvmm_events_save();
	unsigned int nr = 0;

	pvmm_spin_lock(&lock);
	for (const struct thread *t = all; t; t = t->next_of_all, nr++)
		if (nr < max)
			rows[nr] =
				(struct row){t->name, t->state, t->is_user, t->only_on, t->wake_ns};
	pvmm_spin_unlock(&lock);
	pvmm_events_restore(were_on);
	return nr;
}

void threads_print(void)
{
	static const char *const states[] = {
		[THREAD_RUNNABLE] = "runnable",
		[THREAD_RUNNING] = "running",
		[THREAD_BLOCKED] = "blocked",
		[THREAD_DEAD] = "ending",
	};
	static struct row rows[128]; /* one console, one reader */
	unsigned int nr = note_rows(rows, PVMM_ARRAY_SIZE(rows));
	uint64_t now = pvmm_clock_ns();

	pvmm_print("%-16s %-8s %-8s %s\n", "thread", "state", "runs", "on vCPU");
	for (unsigned int i = 0; i < nr && i < PVMM_ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		pvmm_print("%-16s %-8s %-8s ", r->name, r->wake_ns ? "sleeping" : states[r->state],
			   r->is_user ? "user" : "kernel");
		if (r->only_on == THREAD_ANYWHERE)
			pvmm_print("any");
		else
			pvmm_print("%d", r->only_on);
		if (r->wake_ns > now)
			pvmm_print(", for %llu ms more",
				   (unsigned long long)(r->wake_ns - now) / 1000000);
		pvmm_print("\n");
	}
	if (nr > PVMM_ARRAY_SIZE(rows))
		pvmm_print("and %zu more\n", nr - PVMM_ARRAY_SIZE(rows));
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
		pvmm_spin_lock(&lock);
		unlist(before);
		pvmm_spin_unlock(&lock);
		pvmm_page_free(before->stack, STACK_ORDER);
		before->gone(before->ctx);
		return;
	}
	pvmm_spin_lock(&lock);
	before->on_vcpu = false;
	if (before->state == THREAD_RUNNABLE && !is_idle(before))
		offer(before);
	pvmm_spin_unlock(&lock);
}

/* Who runs on this vCPU from now on, the running one if there is nobody else. */
static struct thread *choose(struct vcpu *v)
{
	struct thread *self = v->current, *next = dequeue();
	bool goes_on = self->state == THREAD_RUNNING || self->state == THREAD_RUNNABLE;

	if (!next)
		next = goes_on ? self : &v->idle;
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

	pvmm_spin_lock(&lock);
	v->has_work = v->kicked = false;
	v->slice_end = pvmm_clock_ns() + SLICE_NS;
	v->before = self;
	v->current = choose(v);
	pvmm_spin_unlock(&lock);
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
	(void)pvmm_events_save();
	pvmm_spin_lock(&lock);
	thread_current()->state = THREAD_DEAD;
	pvmm_spin_unlock(&lock);
	schedule();
	pvmm_panic("thread \"%s\" runs after its end", thread_current()->name);
}

/* --- starting --- */

int thread_start(struct thread *thread)
{
	int err = make_stack(thread);
	bool were_on;

	if (err)
		return err;
	were_on = pvmm_events_save();
	pvmm_spin_lock(&lock);
	list(thread);
	enqueue(thread);
	tell(thread);
	pvmm_spin_unlock(&lock);
	pvmm_events_restore(were_on);
	return 0;
}

/* --- blocking --- */

static void set_state(enum thread_state state)
{
	bool were_on = pvmm_events_save();

	pvmm_spin_lock(&lock);
	thread_current()->state = state;
	pvmm_spin_unlock(&lock);
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

	pvmm_spin_lock(&lock);
	wake_locked(thread);
	pvmm_spin_unlock(&lock);
	pvmm_events_restore(were_on);
}

/* Puts the thread where the timer finds it. */
static void sleepers_insert(struct thread *self)
{
	struct thread **link = &sleepers;

	while (*link && (*link)->wake_ns <= self->wake_ns)
		link = &(*link)->next_sleeper;
	self->next_sleeper = *link;
	*link = self;
	look_again_at(self->wake_ns);
}

void thread_sleep(uint64_t ns)
{
	bool were_on = pvmm_events_save();
	struct thread *self = thread_current();

	pvmm_spin_lock(&lock);
	self->wake_ns = pvmm_clock_ns() + ns;
	sleepers_insert(self);
	/* Somebody may wake it for a reason of his own: it sleeps on. */
	while (self->wake_ns) {
		self->state = THREAD_BLOCKED;
		pvmm_spin_unlock(&lock);
		schedule();
		pvmm_spin_lock(&lock);
	}
	pvmm_spin_unlock(&lock);
	pvmm_events_restore(were_on);
}

/* --- user code --- */

void pvmm_kernel_user_return(void)
{
	if (others_wait() && pvmm_clock_ns() >= this()->slice_end)
		schedule();
	if (others_wait())
		look_again_at(this()->slice_end);
}

/* --- idle --- */

static PVMM_NORETURN void idle(void *ctx)
{
	(void)ctx;
	(void)pvmm_events_save();
	for (;;) {
		schedule();
		/* Another vCPU that has queued something since has sent an event: no sleep then. */
		if (!this()->has_work)
			pvmm_events_wait();
	}
}

static void idle_init(unsigned int vcpu)
{
	struct vcpu *v = &vcpus[vcpu];

	v->idle = (struct thread){
		.name = "idle",
		.state = THREAD_RUNNING,
		.only_on = (int)vcpu,
		.on_vcpu = true,
		.run = idle,
	};
}

/* Where the other vCPUs end up: what they boot on is their idle threads' stacks. */
void pvmm_kernel_secondary(void)
{
	idle_init(pvmm_this_vcpu());
	__atomic_store_n(&this()->current, &this()->idle, __ATOMIC_RELEASE);
	idle(NULL);
}

void threads_init(void)
{
	static struct thread boot = {
		.name = "main",
		.state = THREAD_RUNNING,
		.only_on = 0,
		.on_vcpu = true,
	};

	idle_init(0);
	if (make_stack(&vcpus[0].idle))
		pvmm_panic("no memory for the first thread");
	vcpus[0].current = &boot;
	list(&boot);
	for (unsigned int vcpu = 1; vcpu < pvmm_nr_vcpus(); vcpu++)
		while (!__atomic_load_n(&vcpus[vcpu].current, __ATOMIC_ACQUIRE))
			pvmm_vcpu_yield();
}
