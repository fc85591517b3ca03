/* SPDX-License-Identifier: MIT */
/* Says what an incident was: for people, one screenful; for programs, all of it. */
#ifndef TOOLS_PINWATCH_REPORT_H
#define TOOLS_PINWATCH_REPORT_H

#include "pinwatch_look.h"
#include "pinwatch_xen.h"

/* An incident with all that was found out about it. */
struct story {
	const struct incident *incident;
	const struct look *look;
	char name[64]; /* of the domain, "" if it has none: the domain's, print it escaped */
	bool is_repeated;
	struct watch_word words[WATCH_WORDS];
	unsigned int nr_words;
};

#define VERDICT_BYTES 256u

/* One line, printable ASCII without quotes: what is the matter. */
void story_verdict(const struct story *story, char verdict[VERDICT_BYTES]);

/* "refusal", "crash" without one, or "check" of a domain that runs. */
const char *story_kind(const struct story *story);

void story_text(const struct story *story, FILE *out);
void story_json(const struct story *story, FILE *out); /* one line */

/* The frame that the verdict is about; NULL: none. */
const struct look_frame *story_culprit(const struct story *story);

#endif
