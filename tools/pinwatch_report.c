/* SPDX-License-Identifier: MIT */
/*
 * See pinwatch_report.h. What is from the domain is escaped where it is printed; what is from the
 * console is printable already (pinwatch_ring.h).
 */
#define _GNU_SOURCE
#include <string.h>
#include "pinwatch_report.h"
#include "type_word.h"

#define ULL(v) ((unsigned long long)(v))

/* What fits on a screen: so many frames in full, so many more by name, so many lines of a frame. */
#define FULL_FRAMES  3u
#define NAMED_FRAMES 6u
#define FRAME_LINES  8u
#define FACTS	     5u

/* Of Xen's error numbers; those that a refusal can have. */
static const char *error_name(int64_t error)
{
	const char *name = error < 0 && error > -4096 ? strerrorname_np((int)-error) : NULL;

	return name ? name : "error";
}

const struct look_frame *story_culprit(const struct story *story)
{
	const struct look *look = story->look;

	for (unsigned int i = 0; i < look->nr_frames; i++)
		if (look->frames[i].is_found && !look->frames[i].is_own_place &&
		    look->frames[i].reason != LOOK_EMPTY)
			return &look->frames[i];
	return NULL;
}

const char *story_kind(const struct story *story)
{
	if (!story->incident->is_crash_only)
		return "refusal";
	return story->incident->has_crashed ? "crash" : "check";
}

static void print_level(char *buf, size_t len_bytes, unsigned int level)
{
	if (level)
		snprintf(buf, len_bytes, "an L%u page table", level);
	else
		snprintf(buf, len_bytes, "a page table");
}

void story_verdict(const struct story *story, char verdict[VERDICT_BYTES])
{
	const struct incident *incident = story->incident;
	const struct look_frame *culprit = story_culprit(story);
	char what[40];

	if (culprit && (culprit->level || culprit->reason != LOOK_REFUSED)) {
		print_level(what, sizeof(what), culprit->level);
		snprintf(
			verdict, VERDICT_BYTES,
			"stray writable mapping at 0x%llx: mfn 0x%llx (pfn 0x%llx) cannot become %s",
			ULL(culprit->va), ULL(culprit->mfn), ULL(culprit->pfn), what);
	} else if (incident->nr_frames) {
		char saw[TYPE_WORD_BYTES];
		const struct refused_frame *f = &incident->frames[0];
		enum type_layout layout = type_layout_of(f->saw, f->wanted);
		struct type_word wanted;

		type_word_decode(&wanted, f->wanted, layout);
		type_word_describe(f->saw, layout, saw);
		snprintf(verdict, VERDICT_BYTES, "mfn 0x%llx cannot become %s: it is %s",
			 ULL(f->mfn), page_use_name(wanted.use), saw);
	} else if (incident->nr_facts) {
		snprintf(verdict, VERDICT_BYTES, "%s",
			 line_kind_meaning(incident->facts[0].line.kind));
	} else {
		snprintf(verdict, VERDICT_BYTES, "nothing was said of a refusal");
	}
}

/* --- for people --- */

static void print_frame_number(FILE *out, uint64_t mfn, uint64_t pfn)
{
	fprintf(out, "mfn 0x%llx", ULL(mfn));
	if (pfn != TOOL_NO_FRAME)
		fprintf(out, " (pfn 0x%llx)", ULL(pfn));
}

static const struct refused_frame *refused(const struct incident *incident, uint64_t mfn)
{
	for (unsigned int i = 0; i < incident->nr_frames; i++)
		if (incident->frames[i].mfn == mfn)
			return &incident->frames[i];
	return NULL;
}

static void print_refused(FILE *out, const struct refused_frame *f)
{
	enum type_layout layout = type_layout_of(f->saw, f->wanted);
	char saw[TYPE_WORD_BYTES];
	struct type_word wanted;

	type_word_decode(&wanted, f->wanted, layout);
	type_word_describe(f->saw, layout, saw);
	fputs("  refused  ", out);
	print_frame_number(out, f->mfn, f->pfn);
	fprintf(out, ": wanted %s; saw %s (%016llx)", page_use_name(wanted.use), saw, ULL(f->saw));
	if (f->times > 1)
		fprintf(out, ", %llu times", ULL(f->times));
	if (f->is_known)
		fputs(", reported before", out);
	fputs("\n", out);
}

