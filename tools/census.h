/* SPDX-License-Identifier: MIT */
/*
 * What each frame of a domain is and how often it is mapped: 32 bytes a frame. Counts are of L1
 * entries in the domain's own tables, those that Xen counts (in tables in use) and others alike.
 */
#ifndef TOOLS_CENSUS_H
#define TOOLS_CENSUS_H

#include "reader.h"

/* flags */
#define CENSUS_PINNED	0x01
#define CENSUS_LOADED	0x02 /* a vCPU's root */
#define CENSUS_SEGMENTS 0x04 /* a vCPU's GDT */
#define CENSUS_GRANTED	0x08
#define CENSUS_FREE	0x10 /* by the guest's own records */
#define CENSUS_UNTYPED	0x20 /* a table by the guest's own records only */
#define CENSUS_STRAY	0x40 /* census_mark_strays */

struct census_frame {
	uint64_t mfn, pfn;
	uint32_t nr_writable, nr_readonly; /* they stop counting at their ends */
	uint8_t level;			   /* 0: no table */
	uint8_t flags;
};

struct census {
	struct census_frame *frames; /* by mfn */
	size_t nr;
	uint64_t foreign; /* entries that map what is not the domain's */
};

int census_take(struct reader *r, struct census *census);
void census_free(struct census *census);

struct census_frame *census_frame(const struct census *census, uint64_t mfn);

/*
 * Marks what is suspicious: a page table of Xen's with a writable mapping; a page that the guest's
 * records have as free, or as a table that Xen does not know yet, with a mapping besides its place
 * in the direct map (direct_map, 0: not known, read through the tables of root).
 */
int census_mark_strays(struct reader *r, struct census *census, uint64_t direct_map, uint64_t root);

#endif
