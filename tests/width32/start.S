/* SPDX-License-Identifier: MIT */
/* The first instruction of the 32-bit test kernel, and what the domain builder reads of it. */
#define __ASSEMBLY__
#include <xen/elfnote.h>
#include "../../arch-xen/note.inc"

	note XEN_ELFNOTE_GUEST_OS,	 .asciz "pvmm-width32"
	note XEN_ELFNOTE_XEN_VERSION,	 .asciz "xen-3.0"
	note XEN_ELFNOTE_VIRT_BASE,	 .long 0xc0000000
	note XEN_ELFNOTE_PADDR_OFFSET,	 .long 0
	note XEN_ELFNOTE_ENTRY,		 .long width32_entry
	note XEN_ELFNOTE_HYPERCALL_PAGE, .long pvmm_hypercall_page
	note XEN_ELFNOTE_HV_START_LOW,	 .long 0xf5800000
	note XEN_ELFNOTE_PAE_MODE,	 .asciz "yes"
	note XEN_ELFNOTE_LOADER,	 .asciz "generic"

	.text
	.globl width32_entry
width32_entry:
	cld
	movl	$stack_top, %esp
	pushl	%esi			/* start_info */
	call	width32_main
	ud2

	.bss
	.balign 16
	.skip	8192
stack_top:

	.section .note.GNU-stack, "", @progbits
