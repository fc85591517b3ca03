/* SPDX-License-Identifier: MIT */
/* See tool.h. Owns the signals of the program. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tool.h"

#ifndef PVMM_VERSION
#define PVMM_VERSION "unknown"
#endif

/* Progress is of interest when a scan takes longer than this, and then so often. */
#define PROGRESS_AFTER_MS 1000
#define PROGRESS_EVERY_MS 250

volatile int tool_stop;

static void stop(int signal)
{
	(void)signal;
	tool_stop = 1;
}

static void catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
	struct sigaction action = {.sa_handler = stop};

	for (unsigned int i = 0; i < TOOL_ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}

void tool_print_version(const char *name)
{
	printf("%s (pvmm) %s\n", name, PVMM_VERSION);
}

int tool_fail(const struct tool *tool, int status, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", tool->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\n", stderr);
	return status;
}

int tool_take_option(struct tool *tool, int option, void (*print_help)(FILE *out))
{
	switch (option) {
	case TOOL_OPT_SYMBOLS:
		tool->options.symbols = optarg;
		return -1;
	case TOOL_OPT_PAUSE:
		tool->options.pause = true;
		return -1;
	case TOOL_OPT_EVERY:
		tool->options.every_frame = true;
		return -1;
	case TOOL_OPT_FORCE:
		tool->options.force = true;
		return -1;
	case TOOL_OPT_PROGRESS:
		tool->options.progress = true;
		return -1;
	case TOOL_OPT_VERSION:
		tool_print_version(tool->name);
		return TOOL_OK;
	case 'h':
		print_help(stdout);
		return TOOL_OK;
	default:
		fprintf(stderr, "Try %s --help.\n", tool->name);
		return TOOL_USAGE;
	}
}

int tool_fail_reading(const struct tool *tool, int err)
{
	switch (err) {
	case -EINTR:
		return tool_fail(tool, TOOL_INCOMPLETE, "stopped");
	case -ENOMEM:
		return tool_fail(tool, TOOL_INCOMPLETE, "out of memory");
	case -ESRCH:
		return tool_fail(tool, TOOL_NO_DOMAIN, "the domain is gone");
	case -EPERM:
	case -EACCES:
		return tool_fail(tool, TOOL_NO_XEN, "Xen does not let this domain look: %s",
				 strerror(-err));
	default:
		return tool_fail(tool, TOOL_INCOMPLETE, "reading failed: %s", strerror(-err));
	}
}

/* --- progress --- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void show_progress(void *ctx, const char *what, uint64_t done, uint64_t of)
{
	static uint64_t started, shown;
	const struct tool *tool = ctx;
	uint64_t now = now_ms();

	if (!started)
		started = now;
	if (now - started < PROGRESS_AFTER_MS || now - shown < PROGRESS_EVERY_MS)
		return;
	shown = now;
	fprintf(stderr, "%s: %s, %llu of %llu%s", tool->name, what, (unsigned long long)done,
		(unsigned long long)of, isatty(STDERR_FILENO) ? "\033[K\r" : "\n");
}

/* --- the domain --- */

static int check_domain(const struct tool *tool, const char *domain)
{
	const struct dom_info *info = &tool->dom.info;

	if (info->is_dying)
		return tool_fail(tool, TOOL_NO_DOMAIN, "domain %s is being destroyed", domain);
	if (info->is_hvm)
		return tool_fail(
			tool, TOOL_WRONG_KIND,
			"domain %s is no PV domain (HVM or PVH): its page tables are its own affair",
			domain);
	if (info->is_self && !tool->options.force)
		return tool_fail(
			tool, TOOL_WRONG_KIND,
			"domain %s is the one this runs in, and changes while it is read: --force looks all the same",
			domain);
	if (info->is_self && tool->options.pause)
		return tool_fail(tool, TOOL_WRONG_KIND, "domain %s cannot pause itself", domain);
	return TOOL_OK;
}

static int find_domain(struct tool *tool, const char *domain)
{
	char why[TOOL_ERROR_BYTES];
	uint32_t domid;
	int err;

	tool->xen = xen_open(why);
	if (!tool->xen)
		return tool_fail(tool, TOOL_NO_XEN, "%s", why);
	err = xen_find(tool->xen, domain, &domid);
	if (!err)
		err = xen_dom_open(tool->xen, domid, &tool->dom);
	if (err == -ENOENT || err == -ESRCH)
		return tool_fail(tool, TOOL_NO_DOMAIN, "no domain %s", domain);
	return err ? tool_fail_reading(tool, err) : check_domain(tool, domain);
}

static int pause_domain(struct tool *tool)
{
	int err;

	/* One that stands still already is left as it is. */
	if (!tool->options.pause || tool->dom.info.is_paused || tool->dom.info.is_shutdown)
		return TOOL_OK;
	err = tool->dom.pause(&tool->dom);
	if (err)
		return tool_fail(tool, TOOL_INCOMPLETE, "the domain cannot be paused: %s",
				 strerror(-err));
	tool->is_paused_by_us = true;
	return TOOL_OK;
}

static int read_domain(struct tool *tool)
{
	const bool shows = tool->options.progress || isatty(STDERR_FILENO);
	const struct reader_options options = {
		.every_frame = tool->options.every_frame,
		.progress = shows ? show_progress : NULL,
		.progress_ctx = tool,
		.stop = &tool_stop,
	};
	int err = reader_open(&tool->reader, &tool->dom, &options);

	if (err)
		return err;
	tool->is_open = true;
	err = naming_open(tool->naming, &tool->reader, tool->symbols);
	return err ? err : inspect_add_tables(&tool->naming->inspect, &tool->reader);
}

int tool_open(struct tool *tool, const char *domain)
{
	char why[TOOL_ERROR_BYTES];
	int status, err;

	catch_signals();
	if (tool->options.symbols) {
		tool->symbols = symbols_load(tool->options.symbols, why);
		if (!tool->symbols)
			return tool_fail(tool, TOOL_USAGE, "%s", why);
	}
	tool->naming = calloc(1, sizeof(*tool->naming));
	if (!tool->naming)
		return tool_fail_reading(tool, -ENOMEM);
	status = find_domain(tool, domain);
	if (!status)
		status = pause_domain(tool);
	if (status)
		return status;
	err = read_domain(tool);
	return err ? tool_fail_reading(tool, err) : TOOL_OK;
}

int tool_reread(struct tool *tool)
{
	int err;

	if (tool->is_open)
		reader_close(&tool->reader);
	tool->is_open = false;
	err = tool->dom.refresh(&tool->dom);
	if (!err && tool->dom.info.is_dying)
		err = -ESRCH;
	if (!err)
		err = pause_domain(tool);
	return err ? err : read_domain(tool);
}

void tool_let_run(struct tool *tool)
{
	if (tool->is_paused_by_us && tool->dom.unpause(&tool->dom))
		tool_fail(tool, 0, "the domain could not be unpaused: xl unpause %u",
			  tool->dom.info.domid);
	tool->is_paused_by_us = false;
}

void tool_close(struct tool *tool)
{
	tool_let_run(tool);
	if (tool->is_open)
		reader_close(&tool->reader);
	if (tool->xen)
		xen_close(tool->xen);
	free(tool->naming);
	symbols_free(tool->symbols);
	*tool = (struct tool){.name = tool->name};
}
