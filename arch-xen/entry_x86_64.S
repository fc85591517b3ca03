/* SPDX-License-Identifier: MIT */
/*
 * The only ways into the kernel: the first instruction, the traps, the event upcall. Xen's side of
 * each is in xen/arch-x86/xen-x86_64.h.
 */
#define __ASSEMBLY__
#include <xen/elfnote.h>
#include "note.inc"

#define HYPERCALL_IRET 23 /* __HYPERVISOR_iret, xen/xen.h */
#define COUNTS_SHIFT   9  /* as in hypercall/stub_x86_64.S, for this one does not pass there */
#define IN_SYSCALL     0x100 /* VGCF_in_syscall, xen/arch-x86/xen-x86_64.h */
#define VECTOR_SYSCALL 0x100 /* PVMM_TRAP_SYSCALL and PVMM_TRAP_EVENT, pvmm/trap.h */
#define VECTOR_EVENT   0x200
#define USER_STACK     8     /* struct vcpu_local, arch.h */
#define NMI_MISSED     16
#define VCPU_LOCALS    (32 * 288)
#define KERNEL_BASE    0xffffffff80000000

/* --- what the domain builder reads --- */

	note XEN_ELFNOTE_GUEST_OS,	 .asciz "pvmm"
	note XEN_ELFNOTE_GUEST_VERSION,	 .asciz "1"
	note XEN_ELFNOTE_XEN_VERSION,	 .asciz "xen-3.0"
	note XEN_ELFNOTE_VIRT_BASE,	 .quad KERNEL_BASE
	note XEN_ELFNOTE_PADDR_OFFSET,	 .quad 0
	note XEN_ELFNOTE_ENTRY,		 .quad pvmm_entry
	note XEN_ELFNOTE_HYPERCALL_PAGE, .quad pvmm_hypercall_page
	note XEN_ELFNOTE_PAE_MODE,	 .asciz "yes"
	note XEN_ELFNOTE_LOADER,	 .asciz "generic"
	note XEN_ELFNOTE_SUSPEND_CANCEL, .long 1

/* --- the first instruction: rsi is the start info's address, rsp the builder's stack --- */

	.text
	.globl pvmm_entry
	.type pvmm_entry, @function
pvmm_entry:
	cld
	movq	%rsi, %rdi
	movq	%rsp, %rsi
	leaq	pvmm_boot_stack_top(%rip), %rsp
	xorl	%ebp, %ebp		/* ends every stack trace */
	call	start_of_day
	ud2
	.size pvmm_entry, . - pvmm_entry

/* The first instruction of the other vCPUs, each on its own stack, gs pointing to its own data. */
	.globl secondary_entry
	.hidden secondary_entry
	.type secondary_entry, @function
secondary_entry:
	cld
	xorl	%ebp, %ebp
	call	secondary_start
	ud2
	.size secondary_entry, . - secondary_entry

	.section .bss.boot_stack, "aw", @nobits
	.balign 4096
	.globl pvmm_boot_stack_guard, pvmm_boot_stack_top
pvmm_boot_stack_guard:			/* unmapped: an overflow must not go on in silence */
	.skip	4096
	.skip	32768
pvmm_boot_stack_top:

	.section .bss.shared_info, "aw", @nobits
	.balign 4096
	.globl pvmm_shared_info_page
pvmm_shared_info_page:
	.skip	4096

/* --- traps: Xen has pushed ss, rsp, rflags, cs, rip, the error code if any, r11, rcx --- */

	.text
.macro trap vector, has_error_code
	.balign 32
	popq	%rcx
	popq	%r11
	.if !\has_error_code
	pushq	$0
	.endif
	pushq	$\vector
	jmp	trap_entry
.endm

	.balign 32
	.globl trap_stubs
	.hidden trap_stubs
trap_stubs:
	trap 0, 0
	trap 1, 0
	.balign 32
	popq	%rcx
	popq	%r11
	jmp	nmi_entry
	trap 3, 0
	trap 4, 0
	trap 5, 0
	trap 6, 0
	trap 7, 0
	trap 8, 1
	trap 9, 0
	trap 10, 1
	trap 11, 1
	trap 12, 1
	trap 13, 1
	trap 14, 1
	trap 15, 0
	trap 16, 0
	trap 17, 1
	trap 18, 0
	trap 19, 0
	.balign 32

/*
 * From user mode everything arrives on the vCPU's small entry stack: this moves it to the stack of
 * the thread that runs. So a change of threads need not tell Xen of a new stack, which would be a
 * hypercall. Nothing interrupts here, for from user mode every way in masks events.
 */
