/* SPDX-License-Identifier: MIT */
/*
 * What the programs have in common: a domain opened, checked, paused if wanted and let go again on
 * every way out; errors of one line; progress.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include "dom_xen.h"
#include "naming.h"

/* Exit statuses, the same for all programs (tools/man). */
enum {
	TOOL_OK = 0,
	TOOL_NOTHING = 1, /* done, and there is nothing to be told */
	TOOL_USAGE = 2,
	TOOL_NO_DOMAIN = 3,  /* no such domain, or it is being destroyed */
	TOOL_WRONG_KIND = 4, /* HVM, dom0 without --force, a set that this kernel has not */
	TOOL_NO_XEN = 5,     /* not on Xen, or no privilege */
	TOOL_NOT_OWN = 6,    /* a frame that is not the domain's */
	TOOL_INCOMPLETE = 7, /* done, but the answer may lack something; or out of memory */
};

/* The options that programs have in common; a program's own codes begin at TOOL_OPT_OWN. */
enum {
	TOOL_OPT_SYMBOLS = 256,
	TOOL_OPT_PAUSE,
	TOOL_OPT_EVERY,
	TOOL_OPT_FORCE,
	TOOL_OPT_PROGRESS,
	TOOL_OPT_VERSION,
	TOOL_OPT_OWN
};

struct tool_options {
	const char *symbols;
	bool pause, force, every_frame, progress;
};

struct tool {
	const char *name;
	struct tool_options options;
	struct xen *xen;
	struct dom dom;
	struct reader reader;
	struct symbols *symbols;
	struct naming *naming;
	bool is_open, is_paused_by_us;
};

/* Prints "NAME: text" to standard error and returns the status. */
int tool_fail(const struct tool *tool, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Takes one of the common options, or 'h'; with any other, says where help is. -1: go on; otherwise the
 * program's status.
 */
int tool_take_option(struct tool *tool, int option, void (*print_help)(FILE *out));

/* An error of the reader's, in words. */
int tool_fail_reading(const struct tool *tool, int err);

/* Finds the domain, pauses it if wanted, reads what there is. TOOL_OK, or a status and a line. */
int tool_open(struct tool *tool, const char *domain);

/* Ends our pause, if there is one. */
void tool_let_run(struct tool *tool);

/* Lets everything go; the domain runs again. Good at any stage. */
void tool_close(struct tool *tool);

/* Reads all anew, for a picture that is drawn again. */
int tool_reread(struct tool *tool);

void tool_print_version(const char *name);

/* Set when the user wants to stop: the reader ends with -EINTR. */
extern volatile int tool_stop;

#endif
