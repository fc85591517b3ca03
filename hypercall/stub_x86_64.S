/* SPDX-License-Identifier: MIT */
/*
 * The hypercall page, which Xen fills when it builds the domain (XEN_ELFNOTE_HYPERCALL_PAGE), and
 * the one function that enters it.
 */
#include <xen/elfnote.h>

	.cfi_sections .debug_frame

/*
 * What Xen writes into each entry, for debuggers: push rcx, push r11, the number into eax, syscall,
 * pop r11, pop rcx, ret. A vCPU that sleeps in Xen is found behind the syscall.
 */
	.section .text.hypercall_page, "ax", @progbits
	.balign 4096
	.globl pvmm_hypercall_page
pvmm_hypercall_page:
	.rept 128
	.cfi_startproc
	.skip 1, 0xcc
	.cfi_def_cfa_offset 16
	.skip 2, 0xcc
	.cfi_def_cfa_offset 24
	.skip 9, 0xcc
	.cfi_def_cfa_offset 16
	.skip 1, 0xcc
	.cfi_def_cfa_offset 8
	.skip 19, 0xcc
	.cfi_endproc
	.endr
	.type pvmm_hypercall_page, @function
	.size pvmm_hypercall_page, . - pvmm_hypercall_page

/*
 * long pvmm_hypercall(a1, a2, a3, a4, a5, op)
 *
 * The C convention passes them in rdi, rsi, rdx, rcx, r8, r9; Xen wants a4 in r10 and the operation
 * as one of the page's 32-byte entries. Xen clobbers rcx and r11, which C gives away at a call.
 *
 * Each is counted for its vCPU, whose number is what gs points to. hypercall_uncounted is for the one
 * that makes gs point there.
 */
#define COUNTS_SHIFT 9 /* log2 of PVMM_STATS_CALLS counters of 8 bytes */

/* In a test build something stands before it (hypercall/inject/). */
#ifdef PVMM_INJECT
#define COUNTED hypercall_counted
#else
#define COUNTED pvmm_hypercall
#endif

	.text
	.globl COUNTED
	.type COUNTED, @function
COUNTED:
	.cfi_startproc
	movl	%r9d, %r9d
	movl	%gs:0, %eax
	shll	$COUNTS_SHIFT, %eax
	incq	hypercall_counts(%rax, %r9, 8)
	jmp	enter
	.cfi_endproc
	.size COUNTED, . - COUNTED

	.globl hypercall_uncounted
	.hidden hypercall_uncounted
	.type hypercall_uncounted, @function
hypercall_uncounted:
	.cfi_startproc
	movl	%r9d, %r9d
enter:
	movq	%rcx, %r10
	shlq	$5, %r9
	leaq	pvmm_hypercall_page(%r9), %r9
	jmp	*%r9
	.cfi_endproc
	.size hypercall_uncounted, . - hypercall_uncounted

	.section .note.GNU-stack, "", @progbits
