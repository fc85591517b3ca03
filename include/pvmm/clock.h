/* SPDX-License-Identifier: MIT */
/* The clock. Provided by arch-xen/ (and by the hosted model); the memory manager dates with it. */
#ifndef PVMM_CLOCK_H
#define PVMM_CLOCK_H

#include <pvmm/types.h>

/* Nanoseconds since Xen booted, the same on every vCPU; never runs backwards. Any context. */
PVMM_API uint64_t pvmm_clock_ns(void);

#endif
