/* SPDX-License-Identifier: MIT */
/*
 * vCPUs that come and go, as far as threads are concerned: one that is up takes them, one that goes
 * has none bound to it. Owns who may change the set of vCPUs.
 */
#include "sched.h"

/* What runs on a vCPU that is asked to go down: a turn of a kernel thread, however slow the host.
 */
#define LEAVE_PATIENCE_NS 20000000000ULL

/* Between two looks whether the set may be changed. */
#define HOLD_NAP_NS 10000000ULL

static bool held;

void thread_vcpus_hold(void)
{
	while (__atomic_exchange_n(&held, true, __ATOMIC_ACQUIRE))
		thread_sleep(HOLD_NAP_NS);
}

void thread_vcpus_release(void)
{
	__atomic_store_n(&held, false, __ATOMIC_RELEASE);
}

int thread_vcpu_up(unsigned int vcpu)
{
	int err;

	thread_vcpus_hold();
	err = pvmm_vcpu_up(vcpu);
	if (!err)
		sched_wait_for_idle(vcpu);
	thread_vcpus_release();
	return err;
}

static int take_down(unsigned int vcpu)
{
	int err = sched_leaving(vcpu);

	if (err)
		return err;
	err = pvmm_vcpu_down(vcpu, LEAVE_PATIENCE_NS);
	if (err)
		sched_staying(vcpu);
	return err;
}

int thread_vcpu_down(unsigned int vcpu)
{
	int err;

	if (!vcpu || vcpu >= PVMM_MAX_VCPUS)
		return -XEN_EINVAL;
	thread_vcpus_hold();
	/* The caller may have moved while it waited. */
	err = vcpu == pvmm_this_vcpu() ? -XEN_EINVAL : take_down(vcpu);
	thread_vcpus_release();
	return err;
}
