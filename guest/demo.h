/* SPDX-License-Identifier: MIT */
/* Demos: stories told on the console. */
#ifndef GUEST_DEMO_H
#define GUEST_DEMO_H

#include <pvmm/types.h>

struct demo {
	const char *name;
	const char *about;
	bool (*run)(void); /* true when it went as the story says */
};

/* All demos, ended by NULL. */
extern const struct demo *const demos[];
extern const struct demo demo_stray, demo_echo, demo_count, demo_bench, demo_fault, demo_panic,
	demo_overflow, demo_hang, demo_process, demo_soak, demo_xfs, demo_idle, demo_migrate,
	demo_grant;

/* soak-seconds=: how long demo=soak goes on. What is wrong with the value, or NULL. */
const char *soak_parse(const char *value);

#endif
