/* SPDX-License-Identifier: MIT */
/*
 * The manager's counters as the toolstack sees them: data/pvmm/NAME below the domain's home, which
 * the domain may write (xenstore-ls /local/domain/ID/data). Owns what was written last; called by
 * one thread at a time.
 */
#include <pvmm/check.h>
#include <pvmm/clock.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/xenstore.h>
#include "control.h"
#include "suspend.h"

#define NS_PER_SECOND 1000000000ULL

enum { REFUSED_PINS, STRAYS, QUARANTINED, PURGES, DROPS, WALLCLOCK, RESUME_PROBLEMS, RESUMES, NR };

static const char *const paths[NR] = {
	[REFUSED_PINS] = "data/pvmm/refused-pins", /* Xen said no to a page table */
	[STRAYS] = "data/pvmm/strays",		   /* pages with a stray writable mapping */
	[QUARANTINED] = "data/pvmm/quarantined",   /* pages that are not used any more */
	[PURGES] = "data/pvmm/purges",		   /* removals of all stale mappings */
	[DROPS] = "data/pvmm/drops",		   /* ... of one page's, for a pin */
	/* When it was first told of, or went on: seconds since 1970. */
	[WALLCLOCK] = "data/pvmm/wallclock",
	/* The second is written last: who waits for it finds the first up to date. */
	[RESUME_PROBLEMS] = "data/pvmm/resume-problems", /* found after a suspend */
	[RESUMES] = "data/pvmm/resumes",		 /* times that the domain has gone on */
};

static struct {
	bool is_there;
	uint64_t value;
} written[NR];

/* The wall clock goes on and on: what is told is where it was at the last resume. */
static uint64_t wallclock_seconds(uint64_t resumes)
{
	if (written[WALLCLOCK].is_there && written[RESUMES].value == resumes)
		return written[WALLCLOCK].value;
	return pvmm_wallclock_ns() / NS_PER_SECOND;
}

void counters_forget(void)
{
	for (unsigned int i = 0; i < NR; i++)
		written[i].is_there = false;
}

static int publish(unsigned int i, uint64_t value)
{
	char text[24];
	int err;

	if (written[i].is_there && written[i].value == value)
		return 0;
	pvmm_snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	err = pvmm_store_write(PVMM_STORE_NO_TX, paths[i], text);
	written[i].is_there = !err;
	written[i].value = value;
	return err;
}

int counters_publish(void)
{
	struct pvmm_check_stats check = pvmm_check_stats();
	struct pvmm_ledger_stats ledger = pvmm_ledger_stats();
	uint64_t resumes = suspend_resumes(), problems = suspend_problems();
	const uint64_t values[NR] = {
		[REFUSED_PINS] = check.refused_pins,
		[STRAYS] = check.strays,
		[QUARANTINED] = check.quarantined,
		[PURGES] = ledger.purges,
		[DROPS] = ledger.drops,
		[WALLCLOCK] = wallclock_seconds(resumes),
		[RESUME_PROBLEMS] = problems,
		[RESUMES] = resumes,
	};
	int err = 0;

	for (unsigned int i = 0; i < NR && !err; i++)
		err = publish(i, values[i]);
	return err;
}
