/* SPDX-License-Identifier: MIT */
/* Owns the bitmaps behind frame sets: parts of 4 KiB, made when first needed. */
#include <errno.h>
#include <stdlib.h>
#include "dom.h"
#include "frameset.h"

#define PART_BITS  32768u
#define PART_WORDS (PART_BITS / 64)

static uint64_t nr_parts(const struct frameset *set)
{
	return (set->limit + PART_BITS - 1) / PART_BITS;
}

int frameset_init(struct frameset *set, uint64_t limit)
{
	*set = (struct frameset){.limit = limit};
	set->parts = calloc(limit ? (size_t)nr_parts(set) : 1, sizeof(*set->parts));
	return set->parts ? 0 : -ENOMEM;
}

void frameset_free(struct frameset *set)
{
	for (uint64_t i = 0; set->parts && i < nr_parts(set); i++)
		free(set->parts[i]);
	free(set->parts);
	*set = (struct frameset){0};
}

int frameset_add(struct frameset *set, uint64_t frame)
{
	uint64_t **part, *word, bit = 1ULL << frame % 64;

	if (frame >= set->limit)
		return 0;
	part = &set->parts[frame / PART_BITS];
	if (!*part)
		*part = calloc(PART_WORDS, sizeof(**part));
	if (!*part)
		return -ENOMEM;
	word = &(*part)[frame % PART_BITS / 64];
	if (*word & bit)
		return 0;
	*word |= bit;
	set->nr++;
	return 1;
}

bool frameset_has(const struct frameset *set, uint64_t frame)
{
	const uint64_t *part;

	if (frame >= set->limit)
		return false;
	part = set->parts[frame / PART_BITS];
	return part && part[frame % PART_BITS / 64] >> frame % 64 & 1;
}

uint64_t frameset_next(const struct frameset *set, uint64_t from)
{
	while (from < set->limit) {
		const uint64_t *part = set->parts[from / PART_BITS];
		uint64_t word;

		if (!part) {
			from = (from / PART_BITS + 1) * PART_BITS;
			continue;
		}
		word = part[from % PART_BITS / 64] >> from % 64;
		if (word)
			return from + (uint64_t)__builtin_ctzll(word);
		from = (from / 64 + 1) * 64;
	}
	return TOOL_NO_FRAME;
}
