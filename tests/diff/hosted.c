/* SPDX-License-Identifier: MIT */
/*
 * diff debug|release [words] FIRST:COUNT[:MASK][,...]: sequences on the model. What it prints is
 * what the reference guest prints for the same (tests/guest/diff.c).
 */
#include <stdio.h>
#include <string.h>
#include "tests/diff/sequence.h"
#include "tests/model/model.h"

#define PAGES 4096

static void say(const char *line)
{
	puts(line);
}

int main(int argc, char **argv)
{
	const char *what = argv[argc - 1];
	bool words = argc == 4 && !strcmp(argv[2], "words"), ok;
	bool release = argc > 1 && !strcmp(argv[1], "release");
	struct diff_machine machine = {.outside = _mfn(0xffffffff), .say = say};

	if (argc < 3 || argc > 4 || (argc == 4 && !words) ||
	    (!release && strcmp(argv[1], "debug")) || diff_check(what)) {
		fprintf(stderr, "usage: diff debug|release [words] FIRST:COUNT[:MASK][,...]\n");
		return 2;
	}
	model_boot_with(PAGES, 1, &(struct model_options){.release = release});
	/* No sequence uses an address of a root's lower half, which can have very many. */
	model_threads(true);
	machine.foreign = model_frame_owned(MODEL_FOREIGN, 0);
	machine.io = model_frame_owned(MODEL_IO, 0xa0);
	ok = diff_run(what, words, &machine);
	if (ok && model_check())
		ok = false;
	model_shutdown();
	return !ok;
}
