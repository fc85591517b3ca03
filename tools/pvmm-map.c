/* SPDX-License-Identifier: MIT */
/* pvmm-map DOMAIN: a picture of its memory. See man pvmm-map. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "map.h"
#include "report.h"
#include "tool.h"

#define PFN_COLUMNS 9u /* in front of a line */
#define OTHER_ROWS  8u /* what is above and below the picture */

struct program {
	struct tool tool;
	const char *svg;
	bool json, no_colour, watches;
	unsigned int every_s;
	struct map map;
};

static void print_help(FILE *out)
{
	fputs("usage: pvmm-map [OPTION...] DOMAIN\n"
	      "\n"
	      "Draws the memory of a PV domain by what each page is: page tables by level, pinned,\n"
	      "mapped writable or read-only, descriptor tables, granted, not there; stray writable\n"
	      "mappings are marked. DOMAIN is a name or a number.\n"
	      "\n"
	      "  --svg=FILE         write an image too (- : standard output, and nothing else)\n"
	      "  --json             one JSON document: totals, and runs of pages of one kind\n"
	      "  --watch[=SECONDS]  draw again and again (2)\n"
	      "  --no-color         no colours; also: NO_COLOR in the environment, or no terminal\n"
	      "  --pause            pause the domain meanwhile: the picture of one moment\n"
	      "  --every-frame      ask Xen about every frame of the machine, whatever the p2m says\n"
	      "  --symbols=FILE     for a Linux whose direct map is not where it usually is\n"
	      "  --force            draw the domain that this runs in, too\n"
	      "  --progress         show progress even if it is no terminal\n"
	      "  -h, --help, --version\n"
	      "\n"
	      "Exit status: 0 drawn; 2 usage; 3 no such domain; 4 no PV domain, or this one;\n"
	      "5 not on Xen, or no privilege; 7 the picture may be incomplete.\n",
	      out);
}

/* --- arguments --- */

enum { OPT_SVG = TOOL_OPT_OWN, OPT_JSON, OPT_WATCH, OPT_NO_COLOUR };

static const struct option options[] = {
	{"svg", required_argument, NULL, OPT_SVG},
	{"json", no_argument, NULL, OPT_JSON},
	{"watch", optional_argument, NULL, OPT_WATCH},
	{"no-color", no_argument, NULL, OPT_NO_COLOUR},
	{"pause", no_argument, NULL, TOOL_OPT_PAUSE},
	{"every-frame", no_argument, NULL, TOOL_OPT_EVERY},
	{"symbols", required_argument, NULL, TOOL_OPT_SYMBOLS},
	{"force", no_argument, NULL, TOOL_OPT_FORCE},
	{"progress", no_argument, NULL, TOOL_OPT_PROGRESS},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, TOOL_OPT_VERSION},
	{NULL, 0, NULL, 0},
};

static int take_seconds(struct program *p, const char *text)
{
	char *end;
	unsigned long seconds = text ? strtoul(text, &end, 10) : 2;

	if ((text && *end) || !seconds || seconds > 86400)
		return tool_fail(&p->tool, TOOL_USAGE, "--watch=%s: a number of seconds is wanted",
				 text);
	p->watches = true;
	p->every_s = (unsigned int)seconds;
	return -1;
}

/* -1: go on; otherwise the program's status. */
static int take_option(struct program *p, int option)
{
	switch (option) {
	case OPT_SVG:
		p->svg = optarg;
		return -1;
	case OPT_JSON:
		p->json = true;
		return -1;
	case OPT_WATCH:
		return take_seconds(p, optarg);
	case OPT_NO_COLOUR:
		p->no_colour = true;
		return -1;
	default:
		return tool_take_option(&p->tool, option, print_help);
	}
}

static int take_arguments(struct program *p, int argc, char **argv)
{
	int option, status = -1;

	while (status < 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1)
		status = take_option(p, option);
	if (status >= 0)
		return status;
	if (optind + 1 != argc)
		return tool_fail(&p->tool, TOOL_USAGE, "one DOMAIN is wanted (--help)");
	if (p->watches && (p->json || p->svg))
		return tool_fail(&p->tool, TOOL_USAGE,
				 "--watch goes with neither --json nor --svg");
	return -1;
}

/* --- drawing --- */

static bool is_bare_svg(const struct program *p)
{
	return p->svg && !strcmp(p->svg, "-");
}

