/* SPDX-License-Identifier: MIT */
/*
 * Owns the ways into user mode and the system call's way out of it; <pvmm/user.h> says how Xen sees
 * the two modes. The assembly is in entry_x86_64.S.
 */
#include <pvmm/batch.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/paging.h>
#include <pvmm/user.h>
#include <pvmm/vcpu.h>
#include "arch.h"

#define RFLAGS_ALWAYS 0x002 /* the bit that is always one */

PVMM_NORETURN void return_to_regs(struct pvmm_regs *regs);

void fpu_forbid(void)
{
	if (pvmm_hc_fpu_taskswitch(1))
		pvmm_panic("Xen does not set CR0.TS");
}

void pvmm_user_stack(pvmm_va_t top)
{
	__asm__ volatile("movq %0, %%gs:%c1"
			 :
			 : "r"(top), "i"(offsetof(struct vcpu_local, user_stack))
			 : "memory");
}

void pvmm_user_regs_init(struct pvmm_regs *regs, pvmm_va_t rip, pvmm_va_t rsp)
{
	*regs = (struct pvmm_regs){
		.rip = rip,
		.cs = FLAT_USER_CS64,
		.rflags = RFLAGS_ALWAYS | PVMM_RFLAGS_IF,
		.rsp = rsp,
		.ss = FLAT_USER_SS64,
	};
}

void user_return(void)
{
	(void)pvmm_events_save();
	nmi_say_missed(&vcpu_local[pvmm_this_vcpu()]);
	if (pvmm_kernel_user_return)
		pvmm_kernel_user_return();
	pvmm_batch_assert_closed("the return to user mode");
}

void pvmm_user_enter(struct pvmm_regs *regs)
{
	if (!pvmm_trap_from_user(regs))
		pvmm_panic("user mode entered with cs 0x%llx, which is the kernel's, by %pS",
			   (unsigned long long)regs->cs, __builtin_return_address(0));
	user_return();
	return_to_regs(regs);
}

void syscall_dispatch(struct pvmm_regs *regs)
{
	pvmm_events_restore(true);
	if (pvmm_kernel_syscall)
		pvmm_kernel_syscall(regs);
	else
		regs->rax = (uint64_t)-XEN_ENOSYS;
	user_return();
}

/* Whether all of it is user space. */
static bool is_user_range(pvmm_va_t va, size_t len_bytes)
{
	return va >= PVMM_USER_BASE && va <= PVMM_USER_END && len_bytes <= PVMM_USER_END - va;
}

int pvmm_user_read(void *to, pvmm_va_t from, size_t len_bytes)
{
	if (!is_user_range(from, len_bytes) || pvmm_copy_safe(to, (const void *)from, len_bytes))
		return -XEN_EFAULT;
	return 0;
}

int pvmm_user_write(pvmm_va_t to, const void *from, size_t len_bytes)
{
	if (!is_user_range(to, len_bytes) || pvmm_copy_safe((void *)to, from, len_bytes))
		return -XEN_EFAULT;
	return 0;
}
