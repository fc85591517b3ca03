/* SPDX-License-Identifier: MIT */
/* The same as stub_x86_64.S for the 32-bit (PAE) interface: int 0x82, five arguments in registers. */

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
 * The C convention has them on the stack; Xen wants ebx, ecx, edx, esi, edi, of which C wants ebx,
 * esi and edi back. Xen changes eax alone.
 */
	.text
	.globl pvmm_hypercall
	.type pvmm_hypercall, @function
pvmm_hypercall:
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	movl	16(%esp), %ebx
	movl	20(%esp), %ecx
	movl	24(%esp), %edx
	movl	28(%esp), %esi
	movl	32(%esp), %edi
	movl	36(%esp), %eax
	shll	$5, %eax
	addl	$pvmm_hypercall_page, %eax
	call	*%eax
	popl	%edi
	popl	%esi
	popl	%ebx
	ret
	.size pvmm_hypercall, . - pvmm_hypercall

	.section .note.GNU-stack, "", @progbits
