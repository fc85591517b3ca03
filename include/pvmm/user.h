/* SPDX-License-Identifier: MIT */
/*
 * User code. A 64-bit PV kernel runs in ring 3, as its user code does; what keeps the two apart is
 * Xen, which knows for each vCPU whether it is in kernel or in user mode, and changes the root
 * table and gs's base over whenever that changes: into user mode by the iret hypercall, back by
 * anything that happens there. So
 *
 *	- the saved cs says which it was (pvmm_trap_from_user), and code never executes swapgs;
 *	- the kernel's half cannot be reached from user mode, because the space's second root
 *	  (pvmm/space.h) does not have it, though Xen marks all entries as user's;
 *	- the kernel reaches the user half of the loaded space through the same addresses.
 *
 * What comes from user mode is saved as struct pvmm_regs at the top of the stack of the thread that
 * runs, which the kernel announces with pvmm_user_stack. Traps go to the handlers of pvmm/trap.h,
 * the syscall instruction to pvmm_kernel_syscall. sysenter raises #GP and a 32-bit syscall #UD,
 * since nothing is registered for them. The FPU belongs to nobody: its use is #NM.
 */
#ifndef PVMM_USER_H
#define PVMM_USER_H

#include <pvmm/trap.h>

/*
 * This vCPU's traps, events and system calls from user mode start at this stack from now on: its
 * end, aligned to 16 bytes. No hypercall.
 */
PVMM_API void pvmm_user_stack(pvmm_va_t top);

/* Registers of a user program that starts: everything 0 but these. */
PVMM_API void pvmm_user_regs_init(struct pvmm_regs *regs, pvmm_va_t rip, pvmm_va_t rsp);

/*
 * Goes on in user mode as the registers say. Calls pvmm_kernel_user_return first, as the return
 * from a trap does. regs is used up. What is below on the stack is lost.
 */
PVMM_API PVMM_NORETURN void pvmm_user_enter(struct pvmm_regs *regs);

/*
 * Copies between the kernel and the user half of the loaded space: 0, or -XEN_EFAULT when part of
 * the range is not user space, or faults and the handler of #PF does not resolve it. Some of it may
 * have been copied then. Not with a lock that the handler takes.
 */
PVMM_API int pvmm_user_read(void *to, pvmm_va_t from, size_t len_bytes);
PVMM_API int pvmm_user_write(pvmm_va_t to, const void *from, size_t len_bytes);

/* memcpy where a fault may be: stops there and returns how many bytes are left, 0 for none. */
PVMM_API size_t pvmm_copy_safe(void *to, const void *from, size_t len_bytes);

/*
 * Provided by a kernel that has user code. Runs with events on, on the thread's stack; what it puts
 * into regs is what user code goes on with.
 */
PVMM_API void pvmm_kernel_syscall(struct pvmm_regs *regs) __attribute__((weak));

/*
 * Provided by a kernel that preempts user code: called with events masked when everything else is
 * done and user code is about to go on. May unmask them, run other threads, come back on another
 * vCPU; returns with them masked.
 */
PVMM_API void pvmm_kernel_user_return(void) __attribute__((weak));

#endif
