/* SPDX-License-Identifier: MIT */
/* See probe.h. Owns what the recording handler has seen. */
#include "probe.h"

static struct probe seen;

/* Records and leaves the rest to the fixups: the probe's instruction is listed there. */
static bool record(struct pvmm_regs *regs, pvmm_va_t fault_va)
{
	seen = (struct probe){
		.faulted = true,
		.vector = regs->vector,
		.error_code = regs->error_code,
		.fault_va = fault_va,
	};
	return false;
}

/* int3 is a trap: rip is behind it already. */
static bool record_and_go_on(struct pvmm_regs *regs, pvmm_va_t fault_va)
{
	record(regs, fault_va);
	return true;
}

static const enum pvmm_vector faults[] = {PVMM_TRAP_PF, PVMM_TRAP_GP, PVMM_TRAP_UD, PVMM_TRAP_DE};

static void start(pvmm_trap_fn *before[])
{
	seen = (struct probe){0};
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(faults); i++)
		before[i] = pvmm_trap_set(faults[i], record);
}

static struct probe finish(pvmm_trap_fn *before[])
{
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(faults); i++)
		pvmm_trap_set(faults[i], before[i]);
	return seen;
}

#define MAY_FAULT                                  \
	"2:\n"                                     \
	".pushsection .fixups, \"a\", @progbits\n" \
	".quad 1b, 2b\n"                           \
	".popsection\n"

struct probe probe_read(pvmm_va_t va)
{
	pvmm_trap_fn *before[PVMM_ARRAY_SIZE(faults)];
	uint64_t value;

	start(before);
	__asm__ volatile("1: movq (%1), %0\n" MAY_FAULT : "=r"(value) : "r"(va) : "memory");
	return finish(before);
}

struct probe probe_write(pvmm_va_t va, uint64_t value)
{
	pvmm_trap_fn *before[PVMM_ARRAY_SIZE(faults)];

	start(before);
	__asm__ volatile("1: movq %0, (%1)\n" MAY_FAULT : : "r"(value), "r"(va) : "memory");
	return finish(before);
}

struct probe probe_invalid_opcode(void)
{
	pvmm_trap_fn *before[PVMM_ARRAY_SIZE(faults)];

	start(before);
	__asm__ volatile("1: ud2\n" MAY_FAULT : : : "memory");
	return finish(before);
}

struct probe probe_divide(void)
{
	pvmm_trap_fn *before[PVMM_ARRAY_SIZE(faults)];
	uint64_t a = 1, d = 0;

	start(before);
	__asm__ volatile("1: divq %2\n" MAY_FAULT : "+a"(a), "+d"(d) : "r"(0UL) : "cc", "memory");
	return finish(before);
}

struct probe probe_breakpoint(void)
{
	pvmm_trap_fn *before = pvmm_trap_set(PVMM_TRAP_BP, record_and_go_on);

	seen = (struct probe){0};
	__asm__ volatile("int3" : : : "memory");
	pvmm_trap_set(PVMM_TRAP_BP, before);
	return seen;
}
