/* SPDX-License-Identifier: MIT */
/* vCPUs that come and go as the toolstack says (xl vcpu-set). */
#ifndef GUEST_HOTPLUG_H
#define GUEST_HOTPLUG_H

#include <pvmm/types.h>

/*
 * From start to stop, a thread that does what cpu/N/availability says of every vCPU, and writes
 * which are up to data/pvmm/vcpus ("0,2,3"). False when there is no store or no memory; a line says
 * which. stop returns when the thread is gone.
 */
bool hotplug_start(void);
void hotplug_stop(void);

#endif
