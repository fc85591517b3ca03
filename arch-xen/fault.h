/* SPDX-License-Identifier: MIT */
/* The report of a trap that nobody handled. */
#ifndef PVMM_FAULT_H
#define PVMM_FAULT_H

#include <pvmm/trap.h>

void fault_report(const struct pvmm_regs *regs, pvmm_va_t fault_va);

/* From here on the kernel's own tables and records can be read for the report. */
void fault_report_walks(void);

void print_registers(const struct pvmm_regs *regs);

#endif
