/* SPDX-License-Identifier: MIT */
/* The change from one thread's stack to another's. */
	.text

/*
 * void switch_stacks(uintptr_t *save, uintptr_t load): what C expects a call to keep is on the
 * stack; *save says where. Returns on the other stack, to where that one called, or where
 * thread_start has made it look so.
 */
	.globl switch_stacks
	.type switch_stacks, @function
switch_stacks:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size switch_stacks, . - switch_stacks

/* Where a new thread begins: rbp is 0, which ends every stack trace. */
	.globl thread_entry
	.type thread_entry, @function
thread_entry:
	call	thread_begin
	ud2
	.size thread_entry, . - thread_entry

	.section .note.GNU-stack, "", @progbits
