/* SPDX-License-Identifier: MIT */
/*
 * The hypercall page, which Xen fills when it builds the domain (XEN_ELFNOTE_HYPERCALL_PAGE), and
 * the one function that enters it.
 */
#include <xen/elfnote.h>

	.section .text.hypercall_page, "ax", @progbits
	.balign 4096
	.globl pvmm_hypercall_page
pvmm_hypercall_page:
	.skip 4096, 0xcc
	.type pvmm_hypercall_page, @function
	.size pvmm_hypercall_page, . - pvmm_hypercall_page

/*
 * long pvmm_hypercall(a1, a2, a3, a4, a5, op)
 *
 * The C convention passes them in rdi, rsi, rdx, rcx, r8, r9; Xen wants a4 in r10 and the operation
 * as one of the page's 32-byte entries. Xen clobbers rcx and r11, which C gives away at a call.
 */
	.text
	.globl pvmm_hypercall
	.type pvmm_hypercall, @function
pvmm_hypercall:
	movq	%rcx, %r10
	movl	%r9d, %r9d
	shlq	$5, %r9
	leaq	pvmm_hypercall_page(%r9), %r9
	jmp	*%r9
	.size pvmm_hypercall, . - pvmm_hypercall

	.section .note.GNU-stack, "", @progbits
