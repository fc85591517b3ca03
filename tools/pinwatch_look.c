/* SPDX-License-Identifier: MIT */
/* See pinwatch_look.h. Owns the reader and the names of the domain for the time of one look. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "pinwatch_look.h"
#include "type_word.h"

/* Suspects that are searched for, before it is known which of them have a mapping that counts. */
#define MAX_SUSPECTS 4096u

struct session {
	struct reader reader;
	struct naming naming;
	struct look *look;
	const struct look_options *options;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int say_why(struct look *look, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int say_why(struct look *look, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(look->why, sizeof(look->why), fmt, ap);
	va_end(ap);
	return 0;
}

unsigned int look_wanted_level(const struct refused_frame *frame)
{
	struct type_word wanted;

	type_word_decode(&wanted, frame->wanted, type_layout_of(frame->saw, frame->wanted));
	return page_use_is_table(wanted.use) ? (unsigned int)wanted.use : 0;
}

/* Whether Xen counts what is in a table of that state. */
static bool counts(enum table_state state)
{
	return state == TABLE_PINNED || state == TABLE_LOADED || state == TABLE_REFERRED;
}

/*
 * The mapping that explains the refusal, and how many of its kind there are. A page's own place in
 * the direct map is one for want of another only: there a page is writable as soon as its kernel
 * has taken it back.
 */
static void find_culprit(struct session *s, const struct search_result *result,
			 struct look_frame *frame)
{
	const struct finding *f;
	struct place place;
	size_t nr;

	f = report_findings(result, frame->mfn, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (!finding_is_writable(&f[i]) || !counts(f[i].state))
			continue;
		frame->nr_found++;
		if ((frame->is_found && !frame->is_own_place) || !f[i].nr_addresses)
			continue;
		naming_place(&s->naming, f[i].at[0].va, frame->pfn, &place);
		frame->is_found = true;
		frame->is_own_place = place.is_own_place;
		frame->va = f[i].at[0].va;
		snprintf(frame->place, sizeof(frame->place), "%s", place.text);
	}
}

/* All that the report says of a frame, kept. */
static int keep_report(struct session *s, const struct search_result *result,
		       struct look_frame *frame)
{
	struct report report = {
		.reader = &s->reader,
		.naming = &s->naming,
		.result = result,
	};
	size_t len_text, len_json;
	FILE *text = open_memstream(&frame->text, &len_text);
	FILE *json = open_memstream(&frame->json, &len_json);

	if (text)
		report_text(&report, text, frame->mfn);
	if (json) {
		struct json j = {.out = json};

		report_json(&report, &j, frame->mfn);
	}
	if (text && fclose(text))
		text = NULL;
	if (json && fclose(json))
		json = NULL;
	if (json)
		frame->json[strcspn(frame->json, "\n")] = 0;
	return text && json ? 0 : -ENOMEM;
}

static int keep_notes(struct session *s, const struct search_result *result)
{
	struct report report = {
		.reader = &s->reader,
		.naming = &s->naming,
		.result = result,
	};
	struct look *look = s->look;
	size_t len;
	FILE *out;

	free(look->notes);
	look->notes = NULL;
	out = open_memstream(&look->notes, &len);
	if (!out)
		return -ENOMEM;
	report_notes_text(&report, out);
	return fclose(out) ? -ENOMEM : 0;
}

static struct look_frame *add_frame(struct look *look, enum look_reason reason, uint64_t mfn)
{
	struct look_frame *frame;

	if (look->nr_frames == LOOK_FRAMES) {
		look->more_frames++;
		return NULL;
	}
	frame = &look->frames[look->nr_frames++];
	*frame = (struct look_frame){.reason = reason, .mfn = mfn, .pfn = TOOL_NO_FRAME};
	return frame;
}

static bool has_frame(const struct look *look, uint64_t mfn)
{
	for (unsigned int i = 0; i < look->nr_frames; i++)
		if (look->frames[i].mfn == mfn)
			return true;
	return false;
}

/* Searches for the frames that were to become tables, or for those that are something else. */
static int search_frames(struct session *s, struct look_frame **frames, unsigned int nr,
			 bool tables)
{
	struct search_result result = {0};
	struct search_request request = {.writable_only = tables};
	uint64_t mfns[LOOK_FRAMES];
	int err;

	for (unsigned int i = 0; i < nr; i++)
		if (frames[i]->is_own && (frames[i]->level != 0) == tables)
			mfns[request.nr_mfns++] = frames[i]->mfn;
	if (!request.nr_mfns)
		return 0;
	request.mfns = mfns;
	err = search(&s->reader, &request, &result);
	if (!err)
		search_sort(&result);
	for (unsigned int i = 0; i < nr && !err; i++) {
		if (!frames[i]->is_own || (frames[i]->level != 0) != tables)
			continue;
		find_culprit(s, &result, frames[i]);
		err = keep_report(s, &result, frames[i]);
	}
	if (!err)
		err = keep_notes(s, &result);
	search_free(&result);
	return err;
}

static int look_refused(struct session *s, struct incident *incident)
{
	struct look_frame *frames[INCIDENT_FRAMES];
	unsigned int nr = 0;
	int err = 0;

	while (incident->nr_looked < incident->nr_frames && !err) {
		const struct refused_frame *refused = &incident->frames[incident->nr_looked++];
		struct look_frame *frame;

		if (has_frame(s->look, refused->mfn))
			continue;
		frame = add_frame(s->look, LOOK_REFUSED, refused->mfn);
		if (!frame)
			continue;
		frame->level = look_wanted_level(refused);
		if (refused->mfn < s->reader.dom->info.max_mfn)
			err = reader_is_own(&s->reader, refused->mfn, &frame->is_own);
		if (!err && frame->is_own)
			frame->pfn = reader_pfn(&s->reader, frame->mfn);
		frames[nr++] = frame;
	}
	if (!err)
		err = search_frames(s, frames, nr, true);
	return err ? err : search_frames(s, frames, nr, false);
}

/* Of the suspects, those with a writable mapping that counts; pages of zeroes come last. */
static int take_suspects(struct session *s, const struct suspect *suspects, size_t nr,
			 const struct search_result *result, bool empty)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++) {
		struct look_frame judged = {.mfn = suspects[i].mfn}, *frame;

		if (suspects[i].is_empty != empty || has_frame(s->look, suspects[i].mfn))
			continue;
		judged.pfn = reader_pfn(&s->reader, judged.mfn);
		find_culprit(s, result, &judged);
		/* A kernel takes the direct map's writable place away first of all. */
		if (!judged.is_found || judged.is_own_place)
			continue;
		frame = add_frame(s->look, empty ? LOOK_EMPTY : LOOK_SUSPECT, judged.mfn);
		if (!frame)
			continue;
		judged.reason = frame->reason;
		judged.level = suspects[i].level;
		judged.is_own = true;
		*frame = judged;
		err = keep_report(s, result, frame);
	}
	return err;
}

