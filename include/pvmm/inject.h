/* SPDX-License-Identifier: MIT */
/*
 * Fault injection, in test builds of the library only (make INJECT=1): one hypercall is not made
 * and answers with a given error. In other builds the functions do not exist; they are declared
 * weak, so that a test can ask.
 */
#ifndef PVMM_INJECT_H
#define PVMM_INJECT_H

#include <pvmm/types.h>

#define PVMM_INJECT_ANY UINT32_MAX

/*
 * From now on the nth (from 1) hypercall with this number, or PVMM_INJECT_ANY, returns err instead
 * of trapping. Entries of a multicall count one each. 0 for nth takes it back.
 */
PVMM_API void pvmm_inject_arm(unsigned int op, uint64_t nth, int err) __attribute__((weak));

/* Whether that has happened since it was armed. */
PVMM_API bool pvmm_inject_fired(void) __attribute__((weak));

#endif
