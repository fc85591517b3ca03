/* SPDX-License-Identifier: MIT */
/* See together.h. One job at a time: owns its threads. */
#include <pvmm/log.h>
#include "thread.h"
#include "together.h"

static struct {
	pvmm_vcpu_fn *fn;
	void *ctx;
	unsigned int at_work;
	struct thread *waiter;
	struct thread thread[PVMM_MAX_VCPUS];
} job;

static void work(void *ctx)
{
	(void)ctx;
	job.fn(job.ctx);
}

static void gone(void *ctx)
{
	(void)ctx;
	if (!__atomic_sub_fetch(&job.at_work, 1, __ATOMIC_ACQ_REL))
		thread_wake(job.waiter);
}

static void start(unsigned int vcpu)
{
	struct thread *thread = &job.thread[vcpu];

	*thread = (struct thread){
		.name = "together",
		.only_on = (int)vcpu,
		.run = work,
		.gone = gone,
	};
	if (thread_start(thread))
		pvmm_panic("no memory for a thread on vCPU %u", vcpu);
}

void together(pvmm_vcpu_fn *fn, void *ctx)
{
	unsigned int nr = pvmm_nr_vcpus(), self = pvmm_this_vcpu();

	job.fn = fn;
	job.ctx = ctx;
	job.waiter = thread_current();
	job.at_work = nr - 1;
	for (unsigned int vcpu = 0; vcpu < nr; vcpu++)
		if (vcpu != self)
			start(vcpu);
	fn(ctx);
	for (;;) {
		thread_block_begin();
		if (!__atomic_load_n(&job.at_work, __ATOMIC_ACQUIRE))
			break;
		thread_block();
	}
	thread_block_cancel();
}
