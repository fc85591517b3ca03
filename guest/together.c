/* SPDX-License-Identifier: MIT */
/*
 * See together.h. Owns what the other vCPUs do while there is nothing else for them: they wait for
 * the next job, each of which has a number.
 */
#include <pvmm/event.h>
#include <pvmm/kernel.h>
#include "together.h"

static struct {
	uint64_t number;
	pvmm_vcpu_fn *fn;
	void *ctx;
	unsigned int at_work;
} job;

void pvmm_kernel_secondary(void)
{
	uint64_t done = 0;

	(void)pvmm_events_save();
	for (;;) {
		uint64_t number = __atomic_load_n(&job.number, __ATOMIC_ACQUIRE);

		if (number == done) {
			pvmm_events_wait();
			continue;
		}
		done = number;
		pvmm_events_restore(true);
		job.fn(job.ctx);
		(void)pvmm_events_save();
		__atomic_fetch_sub(&job.at_work, 1, __ATOMIC_RELEASE);
	}
}

void together(pvmm_vcpu_fn *fn, void *ctx)
{
	unsigned int nr = pvmm_nr_vcpus();

	job.fn = fn;
	job.ctx = ctx;
	job.at_work = nr - 1;
	__atomic_fetch_add(&job.number, 1, __ATOMIC_RELEASE);
	for (unsigned int vcpu = 0; vcpu < nr; vcpu++)
		if (vcpu != pvmm_this_vcpu())
			pvmm_vcpu_kick(vcpu);
	fn(ctx);
	while (__atomic_load_n(&job.at_work, __ATOMIC_ACQUIRE))
		pvmm_vcpu_yield();
}
