/* SPDX-License-Identifier: MIT */
/*
 * xl trigger NAME nmi: says where a vCPU is, whatever it does, with events masked or a lock held.
 * That is what one wants of a guest that hangs. nmi=panic makes it the end of the domain instead,
 * for a core of it.
 *
 * An NMI comes between any two instructions. Two places cannot be interrupted by a report: where
 * the console is locked by this vCPU, and on its entry stack, which has no room. There it is only
 * noted, and said right afterwards: when the console is unlocked, or at the return to user mode.
 */
#include <pvmm/batch.h>
#include <pvmm/cmdline.h>
#include <pvmm/log.h>
#include <pvmm/spinlock.h>
#include <pvmm/vcpu.h>
#include "arch.h"
#include "fault.h"
#include "options.h"

static bool panics;

/* Each vCPU's own. */
static struct {
	bool defers; /* it has the console's lock */
	bool is_noted;
	struct pvmm_regs regs;
} vcpus[PVMM_MAX_VCPUS];

const char *parse_nmi(const char *value)
{
	panics = pvmm_text_equal(value, "panic");
	return panics || pvmm_text_equal(value, "report") ? NULL : "is neither report nor panic";
}

static void say(const struct pvmm_regs *regs)
{
	unsigned int vcpu = pvmm_this_vcpu();

	if (panics)
		dying();
	pvmm_print("pvmm: NMI on vCPU %u at %pS: %s code, events %s, locks held: %u, batch %s\n",
		   vcpu, (void *)regs->rip, pvmm_trap_from_user(regs) ? "user" : "kernel",
		   regs->rflags & PVMM_RFLAGS_IF ? "on" : "masked", pvmm_locks[vcpu],
		   pvmm_batch_is_open() ? "open" : "closed");
	print_registers(regs);
	print_stack(regs->rip, regs->rbp);
	if (panics)
		die();
}

void nmi_trap(struct pvmm_regs *regs)
{
	unsigned int vcpu = pvmm_this_vcpu();

	if (!vcpus[vcpu].defers) {
		say(regs);
		return;
	}
	vcpus[vcpu].regs = *regs;
	vcpus[vcpu].is_noted = true;
}

void nmi_defer(void)
{
	vcpus[pvmm_this_vcpu()].defers = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void nmi_allow(void)
{
	unsigned int vcpu = pvmm_this_vcpu();

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	vcpus[vcpu].defers = false;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (!vcpus[vcpu].is_noted)
		return;
	vcpus[vcpu].is_noted = false;
	say(&vcpus[vcpu].regs);
}

/* The entry code has noted one by a flag of the vCPU's, and knows no more than that. */
void nmi_say_missed(struct vcpu_local *local)
{
	if (!local->nmi_missed)
		return;
	local->nmi_missed = 0;
	if (panics)
		pvmm_panic("NMI on vCPU %u, on its way out of user mode", pvmm_this_vcpu());
	pvmm_print("pvmm: NMI on vCPU %u, on its way out of user mode\n", pvmm_this_vcpu());
}
