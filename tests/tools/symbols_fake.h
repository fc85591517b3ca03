/* SPDX-License-Identifier: MIT */
#ifndef TESTS_TOOLS_SYMBOLS_FAKE_H
#define TESTS_TOOLS_SYMBOLS_FAKE_H

#include <stdint.h>

#define FAKE_SYMBOLS 16u

/* Ended by one without a name. */
struct fake_symbol {
	const char *name;
	uint64_t va;
};

extern struct fake_symbol fake_symbols[FAKE_SYMBOLS];

/* What to give as the list of symbols. */
#define FAKE_LIST ((struct symbols *)fake_symbols)

#endif
