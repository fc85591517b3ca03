/* SPDX-License-Identifier: MIT */
/* The kernel's console for an engineer: xl console NAME, then "help". */
#ifndef GUEST_SHELL_H
#define GUEST_SHELL_H

#include <pvmm/types.h>

/* A thread that reads what is typed and does it. -XEN_ENOMEM. */
int shell_start(void);

/* Returns when the thread is gone. */
void shell_stop(void);

/* --- guest/commands*.c --- */

struct command {
	const char *name;
	const char *takes; /* "" or "PFN" or "[PFN]", for help; decides how many words may follow */
	const char *about;
	void (*run)(const char *argument); /* NULL: none was given */
};

/* All commands, ended by one without a name. */
extern const struct command commands[];

#endif
