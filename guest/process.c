/* SPDX-License-Identifier: MIT */
/*
 * Owns the processes: a table of them, who is whose parent, and what becomes of their address
 * spaces.
 *
 * Invariant: an alive process has a space and a thread. When it has ended, whoever runs next on its
 * vCPU destroys the space (no vCPU runs on it then) and makes it a zombie, which has a table entry
 * and a status; whoever waits for it makes that none.
 */
#include <pvmm/log.h>
#include <pvmm/user.h>
#include "process.h"
#include "user/abi.h"

#define MAX_PROCESSES 64

/* Guards state, parent, orphan and status of all. Never taken by an event handler. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
static struct process processes[MAX_PROCESSES];
static struct thread *kernel_waiter;
static int last_pid;

struct processes_counts processes_counts;

struct process *process_current(void)
{
	struct thread *thread = thread_current();

	return thread && thread->is_user ? thread->ctx : NULL;
}

/* A table entry, alive, that nobody else knows of yet; NULL when all are in use. */
static struct process *take_entry(struct process *parent, const struct program *program)
{
	struct process *p = processes;

	pvmm_spin_lock(&lock);
	while (p < processes + MAX_PROCESSES && p->state != PROCESS_NONE)
		p++;
	if (p == processes + MAX_PROCESSES) {
		p = NULL;
	} else {
		p->state = PROCESS_ALIVE;
		p->pid = ++last_pid;
		p->orphan = false;
		p->parent = parent;
		p->program = program;
		p->space = &p->spaces[0];
		p->map_next = PROGRAM_MAP_BASE;
	}
	pvmm_spin_unlock(&lock);
	return p;
}

static void give_entry_back(struct process *p)
{
	__atomic_store_n(&p->state, PROCESS_NONE, __ATOMIC_RELEASE);
}

static void must_destroy(struct process *p, struct pvmm_space *space)
{
	int err = pvmm_space_destroy(space);

	if (err)
		pvmm_panic("the address space of process %d (%s) cannot be destroyed: %d", p->pid,
			   p->program->name, err);
}

/* --- beginning --- */

static void run(void *ctx)
{
	struct process *p = ctx;

	pvmm_user_enter(&p->regs);
}

static void gone(void *ctx);

/* The process has its space and its registers: lets it run. */
static int start(struct process *p)
{
	int err;

	p->thread = (struct thread){
		.name = p->program->name,
		.only_on = THREAD_ANYWHERE,
		.is_user = true,
		.space = p->space,
		.run = run,
		.gone = gone,
		.ctx = p,
	};
	err = thread_start(&p->thread);
	if (err)
		must_destroy(p, p->space);
	return err;
}

int process_spawn(const char *name, uint64_t arg)
{
	const struct program *program = program_find(name);
	struct process *p;
	pvmm_va_t entry;
	int err, pid;

	if (!program)
		return -XEN_ENOENT;
	p = take_entry(NULL, program);
	if (!p)
		return -XEN_EAGAIN;
	pid = p->pid;
	err = program_load(program, p->space, &entry);
	if (!err) {
		pvmm_user_regs_init(&p->regs, entry, PROGRAM_STACK_TOP);
		p->regs.rdi = arg;
		err = start(p);
	}
	if (err)
		give_entry_back(p);
	return err ? err : pid;
}

static int fork(const struct pvmm_regs *regs)
{
	struct process *self = process_current();
	struct process *p = take_entry(self, self->program);
	int err, pid;

	if (!p)
		return -XEN_EAGAIN;
	pid = p->pid;
	p->map_next = self->map_next;
	p->regs = *regs;
	p->regs.rax = 0;
	err = pvmm_space_clone(p->space, self->space, self->program->name);
	if (!err)
		err = start(p);
	if (err)
		give_entry_back(p);
	return err ? err : pid;
}

int process_fork(const struct pvmm_regs *regs)
{
	int pid = fork(regs);

	__atomic_fetch_add(pid < 0 ? &processes_counts.forks_refused : &processes_counts.forks, 1,
			   __ATOMIC_RELAXED);
	return pid;
}

/* The new space stands before the old one goes, so that a failure leaves the process as it was. */
int process_exec(struct pvmm_regs *regs, const char *name, uint64_t arg)
{
	struct process *self = process_current();
	struct pvmm_space *old = self->space;
	struct pvmm_space *space = &self->spaces[old == &self->spaces[0]];
	const struct program *program = program_find(name);
	pvmm_va_t entry;
	int err;

	if (!program)
		return -XEN_ENOENT;
	err = program_load(program, space, &entry);
	if (err)
		return err;
	err = pvmm_space_activate(space);
	if (err) {
		must_destroy(self, space);
		return err;
	}
	self->space = self->thread.space = space;
	self->program = program;
	self->thread.name = program->name;
	self->map_next = PROGRAM_MAP_BASE;
	must_destroy(self, old);
	pvmm_user_regs_init(regs, entry, PROGRAM_STACK_TOP);
	regs->rdi = arg;
	return 0;
}

/* --- end --- */

/* Its children are the kernel's from now on, who does not wait for them. */
static void disown_children(struct process *parent)
{
	for (struct process *p = processes; p < processes + MAX_PROCESSES; p++) {
		if (p->state == PROCESS_NONE || p->parent != parent)
			continue;
		p->parent = NULL;
		p->orphan = true;
		if (p->state == PROCESS_ZOMBIE)
			p->state = PROCESS_NONE;
	}
}

