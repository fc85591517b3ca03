/* SPDX-License-Identifier: MIT */
/*
 * Stands before the trap in test builds, and makes one hypercall fail. Owns what is armed; one
 * vCPU's test at a time.
 */
#include <pvmm/hypercall.h>
#include <pvmm/inject.h>

/* A number that no hypercall has: Xen answers -ENOSYS and does nothing. */
#define NO_HYPERCALL 63

long hypercall_counted(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
		       unsigned int op);

static unsigned int armed_op;
static uint64_t calls_left; /* until the one that fails; 0: nothing is armed */
static int armed_err;
static bool fired;

void pvmm_inject_arm(unsigned int op, uint64_t nth, int err)
{
	armed_op = op;
	calls_left = nth;
	armed_err = err;
	fired = false;
}

bool pvmm_inject_fired(void)
{
	return fired;
}

/* Whether it is this one's turn. */
static bool fails(unsigned int op)
{
	if (!calls_left || (armed_op != PVMM_INJECT_ANY && armed_op != op) || --calls_left)
		return false;
	fired = true;
	return true;
}

/* One entry is replaced by a call that does nothing, and given the answer afterwards. */
static long multicall(struct multicall_entry *calls, uint64_t nr)
{
	uint64_t failing = nr;
	long err;

	for (uint64_t i = 0; i < nr; i++)
		if (fails((unsigned int)calls[i].op)) {
			calls[i].op = NO_HYPERCALL;
			failing = i;
		}
	err = hypercall_counted(pvmm_arg(calls), nr, 0, 0, 0, __HYPERVISOR_multicall);
	if (failing < nr)
		calls[failing].result = (xen_ulong_t)armed_err;
	return err;
}

long pvmm_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
		    unsigned int op)
{
	if (op == __HYPERVISOR_multicall)
		return multicall((struct multicall_entry *)(uintptr_t)a1, a2);
	if (fails(op))
		return armed_err;
	return hypercall_counted(a1, a2, a3, a4, a5, op);
}
