/* SPDX-License-Identifier: MIT */
/*
 * Doing what may fault, and seeing how it faulted. While a probe runs, the traps of its vector are
 * recorded; the access itself goes on behind the faulting instruction.
 */
#ifndef TESTS_GUEST_PROBE_H
#define TESTS_GUEST_PROBE_H

#include <pvmm/trap.h>

struct probe {
	bool faulted;
	uint64_t vector, error_code;
	pvmm_va_t fault_va;
};

struct probe probe_read(pvmm_va_t va);
struct probe probe_write(pvmm_va_t va, uint64_t value);

/* Executes a ud2. */
struct probe probe_invalid_opcode(void);

/* Divides by zero. */
struct probe probe_divide(void);

/* Executes an int3. */
struct probe probe_breakpoint(void);

#endif
