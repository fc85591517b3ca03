/* SPDX-License-Identifier: MIT */
/* Counted by the stub; see stats.c. */
#ifndef HYPERCALL_STATS_H
#define HYPERCALL_STATS_H

#include <pvmm/stats.h>
#include <pvmm/vcpu.h>

extern uint64_t hypercall_counts[PVMM_MAX_VCPUS][PVMM_STATS_CALLS];

#endif