.macro leave_entry_stack
	testb	$3, (3 * 8)(%rsp)	/* cs */
	jz	1f
	pushq	%rdi
	movq	%rsp, %rdi
	movq	%gs:USER_STACK, %rsp
	pushq	(7 * 8)(%rdi)		/* ss, */
	pushq	(6 * 8)(%rdi)		/* rsp, */
	pushq	(5 * 8)(%rdi)		/* rflags, */
	pushq	(4 * 8)(%rdi)		/* cs, */
	pushq	(3 * 8)(%rdi)		/* rip, */
	pushq	(2 * 8)(%rdi)		/* error code, */
	pushq	(1 * 8)(%rdi)		/* vector */
	movq	(%rdi), %rdi
1:
.endm

/* Saves struct pvmm_regs, calls \handler with it, and returns to what it says then. */
.macro save_call_return handler
	leave_entry_stack
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	xorl	%eax, %eax
	testb	$3, (18 * 8)(%rbx)	/* a frame for the interrupted function: */
	cmovzq	(17 * 8)(%rbx), %rax	/* its rip, */
	cmovnzq	%rax, %rbp		/* and its rbp; user code ends the stack trace */
	pushq	%rax
	pushq	%rbp
	movq	%rsp, %rbp
	andq	$-16, %rsp
	call	\handler
	movq	%rbx, %rdi
	jmp	return_to_regs
.endm

/* rdi: the struct pvmm_regs to go on with; its memory is used up. Returns through Xen. */
	.globl return_to_regs
	.hidden return_to_regs
	.type return_to_regs, @function
return_to_regs:
	movq	%rdi, %rsp
	movl	%gs:0, %eax
	shll	$COUNTS_SHIFT, %eax
	incq	hypercall_counts + HYPERCALL_IRET * 8(%rax)
	movq	(15 * 8)(%rsp), %rax	/* vector: after a system call rcx and r11 are free, */
	andl	$IN_SYSCALL, %eax	/* so Xen may return the faster way */
	movq	%rax, (16 * 8)(%rsp)	/* the flags lie where the error code was */
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	addq	$8, %rsp		/* the vector */
	jmp	pvmm_hypercall_page + HYPERCALL_IRET * 32
	.size return_to_regs, . - return_to_regs

/*
 * An NMI may come in the middle of leave_entry_stack, whose stack has no room for more than this:
 * the NMI is noted and done with. The stack holds the frame: rip, cs, rflags, rsp, ss.
 */
	.type nmi_entry, @function
nmi_entry:
	testb	$3, 8(%rsp)		/* from user mode: nothing else is on the entry stack */
	jnz	1f
	cmpq	$vcpu_local, %rsp
	jb	1f
	cmpq	$(vcpu_local + VCPU_LOCALS), %rsp
	ja	1f
	movb	$1, %gs:NMI_MISSED
	pushq	$0			/* flags of the return */
	jmp	pvmm_hypercall_page + HYPERCALL_IRET * 32
1:
	pushq	$0
	pushq	$2
	jmp	trap_entry
	.size nmi_entry, . - nmi_entry

	.type trap_entry, @function
trap_entry:
	save_call_return trap_dispatch
	.size trap_entry, . - trap_entry

	.globl event_entry
	.hidden event_entry
	.type event_entry, @function
event_entry:
	popq	%rcx
	popq	%r11
	pushq	$0
	pushq	$VECTOR_EVENT
	save_call_return event_upcall
	.size event_entry, . - event_entry

/* The syscall instruction in user mode: rcx and r11 hold what the processor put there. */
	.globl syscall_entry
	.hidden syscall_entry
	.type syscall_entry, @function
syscall_entry:
	popq	%rcx
	popq	%r11
	pushq	$0
	pushq	$VECTOR_SYSCALL
	save_call_return syscall_dispatch
	.size syscall_entry, . - syscall_entry

/*
 * Xen could not load a segment register on the way back to the guest. The kernel uses null data
 * segments only, so this cannot be its doing.
 */
	.globl failsafe_entry
	.hidden failsafe_entry
	.type failsafe_entry, @function
failsafe_entry:
	ud2
	.size failsafe_entry, . - failsafe_entry

/* --- bool pvmm_read_safe(const uint64_t *addr, uint64_t *value) --- */

	.globl pvmm_read_safe
	.type pvmm_read_safe, @function
pvmm_read_safe:
1:	movq	(%rdi), %rax
	movq	%rax, (%rsi)
	movl	$1, %eax
	ret
2:	xorl	%eax, %eax
	ret
	.size pvmm_read_safe, . - pvmm_read_safe
	.pushsection .fixups, "a", @progbits
	.quad	1b, 2b
	.popsection

/* --- size_t pvmm_copy_safe(void *to, const void *from, size_t len_bytes) --- */

	.globl pvmm_copy_safe
	.type pvmm_copy_safe, @function
pvmm_copy_safe:
	movq	%rdx, %rcx
1:	rep movsb
2:	movq	%rcx, %rax		/* what is left */
	ret
	.size pvmm_copy_safe, . - pvmm_copy_safe
	.pushsection .fixups, "a", @progbits
	.quad	1b, 2b
	.popsection

	.section .note.GNU-stack, "", @progbits
