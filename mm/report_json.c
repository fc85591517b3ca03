/* SPDX-License-Identifier: MIT */
/*
 * The report as one line of JSON, for scripts (docs/checker.md lists the fields). Decides nothing.
 *
 * The line is put together here and printed in one piece, so that no other vCPU's words get in
 * between. It is valid JSON whatever there is to say: a part that does not fit is left out as a
 * whole.
 */
#include <pvmm/holder.h>
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/vmap.h>
#include "check.h"

/* What one call of pvmm_print takes. */
#define LINE_BYTES 1024

/* Kept free for the end of the line. */
#define TAIL_BYTES 160

/* Frames of a stack that are told. */
#define FRAMES 3

#define ULL(v) ((unsigned long long)(v))

struct json {
	char text[LINE_BYTES];
	size_t len, limit;
	bool cut; /* something did not fit since this was last cleared */
};

static void PVMM_PRINTF(2, 3) add(struct json *j, const char *fmt, ...)
{
	size_t room = j->limit - j->len;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = pvmm_vsnprintf(j->text + j->len, room, fmt, ap);
	va_end(ap);
	if ((size_t)len >= room)
		j->cut = true;
	else
		j->len += (size_t)len;
}

/* A text between quotes. What JSON does not take as it is, and what is not ASCII, by its number. */
static void add_text(struct json *j, const char *text)
{
	add(j, "\"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			add(j, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			add(j, "\\u%04x", c);
		else
			add(j, "%c", c);
	}
	add(j, "\"");
}

static void add_stack(struct json *j, const char *name, const struct pvmm_owner_stack *stack)
{
	char frame[96];

	add(j, ",\"%s\":[", name);
	for (uint32_t i = 0; stack && i < stack->nr && i < FRAMES; i++) {
		pvmm_snprintf(frame, sizeof(frame), "%pS", (void *)stack->callers[i]);
		add(j, "%s", i ? "," : "");
		add_text(j, frame);
	}
	add(j, "]");
}

static void add_mapping(struct json *j, const struct sighting *s)
{
	const char *comma = j->text[j->len - 1] == '[' ? "" : ",";
	const struct pvmm_mapping *m = &s->m;
	struct pvmm_vmap_info info;

	add(j, "%s{\"va\":\"0x%llx\",\"pfn\":%llu,\"space\":", comma, ULL(m->va),
	    ULL(pfn_x(m->pfn)));
	add_text(j, s->space_name);
	add(j, ",\"table\":%llu,\"slot\":%u,\"writable\":%s,\"place\":\"%s\"", ULL(pfn_x(m->table)),
	    m->slot, pvmm_pte_writable(m->entry) ? "true" : "false", report_place(s));
	if (space_is_kernel(m->space) && pvmm_vmap_find(m->va, &info)) {
		add(j, ",\"area\":");
		add_text(j, info.name);
		add(j, ",\"state\":\"%s\"", pvmm_vmap_state_name(info.state));
	}
	add(j, "}");
}

/* Does something whole or not at all. */
#define WHOLE(j, what)                     \
	do {                               \
		size_t before = (j)->len;  \
		(j)->cut = false;          \
		what;                      \
		if ((j)->cut)              \
			(j)->len = before; \
	} while (0)

/* Who outside this kernel holds the page. */
static void add_holds(struct json *j, pfn_t pfn)
{
	char text[PVMM_HOLD_BYTES];

	add(j, ",\"held_by\":[");
	for (unsigned int n = 0; pvmm_page_describe_hold(pfn, n, text, sizeof(text)); n++) {
		add(j, "%s", n ? "," : "");
		add_text(j, text);
	}
	add(j, "]");
}

static void add_page(struct json *j, const struct finding *f)
{
	const struct pvmm_page *page = pvmm_page(f->pfn);

	add(j, ",\"pfn\":%llu,\"mfn\":%llu,\"kind\":\"%s\",\"live\":%u,\"stale\":%u",
	    ULL(pfn_x(f->pfn)), ULL(mfn_x(pvmm_pfn_to_mfn(f->pfn))),
	    pvmm_page_kind_name((enum pvmm_page_kind)page->kind), page->live, page->stale);
	WHOLE(j, add_stack(j, "allocated_by", pvmm_owner_allocated(f->pfn)));
	WHOLE(j, add_stack(j, "freed_by", pvmm_owner_freed(f->pfn)));
	WHOLE(j, add_holds(j, f->pfn));
}

static const char *event_name(enum finding_kind kind)
{
	static const char *const names[] = {
		[FOUND_STRAY] = "stray",
		[FOUND_LIVE] = "live",
		[FOUND_CONFLICT] = "conflict",
		[FOUND_PLACE] = "directmap",
		[FOUND_GONE] = "gone",
		[FOUND_UNEXPLAINED] = "unexplained",
		[FOUND_UNSEARCHED] = "unsearched",
		[FOUND_HELD] = "held",
	};

	return names[kind];
}

void report_json(const struct finding *f)
{
	struct json j = {.limit = LINE_BYTES - TAIL_BYTES};

	add(&j, "pvmm-json: {\"event\":\"%s\",\"how\":\"%s\",\"error\":%d", event_name(f->kind),
	    report_how_name(f->how), f->err);
	if (f->space) {
		add(&j, ",\"space\":");
		add_text(&j, f->space->name);
	}
	if (pfn_valid(f->pfn))
		add_page(&j, f);
	add(&j, ",\"mappings\":[");
	for (unsigned int i = 0; i < f->nr_shown; i++)
		WHOLE(&j, add_mapping(&j, &f->found[i]));

	j.limit = LINE_BYTES;
	add(&j, "],\"nr_mappings\":%u,\"removed\":%u,\"action\":\"%s\",\"done\":%s}\n", f->nr_found,
	    f->nr_removed, report_action_name(f->action), f->done ? "true" : "false");
	pvmm_print("%s", j.text);
}
