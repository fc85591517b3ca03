/* SPDX-License-Identifier: MIT */
/*
 * How long one waits for another, looking again and again. It is the waiting that counts, not the
 * clock: between two looks at most PVMM_PATIENCE_LOOK_NS of it passes. So a machine that stood
 * still, or a domain that was paused, has made nobody late.
 */
#ifndef PVMM_PATIENCE_H
#define PVMM_PATIENCE_H

#include <pvmm/clock.h>

/* Longer than any of the library's sleeps between two looks. */
#define PVMM_PATIENCE_LOOK_NS 200000000ULL

struct pvmm_patience {
	uint64_t left_ns, looked_ns;
};

static inline struct pvmm_patience pvmm_patience_of(uint64_t ns)
{
	return (struct pvmm_patience){.left_ns = ns, .looked_ns = pvmm_clock_ns()};
}

/* At each look that was in vain; false when the patience is at its end. Any context. */
static inline bool pvmm_patience_lasts(struct pvmm_patience *p)
{
	uint64_t now = pvmm_clock_ns(), waited = now - p->looked_ns;

	if (waited > PVMM_PATIENCE_LOOK_NS)
		waited = PVMM_PATIENCE_LOOK_NS;
	p->looked_ns = now;
	p->left_ns -= waited < p->left_ns ? waited : p->left_ns;
	return p->left_ns;
}

#endif
