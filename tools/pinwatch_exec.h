/* SPDX-License-Identifier: MIT */
/*
 * Runs the user's command for an incident, beside the watch: a command that takes long or hangs
 * holds nothing up, and a flood of incidents does not become a flood of processes.
 */
#ifndef TOOLS_PINWATCH_EXEC_H
#define TOOLS_PINWATCH_EXEC_H

#include <sys/types.h>
#include "pinwatch_report.h"

#define EXEC_AT_A_TIME 4u

struct exec {
	const char *command; /* for /bin/sh; NULL: none */
	pid_t running[EXEC_AT_A_TIME];
	uint64_t nr_run, nr_failed, nr_skipped;
};

/*
 * Starts the command with the incident in its environment (PINWATCH_*; numbers, or text of which
 * everything but letters, digits and -._:+ and space has become '_') and as JSON on its standard
 * input. 0, 1 when too many are running, or -errno.
 */
int exec_start(struct exec *exec, const struct story *story);

/* Takes note of those that have ended. */
void exec_reap(struct exec *exec);

/* Waits for the last ones, some seconds at most. */
void exec_finish(struct exec *exec);

#endif