/* Whoever runs next on the vCPU does this for the process that has ended there. */
static void gone(void *ctx)
{
	struct process *p = ctx;
	struct thread *waiter;

	must_destroy(p, p->space);
	pvmm_spin_lock(&lock);
	disown_children(p);
	waiter = p->parent ? &p->parent->thread : kernel_waiter;
	p->state = p->orphan ? PROCESS_NONE : PROCESS_ZOMBIE;
	/* Under the lock: the parent, which may be about to end, cannot be gone yet. */
	if (waiter)
		thread_wake(waiter);
	pvmm_spin_unlock(&lock);
}

void process_exit(int status)
{
	process_current()->status = status;
	thread_exit();
}

/* A child that has ended, whose entry is free then; 0 if all are alive, -XEN_ECHILD without any. */
static int take_zombie(struct process *parent, int *status)
{
	int pid = -XEN_ECHILD;

	pvmm_spin_lock(&lock);
	for (struct process *p = processes; pid <= 0 && p < processes + MAX_PROCESSES; p++) {
		if (p->state == PROCESS_NONE || p->parent != parent || p->orphan)
			continue;
		pid = 0;
		if (p->state == PROCESS_ZOMBIE) {
			*status = p->status;
			pid = p->pid;
			p->state = PROCESS_NONE;
		}
	}
	pvmm_spin_unlock(&lock);
	return pid;
}

int process_wait(struct process *parent, int *status)
{
	int pid;

	if (!parent)
		__atomic_store_n(&kernel_waiter, thread_current(), __ATOMIC_RELEASE);
	for (;;) {
		thread_block_begin();
		pid = take_zombie(parent, status);
		if (pid)
			break;
		thread_block();
	}
	thread_block_cancel();
	return pid;
}

/* What is printed of one, noted under the lock: the console may keep its writer waiting. */
static bool note(const struct process *p, char *text, size_t len_bytes)
{
	bool is_there;

	pvmm_spin_lock(&lock);
	is_there = p->state != PROCESS_NONE;
	if (is_there)
		pvmm_snprintf(text, len_bytes, "%5d %6d %-8s %-10s %7u %7u", p->pid,
			      p->parent ? p->parent->pid : 0,
			      p->state == PROCESS_ZOMBIE ? "ended" : "alive", p->program->name,
			      p->space->nr_pages, p->space->nr_tables);
	pvmm_spin_unlock(&lock);
	return is_there;
}

void processes_print(void)
{
	char text[80];

	pvmm_print("%5s %6s %-8s %-10s %7s %7s\n", "pid", "parent", "state", "program", "pages",
		   "tables");
	for (const struct process *p = processes; p < processes + MAX_PROCESSES; p++)
		if (note(p, text, sizeof(text)))
			pvmm_print("%s\n", text);
}

unsigned int processes_alive(void)
{
	unsigned int nr = 0;

	pvmm_spin_lock(&lock);
	for (const struct process *p = processes; p < processes + MAX_PROCESSES; p++)
		nr += p->state == PROCESS_ALIVE;
	pvmm_spin_unlock(&lock);
	return nr;
}

/* --- traps --- */

static const char *access_of(uint64_t error_code)
{
	if (error_code & PVMM_PF_FETCH)
		return "executing";
	return error_code & PVMM_PF_WRITE ? "writing" : "reading";
}

/* A program's mistake is its own end only, and one line. */
static PVMM_NORETURN void kill(const struct pvmm_regs *regs, pvmm_va_t fault_va, const char *why)
{
	struct process *self = process_current();

	if (regs->vector == PVMM_TRAP_PF)
		pvmm_print("process %d (%s) killed: %s 0x%llx at 0x%llx: %s\n", self->pid,
			   self->program->name, access_of(regs->error_code),
			   (unsigned long long)fault_va, (unsigned long long)regs->rip, why);
	else
		pvmm_print("process %d (%s) killed: %s at 0x%llx\n", self->pid, self->program->name,
			   pvmm_trap_name(regs->vector), (unsigned long long)regs->rip);
	process_exit(STATUS_KILLED((int)regs->vector));
}

static bool user_trap(struct pvmm_regs *regs, pvmm_va_t fault_va)
{
	if (!pvmm_trap_from_user(regs))
		return false;
	kill(regs, fault_va, "");
}

/*
 * In user mode, or where the kernel reaches for user memory on the process's behalf: that is paged
 * in, or is the process's mistake.
 */
static bool page_fault(struct pvmm_regs *regs, pvmm_va_t fault_va)
{
	struct process *self = process_current();
	bool from_user = pvmm_trap_from_user(regs);
	int err = -XEN_EFAULT;

	processes_counts.faults++;
	if (!self || (!from_user && !pvmm_trap_is_expected(regs)))
		return false;
	if (pvmm_va_is_user(fault_va))
		err = pvmm_space_fault(self->space, fault_va, regs->error_code | PVMM_PF_USER);
	if (err && from_user)
		kill(regs, fault_va, err == -XEN_ENOMEM ? "memory is out" : "it may not");
	return !err;
}

void processes_init(void)
{
	for (enum pvmm_vector v = 0; v < PVMM_TRAP_VECTORS; v++)
		(void)pvmm_trap_set(v, v == PVMM_TRAP_PF ? page_fault : user_trap);
}

void pvmm_kernel_syscall(struct pvmm_regs *regs)
{
	processes_counts.syscalls++;
	syscall(regs);
}