/* The lines of a frame's report, indented, not too many. Its first line repeats the frame. */
static void print_report(FILE *out, const char *text)
{
	unsigned int nr = 0;
	const char *end;

	for (text = strchr(text, '\n'); text && text[1]; text = end) {
		end = strchr(++text, '\n');
		if (nr++ == FRAME_LINES) {
			fputs("           ... (pvmm-aliases and --json say all)\n", out);
			return;
		}
		fprintf(out, "  %.*s\n", end ? (int)(end - text) : (int)strlen(text), text);
	}
}

static const char *not_found(const struct look_frame *frame)
{
	if (!frame->is_own)
		return "it is no memory of the domain's (any more)";
	return frame->level ? "no writable mapping of it is left"
			    : "see pvmm-aliases for its holders";
}

static void print_look_frame(const struct story *story, FILE *out, const struct look_frame *frame)
{
	const struct refused_frame *f = refused(story->incident, frame->mfn);
	char what[40];

	if (f) {
		print_refused(out, f);
	} else {
		print_level(what, sizeof(what), frame->level);
		fputs(frame->reason == LOOK_EMPTY ? "  perhaps  " : "  suspect  ", out);
		print_frame_number(out, frame->mfn, frame->pfn);
		fprintf(out, ": %s, read-only for the kernel, but mapped writable, too\n",
			frame->reason == LOOK_EMPTY ? "empty" : what);
	}
	if (frame->is_own_place)
		fputs("    its own place in the direct map is all: the kernel has taken it back, or never made "
		      "it read-only\n",
		      out);
	if (frame->text && (frame->is_found || !frame->level))
		print_report(out, frame->text);
	else
		fprintf(out, "    %s\n", not_found(frame));
}

static void print_brief(FILE *out, const struct look_frame *frame)
{
	fputs("  also     ", out);
	print_frame_number(out, frame->mfn, frame->pfn);
	if (frame->is_found) {
		fprintf(out, ": mapped writable at 0x%llx, %s\n", ULL(frame->va), frame->place);
	} else {
		fprintf(out, ": %s\n", not_found(frame));
	}
}

static void print_look(const struct story *story, FILE *out)
{
	const struct look *look = story->look;
	uint64_t more = look->more_frames;

	for (unsigned int i = 0; i < look->nr_frames; i++) {
		if (i < FULL_FRAMES)
			print_look_frame(story, out, &look->frames[i]);
		else if (i < FULL_FRAMES + NAMED_FRAMES)
			print_brief(out, &look->frames[i]);
		else
			more++;
	}
	if (more)
		fprintf(out, "  also     %llu more frames\n", ULL(more));
	if (look->was_searched && !look->nr_frames)
		fputs("  searched no page that is read-only for the kernel and filled like a page table "
		      "has a writable mapping\n",
		      out);
	if (look->notes && *look->notes)
		fputs(look->notes, out);
	if (look->went_away)
		fputs("note: the domain went away meanwhile (on_crash=\"preserve\" keeps a crashed one)\n",
		      out);
	if (look->is_done)
		fprintf(out, "  looked   through %llu page tables in %llu ms; kernel: %s\n",
			ULL(look->nr_tables), ULL(look->took_ms), look->kernel);
}

