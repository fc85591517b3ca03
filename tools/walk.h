/* SPDX-License-Identifier: MIT */
/*
 * Reading a domain's memory by its virtual addresses. One table of each level is kept, so that
 * going through a range reads each table once. Only the domain's own memory is ever read.
 */
#ifndef TOOLS_WALK_H
#define TOOLS_WALK_H

#include "reader.h"

struct walker {
	struct reader *reader;
	uint64_t root;
	uint64_t kept[TOP_LEVEL + 1]; /* the frames of the tables that are in entries, by level */
	uint64_t entries[TOP_LEVEL + 1][TABLE_SLOTS];
	/* A page of memory that was read last. */
	uint64_t page_mfn;
	uint8_t page[TOOL_PAGE_SIZE];
};

void walk_init(struct walker *w, struct reader *r, uint64_t root);

/* The frame behind va; -EFAULT when there is none. */
int walk_frame(struct walker *w, uint64_t va, uint64_t *mfn);

/* Copies memory; -EFAULT when not all of it is there. */
int walk_read(struct walker *w, uint64_t va, void *to, size_t len_bytes);

/* A word of 8 bytes. */
int walk_word(struct walker *w, uint64_t va, uint64_t *word);

#endif