static struct map_view view_of(const struct program *p)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size = {.ws_col = 80, .ws_row = 48};
	struct map_view view;
	int width = columns ? atoi(columns) : 0;

	if (isatty(STDOUT_FILENO))
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	if (width > 0 && width <= 1000)
		size.ws_col = (unsigned short)width;
	view.columns = size.ws_col > PFN_COLUMNS + 16 ? size.ws_col - PFN_COLUMNS : 16;
	view.rows = size.ws_row > OTHER_ROWS + 8 ? size.ws_row - OTHER_ROWS : 8;
	/* Whole powers of two make the pfns in front round. */
	for (unsigned int n = 16; n <= view.columns; n *= 2)
		if (2 * n > view.columns)
			view.columns = n;
	view.has_colour = isatty(STDOUT_FILENO) && !p->no_colour && !getenv("NO_COLOR");
	return view;
}

static int write_svg(const struct program *p)
{
	FILE *out = is_bare_svg(p) ? stdout : fopen(p->svg, "we");
	char title[128];
	bool ok;

	if (!out)
		return tool_fail(&p->tool, TOOL_USAGE, "%s: %s", p->svg, strerror(errno));
	snprintf(title, sizeof(title), "domain %u \"%s\"", p->tool.dom.info.domid,
		 p->tool.dom.info.name);
	map_svg(&p->map, title, out);
	ok = !fflush(out) && !ferror(out);
	if (out != stdout && fclose(out))
		ok = false;
	return ok ? TOOL_OK : tool_fail(&p->tool, TOOL_INCOMPLETE, "%s: not written", p->svg);
}

static int draw(struct program *p)
{
	static const struct search_result nothing;
	struct report report = {
		.reader = &p->tool.reader,
		.naming = p->tool.naming,
		.result = &nothing,
	};
	struct json j = {.out = stdout};
	struct map_view view = view_of(p);

	if (is_bare_svg(p))
		return write_svg(p);
	if (p->json) {
		json_object(&j, NULL);
		json_number(&j, "version", 1);
		report_domain_json(&report, &j);
		map_json(&p->map, &j);
		report_notes_json(&report, &j);
		json_end_object(&j);
	} else {
		if (p->watches && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		report_domain_text(&report, stdout);
		map_text(&p->map, &view, stdout);
		if (!p->watches)
			map_totals(&p->map, stdout);
		report_notes_text(&report, stdout);
	}
	if (fflush(stdout) || ferror(stdout))
		return tool_fail(&p->tool, TOOL_INCOMPLETE, "the picture could not be written");
	if (p->svg && write_svg(p))
		return TOOL_INCOMPLETE;
	return report_is_incomplete(&report) ? TOOL_INCOMPLETE : TOOL_OK;
}

static int look(struct program *p)
{
	struct naming *n = p->tool.naming;
	struct census census;
	int err = census_take(&p->tool.reader, &census);

	if (err)
		return err;
	err = inspect_mark_free(&n->inspect, &census);
	if (!err)
		err = census_mark_strays(&p->tool.reader, &census, naming_direct_map(n),
					 n->inspect.walk.root);
	map_free(&p->map);
	if (!err)
		err = map_make(&p->map, &census);
	census_free(&census);
	return err;
}

static int watch(struct program *p)
{
	const struct timespec pause = {.tv_sec = p->every_s};
	int err = 0;

	while (!err && !tool_stop) {
		tool_let_run(&p->tool);
		nanosleep(&pause, NULL);
		if (tool_stop)
			break;
		err = tool_reread(&p->tool);
		if (!err)
			err = look(p);
		if (!err)
			draw(p);
	}
	return err && err != -EINTR ? tool_fail_reading(&p->tool, err) : TOOL_OK;
}

static int run(struct program *p, const char *domain)
{
	int status = tool_open(&p->tool, domain), err;

	if (status)
		return status;
	err = look(p);
	if (err)
		return tool_fail_reading(&p->tool, err);
	status = draw(p);
	return p->watches ? watch(p) : status;
}

int main(int argc, char **argv)
{
	static struct program program = {.tool.name = "pvmm-map"};
	int status = take_arguments(&program, argc, argv);

	if (status >= 0)
		return status;
	status = run(&program, argv[optind]);
	map_free(&program.map);
	tool_close(&program.tool);
	return status;
}
