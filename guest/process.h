/* SPDX-License-Identifier: MIT */
/*
 * Processes: an address space with a thread that runs user code. The kernel itself starts some, and
 * is the parent of those whose parent has ended; whoever is a parent may wait.
 */
#ifndef GUEST_PROCESS_H
#define GUEST_PROCESS_H

#include <pvmm/trap.h>
#include "program.h"
#include "thread.h"

enum process_state { PROCESS_NONE, PROCESS_ALIVE, PROCESS_ZOMBIE };

struct process {
	enum process_state state;
	int pid;
	int status;		/* of a zombie: user/abi.h */
	bool orphan;		/* nobody waits for it: it goes when it ends */
	struct process *parent; /* NULL: the kernel */
	const struct program *program;
	struct pvmm_space spaces[2]; /* one in use; exec builds the next beside it */
	struct pvmm_space *space;
	pvmm_va_t map_next;    /* where the next mapping goes */
	struct pvmm_regs regs; /* that its user code starts with */
	struct thread thread;
};

void processes_init(void);

/* The running thread's process, or NULL. */
struct process *process_current(void);

/* Starts main(arg) of a program as a child of the kernel's; its pid, or an error. */
int process_spawn(const char *program, uint64_t arg);

/*
 * Waits for a child of parent (NULL: of the kernel's, for one thread at a time) to end; its pid, or
 * -XEN_ECHILD.
 */
int process_wait(struct process *parent, int *status);

/* Since boot, on all vCPUs. */
extern struct processes_counts {
	uint64_t faults; /* what came from user mode; not exact while several run */
	uint64_t syscalls;
	uint64_t forks, forks_refused; /* exact */
} processes_counts;

/* Processes that have not ended. */
unsigned int processes_alive(void);

/* A table of them on the console. */
void processes_print(void);

/* What the running process asks for. exec returns only an error; fork the child's pid. */
int process_fork(const struct pvmm_regs *regs);
int process_exec(struct pvmm_regs *regs, const char *program, uint64_t arg);
PVMM_NORETURN void process_exit(int status);

/* The system call that regs ask for. */
void syscall(struct pvmm_regs *regs);

#endif
