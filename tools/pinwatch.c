/* SPDX-License-Identifier: MIT */
/* See pinwatch.h. Owns the incidents while they are open, and what was found for them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "pinwatch.h"

/* Crashes that are taken note of at a time. */
#define CRASHES 16u

/* Between two looks at the console, so that a busy one does not cost a hypercall a line. */
static const struct timespec gather = {.tv_nsec = 10000000};

/* What looks may take at once before they have to wait. */
#define LOOK_BUDGET_MS 20000

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- domains --- */

static bool is_named(const struct dom *dom, const char *domain)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", dom->info.domid);
	return !strcmp(domain, number) || (*dom->info.name && !strcmp(domain, dom->info.name));
}

static bool is_wanted(const struct pinwatch *p, const struct dom *dom)
{
	for (unsigned int i = 0; i < p->nr_given; i++)
		if (is_named(dom, p->given[i]))
			return true;
	return !p->nr_given;
}

static struct symbols *symbols_of(const struct pinwatch *p, const struct dom *dom)
{
	struct symbols *symbols = NULL;

	for (unsigned int i = 0; i < p->nr_symbols; i++) {
		if (p->symbols[i].domain && is_named(dom, p->symbols[i].domain))
			return p->symbols[i].symbols;
		if (!p->symbols[i].domain)
			symbols = p->symbols[i].symbols;
	}
	return symbols;
}

/* --- looking --- */

static struct look *obtain_look(struct incident *incident)
{
	if (!incident->look)
		incident->look = calloc(1, sizeof(struct look));
	return incident->look;
}

static bool has_found(const struct look *look)
{
	for (unsigned int i = 0; i < look->nr_frames; i++)
		if (look->frames[i].is_found)
			return true;
	return false;
}

/* A crash with nothing found yet is a reason to look at everything. */
static bool wants_suspects(const struct incident *incident, const struct look *look)
{
	return incident->has_crashed && !look->was_searched && !has_found(look);
}

/*
 * A guest may be refused as often as it likes: looks take half of the time at most, but for a good
 * while at once. A crash comes once, and is always looked at.
 */
static bool may_look(struct pinwatch *p, const struct incident *incident)
{
	uint64_t now = now_ms();

	p->budget_ms += (int64_t)(now - p->budget_at_ms) / 2;
	p->budget_at_ms = now;
	if (p->budget_ms > LOOK_BUDGET_MS)
		p->budget_ms = LOOK_BUDGET_MS;
	return p->budget_ms > 0 || incident->has_crashed;
}

static int look_into(struct pinwatch *p, struct incident *incident, struct dom *dom, bool suspects)
{
	const struct look_options look_options = {
		.pause = p->tool.options.pause,
		.force = p->tool.options.force,
		.symbols = symbols_of(p, dom),
		.stop = &tool_stop,
	};
	uint64_t began = now_ms();
	int err = look_at(incident->look, incident, dom, suspects, &look_options);

	p->budget_ms -= (int64_t)(now_ms() - began);
	return err;
}

/* Looks into the domain for what the incident has new. */
static void look_for(struct pinwatch *p, struct incident *incident)
{
	struct look *look = obtain_look(incident);
	struct dom dom;
	int err;

	if (!look) {
		p->nr_no_memory++;
		return;
	}
	if (incident->nr_looked == incident->nr_frames && !wants_suspects(incident, look))
		return;
	if (incident_is_repeated(incident))
		return;
	if (!may_look(p, incident)) {
		snprintf(look->why, sizeof(look->why), "too many incidents for the time there is");
		return;
	}
	*look->why = 0;
	err = xen_dom_open(p->tool.xen, incident->domid, &dom);
	if (err) {
		snprintf(look->why, sizeof(look->why), "%s",
			 err == -ESRCH ? "it is gone (on_crash=\"preserve\" keeps a crashed domain)"
				       : strerror(-err));
		incident->nr_looked = incident->nr_frames;
		return;
	}
	memcpy(look->name, dom.info.name, sizeof(look->name));
	if (is_wanted(p, &dom)) {
		bool crashed = incident->has_crashed;

		/* One look for both: the refused frames first. */
		err = look_into(p, incident, &dom, false);
		if (!err && crashed && wants_suspects(incident, look) && !*look->why)
			err = look_into(p, incident, &dom, true);
		look->was_searched = look->was_searched || crashed;
	}
	incident->nr_looked = incident->nr_frames;
	dom.close(&dom);
	if (err == -EINTR)
		snprintf(look->why, sizeof(look->why), "stopped");
	if (err == -ENOMEM)
		p->nr_no_memory++;
}

/* --- telling --- */

