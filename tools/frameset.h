/* SPDX-License-Identifier: MIT */
/* A set of frame numbers below a limit: a bitmap of which only the parts in use take memory. */
#ifndef TOOLS_FRAMESET_H
#define TOOLS_FRAMESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frameset {
	uint64_t limit; /* frames are below it */
	uint64_t nr;	/* in the set */
	uint64_t **parts;
};

/* 0, or -ENOMEM. An all-zero set is empty and may be freed. */
int frameset_init(struct frameset *set, uint64_t limit);
void frameset_free(struct frameset *set);

/* 1: added; 0: it was there already, or is not below the limit; -ENOMEM. */
int frameset_add(struct frameset *set, uint64_t frame);
bool frameset_has(const struct frameset *set, uint64_t frame);

/* The first frame from here on; TOOL_NO_FRAME if there is none. */
uint64_t frameset_next(const struct frameset *set, uint64_t from);

#endif