static void print_fact(FILE *out, const struct incident_fact *fact)
{
	const struct line *l = &fact->line;

	fprintf(out, "  Xen says %s", line_kind_meaning(l->kind));
	if (l->level != LINE_NONE)
		fprintf(out, ", L%llu", ULL(l->level));
	if (l->slot != LINE_NONE)
		fprintf(out, ", slot 0x%llx", ULL(l->slot));
	if (l->mfn != LINE_NONE) {
		fputs(", ", out);
		print_frame_number(out, l->mfn, l->pfn);
	}
	if (l->entry != LINE_NONE)
		fprintf(out, ", entry %016llx", ULL(l->entry));
	if (l->flags != LINE_NONE)
		fprintf(out, ", bits 0x%llx", ULL(l->flags));
	if (l->owner != LINE_NONE)
		fprintf(out, ", of domain %llu", ULL(l->owner));
	if (l->error)
		fprintf(out, ": %s (%lld)", error_name(l->error), (long long)l->error);
	if (fact->times > 1)
		fprintf(out, ", %llu times", ULL(fact->times));
	fputs("\n", out);
}

static void print_words(const struct story *story, FILE *out)
{
	if (!story->nr_words)
		return;
	fputs("  guest    ", out);
	for (unsigned int i = 0; i < story->nr_words; i++) {
		fputs(i ? ", " : "", out);
		text_escaped(out, story->words[i].name);
		fputs(" ", out);
		text_escaped(out, story->words[i].value);
	}
	fputs("\n", out);
}

static void print_head(const struct story *story, FILE *out)
{
	const struct incident *incident = story->incident;
	char verdict[VERDICT_BYTES], time[40] = "";
	struct tm tm;

	if (gmtime_r(&incident->when, &tm))
		strftime(time, sizeof(time), "%Y-%m-%d %H:%M:%SZ", &tm);
	story_verdict(story, verdict);
	fprintf(out, "incident %llu: domain %u \"", ULL(incident->number), incident->domid);
	text_escaped(out, story->name);
	fprintf(out, "\": %s%s%s\n", verdict,
		incident->has_crashed ? "; the domain has crashed" : "",
		story->is_repeated ? " (as before)" : "");
	fprintf(out, "  when     %s", time);
	if (incident->vcpu != LINE_NONE)
		fprintf(out, ", vCPU %llu", ULL(incident->vcpu));
	if (incident->nr_lines)
		fprintf(out, ", in %llu lines of the console", ULL(incident->nr_lines));
	fputs("\n", out);
}

void story_text(const struct story *story, FILE *out)
{
	const struct incident *incident = story->incident;
	const struct look *look = story->look;

	print_head(story, out);
	if (story->is_repeated) {
		fflush(out);
		return;
	}
	if (!look->is_done) {
		for (unsigned int i = 0; i < incident->nr_frames && i < FULL_FRAMES; i++)
			print_refused(out, &incident->frames[i]);
		if (*look->why)
			fprintf(out, "  not looked into the domain: %s\n", look->why);
	} else {
		print_look(story, out);
	}
	for (unsigned int i = 0; i < incident->nr_facts && i < FACTS; i++)
		print_fact(out, &incident->facts[i]);
	print_words(story, out);
	fputs("\n", out);
	fflush(out);
}

/* --- for programs --- */

static void json_number_or_null(struct json *j, const char *key, uint64_t value)
{
	if (value == LINE_NONE)
		json_null(j, key);
	else
		json_number(j, key, value);
}

static void json_hex_if(struct json *j, const char *key, uint64_t value)
{
	if (value != LINE_NONE)
		json_hex(j, key, value);
}

/* A value that is JSON already. */
static void json_raw(struct json *j, const char *key, const char *raw)
{
	fprintf(j->out, "%s\"%s\":%s", j->has_members[j->depth] ? "," : "", key, raw);
	j->has_members[j->depth] = true;
}

static void json_refused(struct json *j, const struct incident *incident)
{
	json_array(j, "refused");
	for (unsigned int i = 0; i < incident->nr_frames; i++) {
		const struct refused_frame *f = &incident->frames[i];
		enum type_layout layout = type_layout_of(f->saw, f->wanted);
		char words[TYPE_WORD_BYTES];
		struct type_word wanted;

		json_object(j, NULL);
		json_hex(j, "mfn", f->mfn);
		json_hex_if(j, "pfn", f->pfn);
		json_hex(j, "saw", f->saw);
		json_hex(j, "wanted", f->wanted);
		type_word_describe(f->saw, layout, words);
		json_string(j, "saw_words", words);
		type_word_decode(&wanted, f->wanted, layout);
		json_string(j, "wanted_words", page_use_name(wanted.use));
		json_number(j, "times", f->times);
		json_bool(j, "known", f->is_known);
		json_end_object(j);
	}
	json_end_array(j);
	json_number(j, "more_refused", incident->more_frames);
}

