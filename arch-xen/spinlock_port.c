/* SPDX-License-Identifier: MIT */
/*
 * Owns each vCPU's event port for locks (spinlock.h): written by who brings the vCPU up, or by the
 * vCPU itself after a restore, when nobody can be sleeping. A vCPU that goes down keeps it.
 */
#include <pvmm/batch.h>
#include <pvmm/event.h>
#include <pvmm/log.h>
#include <pvmm/vcpu.h>
#include "arch.h"
#include "spinlock.h"

static pvmm_port_t ports[PVMM_MAX_VCPUS]; /* 0: none yet */

bool lock_port_is_there(void)
{
	return ports[pvmm_this_vcpu()];
}

void lock_port_clear(void)
{
	pvmm_event_clear(ports[pvmm_this_vcpu()]);
}

void lock_port_wait(void)
{
	vcpu_poll(ports[pvmm_this_vcpu()], 0);
}

void lock_port_raise(unsigned int vcpu)
{
	int err = pvmm_event_send(ports[vcpu]);

	if (err)
		pvmm_panic("Xen sends no event to vCPU %u, which waits for a lock, on port %u: "
			   "%s (%d)",
			   vcpu, ports[vcpu], pvmm_errno_name(err), err);
}

int lock_port_open(unsigned int vcpu)
{
	return ports[vcpu] ? 0 : event_bind_ipi_of(vcpu, &ports[vcpu]);
}

void lock_port_init(void)
{
	unsigned int self = pvmm_this_vcpu();
	int err = lock_port_open(self);

	if (err)
		pvmm_panic("Xen gives vCPU %u no port for locks: %s (%d)", self,
			   pvmm_errno_name(err), err);
}

void lock_ports_forget(void)
{
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++)
		ports[vcpu] = 0;
}
