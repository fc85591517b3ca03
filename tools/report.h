/* SPDX-License-Identifier: MIT */
/* Says what a search has found: for people, and as JSON for programs. */
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include "naming.h"
#include "search.h"
#include "text.h"

struct report {
	struct reader *reader;
	struct naming *naming;
	const struct search_result *result; /* sorted */
	bool shows_paths;		    /* every level on the way to an address */
};

/* One frame, and all findings of it. */
void report_text(const struct report *report, FILE *out, uint64_t mfn);
void report_json(const struct report *report, struct json *j, uint64_t mfn);

/* What must be said of the picture as a whole; nothing if there is nothing. */
void report_notes_text(const struct report *report, FILE *out);
void report_notes_json(const struct report *report, struct json *j);

/* "domain 3 "linux": 64-bit PV, 65536 pages, 412 page tables (5 pinned)" */
void report_domain_text(const struct report *report, FILE *out);
void report_domain_json(const struct report *report, struct json *j);

/* Whether the answer may lack something. */
bool report_is_incomplete(const struct report *report);

/* The findings of a frame: from here, so many. */
const struct finding *report_findings(const struct search_result *result, uint64_t mfn, size_t *nr);

#endif
