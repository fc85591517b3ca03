/* SPDX-License-Identifier: MIT */
/* Counters of what was asked of Xen, by vCPU, since boot. Reading them needs no lock. */
#ifndef PVMM_STATS_H
#define PVMM_STATS_H

#include <pvmm/types.h>

/* Hypercall numbers that are counted (xen/xen.h, __HYPERVISOR_*; the highest used is below). */
#define PVMM_STATS_CALLS 64

struct pvmm_batch_stats {
	uint64_t traps;	      /* hypercalls made by batches */
	uint64_t mmu_updates; /* operations sent, by kind */
	uint64_t mmuext_ops;
	uint64_t merged;	/* operations that shared a hypercall with the one before */
	uint64_t flushes;	/* flushes sent (among the extended operations) */
	uint64_t flushes_saved; /* flushes asked for that another one covered */
	uint64_t refused;	/* operations that Xen refused */
};

/* What this vCPU's batches have done. */
PVMM_API struct pvmm_batch_stats pvmm_batch_stats(void);

/* Hypercalls made by this vCPU with this number, outside multicalls; each is a trap. */
PVMM_API uint64_t pvmm_hypercall_count(unsigned int op);

/*
 * All of them together but __HYPERVISOR_iret, which ends every trap, event and system call: when
 * events come is not this vCPU's doing.
 */
PVMM_API uint64_t pvmm_hypercall_traps(void);

/* A table of both on the console: lines "stat NAME VALUE" that scripts can read. */
PVMM_API void pvmm_stats_print(void);

#endif
