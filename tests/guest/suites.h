/* SPDX-License-Identifier: MIT */
/* The suites that there are; each is described where it is defined. */
#ifndef TESTS_GUEST_SUITES_H
#define TESTS_GUEST_SUITES_H

#include "suite.h"

extern const struct suite suite_boot, suite_alloc, suite_trap, suite_event, suite_vcpu, suite_batch,
	suite_space, suite_memory, suite_process, suite_vmap, suite_kmap, suite_console,
	suite_stray, suite_matrix, suite_outside, suite_outside_all, suite_red, suite_inject,
	suite_xenstore;

#endif
