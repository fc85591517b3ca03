/* SPDX-License-Identifier: MIT */
/*
 * Looks into a domain for what an incident is about: who maps the refused frames writable, or who
 * has them as tables; and in a crashed domain, of which nothing was said, which pages were about to
 * become page tables and are still mapped writable.
 *
 * The answers are made into text and JSON while the domain's tables are at hand; what stays is
 * those, and the few facts that a verdict is made of.
 */
#ifndef TOOLS_PINWATCH_LOOK_H
#define TOOLS_PINWATCH_LOOK_H

#include "pinwatch_incident.h"
#include "report.h"

#define LOOK_FRAMES    32u
#define LOOK_WHY_BYTES 200u

enum look_reason {
	LOOK_REFUSED, /* Xen named it */
	LOOK_SUSPECT, /* read-only for the kernel, filled like a table, and mapped writable */
	LOOK_EMPTY,   /* the same, but it holds zeroes */
};

struct look_frame {
	enum look_reason reason;
	uint64_t mfn, pfn;  /* pfn: TOOL_NO_FRAME if there is none */
	unsigned int level; /* that it was to have; 0: not known, or no table */
	bool is_own;	    /* the domain's memory */
	/* The first writable mapping that Xen counts. */
	bool is_found;
	bool is_own_place; /* it is where the direct map has just this frame */
	uint64_t va;
	char place[PLACE_TEXT]; /* escaped where the domain has its say */
	uint64_t nr_found;
	char *text, *json; /* all holders; what is from the domain is escaped in them */
};

struct look {
	bool is_done; /* the domain's tables were read; otherwise why says why not */
	char why[LOOK_WHY_BYTES];
	bool went_away; /* while it was looked into: what was found may not be all */
	char name[64];	/* of the domain: print it escaped */
	struct look_frame frames[LOOK_FRAMES];
	unsigned int nr_frames;
	uint64_t more_frames;
	uint64_t nr_tables;
	char kernel[16];
	bool was_searched; /* for suspects */
	char *notes;	   /* what must be said of the picture as a whole; "" if nothing */
	uint64_t took_ms;
};

struct look_options {
	bool pause;		 /* the domain, unless it stands anyway */
	bool force;		 /* look into the domain that this program runs in, too */
	struct symbols *symbols; /* NULL: none */
	const volatile int *stop;
};

/*
 * dom: open; what cannot be done there is said in look->why. Frames of the incident that have not
 * been looked for are searched; with suspects, so is the whole domain for those. look: all zero, or
 * the result of an earlier look for this incident, to which is added. 0, -ENOMEM, or -EINTR when
 * stopped.
 */
int look_at(struct look *look, struct incident *incident, struct dom *dom, bool suspects,
	    const struct look_options *options);

void look_free(struct look *look);

/* The level of table that was asked for; 0 for anything else. */
unsigned int look_wanted_level(const struct refused_frame *frame);

/* --- for the parts of the look --- */

/* A page that a kernel was about to use as a page table. */
struct suspect {
	uint64_t mfn;
	unsigned int level; /* 0: not known */
	bool is_empty;
};

/* The caller frees them; *nr is at most max. -ENOMEM, -EINTR. */
int suspects_find(struct reader *r, size_t max, struct suspect **suspects, size_t *nr);

#endif
