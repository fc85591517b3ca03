/* SPDX-License-Identifier: MIT */
/*
 * Threads: what runs on a vCPU. One queue of those that could run, for all vCPUs; kernel code runs
 * until it blocks or yields, user code until its slice is over and somebody waits.
 *
 *	runnable ── chosen ──► running ── thread_block_* ──► blocked ── thread_wake ──► runnable
 *	    ▲                     │ └── thread_exit ──► dead
 *	    └── yields, slice over ┘
 */
#ifndef GUEST_THREAD_H
#define GUEST_THREAD_H

#include <pvmm/page.h>
#include <pvmm/space.h>
#include <pvmm/vcpu.h>

enum thread_state { THREAD_RUNNABLE, THREAD_RUNNING, THREAD_BLOCKED, THREAD_DEAD };

#define THREAD_ANYWHERE (-1)

/* The starter's storage, until gone is called; its fields are the scheduler's. */
struct thread {
	const char *name;
	enum thread_state state;
	int only_on;		  /* the one vCPU that it runs on, or THREAD_ANYWHERE */
	bool on_vcpu;		  /* its stack and its space are in use, or were until just now */
	bool is_user;		  /* its user code may be preempted */
	struct pvmm_page *stack;  /* NULL: the one that the vCPU booted on */
	uintptr_t sp;		  /* on it, while the thread does not run */
	struct pvmm_space *space; /* that it runs on; NULL: the kernel's */
	void (*run)(void *ctx);
	/* The thread is dead, its stack freed: called by whatever runs next, not under a lock. */
	void (*gone)(void *ctx);
	void *ctx;
	struct thread *next; /* in the queue */
	uint64_t wake_ns;    /* when it sleeps */
	struct thread *next_sleeper;
	struct thread *next_of_all;
};

/* The boot vCPU's code becomes the thread "main", which stays there. Before any of the others. */
void threads_init(void);

/*
 * Starts a thread: run(ctx), and then gone(ctx). The caller has filled in name, only_on, is_user,
 * space, run, gone and ctx, and nothing else. -XEN_ENOMEM; -XEN_ENOENT when the vCPU that it is to
 * run on is down, or on its way there.
 */
int thread_start(struct thread *thread);

struct thread *thread_current(void);
PVMM_NORETURN void thread_exit(void);

/* The end of the running thread's stack, where what comes from user mode is saved. */
pvmm_va_t thread_stack_top(void);

/* Lets the others run first. */
void thread_yield(void);

/*
 * Blocking: say so, look whether there is what is waited for, then either sleep until somebody
 * calls thread_wake, or take it back. A wake-up between saying and sleeping is not lost.
 */
void thread_block_begin(void);
void thread_block(void);
void thread_block_cancel(void);
void thread_wake(struct thread *thread);

void thread_sleep(uint64_t ns);

/* A table of all threads on the console. For one reader at a time. */
void threads_print(void);

/*
 * vCPUs that come and go (pvmm/vcpu.h): as pvmm_vcpu_up, and when it returns the vCPU takes
 * threads; as pvmm_vcpu_down, and -XEN_EBUSY as long as there is a thread that runs only there.
 * Threads that may run anywhere go on elsewhere. Both wait while somebody holds the set as it is,
 * which is also how they keep out of each other's way.
 */
int thread_vcpu_up(unsigned int vcpu);
int thread_vcpu_down(unsigned int vcpu);
void thread_vcpus_hold(void);
void thread_vcpus_release(void);

#endif
