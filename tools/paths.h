/* SPDX-License-Identifier: MIT */
/* From an entry up to the roots: which addresses lead to it, and whether Xen counts it. */
#ifndef TOOLS_PATHS_H
#define TOOLS_PATHS_H

#include "search.h"

/* An entry of a table that leads to a table of the level below. */
struct link {
	uint64_t child, parent;
	uint16_t slot;
	bool is_writable;
};

/* Sorted by child. Every child and every parent is a table of the reader's. */
struct links {
	const struct link *list;
	size_t nr;
};

/* Fills in the addresses of an entry, the state of its table and its pfn. */
void paths_find(struct reader *r, const struct links *links, struct finding *f);

static inline int frames_compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

#endif