static int look_suspects(struct session *s)
{
	struct search_result result = {0};
	struct search_request request = {.writable_only = true};
	struct suspect *suspects;
	uint64_t *mfns;
	size_t nr;
	int err;

	err = suspects_find(&s->reader, MAX_SUSPECTS, &suspects, &nr);
	if (err)
		return err;
	s->look->was_searched = true;
	mfns = calloc(nr ? nr : 1, sizeof(*mfns));
	if (!mfns)
		err = -ENOMEM;
	for (size_t i = 0; i < nr && !err; i++)
		mfns[i] = suspects[i].mfn;
	request.mfns = mfns;
	request.nr_mfns = nr;
	if (!err && nr)
		err = search(&s->reader, &request, &result);
	if (!err)
		search_sort(&result);
	if (!err)
		err = take_suspects(s, suspects, nr, &result, false);
	if (!err)
		err = take_suspects(s, suspects, nr, &result, true);
	if (!err && nr)
		err = keep_notes(s, &result);
	search_free(&result);
	free(mfns);
	free(suspects);
	return err;
}

/* With the domain's tables read. */
static int look_inside(struct session *s, struct incident *incident, bool suspects)
{
	struct look *look = s->look;
	int err = naming_open(&s->naming, &s->reader, s->options->symbols);

	if (!err)
		err = inspect_add_tables(&s->naming.inspect, &s->reader);
	if (err)
		return err;
	snprintf(look->kernel, sizeof(look->kernel), "%s", naming_kernel(&s->naming));
	look->nr_tables = s->reader.nr_tables;
	err = look_refused(s, incident);
	if (!err && suspects)
		err = look_suspects(s);
	look->is_done = !err;
	return err;
}

/* Whether there is anything to look at; why not, otherwise. */
static bool may_look(struct look *look, struct dom *dom, const struct look_options *options)
{
	if (dom->info.is_hvm)
		say_why(look, "its pages are not typed by Xen: it is no PV domain");
	else if (dom->info.is_self && !options->force)
		say_why(look,
			"it is the domain that this program runs in (--force looks all the same)");
	else if (dom->info.is_dying)
		say_why(look,
			"it is being destroyed (on_crash=\"preserve\" keeps a crashed domain)");
	else
		return true;
	return false;
}

int look_at(struct look *look, struct incident *incident, struct dom *dom, bool suspects,
	    const struct look_options *options)
{
	struct reader_options reader_options = {.stop = options->stop};
	struct session s = {.look = look, .options = options};
	bool paused = false, can_look = may_look(look, dom, options);
	uint64_t began = now_ms();
	int err = 0;

	if (!can_look)
		return 0;
	if (options->pause && !dom->info.is_paused && !dom->info.is_shutdown) {
		err = dom->pause(dom);
		paused = !err;
	}
	if (!err)
		err = reader_open(&s.reader, dom, &reader_options);
	if (!err) {
		err = look_inside(&s, incident, suspects);
		reader_close(&s.reader);
	}
	if (paused && dom->unpause(dom) && !err)
		err = -ESRCH;
	look->went_away = dom->refresh(dom) || dom->info.is_dying;
	look->took_ms += now_ms() - began;
	if (!err || err == -ENOMEM || err == -EINTR)
		return err;
	if (err == -ESRCH)
		return say_why(look, "it went away (on_crash=\"preserve\" keeps a crashed domain)");
	return say_why(look, "its tables cannot be read: %s", strerror(-err));
}

void look_free(struct look *look)
{
	for (unsigned int i = 0; i < look->nr_frames; i++) {
		free(look->frames[i].text);
		free(look->frames[i].json);
	}
	free(look->notes);
	*look = (struct look){0};
}