static void json_facts(struct json *j, const struct incident *incident)
{
	json_array(j, "facts");
	for (unsigned int i = 0; i < incident->nr_facts; i++) {
		const struct line *l = &incident->facts[i].line;

		json_object(j, NULL);
		json_string(j, "kind", line_kind_name(l->kind));
		json_string(j, "meaning", line_kind_meaning(l->kind));
		json_hex_if(j, "mfn", l->mfn);
		json_hex_if(j, "pfn", l->pfn);
		json_hex_if(j, "entry", l->entry);
		json_hex_if(j, "slot", l->slot);
		json_hex_if(j, "flags", l->flags);
		if (l->level != LINE_NONE)
			json_number(j, "level", l->level);
		if (l->owner != LINE_NONE)
			json_number(j, "owner", l->owner);
		if (l->error)
			json_string(j, "error", error_name(l->error));
		json_number(j, "times", incident->facts[i].times);
		json_end_object(j);
	}
	json_end_array(j);
}

static void json_look(struct json *j, const struct look *look)
{
	static const char *const reasons[] = {
		[LOOK_REFUSED] = "refused",
		[LOOK_SUSPECT] = "suspect",
		[LOOK_EMPTY] = "empty",
	};

	json_bool(j, "looked", look->is_done);
	if (!look->is_done)
		json_string(j, "why_not", look->why);
	else
		json_string(j, "kernel", look->kernel);
	json_number(j, "took_ms", look->took_ms);
	json_bool(j, "went_away", look->went_away);
	json_array(j, "frames");
	for (unsigned int i = 0; i < look->nr_frames; i++) {
		const struct look_frame *f = &look->frames[i];

		json_object(j, NULL);
		json_string(j, "reason", reasons[f->reason]);
		json_hex(j, "mfn", f->mfn);
		json_hex_if(j, "pfn", f->pfn);
		json_number(j, "level", f->level);
		json_bool(j, "own", f->is_own);
		json_bool(j, "found", f->is_found);
		if (f->is_found) {
			json_hex(j, "va", f->va);
			json_string(j, "place", f->place);
			json_bool(j, "own_place", f->is_own_place);
		}
		if (f->json)
			json_raw(j, "report", f->json);
		json_end_object(j);
	}
	json_end_array(j);
	json_number(j, "more_frames", look->more_frames);
}

void story_json(const struct story *story, FILE *out)
{
	const struct incident *incident = story->incident;
	struct json j = {.out = out};
	char verdict[VERDICT_BYTES];

	story_verdict(story, verdict);
	json_object(&j, NULL);
	json_number(&j, "version", 1);
	json_number(&j, "incident", incident->number);
	json_string(&j, "kind", story_kind(story));
	json_string(&j, "verdict", verdict);
	json_number(&j, "time", (uint64_t)incident->when);
	json_number(&j, "domid", incident->domid);
	json_string(&j, "name", story->name);
	json_number_or_null(&j, "vcpu", incident->vcpu);
	json_bool(&j, "crashed", incident->has_crashed);
	json_bool(&j, "repeated", story->is_repeated);
	json_number(&j, "lines", incident->nr_lines);
	json_refused(&j, incident);
	json_facts(&j, incident);
	json_look(&j, story->look);
	json_array(&j, "console");
	for (unsigned int i = 0; i < incident->nr_kept; i++)
		json_string(&j, NULL, incident->lines[i]);
	json_end_array(&j);
	json_object(&j, "guest");
	for (unsigned int i = 0; i < story->nr_words; i++)
		json_string(&j, story->words[i].name, story->words[i].value);
	json_end_object(&j);
	json_end_object(&j);
	fflush(out);
}
