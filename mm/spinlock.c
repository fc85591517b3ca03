/* SPDX-License-Identifier: MIT */
/* Owns the count of locks that each vCPU holds (pvmm/spinlock.h). */
#include <pvmm/spinlock.h>

uint32_t pvmm_locks[PVMM_MAX_VCPUS];
