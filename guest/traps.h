/* SPDX-License-Identifier: MIT */
/* Counting how often an operation of user code enters Xen. */
#ifndef GUEST_TRAPS_H
#define GUEST_TRAPS_H

#include <pvmm/types.h>

/* In hundredths, for each operation; of one vCPU. */
struct traps {
	uint64_t hypercalls; /* without iret, */
	uint64_t irets;	     /* and these */
	uint64_t faults;     /* page faults */
	uint64_t syscalls;   /* which pass Xen on their way into the kernel too */
};

/*
 * What one more operation costs a program that does as many as its argument says: it is run twice,
 * nr and 2 * nr. false if it fails. For domains with one vCPU.
 */
bool traps_measure(const char *program, uint64_t nr, struct traps *traps);

/* Hypercalls, irets and faults together: what the tables of others count. */
static inline uint64_t traps_sum(const struct traps *traps)
{
	return traps->hypercalls + traps->irets + traps->faults;
}

#endif
