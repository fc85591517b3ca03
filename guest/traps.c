/* SPDX-License-Identifier: MIT */
/* See traps.h. Owns nothing: the counters are the library's and the processes'. */
#include <pvmm/stats.h>
#include <pvmm/xen.h>
#include "process.h"
#include "traps.h"

static struct traps counters(void)
{
	return (struct traps){
		.hypercalls = pvmm_hypercall_traps(),
		.irets = pvmm_hypercall_count(__HYPERVISOR_iret),
		.faults = processes_counts.faults,
		.syscalls = processes_counts.syscalls,
	};
}

/* One run of the program, counted. */
static bool run(const char *program, uint64_t nr, struct traps *traps)
{
	struct traps before = counters(), after;
	int status = -1;

	if (process_spawn(program, nr) < 0 || process_wait(NULL, &status) < 0 || status)
		return false;
	after = counters();
	traps->hypercalls = after.hypercalls - before.hypercalls;
	traps->irets = after.irets - before.irets;
	traps->faults = after.faults - before.faults;
	traps->syscalls = after.syscalls - before.syscalls;
	return true;
}

static uint64_t hundredths(uint64_t more, uint64_t less, uint64_t nr)
{
	return more > less ? ((more - less) * 100 + nr / 2) / nr : 0;
}

bool traps_measure(const char *program, uint64_t nr, struct traps *traps)
{
	struct traps once, twice;

	if (!run(program, nr, &once) || !run(program, 2 * nr, &twice))
		return false;
	traps->hypercalls = hundredths(twice.hypercalls, once.hypercalls, nr);
	traps->irets = hundredths(twice.irets, once.irets, nr);
	traps->faults = hundredths(twice.faults, once.faults, nr);
	traps->syscalls = hundredths(twice.syscalls, once.syscalls, nr);
	return true;
}
