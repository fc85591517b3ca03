/* SPDX-License-Identifier: MIT */
/* What a root table of a core maps, as runs of pages that lie next to each other in the file too. */
#ifndef TOOLS_CORE_WALK_H
#define TOOLS_CORE_WALK_H

#include "core_in.h"

struct core_run {
	uint64_t va, index, nr_pages; /* index: the number of its first page in the file */
	bool writable, executable;
};

struct core_runs {
	struct core_run *runs;
	uint64_t nr, room;
	uint64_t nr_pages;   /* in all of them */
	uint64_t nr_missing; /* pages that are mapped, and not in the core: frames of others */
	uint64_t
		tables_left; /* the walk ends when it has seen so many: tables may lead to themselves */
};

/*
 * Fills runs, in the order of addresses, with what root_mfn maps outside of Xen's own range. 0,
 * -ENOENT if the root is not in the core, -ENOMEM, or -ELOOP if there are more tables than there can
 * be. The caller frees runs->runs.
 */
int core_walk(const struct core *core, uint64_t root_mfn, struct core_runs *runs);

#endif
