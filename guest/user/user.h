/* SPDX-License-Identifier: MIT */
/* System calls for programs, and what little else they need. */
#ifndef USER_USER_H
#define USER_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "abi.h"

#define PAGE_BYTES 4096UL

/* Traps that the kernel kills for (Intel SDM volume 3, table 6-1). */
enum { VECTOR_PF = 14 };

/* Errors that programs look for (xen/errno.h). */
enum {
	E_NOENT = 2,
	E_CHILD = 10,
	E_AGAIN = 11,
	E_NOMEM = 12,
	E_FAULT = 14,
	E_INVAL = 22,
	E_NOSYS = 38
};

static inline long syscall3(enum syscall number, uint64_t a, uint64_t b, uint64_t c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"((long)number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static inline __attribute__((noreturn)) void sys_exit(unsigned int code)
{
	for (;;)
		syscall3(SYS_EXIT, code, 0, 0);
}

static inline long sys_fork(void)
{
	return syscall3(SYS_FORK, 0, 0, 0);
}

static inline long sys_exec(const char *name, uint64_t arg)
{
	return syscall3(SYS_EXEC, (uintptr_t)name, arg, 0);
}

static inline long sys_wait(int *status)
{
	return syscall3(SYS_WAIT, (uintptr_t)status, 0, 0);
}

static inline long sys_getpid(void)
{
	return syscall3(SYS_GETPID, 0, 0, 0);
}

static inline void sys_yield(void)
{
	syscall3(SYS_YIELD, 0, 0, 0);
}

static inline long sys_write(const char *text, size_t len_bytes)
{
	return syscall3(SYS_WRITE, (uintptr_t)text, len_bytes, 0);
}

/* NULL when there is no memory. */
static inline void *sys_map(uint64_t nr_pages)
{
	long result = syscall3(SYS_MAP, nr_pages, 0, 0);

	return result < 0 ? NULL : (void *)result;
}

static inline long sys_unmap(void *start, uint64_t nr_pages)
{
	return syscall3(SYS_UNMAP, (uintptr_t)start, nr_pages, 0);
}

static inline long sys_sleep(uint64_t ns)
{
	return syscall3(SYS_SLEEP, ns, 0, 0);
}

static inline uint64_t sys_clock(void)
{
	return (uint64_t)syscall3(SYS_CLOCK, 0, 0, 0);
}

static inline uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* The program: called with exec's argument; what it returns is its code. */
unsigned int main(uint64_t arg);

#endif
