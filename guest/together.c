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

/* A vCPU that has gone meanwhile, or goes, does not take part. */
static void start(unsigned int vcpu)
{
	struct thread *thread = &job.thread[vcpu];
	int err;

	*thread = (struct thread){
		.name = "together",
		.only_on = (int)vcpu,
		.run = work,
		.gone = gone,
	};
	__atomic_add_fetch(&job.at_work, 1, __ATOMIC_ACQ_REL);
	err = thread_start(thread);
	if (err && err != -XEN_ENOENT)
		pvmm_panic("no memory for a thread on vCPU %u", vcpu);
	if (err)
		__atomic_sub_fetch(&job.at_work, 1, __ATOMIC_ACQ_REL);
}

void together(pvmm_vcpu_fn *fn, void *ctx)
{
	unsigned int self = pvmm_this_vcpu();

	job.fn = fn;
	job.ctx = ctx;
	job.waiter = thread_current();
	job.at_work = 0;
	for (unsigned int v = pvmm_next_vcpu(0); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1))
		if (v != self)
			start(v);
	fn(ctx);
	for (;;) {
		thread_block_begin();
		if (!__atomic_load_n(&job.at_work, __ATOMIC_ACQUIRE))
			break;
		thread_block();
	}
	thread_block_cancel();
}
