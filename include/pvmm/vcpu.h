/* SPDX-License-Identifier: MIT */
/*
 * The vCPU that runs this code, as far as the lower rooms need to know it: its number. vCPU-local
 * data is indexed by it and needs no lock.
 */
#ifndef PVMM_VCPU_H
#define PVMM_VCPU_H

#include <pvmm/types.h>

/* Vcpu_info for more vCPUs than this would have to be registered by hand (xen/xen.h). */
#define PVMM_MAX_VCPUS 32

PVMM_API unsigned int pvmm_this_vcpu(void);

#endif