static bool tell(struct pinwatch *p, struct incident *incident)
{
	static struct story story;
	struct look *look = obtain_look(incident);
	struct dom dom;
	bool wanted = true;

	if (!look) {
		p->nr_no_memory++;
		return false;
	}
	story = (struct story){
		.incident = incident,
		.look = look,
		.is_repeated = incident_is_repeated(incident),
	};
	if (!xen_dom_open(p->tool.xen, incident->domid, &dom)) {
		memcpy(story.name, dom.info.name, sizeof(story.name));
		wanted = is_wanted(p, &dom);
		dom.close(&dom);
	} else {
		dom.info = (struct dom_info){.domid = incident->domid};
		memcpy(dom.info.name, look->name, sizeof(dom.info.name));
		memcpy(story.name, look->name, sizeof(story.name));
		wanted = is_wanted(p, &dom);
	}
	if (!wanted)
		return false;
	story.nr_words = watch_guest_words(p->watch, incident->domid, story.words);
	p->nr_incidents++;
	p->nr_crashes += incident->has_crashed;
	p->nr_found += story_culprit(&story) != NULL;
	p->book.nr_repeated += story.is_repeated;
	if (p->json)
		story_json(&story, stdout);
	else
		story_text(&story, stdout);
	if (!story.is_repeated && exec_start(&p->exec, &story))
		tool_fail(&p->tool, 0, "incident %llu: the command was not run",
			  (unsigned long long)incident->number);
	return true;
}

static void drop(struct incident *incident)
{
	if (incident->look)
		look_free(incident->look);
	free(incident->look);
	free(incident);
}

static void close_incident(struct pinwatch *p, struct incident *incident)
{
	look_for(p, incident);
	if (tell(p, incident)) {
		book_remember(&p->book, incident);
		p->is_over = p->is_over || p->once;
	}
	drop(incident);
}

/* --- what happens --- */

/* In a flood the oldest incidents are told before their time. */
static void make_room(struct pinwatch *p)
{
	while (p->book.nr_open == BOOK_OPEN)
		close_incident(p, book_take(&p->book));
}

static void on_line(void *ctx, const char *text)
{
	struct pinwatch *p = ctx;
	int err;

	make_room(p);
	book_line(&p->book, text, now_ms(), time(NULL), &err);
	p->nr_no_memory += err == -ENOMEM;
}

static void on_lost(void *ctx, uint32_t nr_bytes)
{
	struct pinwatch *p = ctx;

	p->lost_bytes += nr_bytes;
	tool_fail(
		&p->tool, 0,
		"%u bytes of the console were gone before they were read (the ring turned, or was cleared)",
		nr_bytes);
}

static int take_crashes(struct pinwatch *p)
{
	uint32_t domids[CRASHES];
	int err, nr = watch_crashes(p->watch, p->since_boot, domids, CRASHES);

	for (int i = 0; i < nr; i++) {
		make_room(p);
		book_crash(&p->book, domids[i], now_ms(), time(NULL), &err);
		p->nr_no_memory += err == -ENOMEM;
	}
	return nr < 0 ? nr : 0;
}

static void look_for_all(struct pinwatch *p)
{
	for (unsigned int i = 0; i < p->book.nr_open; i++)
		look_for(p, p->book.open[i]);
}

/* What has come since the last time. 1: there is more, or -errno. */
static int take_news(struct pinwatch *p)
{
	const struct ring_events events = {.ctx = p, .line = on_line, .lost = on_lost};
	struct incident *incident;
	int err, more = ring_poll(&p->ring, &events);

	if (more < 0)
		return more;
	look_for_all(p);
	err = take_crashes(p);
	if (err)
		return err;
	look_for_all(p);
	while (!p->is_over && (incident = book_close(&p->book, now_ms())))
		close_incident(p, incident);
	return more;
}

static uint64_t until(uint64_t now, uint64_t then)
{
	return then == LINE_NONE ? LINE_NONE : then > now ? then - now : 0;
}

static int follow(struct pinwatch *p)
{
	uint64_t end = p->seconds ? now_ms() + p->seconds * 1000 : LINE_NONE;
	int err = p->since_boot ? 0 : ring_skip(&p->ring);

	while (!err) {
		uint64_t now, due, left;
		int more = take_news(p);

		exec_reap(&p->exec);
		now = now_ms();
		left = until(now, end);
		if (more < 0)
			return more;
		if (p->is_over || tool_stop || !left)
			break;
		due = until(now, book_due(&p->book));
		err = watch_wait(p->watch, more ? 0 : due < left ? due : left);
		/* What Xen is printing just now comes at once. */
		if (!more)
			nanosleep(&gather, NULL);
	}
	return err;
}

int pinwatch_open(struct pinwatch *p)
{
	char why[TOOL_ERROR_BYTES];

	book_init(&p->book);
	p->budget_ms = LOOK_BUDGET_MS;
	p->budget_at_ms = now_ms();
	p->tool.xen = xen_open(why);
	if (!p->tool.xen)
		return tool_fail(&p->tool, TOOL_NO_XEN, "%s", why);
	p->watch = watch_open(why);
	if (!p->watch)
		return tool_fail(&p->tool, TOOL_NO_XEN, "%s", why);
	ring_init(&p->ring, watch_read_ring, p->watch);
	return 0;
}

