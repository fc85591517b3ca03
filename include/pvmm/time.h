/* SPDX-License-Identifier: MIT */
/* Each vCPU's one-shot timer. There is no tick. */
#ifndef PVMM_TIME_H
#define PVMM_TIME_H

#include <pvmm/clock.h>

/*
 * Calls fn(ctx) once, on this vCPU, as an event handler, when so much time has passed. A vCPU has
 * one timer: setting it replaces what was set. fn may set it again.
 */
typedef void pvmm_timer_fn(void *ctx);
PVMM_API void pvmm_timer_set(uint64_t ns_from_now, pvmm_timer_fn *fn, void *ctx);

#endif
