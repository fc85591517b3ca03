/* SPDX-License-Identifier: MIT */
/*
 * What a kernel on top of the library provides and what it finds: link libpvmm.a with pvmm.lds,
 * define pvmm_kernel_main, and you are a PV domU with all its memory mapped and managed.
 */
#ifndef PVMM_KERNEL_H
#define PVMM_KERNEL_H

#include <pvmm/cmdline.h>
#include <pvmm/time.h>
#include <pvmm/xen.h>

/* Provided by the kernel. Runs with events on; returning from it is a clean power-off. */
void pvmm_kernel_main(void);

/*
 * Provided by the kernel if it has something to do for the other vCPUs: each calls it, with events
 * on, on a stack of its own, before or while pvmm_kernel_main runs. A vCPU that returns from it, or
 * finds none, blocks, and handles events for ever.
 */
PVMM_API void pvmm_kernel_secondary(void) __attribute__((weak));

/*
 * Provided by the kernel if it has options of its own, ended by one with a NULL name. They are
 * parsed before there is memory management; a bad command line refuses the boot.
 */
extern PVMM_API const struct pvmm_option pvmm_kernel_options[] __attribute__((weak));

/* What the domain builder said; a copy. */
PVMM_API const struct start_info *pvmm_start_info(void);

/* Xen's shared page; this vCPU's part is pvmm_vcpu_info(). */
PVMM_API struct shared_info *pvmm_shared_info(void);
PVMM_API struct vcpu_info *pvmm_vcpu_info(void);

/* Why the domain stops; xl acts on it (on_poweroff=, on_crash=, ...). Console output is flushed. */
PVMM_API PVMM_NORETURN void pvmm_shutdown(unsigned int sched_reason);

#endif
