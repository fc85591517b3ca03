/* SPDX-License-Identifier: MIT */
/* The clock. Provided by arch-xen/ (and by the hosted model); the memory manager dates with it. */
#ifndef PVMM_CLOCK_H
#define PVMM_CLOCK_H

#include <pvmm/types.h>

/*
 * Nanoseconds since the Xen that the domain began under booted, the same on every vCPU; never runs
 * backwards. While the domain is saved it stands still, and goes on where it stopped, whatever the
 * clock of the Xen says that it goes on under. Any context.
 */
PVMM_API uint64_t pvmm_clock_ns(void);

/*
 * Nanoseconds since 1970 (UTC), as the host has it: it may be set, and it does not stop. Provided
 * by arch-xen/ alone. Any context.
 */
PVMM_API uint64_t pvmm_wallclock_ns(void);

#endif
