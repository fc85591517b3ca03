/* SPDX-License-Identifier: MIT */
/* See pinwatch_exec.h. Owns the children. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "pinwatch_exec.h"

#define FINISH_MS 5000u

#define VALUE_BYTES 512u

/* What a shell, a terminal or a careless script could take for something else is replaced. */
static void clean(char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("-._:+ ", *text))
			*text = '_';
}

static void set(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void set(const char *name, const char *fmt, ...)
{
	char value[VALUE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	clean(value);
	/* In the child: what finds no memory is missing there. */
	setenv(name, value, 1);
}

static void set_frames(const struct story *story)
{
	char frames[VALUE_BYTES] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < story->look->nr_frames && len + 20 < sizeof(frames); i++)
		len += (size_t)snprintf(frames + len, sizeof(frames) - len, "%s0x%llx",
					i ? " " : "",
					(unsigned long long)story->look->frames[i].mfn);
	set("PINWATCH_FRAMES", "%s", frames);
}

static void set_environment(const struct story *story)
{
	const struct look_frame *culprit = story_culprit(story);
	const struct incident *incident = story->incident;
	char verdict[VERDICT_BYTES];

	story_verdict(story, verdict);
	set("PINWATCH_INCIDENT", "%llu", (unsigned long long)incident->number);
	set("PINWATCH_KIND", "%s", story_kind(story));
	set("PINWATCH_CRASHED", "%d", incident->has_crashed);
	set("PINWATCH_DOMID", "%u", incident->domid);
	set("PINWATCH_NAME", "%s", story->name);
	set("PINWATCH_VERDICT", "%s", verdict);
	set("PINWATCH_VCPU", "%s", "");
	if (incident->vcpu != LINE_NONE)
		set("PINWATCH_VCPU", "%llu", (unsigned long long)incident->vcpu);
	set("PINWATCH_VA", "%s", "");
	set("PINWATCH_PLACE", "%s", culprit ? culprit->place : "");
	if (culprit)
		set("PINWATCH_VA", "0x%llx", (unsigned long long)culprit->va);
	set_frames(story);
}

/* In the child. */
static void run(const struct exec *exec, const struct story *story, FILE *input)
{
	if (dup2(fileno(input), STDIN_FILENO) < 0)
		_exit(127);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	set_environment(story);
	execl("/bin/sh", "sh", "-c", exec->command, (char *)NULL);
	_exit(127);
}

static pid_t *free_place(struct exec *exec)
{
	exec_reap(exec);
	for (unsigned int i = 0; i < EXEC_AT_A_TIME; i++)
		if (!exec->running[i])
			return &exec->running[i];
	return NULL;
}

int exec_start(struct exec *exec, const struct story *story)
{
	pid_t *place, pid;
	FILE *input;

	if (!exec->command)
		return 0;
	place = free_place(exec);
	if (!place) {
		exec->nr_skipped++;
		return 1;
	}
	/* A file, not a pipe: a command that does not read holds nothing up. */
	input = tmpfile();
	if (!input)
		return -errno;
	story_json(story, input);
	rewind(input);
	/* What is still in our buffers would be printed by the child again. */
	fflush(NULL);
	pid = fork();
	if (!pid)
		run(exec, story, input);
	fclose(input);
	if (pid < 0)
		return -errno;
	*place = pid;
	exec->nr_run++;
	return 0;
}

void exec_reap(struct exec *exec)
{
	int status;

	for (unsigned int i = 0; i < EXEC_AT_A_TIME; i++) {
		if (!exec->running[i] || !waitpid(exec->running[i], &status, WNOHANG))
			continue;
		if (status)
			exec->nr_failed++;
		exec->running[i] = 0;
	}
}

void exec_finish(struct exec *exec)
{
	const struct timespec a_moment = {.tv_nsec = 20000000};
	unsigned int nr;

	for (unsigned int ms = 0; ms < FINISH_MS; ms += 20) {
		exec_reap(exec);
		nr = 0;
		for (unsigned int i = 0; i < EXEC_AT_A_TIME; i++)
			nr += exec->running[i] != 0;
		if (!nr)
			return;
		nanosleep(&a_moment, NULL);
	}
}
