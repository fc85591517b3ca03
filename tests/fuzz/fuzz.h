/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: taking an input apart, and saying that something is wrong (the
 * process ends, libFuzzer keeps the input). An input that is used up reads as zeros, so that every
 * input means something.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
	const uint8_t *at, *end;
};

static inline bool fuzz_more(const struct fuzz_input *in)
{
	return in->at < in->end;
}

static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	return fuzz_more(in) ? *in->at++ : 0;
}

static inline uint64_t fuzz_bytes(struct fuzz_input *in, unsigned int nr)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < nr; i++)
		value |= (uint64_t)fuzz_byte(in) << (8 * i);
	return value;
}

#define fuzz_must(condition)                                                                    \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

#endif
