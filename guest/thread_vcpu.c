/* SPDX-License-Identifier: MIT */
/* Brings vCPUs up and takes them down under the scheduler (thread.h). Owns nothing. */
#include "sched.h"

/* What runs on a vCPU that is asked to go down: a turn of a kernel thread, however slow the host.
 */
#define PATIENCE_NS 20000000000ULL

int thread_vcpu_up(unsigned int vcpu)
{
	int err = pvmm_vcpu_up(vcpu);

	if (!err)
		sched_wait_for_idle(vcpu);
	return err;
}

int thread_vcpu_down(unsigned int vcpu)
{
	int err;

	if (!vcpu || vcpu >= PVMM_MAX_VCPUS)
		return -XEN_EINVAL;
	err = sched_leaving(vcpu);
	if (err)
		return err;
	err = pvmm_vcpu_down(vcpu, PATIENCE_NS);
	if (err)
		sched_staying(vcpu);
	return err;
}
