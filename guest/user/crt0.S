/* SPDX-License-Identifier: MIT */
/* A program's first instructions: rdi is exec's argument, rsp the end of the stack. */
	.text
	.globl _start
	.type _start, @function
_start:
	xorl	%ebp, %ebp
	call	main
	movl	%eax, %edi
	xorl	%eax, %eax		/* SYS_EXIT */
	syscall
	ud2
	.size _start, . - _start

	.section .note.GNU-stack, "", @progbits
