/* SPDX-License-Identifier: MIT */
/* Owns the virtual IDT and the table of handlers: who is asked about a trap, in which order. */
#include <pvmm/batch.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include "arch.h"
#include "fault.h"

/* The entry code's stubs, one each 32 bytes. */
extern char trap_stubs[];
#define STUB_BYTES 32

/* TI_SET_IF: the entry must read cr2 before another fault overwrites it. */
#define EVENTS_MASKED 4

static pvmm_trap_fn *handlers[PVMM_TRAP_VECTORS];

/* A pair in .fixups: an instruction that may fault, and where to go on then. */
struct fixup {
	uint64_t may_fault, go_on;
};

extern const struct fixup pvmm_fixups_start[], pvmm_fixups_end[];

/* Where to go on instead of faulting, for an instruction that is allowed to fault; 0 if not. */
static uintptr_t fixup_lookup(uint64_t rip)
{
	size_t nr =
		((uintptr_t)pvmm_fixups_end - (uintptr_t)pvmm_fixups_start) / sizeof(struct fixup);

	for (size_t i = 0; i < nr; i++)
		if (pvmm_fixups_start[i].may_fault == rip)
			return pvmm_fixups_start[i].go_on;
	return 0;
}

bool pvmm_trap_is_expected(const struct pvmm_regs *regs)
{
	return !pvmm_trap_from_user(regs) && fixup_lookup(regs->rip);
}

pvmm_trap_fn *pvmm_trap_set(enum pvmm_vector vector, pvmm_trap_fn *fn)
{
	pvmm_trap_fn *before;

	/* cppcheck-suppress assignBoolToPointer ; it takes the type of the function for its
	 * result's */
	before = handlers[vector];
	handlers[vector] = fn;
	return before;
}

/* Whether somebody has taken care of it. */
static bool resolved(struct pvmm_regs *regs, pvmm_va_t fault_va)
{
	uintptr_t go_on;

	if (regs->vector < PVMM_TRAP_VECTORS && handlers[regs->vector] &&
	    handlers[regs->vector](regs, fault_va))
		return true;
	go_on = pvmm_trap_from_user(regs) ? 0 : fixup_lookup(regs->rip);
	if (go_on)
		regs->rip = go_on;
	return go_on;
}

void trap_dispatch(struct pvmm_regs *regs)
{
	pvmm_va_t fault_va = regs->vector == PVMM_TRAP_PF ? pvmm_vcpu_info()->arch.cr2 : 0;

	/* Xen clears CR0.TS when it delivers this one. */
	if (regs->vector == PVMM_TRAP_NM)
		fpu_forbid();
	if (regs->vector == PVMM_TRAP_NMI) {
		nmi_trap(regs);
	} else if (!resolved(regs, fault_va)) {
		dying();
		fault_report(regs, fault_va);
		die();
	}
	if (pvmm_trap_from_user(regs))
		user_return();
}

/* Fills the table for Xen and returns how many entries it has, without the one that ends it. */
static unsigned int fill_table(struct trap_info *table)
{
	unsigned int nr = 0;

	for (unsigned int vector = 0; vector < PVMM_TRAP_VECTORS; vector++) {
		if (vector == 8 || vector == 9 || vector == 15 || vector == 18)
			continue; /* Xen keeps these: double fault, machine check; or reserved */
		table[nr++] = (struct trap_info){
			.vector = (uint8_t)vector,
			/* int3 and into are for everybody */
			.flags = EVENTS_MASKED |
				 (vector == PVMM_TRAP_BP || vector == PVMM_TRAP_OF ? 3 : 0),
			.cs = FLAT_KERNEL_CS,
			.address = (uintptr_t)trap_stubs + vector * STUB_BYTES,
		};
	}
	return nr;
}

/* A context has its table by vector. */
void traps_fill_context(struct vcpu_guest_context *c)
{
	struct trap_info table[PVMM_TRAP_VECTORS];
	unsigned int nr = fill_table(table);

	for (unsigned int i = 0; i < nr; i++)
		c->trap_ctxt[table[i].vector] = table[i];
}

void traps_init(void)
{
	static struct trap_info table[PVMM_TRAP_VECTORS + 1];
	int err;

	fill_table(table);
	err = pvmm_hc_set_trap_table(table);
	if (err)
		pvmm_panic("Xen refuses the trap table: %s (%d)", pvmm_errno_name(err), err);
}
