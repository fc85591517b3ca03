/* SPDX-License-Identifier: MIT */
/*
 * The watch: lines of the console go into the book of incidents, crashed domains too; what the book
 * has new is looked into at once, before the domain changes or goes; what is over is told.
 */
#ifndef TOOLS_PINWATCH_H
#define TOOLS_PINWATCH_H

#include "pinwatch_exec.h"
#include "tool.h"

#define PINWATCH_DOMAINS 32u
#define PINWATCH_SYMBOLS 32u

struct pinwatch {
	struct tool tool; /* for its name, its messages and the way to Xen */
	/* What the user wants. */
	bool since_boot, once, json;
	uint64_t seconds;  /* 0: until a signal */
	const char *check; /* a domain that is only looked into */
	const char *given[PINWATCH_DOMAINS];
	unsigned int nr_given;
	struct {
		const char *domain; /* NULL: all */
		struct symbols *symbols;
	} symbols[PINWATCH_SYMBOLS];
	unsigned int nr_symbols;
	struct exec exec;
	/* What is going on. */
	struct watch *watch;
	struct ring ring;
	struct book book;
	/* Time that looks may still take: see may_look. */
	int64_t budget_ms;
	uint64_t budget_at_ms;
	bool is_over;
	/* For the summary. */
	uint64_t nr_incidents, nr_crashes, nr_found, lost_bytes, nr_no_memory;
};

/* Connects with Xen: 0, or a status of the program and a line. */
int pinwatch_open(struct pinwatch *p);
void pinwatch_close(struct pinwatch *p);

/* Follows until it is over; prints the summary. The program's status. */
int pinwatch_follow(struct pinwatch *p);

/* Looks into a domain as if it had just crashed. The program's status. */
int pinwatch_check(struct pinwatch *p, const char *domain);

#endif
