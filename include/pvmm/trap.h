/* SPDX-License-Identifier: MIT */
/*
 * Traps: what a fault looks like and who is asked about it. Nobody handles it: the library prints
 * registers, the walk of the faulting address and a stack trace, and crashes the domain.
 */
#ifndef PVMM_TRAP_H
#define PVMM_TRAP_H

#include <pvmm/types.h>

/* The interrupted context, as the entry code (arch-xen/entry_x86_64.S) saves it. */
struct pvmm_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx;
	uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Vectors (Intel SDM volume 3, table 6-1). */
enum pvmm_vector {
	PVMM_TRAP_DE = 0,
	PVMM_TRAP_DB = 1,
	PVMM_TRAP_NMI = 2, /* the library's: xl trigger NAME nmi */
	PVMM_TRAP_BP = 3,
	PVMM_TRAP_OF = 4,
	PVMM_TRAP_BR = 5,
	PVMM_TRAP_UD = 6,
	PVMM_TRAP_NM = 7,
	PVMM_TRAP_TS = 10,
	PVMM_TRAP_NP = 11,
	PVMM_TRAP_SS = 12,
	PVMM_TRAP_GP = 13,
	PVMM_TRAP_PF = 14,
	PVMM_TRAP_MF = 16,
	PVMM_TRAP_AC = 17,
	PVMM_TRAP_XM = 19,
	PVMM_TRAP_VECTORS = 20,

	/* What regs->vector says of the other ways into the kernel; they have no handler here. */
	PVMM_TRAP_SYSCALL = 0x100,
	PVMM_TRAP_EVENT = 0x200,
};

/* In rflags: events were on, which Xen makes of it (Intel SDM volume 1, 3.4.3: interrupts). */
#define PVMM_RFLAGS_IF 0x200

/* Whether it was user code (pvmm/user.h) that was interrupted. */
static inline bool pvmm_trap_from_user(const struct pvmm_regs *regs)
{
	return (regs->cs & 3) == 3;
}

/* #PF error code bits. */
#define PVMM_PF_PRESENT 0x1
#define PVMM_PF_WRITE	0x2
#define PVMM_PF_USER	0x4
#define PVMM_PF_FETCH	0x10

/*
 * Asked before the library gives up on a trap; true means handled: execution goes on as regs say.
 * fault_va is the faulting address of a #PF, else 0. Runs on the interrupted stack with events
 * masked.
 */
typedef bool pvmm_trap_fn(struct pvmm_regs *regs, pvmm_va_t fault_va);

/* Sets the handler of a vector, NULL for none; returns the one before. */
PVMM_API pvmm_trap_fn *pvmm_trap_set(enum pvmm_vector vector, pvmm_trap_fn *fn);

/*
 * Whether the interrupted instruction is one that may fault (it is listed in .fixups): a handler
 * that pages in what the kernel reaches for on a user's behalf looks at nothing else.
 */
PVMM_API bool pvmm_trap_is_expected(const struct pvmm_regs *regs);

/* "#PF", or "#13" style for one without a name. */
PVMM_API const char *pvmm_trap_name(uint64_t vector);

#endif
