/* SPDX-License-Identifier: MIT */
/*
 * vCPUs. All that the domain has (vcpus= in the xl configuration) are up before pvmm_kernel_main
 * runs, numbered from 0, the boot vCPU; docs/porting.md says what each finds.
 *
 * vCPU-local data is indexed by the vCPU's number and needs no lock. The lower rooms need the first
 * two functions only, which the hosted tests provide themselves.
 */
#ifndef PVMM_VCPU_H
#define PVMM_VCPU_H

#include <pvmm/types.h>

/* Vcpu_info for more vCPUs than this would have to be registered by hand (xen/xen.h). */
#define PVMM_MAX_VCPUS 32

/* The number of the vCPU that runs this code. */
PVMM_API unsigned int pvmm_this_vcpu(void);

/* Lets other vCPUs have the processor: for one that waits for what another has to do. */
PVMM_API void pvmm_vcpu_yield(void);

/* vCPUs that are up: 0 to this, exclusive. */
PVMM_API unsigned int pvmm_nr_vcpus(void);

/*
 * Runs fn(ctx) on a vCPU, as an event handler does, and returns when it has run: 0, or -XEN_ENOENT
 * for a vCPU that is not up. Meanwhile calls for this vCPU are answered, so that two may call each
 * other; a caller holds no lock that a called function takes.
 */
typedef void pvmm_vcpu_fn(void *ctx);
PVMM_API int pvmm_vcpu_call(unsigned int vcpu, pvmm_vcpu_fn *fn, void *ctx);

/* Sends a vCPU an event that does nothing: it wakes from pvmm_events_wait, or leaves user code. */
PVMM_API void pvmm_vcpu_kick(unsigned int vcpu);

#endif
