/* SPDX-License-Identifier: MIT */
/* The list of demos. */
#include <stddef.h>
#include "demo.h"

const struct demo *const demos[] = {
	&demo_xfs,   &demo_stray, &demo_echo,	  &demo_count, &demo_bench,
	&demo_fault, &demo_panic, &demo_overflow, &demo_hang,  &demo_process,
	&demo_soak,  &demo_idle,  &demo_migrate,  &demo_grant, NULL,
};
