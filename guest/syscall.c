/* SPDX-License-Identifier: MIT */
/*
 * The system calls: numbers and arguments as guest/user/abi.h says. Whatever an argument is, the
 * answer is a result or an error, never a fault of the kernel.
 */
#include <pvmm/clock.h>
#include <pvmm/console.h>
#include <pvmm/log.h>
#include <pvmm/user.h>
#include "process.h"
#include "user/abi.h"

/* Pages that one call may map. */
#define MAP_MAX (1ULL << 18)

static long sys_exit(struct pvmm_regs *regs)
{
	process_exit((int)(regs->rdi & 0xff));
}

static long sys_fork(struct pvmm_regs *regs)
{
	return process_fork(regs);
}

/* A name that is too long is no program's; what is behind its end may be nobody's memory. */
static int read_name(char *name, pvmm_va_t from)
{
	for (unsigned int i = 0; i < PROGRAM_NAME_BYTES; i++) {
		int err = pvmm_user_read(&name[i], from + i, 1);

		if (err)
			return err;
		if (!name[i])
			return 0;
	}
	return -XEN_ENOENT;
}

static long sys_exec(struct pvmm_regs *regs)
{
	char name[PROGRAM_NAME_BYTES];
	int err = read_name(name, regs->rdi);

	return err ? err : process_exec(regs, name, regs->rsi);
}

/* The place for the status is tried first: with a bad one no child is lost. */
static long sys_wait(struct pvmm_regs *regs)
{
	int status = 0, pid,
	    err = regs->rdi ? pvmm_user_write(regs->rdi, &status, sizeof(status)) : 0;

	if (err)
		return err;
	pid = process_wait(process_current(), &status);
	if (pid > 0 && regs->rdi)
		err = pvmm_user_write(regs->rdi, &status, sizeof(status));
	return err ? err : pid;
}

static long sys_getpid(struct pvmm_regs *regs)
{
	(void)regs;
	return process_current()->pid;
}

static long sys_yield(struct pvmm_regs *regs)
{
	(void)regs;
	thread_yield();
	return 0;
}

/* A line at a time on the console, as far as the text can be read. */
static long sys_write(struct pvmm_regs *regs)
{
	uint64_t len_bytes = regs->rsi, done = 0;
	char text[128];

	while (done < len_bytes) {
		size_t nr = len_bytes - done < sizeof(text) ? len_bytes - done : sizeof(text);

		if (pvmm_user_read(text, regs->rdi + done, nr))
			return done ? (long)done : -XEN_EFAULT;
		pvmm_console_write(text, nr);
		done += nr;
	}
	return (long)done;
}

static long sys_map(struct pvmm_regs *regs)
{
	struct process *self = process_current();
	pvmm_va_t start = self->map_next;
	int err;

	if (!regs->rdi || regs->rdi > MAP_MAX)
		return -XEN_EINVAL;
	err = pvmm_space_region(self->space, start, regs->rdi, PVMM_PROT_RW);
	if (err)
		return err;
	self->map_next = start + (regs->rdi << PVMM_PAGE_SHIFT);
	return (long)start;
}

static long sys_unmap(struct pvmm_regs *regs)
{
	if (!regs->rsi || regs->rsi > MAP_MAX)
		return -XEN_EINVAL;
	return pvmm_space_unmap_range(process_current()->space, regs->rdi, regs->rsi);
}

static long sys_sleep(struct pvmm_regs *regs)
{
	thread_sleep(regs->rdi);
	return 0;
}

static long sys_clock(struct pvmm_regs *regs)
{
	(void)regs;
	return (long)pvmm_clock_ns();
}

static long (*const calls[SYS_CALLS])(struct pvmm_regs *regs) = {
	[SYS_EXIT] = sys_exit,	 [SYS_FORK] = sys_fork,	    [SYS_EXEC] = sys_exec,
	[SYS_WAIT] = sys_wait,	 [SYS_GETPID] = sys_getpid, [SYS_YIELD] = sys_yield,
	[SYS_WRITE] = sys_write, [SYS_MAP] = sys_map,	    [SYS_UNMAP] = sys_unmap,
	[SYS_SLEEP] = sys_sleep, [SYS_CLOCK] = sys_clock,
};

void syscall(struct pvmm_regs *regs)
{
	uint64_t number = regs->rax;

	regs->rax = (uint64_t)(number < SYS_CALLS ? calls[number](regs) : -XEN_ENOSYS);
}
