/* SPDX-License-Identifier: MIT */
/*
 * What a kernel of this library knows of its own memory (pvmm/inspect.h), read from outside: page
 * kinds and counts, who allocated and freed, areas of the vmap region, names of functions. Hostile
 * input like everything else: each answer is one that the guest gives, true or not.
 */
#ifndef TOOLS_INSPECT_H
#define TOOLS_INSPECT_H

#include <pvmm/inspect.h>
#include "census.h"
#include "walk.h"

#define INSPECT_DEPTH 16u
/* Names are escaped (text.h) when they are read: so long at most, and so much room. */
#define INSPECT_RAW  48u
#define INSPECT_NAME (4 * INSPECT_RAW)

struct inspect {
	bool is_known; /* the domain is such a kernel, and its tables could be walked */
	struct pvmm_inspect block;
	struct walker walk;
	uint64_t stacks, nr_stacks, nr_symbols;
};

struct inspect_page {
	unsigned int kind;
	uint32_t live, stale;	   /* mappings besides the direct map's */
	uint32_t allocated, freed; /* stacks; 0: not known */
};

struct inspect_stack {
	unsigned int nr;
	uint64_t callers[INSPECT_DEPTH]; /* innermost first */
};

struct inspect_area {
	uint64_t va, nr_pages;
	char name[INSPECT_NAME];
	const char *state; /* "live", "stale", "cleared" */
	bool is_guard;	   /* the address is behind its end */
	uint64_t made_ns, given_up_ns;
	uint32_t maker, giver_up; /* stacks */
};

/* Looks for the block. Not finding one is no error. */
int inspect_open(struct inspect *i, struct reader *r);

/* -EFAULT where the guest's records lead nowhere; -ENOENT where they have nothing. */
int inspect_page(struct inspect *i, uint64_t pfn, struct inspect_page *page);
int inspect_stack(struct inspect *i, uint32_t number, struct inspect_stack *stack);
int inspect_area(struct inspect *i, uint64_t va, struct inspect_area *area);

/* "name+0x12", or the bare address. */
void inspect_describe(struct inspect *i, uint64_t va, char *buf, size_t len_bytes);

const char *inspect_kind_name(unsigned int kind);

/* Tells the reader of tables that Xen does not know as such, and the census of free pages. */
int inspect_add_tables(struct inspect *i, struct reader *r);
int inspect_mark_free(struct inspect *i, struct census *census);

/* Frames that are free by the guest's records; the caller frees the list. */
int inspect_free_frames(struct inspect *i, uint64_t **mfns, size_t *nr);

#endif
