/* SPDX-License-Identifier: MIT */
/* Differential sequences, as options of the command line; tests/guest/diff.c has them. */
#ifndef GUEST_DIFF_H
#define GUEST_DIFF_H

#include <pvmm/types.h>

const char *diff_parse(const char *value);
const char *diff_parse_words(const char *value);
bool diff_wanted(void);

/* Runs what was asked for; false if something could not be put back. */
bool diff_go(void);

#endif