void pinwatch_close(struct pinwatch *p)
{
	struct incident *incident;

	while ((incident = book_take(&p->book)))
		drop(incident);
	if (p->watch)
		watch_close(p->watch);
	for (unsigned int i = 0; i < p->nr_symbols; i++)
		symbols_free(p->symbols[i].symbols);
	tool_close(&p->tool);
}

/* --- the ends --- */

static void print_summary(struct pinwatch *p)
{
	if (p->json) {
		struct json j = {.out = stdout};

		json_object(&j, NULL);
		json_number(&j, "version", 1);
		json_string(&j, "kind", "summary");
		json_number(&j, "incidents", p->nr_incidents);
		json_number(&j, "crashes", p->nr_crashes);
		json_number(&j, "found", p->nr_found);
		json_number(&j, "repeated", p->book.nr_repeated);
		json_number(&j, "lines", p->book.nr_lines);
		json_number(&j, "suppressed", p->book.nr_suppressed);
		json_number(&j, "lost_bytes", p->lost_bytes);
		json_number(&j, "commands", p->exec.nr_run);
		json_number(&j, "commands_failed", p->exec.nr_failed);
		json_number(&j, "commands_skipped", p->exec.nr_skipped);
		json_end_object(&j);
		return;
	}
	printf("summary: %llu incidents, %llu with the mapping found, %llu seen before, %llu crashes; "
	       "%llu lines of refusals, %llu messages suppressed by Xen, %llu bytes of the console lost\n",
	       (unsigned long long)p->nr_incidents, (unsigned long long)p->nr_found,
	       (unsigned long long)p->book.nr_repeated, (unsigned long long)p->nr_crashes,
	       (unsigned long long)p->book.nr_lines, (unsigned long long)p->book.nr_suppressed,
	       (unsigned long long)p->lost_bytes);
	if (p->exec.command)
		printf("summary: %llu commands run, %llu failed, %llu not run because others still were\n",
		       (unsigned long long)p->exec.nr_run, (unsigned long long)p->exec.nr_failed,
		       (unsigned long long)p->exec.nr_skipped);
}

int pinwatch_follow(struct pinwatch *p)
{
	struct incident *incident;
	int err = follow(p);

	while (!p->is_over && (incident = book_take(&p->book)))
		close_incident(p, incident);
	exec_finish(&p->exec);
	print_summary(p);
	if (fflush(stdout) || ferror(stdout))
		return tool_fail(&p->tool, TOOL_INCOMPLETE, "the output could not be written");
	if (err)
		return tool_fail(&p->tool, TOOL_NO_XEN, "Xen's console cannot be followed: %s",
				 strerror(-err));
	if (p->nr_no_memory)
		return tool_fail(&p->tool, TOOL_INCOMPLETE, "out of memory %llu times",
				 (unsigned long long)p->nr_no_memory);
	return p->once && !p->nr_incidents ? TOOL_NOTHING : TOOL_OK;
}

/* Takes the domain for one that has just crashed. */
int pinwatch_check(struct pinwatch *p, const char *domain)
{
	struct incident *incident;
	struct look *look;
	int status, err;
	uint32_t domid;

	err = xen_find(p->tool.xen, domain, &domid);
	if (!err)
		err = xen_dom_open(p->tool.xen, domid, &p->tool.dom);
	if (err)
		return tool_fail(&p->tool, TOOL_NO_DOMAIN, "no domain %s", domain);
	if (p->tool.dom.info.is_hvm)
		return tool_fail(&p->tool, TOOL_WRONG_KIND, "domain %s is no PV domain", domain);
	if (p->tool.dom.info.is_self && !p->tool.options.force)
		return tool_fail(&p->tool, TOOL_WRONG_KIND,
				 "domain %s is the one this runs in, and changes while it is read: "
				 "--force looks all the same",
				 domain);
	p->nr_given = 0;
	incident = book_crash(&p->book, domid, now_ms(), time(NULL), &err);
	if (!incident || !obtain_look(incident))
		return tool_fail(&p->tool, TOOL_INCOMPLETE, "out of memory");
	look_for(p, incident);
	look = incident->look;
	incident->has_crashed =
		p->tool.dom.info.is_shutdown && p->tool.dom.info.shutdown_reason == 3;
	book_take(&p->book);
	tell(p, incident);
	exec_finish(&p->exec);
	status = !look->is_done ? TOOL_INCOMPLETE : has_found(look) ? TOOL_OK : TOOL_NOTHING;
	drop(incident);
	return status;
}
