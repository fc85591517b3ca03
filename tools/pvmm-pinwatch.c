/* SPDX-License-Identifier: MIT */
/*
 * pvmm-pinwatch: watches for refusals of Xen's PV MMU and for crashed domains, and says who still
 * maps the page. See man pvmm-pinwatch.
 *
 * One loop: lines of the console go into the book of incidents, crashed domains too; what the book
 * has new is looked into at once, before the domain changes or goes; what is over is told.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "pinwatch_exec.h"
#include "tool.h"

#define MAX_DOMAINS_GIVEN 32u
#define MAX_SYMBOLS	  32u
#define CRASHES		  16u

/* A look may take so many times the time that is left between looks: half of it at most. */
struct pace {
	uint64_t not_before_ms;
};

struct program {
	struct tool tool; /* for its name and its messages */
	bool since_boot, once, json, pause, force;
	uint64_t seconds;  /* 0: until a signal */
	const char *check; /* a domain that is only looked into */
	const char *given[MAX_DOMAINS_GIVEN];
	unsigned int nr_given;
	struct {
		const char *domain; /* NULL: all */
		struct symbols *symbols;
	} symbols[MAX_SYMBOLS];
	unsigned int nr_symbols;
	struct exec exec;
	struct watch *watch;
	struct ring ring;
	struct book book;
	struct pace pace;
	uint64_t nr_incidents, nr_crashes, nr_found, lost_bytes, nr_lost, nr_no_memory;
	bool is_over;
};

static void print_help(FILE *out)
{
	fputs("usage: pvmm-pinwatch [OPTION...]\n"
	      "       pvmm-pinwatch [OPTION...] --check=DOMAIN\n"
	      "\n"
	      "Follows the hypervisor's console and the ends of domains. When Xen refuses a page table\n"
	      "or a mapping of a PV domain, or such a domain crashes, it looks into the domain and says\n"
	      "which mapping is in the way.\n"
	      "\n"
	      "  -b, --since-boot       begin with what is in the console's ring, and with domains that\n"
	      "                         have crashed already\n"
	      "  -d, --domain=DOMAIN    only this one, by name or number; may be given again\n"
	      "  -1, --once             end after the first incident\n"
	      "  -t, --time=SECONDS     end after that time\n"
	      "  -c, --check=DOMAIN     look into a domain now, crashed or not, and end\n"
	      "  -s, --symbols=[DOMAIN=]FILE\n"
	      "                         names: an ELF image, a System.map, or a copy of /proc/kallsyms\n"
	      "  -x, --exec=COMMAND     run this for each incident (PINWATCH_* in its environment, JSON\n"
	      "                         on its standard input)\n"
	      "  -j, --json             a JSON object a line\n"
	      "      --pause            pause the domain while it is looked into\n"
	      "      --force            look into the domain that this runs in, too\n"
	      "  -h, --help, --version\n"
	      "\n"
	      "Exit status: 0 done (--once, --check: and there was something to tell); 1 --once, --check:\n"
	      "nothing to tell; 2 usage; 3 no such domain; 4 no PV domain; 5 not on Xen, or no\n"
	      "privilege; 7 the answer may be incomplete.\n",
	      out);
}

static volatile sig_atomic_t has_child;

