/* SPDX-License-Identifier: MIT */
/* See pinwatch_incident.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pinwatch_incident.h"

void book_init(struct book *book)
{
	*book = (struct book){.next_number = 1};
}

void book_free(struct book *book)
{
	while (book->nr_open)
		free(book->open[--book->nr_open]);
}

static bool is_over(const struct incident *incident, uint64_t now_ms)
{
	return now_ms - incident->last_ms >= INCIDENT_QUIET_MS ||
	       now_ms - incident->first_ms >= INCIDENT_LONGEST_MS;
}

static struct incident *take_out(struct book *book, unsigned int i)
{
	struct incident *incident = book->open[i];

	book->nr_open--;
	memmove(&book->open[i], &book->open[i + 1], (book->nr_open - i) * sizeof(book->open[0]));
	return incident;
}

struct incident *book_close(struct book *book, uint64_t now_ms)
{
	for (unsigned int i = 0; i < book->nr_open; i++) {
		/* Where all places are taken, the oldest makes room. */
		if (is_over(book->open[i], now_ms) || book->nr_open == BOOK_OPEN)
			return take_out(book, i);
	}
	return NULL;
}

struct incident *book_take(struct book *book)
{
	return book->nr_open ? take_out(book, 0) : NULL;
}

uint64_t book_due(const struct book *book)
{
	uint64_t due = LINE_NONE;

	for (unsigned int i = 0; i < book->nr_open; i++) {
		uint64_t quiet = book->open[i]->last_ms + INCIDENT_QUIET_MS;
		uint64_t longest = book->open[i]->first_ms + INCIDENT_LONGEST_MS;

		if (quiet < due)
			due = quiet;
		if (longest < due)
			due = longest;
	}
	return due;
}

/* A crash ends what any vCPU was at; a line is of its own vCPU. */
static struct incident *find(const struct book *book, uint32_t domid, uint64_t vcpu)
{
	for (unsigned int i = book->nr_open; i-- > 0;) {
		struct incident *incident = book->open[i];

		if (incident->domid == domid &&
		    (vcpu == LINE_NONE || incident->vcpu == LINE_NONE || incident->vcpu == vcpu))
			return incident;
	}
	return NULL;
}

static struct incident *obtain(struct book *book, uint32_t domid, uint64_t vcpu, uint64_t now_ms,
			       time_t when, int *err)
{
	struct incident *incident = find(book, domid, vcpu);

	*err = 0;
	if (incident && !is_over(incident, now_ms)) {
		if (incident->vcpu == LINE_NONE)
			incident->vcpu = vcpu;
		return incident;
	}
	/* The caller closes what is over after each batch of lines: room is scarce in a flood only.
	 */
	if (book->nr_open == BOOK_OPEN)
		return NULL;
	incident = calloc(1, sizeof(*incident));
	if (!incident) {
		*err = -ENOMEM;
		return NULL;
	}
	incident->number = book->next_number++;
	incident->domid = domid;
	incident->vcpu = vcpu;
	incident->when = when;
	incident->first_ms = now_ms;
	incident->last_ms = now_ms;
	incident->is_crash_only = true;
	book->open[book->nr_open++] = incident;
	return incident;
}

static bool is_known(const struct book *book, uint32_t domid, const struct line *line)
{
	for (unsigned int i = 0; i < book->nr_known; i++) {
		if (book->known[i].domid == domid && book->known[i].mfn == line->mfn &&
		    book->known[i].saw == line->saw && book->known[i].wanted == line->wanted)
			return true;
	}
	return false;
}

static void add_frame(const struct book *book, struct incident *incident, const struct line *line)
{
	for (unsigned int i = 0; i < incident->nr_frames; i++) {
		struct refused_frame *f = &incident->frames[i];

		if (f->mfn == line->mfn && f->wanted == line->wanted) {
			f->times++;
			return;
		}
	}
	if (incident->nr_frames == INCIDENT_FRAMES) {
		incident->more_frames++;
		return;
	}
	incident->frames[incident->nr_frames++] = (struct refused_frame){
		.mfn = line->mfn,
		.pfn = line->pfn,
		.saw = line->saw,
		.wanted = line->wanted,
		.times = 1,
		.is_known = is_known(book, incident->domid, line),
	};
}

static void add_fact(struct incident *incident, const struct line *line)
{
	for (unsigned int i = 0; i < incident->nr_facts; i++) {
		const struct line *have = &incident->facts[i].line;

		if (have->kind == line->kind && have->mfn == line->mfn &&
		    have->entry == line->entry && have->slot == line->slot &&
		    have->level == line->level && have->error == line->error) {
			incident->facts[i].times++;
			return;
		}
	}
	if (incident->nr_facts < INCIDENT_FACTS)
		incident->facts[incident->nr_facts++] =
			(struct incident_fact){.line = *line, .times = 1};
}

struct incident *book_line(struct book *book, const char *text, uint64_t now_ms, time_t when,
			   int *err)
{
	struct incident *incident;
	struct line line;

	*err = 0;
	if (!line_parse(&line, text))
		return NULL;
	if (line.kind == LINE_SUPPRESSED) {
		if (__builtin_add_overflow(book->nr_suppressed, line.count, &book->nr_suppressed))
			book->nr_suppressed = UINT64_MAX;
		return NULL;
	}
	if (line.domid > UINT16_MAX) /* the idle domain's, or nobody's */
		return NULL;
	/* What a toolstack, or this program, tries with another domain's pages is no PV MMU affair.
	 */
	if ((line.kind == LINE_ENTRY || line.kind == LINE_FOREIGN) && line.owner != line.domid)
		return NULL;
	incident = obtain(book, (uint32_t)line.domid, line.vcpu, now_ms, when, err);
	if (!incident)
		return NULL;
	book->nr_lines++;
	incident->last_ms = now_ms;
	incident->nr_lines++;
	if (incident->nr_kept < INCIDENT_LINES)
		snprintf(incident->lines[incident->nr_kept++], INCIDENT_LINE_BYTES, "%s", text);
	if (line.kind == LINE_CRASH) {
		incident->has_crashed = true;
		return incident;
	}
	incident->is_crash_only = false;
	if (line.kind == LINE_BAD_TYPE)
		add_frame(book, incident, &line);
	else
		add_fact(incident, &line);
	return incident;
}

struct incident *book_crash(struct book *book, uint32_t domid, uint64_t now_ms, time_t when,
			    int *err)
{
	struct incident *incident = obtain(book, domid, LINE_NONE, now_ms, when, err);

	if (incident)
		incident->has_crashed = true;
	return incident;
}

bool incident_is_repeated(const struct incident *incident)
{
	if (!incident->nr_frames || incident->has_crashed || incident->more_frames)
		return false;
	for (unsigned int i = 0; i < incident->nr_frames; i++) {
		if (!incident->frames[i].is_known)
			return false;
	}
	return true;
}

void book_remember(struct book *book, const struct incident *incident)
{
	for (unsigned int i = 0; i < incident->nr_frames; i++) {
		const struct refused_frame *f = &incident->frames[i];

		if (f->is_known)
			continue;
		book->known[book->next_known].domid = incident->domid;
		book->known[book->next_known].mfn = f->mfn;
		book->known[book->next_known].saw = f->saw;
		book->known[book->next_known].wanted = f->wanted;
		book->next_known = (book->next_known + 1) % BOOK_KNOWN;
		if (book->nr_known < BOOK_KNOWN)
			book->nr_known++;
	}
}
