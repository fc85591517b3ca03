/* SPDX-License-Identifier: MIT */
/*
 * demo=process: how often each thing that a program does enters Xen. With vcpus=1, and comparable
 * with what others need for the same (docs/design.md).
 */
#include <pvmm/log.h>
#include <pvmm/space.h>
#include <pvmm/vcpu.h>
#include "demo.h"
#include "traps.h"

static const struct row {
	const char *what;
	const char *program;
	uint64_t nr;
	unsigned int around; /* pages that a fault fills */
} rows[] = {
	{"getpid", "asker", 1000, 16},
	{"fork + exit + wait", "forker", 200, 16},
	{"fork + exec + exit + wait", "execer", 100, 16},
	{"two changes of process", "yielder", 500, 16},
	{"map 4 MiB, touch, unmap", "pager", 10, 1},
	{"... 16 pages a fault", "pager", 10, 16},
};

static void print_figure(uint64_t hundredths)
{
	pvmm_print(" %9llu.%02llu", (unsigned long long)hundredths / 100,
		   (unsigned long long)hundredths % 100);
}

static bool print_row(const struct row *row)
{
	struct traps traps;

	if (pvmm_fault_around(row->around) || !traps_measure(row->program, row->nr, &traps))
		return false;
	pvmm_print("traps: %-26s", row->what);
	print_figure(traps_sum(&traps));
	print_figure(traps.hypercalls);
	print_figure(traps.irets);
	print_figure(traps.faults);
	print_figure(traps.syscalls);
	pvmm_print("\n");
	return true;
}

static bool run(void)
{
	bool good = true;

	if (pvmm_nr_vcpus() > 1) {
		pvmm_print("traps are counted in a domain with one vCPU\n");
		return false;
	}
	pvmm_print("traps: %-26s %12s %12s %12s %12s %12s\n", "", "all", "hypercalls", "iret",
		   "page faults", "system calls");
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(rows); i++)
		good = print_row(&rows[i]) && good;
	return !pvmm_fault_around(16) && good;
}

const struct demo demo_process = {"process", "how often programs enter Xen", run};
