/* SPDX-License-Identifier: MIT */
/* The list of suites. */
#include <stddef.h>
#include "suites.h"

static void this_fails(void)
{
	CHECK_EQUAL(1 + 1, 3);
}

const struct suite suite_red = {
	.name = "red",
	.about = "fails on purpose, to see that the harness notices; not part of \"all\"",
	.on_request = true,
	.tests = (const struct test[]){{"one and one is three", this_fails}, {NULL, NULL}},
};

/*
 * Programs come before the balloon, which scatters pages where the domain is small; and the balloon
 * before those whose pins Xen refuses, since it may keep a page then (docs/xen-rules.md, 42).
 */
const struct suite *const suites[] = {
	&suite_boot,	 &suite_alloc,	 &suite_trap,	&suite_event,	&suite_vcpu,
	&suite_process,	 &suite_balloon, &suite_grant,	&suite_hotplug, &suite_batch,
	&suite_space,	 &suite_memory,	 &suite_vmap,	&suite_kmap,	&suite_console,
	&suite_xenstore, &suite_stray,	 &suite_matrix, &suite_outside, &suite_outside_all,
	&suite_red,	 &suite_inject,	 &suite_iomem,	NULL,
};
