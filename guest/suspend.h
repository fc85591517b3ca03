/* SPDX-License-Identifier: MIT */
/* xl save and xl migrate: bringing all vCPUs together for pvmm_suspend, at thread level. */
#ifndef GUEST_SUSPEND_H
#define GUEST_SUSPEND_H

#include <pvmm/suspend.h>

/*
 * Suspends the domain and returns when it goes on: as pvmm_suspend, or -XEN_ENOMEM, or -XEN_EBUSY
 * when some vCPU has been in kernel code for too long. A line says so. By one thread at a time,
 * which other threads may go on beside until all vCPUs are free of them.
 */
int suspend_all(void);

/*
 * What somebody who judges wants to do on vCPU 0 while nothing else runs anywhere: before, and
 * after a suspend that has taken place, which returns how many problems it has found. Either may be
 * NULL.
 */
struct suspend_judge {
	void (*before)(void);
	unsigned int (*after)(enum pvmm_suspended how);
};

/* One judge, or NULL for none. */
void suspend_judge_set(const struct suspend_judge *judge);

/* Since boot: resumes of either kind, and problems found by judges. */
uint64_t suspend_resumes(void);
uint64_t suspend_problems(void);

/* The stack of the thread that a vCPU suspends with, for a judge: it changes. */
struct pvmm_page *suspend_stack(unsigned int vcpu);

#endif
