/* SPDX-License-Identifier: MIT */
/*
 * What the kernel and its programs agree on. A system call is the syscall instruction: number in
 * rax, arguments in rdi, rsi, rdx; the result in rax, negative for an error (Xen's numbers,
 * xen/errno.h). rcx and r11 are lost, all other registers kept.
 */
#ifndef USER_ABI_H
#define USER_ABI_H

enum syscall {
	SYS_EXIT,   /* code, 0 to 255 */
	SYS_FORK,   /* the child's pid; 0 in the child */
	SYS_EXEC,   /* name, argument: goes on in another program, as main(argument) */
	SYS_WAIT,   /* where to put the status, or 0: the pid of a child that has ended */
	SYS_GETPID, /* */
	SYS_YIELD,  /* lets others run */
	SYS_WRITE,  /* text, length in bytes: on the console */
	SYS_MAP,    /* pages: the address of so many new ones, zeroed */
	SYS_UNMAP,  /* address, pages */
	SYS_SLEEP,  /* nanoseconds */
	SYS_CLOCK,  /* nanoseconds since Xen booted */
	SYS_CALLS,
};

/* The status of a process that was killed for a trap; others ended with a code below 256. */
#define STATUS_KILLED(vector) (0x100 | (vector))

/* Longest name of a program, with its end. */
#define PROGRAM_NAME_BYTES 24

#endif