static void child_ended(int signal)
{
	(void)signal;
	has_child = 1;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- arguments --- */

enum { OPT_PAUSE = 256, OPT_FORCE, OPT_VERSION };

static const struct option options[] = {
	{"since-boot", no_argument, NULL, 'b'},
	{"domain", required_argument, NULL, 'd'},
	{"once", no_argument, NULL, '1'},
	{"time", required_argument, NULL, 't'},
	{"check", required_argument, NULL, 'c'},
	{"symbols", required_argument, NULL, 's'},
	{"exec", required_argument, NULL, 'x'},
	{"json", no_argument, NULL, 'j'},
	{"pause", no_argument, NULL, OPT_PAUSE},
	{"force", no_argument, NULL, OPT_FORCE},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

static int take_symbols(struct program *p, char *text)
{
	char why[TOOL_ERROR_BYTES], *equals = strchr(text, '=');
	const char *path = text;

	if (p->nr_symbols == MAX_SYMBOLS)
		return tool_fail(&p->tool, TOOL_USAGE, "more than %u --symbols", MAX_SYMBOLS);
	/* A path may hold an equals sign, but a domain's name holds no slash. */
	if (equals && !memchr(text, '/', (size_t)(equals - text))) {
		*equals = 0;
		p->symbols[p->nr_symbols].domain = text;
		path = equals + 1;
	}
	p->symbols[p->nr_symbols].symbols = symbols_load(path, why);
	if (!p->symbols[p->nr_symbols].symbols)
		return tool_fail(&p->tool, TOOL_USAGE, "%s", why);
	p->nr_symbols++;
	return -1;
}

static int take_seconds(struct program *p, const char *text)
{
	char *end;

	errno = 0;
	p->seconds = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || !p->seconds || p->seconds > 1000000000)
		return tool_fail(&p->tool, TOOL_USAGE, "--time=%s: a number of seconds is wanted",
				 text);
	return -1;
}

/* -1: go on; otherwise the program's status. */
static int take_option(struct program *p, int option)
{
	switch (option) {
	case 'b':
		p->since_boot = true;
		return -1;
	case 'd':
		if (p->nr_given == MAX_DOMAINS_GIVEN)
			return tool_fail(&p->tool, TOOL_USAGE, "more than %u --domain",
					 MAX_DOMAINS_GIVEN);
		p->given[p->nr_given++] = optarg;
		return -1;
	case '1':
		p->once = true;
		return -1;
	case 't':
		return take_seconds(p, optarg);
	case 'c':
		p->check = optarg;
		return -1;
	case 's':
		return take_symbols(p, optarg);
	case 'x':
		p->exec.command = optarg;
		return -1;
	case 'j':
		p->json = true;
		return -1;
	case OPT_PAUSE:
		p->pause = true;
		return -1;
	case OPT_FORCE:
		p->force = true;
		return -1;
	case 'h':
		print_help(stdout);
		return TOOL_OK;
	case OPT_VERSION:
		tool_print_version(p->tool.name);
		return TOOL_OK;
	default:
		fprintf(stderr, "Try %s --help.\n", p->tool.name);
		return TOOL_USAGE;
	}
}

static int take_arguments(struct program *p, int argc, char **argv)
{
	int option, status = -1;

	while (status < 0 &&
	       (option = getopt_long(argc, argv, "bd:1t:c:s:x:jh", options, NULL)) != -1)
		status = take_option(p, option);
	if (status >= 0)
		return status;
	if (optind < argc)
		return tool_fail(&p->tool, TOOL_USAGE, "\"%s\" is no option (--help)",
				 argv[optind]);
	return -1;
}

/* --- domains --- */

static bool is_named(const struct dom *dom, const char *domain)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", dom->info.domid);
	return !strcmp(domain, number) || (*dom->info.name && !strcmp(domain, dom->info.name));
}

static bool is_wanted(const struct program *p, const struct dom *dom)
{
	for (unsigned int i = 0; i < p->nr_given; i++)
		if (is_named(dom, p->given[i]))
			return true;
	return !p->nr_given;
}

static struct symbols *symbols_of(const struct program *p, const struct dom *dom)
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

static int look_into(struct program *p, struct incident *incident, struct dom *dom, bool suspects)
{
	const struct look_options look_options = {
		.pause = p->pause,
		.force = p->force,
		.symbols = symbols_of(p, dom),
		.stop = &tool_stop,
	};
	struct look *look = incident->look;
	uint64_t began = now_ms(), now;
	int err = look_at(look, incident, dom, suspects, &look_options);

	now = now_ms();
	p->pace.not_before_ms = now + (now - began);
	return err;
}

/* Looks into the domain for what the incident has new. */
static void look_for(struct program *p, struct incident *incident)
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
	if (incident_is_repeated(incident) ||
	    (!incident->has_crashed && now_ms() < p->pace.not_before_ms))
		return;
	err = xen_dom_open(p->tool.xen, incident->domid, &dom);
	if (err) {
		snprintf(look->why, sizeof(look->why), "%s",
			 err == -ESRCH ? "it is gone (on_crash=\"preserve\" keeps a crashed domain)"
				       : strerror(-err));
		incident->nr_looked = incident->nr_frames;
		return;
	}
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
	if (err == -ENOMEM)
		p->nr_no_memory++;
}

/* --- telling --- */

static bool tell(struct program *p, struct incident *incident)
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

static void close_incident(struct program *p, struct incident *incident)
{
	look_for(p, incident);
	if (tell(p, incident)) {
		book_remember(&p->book, incident);
		p->is_over = p->is_over || p->once;
	}
	drop(incident);
}

/* --- what happens --- */

