/* SPDX-License-Identifier: MIT */
/* Work for all vCPUs at once. */
#ifndef GUEST_TOGETHER_H
#define GUEST_TOGETHER_H

#include <pvmm/vcpu.h>

/* Runs fn(ctx) on every vCPU that is up, this one among them, at the same time; returns when all
 * have. */
void together(pvmm_vcpu_fn *fn, void *ctx);

#endif
