/* SPDX-License-Identifier: MIT */
/*
 * Owns the thread that reads the console, and the line that is being typed there. What anybody else
 * prints meanwhile begins a line of its own (pvmm_console_edit); the typed line comes back with the
 * next key.
 */
#include <pvmm/cmdline.h>
#include <pvmm/console.h>
#include <pvmm/log.h>
#include "editor.h"
#include "shell.h"
#include "worker.h"

static struct worker worker;

static const char *command_name(unsigned int i)
{
	return commands[i].name;
}

static struct editor editor = {
	.prompt = "pvmm> ",
	.out = pvmm_console_edit,
	.word = command_name,
};

static const struct command *find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (pvmm_text_equal(c->name, name))
			return c;
	return NULL;
}

/* Cuts the next word off a line, in place; NULL when there is none. */
static char *next_word(char **line)
{
	char *word = *line, *end;

	while (*word == ' ')
		word++;
	for (end = word; *end && *end != ' ';)
		end++;
	*line = *end ? end + 1 : end;
	*end = '\0';
	return *word ? word : NULL;
}

static void run_line(char *line)
{
	const char *name = next_word(&line), *argument = next_word(&line);
	const struct command *c;

	if (!name)
		return;
	c = find(name);
	if (!c)
		pvmm_print("%s: no such command; \"help\" lists them\n", name);
	else if (next_word(&line) || (argument && !*c->takes))
		pvmm_print("%s: takes %s\n", name, *c->takes ? c->takes : "no argument");
	else if (!argument && *c->takes && *c->takes != '[')
		pvmm_print("%s: %s is missing\n", name, c->takes);
	else
		c->run(argument);
}

static void take(char key)
{
	if (!pvmm_console_line_stands())
		editor_show(&editor);
	if (editor_key(&editor, key)) {
		run_line(editor.line);
		editor_begin(&editor);
	}
}

static void run(void *ctx)
{
	char keys[64];
	size_t nr;

	(void)ctx;
	editor_begin(&editor);
	while (!worker_must_stop(&worker)) {
		thread_block_begin();
		nr = pvmm_console_read(keys, sizeof(keys));
		if (!nr && !worker_must_stop(&worker))
			thread_block();
		else
			thread_block_cancel();
		for (size_t i = 0; i < nr; i++)
			take(keys[i]);
	}
}

int shell_start(void)
{
	int err = worker_start(&worker, "shell", THREAD_ANYWHERE, run);

	if (!err)
		pvmm_console_on_input(worker_wake, &worker.thread);
	return err;
}

void shell_stop(void)
{
	pvmm_console_on_input(NULL, NULL);
	worker_stop(&worker);
}