static void on_line(void *ctx, const char *text)
{
	struct program *p = ctx;
	int err;

	book_line(&p->book, text, now_ms(), time(NULL), &err);
	p->nr_no_memory += err == -ENOMEM;
}

static void on_lost(void *ctx, uint32_t nr_bytes)
{
	struct program *p = ctx;

	p->lost_bytes += nr_bytes;
	p->nr_lost++;
	tool_fail(
		&p->tool, 0,
		"%u bytes of the console were gone before they were read (the ring turned, or was cleared)",
		nr_bytes);
}

static int take_crashes(struct program *p)
{
	uint32_t domids[CRASHES];
	int err, nr = watch_crashes(p->watch, p->since_boot, domids, CRASHES);

	for (int i = 0; i < nr; i++) {
		book_crash(&p->book, domids[i], now_ms(), time(NULL), &err);
		p->nr_no_memory += err == -ENOMEM;
	}
	return nr < 0 ? nr : 0;
}

/* All that has come since the last time. */
static int take_news(struct program *p)
{
	const struct ring_events events = {.ctx = p, .line = on_line, .lost = on_lost};
	struct incident *incident;
	int more;

	do {
		more = ring_poll(&p->ring, &events);
		for (unsigned int i = 0; i < p->book.nr_open; i++)
			look_for(p, p->book.open[i]);
	} while (more > 0 && !tool_stop && p->book.nr_open < BOOK_OPEN);
	if (more >= 0 && take_crashes(p))
		return -EIO;
	for (unsigned int i = 0; i < p->book.nr_open; i++)
		look_for(p, p->book.open[i]);
	while (!p->is_over && (incident = book_close(&p->book, now_ms())))
		close_incident(p, incident);
	return more < 0 ? more : 0;
}

static uint64_t until(uint64_t now, uint64_t then)
{
	return then == LINE_NONE ? LINE_NONE : then > now ? then - now : 0;
}

static int follow(struct program *p)
{
	uint64_t end = p->seconds ? now_ms() + p->seconds * 1000 : LINE_NONE;
	int err = p->since_boot ? 0 : ring_skip(&p->ring);

	while (!err) {
		uint64_t now, due, left;

		err = take_news(p);
		if (has_child)
			exec_reap(&p->exec);
		has_child = 0;
		now = now_ms();
		left = until(now, end);
		if (err || p->is_over || tool_stop || !left)
			break;
		due = until(now, book_due(&p->book));
		err = watch_wait(p->watch, due < left ? due : left);
	}
	return err;
}

/* --- the end --- */

static void print_summary(struct program *p)
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

static int run_watch(struct program *p)
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
static int run_check(struct program *p)
{
	struct incident *incident;
	struct look *look;
	int status, err;
	uint32_t domid;

	err = xen_find(p->tool.xen, p->check, &domid);
	if (!err)
		err = xen_dom_open(p->tool.xen, domid, &p->tool.dom);
	if (err)
		return tool_fail(&p->tool, TOOL_NO_DOMAIN, "no domain %s", p->check);
	if (p->tool.dom.info.is_hvm)
		return tool_fail(&p->tool, TOOL_WRONG_KIND, "domain %s is no PV domain", p->check);
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

static int run(struct program *p)
{
	char why[TOOL_ERROR_BYTES];

	p->tool.xen = xen_open(why);
	if (!p->tool.xen)
		return tool_fail(&p->tool, TOOL_NO_XEN, "%s", why);
	p->watch = watch_open(why);
	if (!p->watch)
		return tool_fail(&p->tool, TOOL_NO_XEN, "%s", why);
	ring_init(&p->ring, watch_read_ring, p->watch);
	book_init(&p->book);
	return p->check ? run_check(p) : run_watch(p);
}

int main(int argc, char **argv)
{
	static struct program program = {.tool.name = "pvmm-pinwatch"};
	struct sigaction on_child = {.sa_handler = child_ended, .sa_flags = SA_NOCLDSTOP};
	int status = take_arguments(&program, argc, argv);

	if (status < 0) {
		tool_catch_signals();
		sigaction(SIGCHLD, &on_child, NULL);
		status = run(&program);
	}
	while (program.book.nr_open)
		drop(book_take(&program.book));
	if (program.watch)
		watch_close(program.watch);
	for (unsigned int i = 0; i < program.nr_symbols; i++)
		symbols_free(program.symbols[i].symbols);
	program.tool.symbols = NULL;
	tool_close(&program.tool);
	return status;
}
