/* SPDX-License-Identifier: MIT */
/*
 * Lines of one refusal belong together: what a vCPU was refused within a moment is one incident.
 * The book holds the incidents that are not closed yet, and remembers what has been reported, so
 * that a guest that is refused the same again and again costs a line and no search.
 *
 * Memory is bounded whatever the console says. Times are milliseconds of a clock that only goes
 * forward.
 */
#ifndef TOOLS_PINWATCH_INCIDENT_H
#define TOOLS_PINWATCH_INCIDENT_H

#include <time.h>
#include "pinwatch_lines.h"

/* Without a new line for so long, an incident is over; and in any case after the longest time. */
#define INCIDENT_QUIET_MS   300u
#define INCIDENT_LONGEST_MS 5000u

#define INCIDENT_FRAMES	    16u
#define INCIDENT_FACTS	    12u
#define INCIDENT_LINES	    12u
#define INCIDENT_LINE_BYTES 200u

/* A frame that Xen would not have as what was asked for. */
struct refused_frame {
	uint64_t mfn, pfn; /* pfn: LINE_NONE if it was not said */
	uint64_t saw, wanted;
	uint64_t times;
	bool is_known; /* has been reported before */
};

/* What else Xen said, equal lines counted. */
struct incident_fact {
	struct line line;
	uint64_t times;
};

struct incident {
	uint64_t number;
	uint32_t domid;
	uint64_t vcpu; /* LINE_NONE: not said */
	time_t when;
	uint64_t first_ms, last_ms;
	uint64_t nr_lines;
	bool has_crashed;   /* Xen, or the watcher of domains, says so */
	bool is_crash_only; /* nothing was said of a refusal */
	struct refused_frame frames[INCIDENT_FRAMES];
	unsigned int nr_frames, nr_looked; /* the first nr_looked of them have been searched for */
	uint64_t more_frames;		   /* that found no room */
	struct incident_fact facts[INCIDENT_FACTS];
	unsigned int nr_facts;
	char lines[INCIDENT_LINES][INCIDENT_LINE_BYTES]; /* the first ones, as they came */
	unsigned int nr_kept;
	void *look; /* what was found, the owner's */
};

#define BOOK_OPEN  32u
#define BOOK_KNOWN 512u

struct book {
	struct incident *open[BOOK_OPEN];
	unsigned int nr_open;
	uint64_t next_number;
	/* Reported frames, a ring. */
	struct {
		uint32_t domid;
		uint64_t mfn, saw, wanted;
	} known[BOOK_KNOWN];
	unsigned int nr_known, next_known;
	/* Totals, for the end. */
	uint64_t nr_lines, nr_suppressed, nr_repeated;
};

void book_init(struct book *book);

/* Frees the incidents that are open, not what their look points to. */
void book_free(struct book *book);

/*
 * Takes a line of the console. The incident it belongs to, a new one perhaps; NULL if it is of no
 * interest, or without memory (-ENOMEM in *err, else 0).
 */
struct incident *book_line(struct book *book, const char *text, uint64_t now_ms, time_t when,
			   int *err);

/* The domain has crashed: the incident of that. *err as above. */
struct incident *book_crash(struct book *book, uint32_t domid, uint64_t now_ms, time_t when,
			    int *err);

/* Takes one that is over out of the book, the oldest first; NULL: none is. Freed by the caller. */
struct incident *book_close(struct book *book, uint64_t now_ms);

/* Takes any out, over or not. */
struct incident *book_take(struct book *book);

/* When book_close will have one, if nothing comes; LINE_NONE: nothing is open. */
uint64_t book_due(const struct book *book);

/* Whether all that was refused has been reported before. */
bool incident_is_repeated(const struct incident *incident);

/* Notes what the incident says as reported. */
void book_remember(struct book *book, const struct incident *incident);

#endif
