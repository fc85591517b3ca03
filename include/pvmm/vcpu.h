/* SPDX-License-Identifier: MIT */
/*
 * vCPUs, numbered from 0, the boot vCPU, which is always up. Those that the toolstack wants (vcpus=
 * in the xl configuration) are up before pvmm_kernel_main runs; the others (maxvcpus=) can be
 * brought up, and all but the boot vCPU taken down, at run time. Which are up may be any set;
 * docs/porting.md says what each finds and leaves.
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

/* --- which are up --- */

/*
 * How many are up, whether one is, and the first from a number on, PVMM_MAX_VCPUS if there is none:
 *
 *	for (v = pvmm_next_vcpu(0); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1))
 *
 * Any context. A vCPU may come or go right afterwards, unless the kernel keeps it from that.
 */
PVMM_API unsigned int pvmm_nr_vcpus(void);
PVMM_API bool pvmm_vcpu_is_up(unsigned int vcpu);
PVMM_API unsigned int pvmm_next_vcpu(unsigned int from);

/* --- up and down; in a thread, without a lock or an open batch --- */

/*
 * Brings a vCPU up, and returns when it runs: in pvmm_kernel_secondary, each time from its
 * beginning. What memory it needs it gets the first time, and keeps.
 *
 *	-XEN_ENOENT	the domain has no such vCPU, or the library knows no more
 *	-XEN_EBUSY	it is up, or somebody is bringing it up
 *	-XEN_ENOMEM	no memory for it: nothing is taken
 *	-XEN_ETIMEDOUT	Xen has not run it for a minute: it may still come
 * or what Xen says. It is down then, and can be tried again.
 */
PVMM_API int pvmm_vcpu_up(unsigned int vcpu);

/* Pages that vCPUs other than the boot vCPU have been given so: what a count of memory may miss. */
PVMM_API uint64_t pvmm_vcpu_pages(void);

/*
 * Asks a vCPU to go down, and returns when Xen does not run it any more. The vCPU does it itself
 * when it comes to it, so this sleeps in Xen meanwhile; events are handled.
 *
 *	-XEN_EINVAL	the boot vCPU, or this one
 *	-XEN_ENOENT	it is not up
 *	-XEN_EBUSY	it has been asked already
 *	-XEN_ETIMEDOUT	it has not come to it in so much time: the request is taken back
 */
PVMM_API int pvmm_vcpu_down(unsigned int vcpu, uint64_t patience_ns);

/* For the vCPU itself: whether it has been asked. A kernel looks where it can leave it. */
PVMM_API bool pvmm_vcpu_must_go(void);

/*
 * Takes the calling vCPU down, asked or not: not the boot vCPU. On the stack that it booted on,
 * which is not kept; no lock held, no batch open, nothing mapped with pvmm_kmap_local. Leaves the
 * loaded address space, stops its timer, has its event ports moved to vCPU 0 (but those of a VIRQ
 * or an IPI, which stay with it). What the kernel itself keeps on the vCPU it has handed over
 * before.
 */
PVMM_API PVMM_NORETURN void pvmm_vcpu_go_down(void);

/*
 * What the toolstack says of a vCPU in xenstore (cpu/N/availability, which xl vcpu-set writes). 0,
 * or -XEN_EINVAL for neither "online" nor "offline", with the value in text, made printable; or the
 * store's error (pvmm/xenstore.h), -XEN_ENOENT when it says nothing. *online is left alone then.
 * text has room for PVMM_VCPU_TEXT_BYTES.
 */
#define PVMM_VCPU_TEXT_BYTES 32
PVMM_API int pvmm_vcpu_wanted(unsigned int vcpu, bool *online, char *text);

/* --- calls --- */

/*
 * Runs fn(ctx) on a vCPU, as an event handler does, and returns when it has run: 0, or -XEN_ENOENT
 * for a vCPU that is not up, or goes down before it has run. Meanwhile calls for this vCPU are
 * answered, so that two may call each other; a caller holds no lock that a called function takes.
 */
typedef void pvmm_vcpu_fn(void *ctx);
PVMM_API int pvmm_vcpu_call(unsigned int vcpu, pvmm_vcpu_fn *fn, void *ctx);

/*
 * Sends a vCPU an event that does nothing: it wakes from pvmm_events_wait, or leaves user code. One
 * that is down stays so.
 */
PVMM_API void pvmm_vcpu_kick(unsigned int vcpu);

#endif
