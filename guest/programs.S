/* SPDX-License-Identifier: MIT */
/* The user programs, each on pages of its own: struct program, guest/program.h. */

.macro program name
	.section .rodata.programs, "a", @progbits
	.balign 4096
1:	.incbin "\name"
2:	.balign 4096
	.section .rodata.program_names, "a", @progbits
3:	.asciz "\name"
	.section .rodata.program_list, "a", @progbits
	.quad	3b, 1b, 2b - 1b
.endm

	.section .rodata.program_list, "a", @progbits
	.balign 8
	.globl programs
programs:
	program hello
	program forker
	program execer
	program toucher
	program spinner
	program napper
	program crasher
	program misuser
	program bomber
	program pager
	program asker
	program yielder
	program churner
	program keeper
	.quad	0, 0, 0

	.section .note.GNU-stack, "", @progbits
