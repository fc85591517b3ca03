/* SPDX-License-Identifier: MIT */
/* See type_word.h. Owns nothing. */
#include <stdio.h>
#include <string.h>
#include "type_word.h"

/* The same in both layouts, but for the lock. */
#define WORD_LOCKED_3	  (1ULL << 60)
#define WORD_PINNED	  (1ULL << 59)
#define WORD_VALIDATED	  (1ULL << 58)
#define WORD_PAE_TOP	  (1ULL << 57)
#define WORD_PARTIAL	  (1ULL << 56)
#define WORD_NON_COHERENT (1ULL << 55) /* with 3 bits of type */
#define WORD_LOCKED_4	  (1ULL << 55) /* with 4 */
#define WORD_COUNT	  ((1ULL << 55) - 1)

enum type_layout type_layout_of(uint64_t saw, uint64_t wanted)
{
	/* Nobody asks for a locked page, and a page is locked for moments only. */
	return (saw | wanted) & WORD_LOCKED_3 ? TYPE_BITS_4 : TYPE_BITS_3;
}

static enum page_use use_of(uint64_t word, enum type_layout layout)
{
	static const enum page_use uses_3[8] = {USE_NONE,   USE_L1,	 USE_L2,
						USE_L3,	    USE_L4,	 USE_DESCRIPTORS,
						USE_SHARED, USE_WRITABLE};
	static const enum page_use uses_4[16] = {
		USE_NONE,    USE_L1,	   USE_L2,	USE_L3,	     USE_L4,	  USE_DESCRIPTORS,
		USE_UNKNOWN, USE_WRITABLE, USE_SHARED,	USE_UNKNOWN, USE_UNKNOWN, USE_UNKNOWN,
		USE_UNKNOWN, USE_UNKNOWN,  USE_UNKNOWN, USE_UNKNOWN,
	};

	return layout == TYPE_BITS_3 ? uses_3[word >> 61] : uses_4[word >> 60];
}

void type_word_decode(struct type_word *type, uint64_t word, enum type_layout layout)
{
	bool is_3 = layout == TYPE_BITS_3;

	*type = (struct type_word){
		.use = use_of(word, layout),
		.is_locked = word & (is_3 ? WORD_LOCKED_3 : WORD_LOCKED_4),
		.is_pinned = word & WORD_PINNED,
		.is_validated = word & WORD_VALIDATED,
		.is_pae_top = word & WORD_PAE_TOP,
		.is_partial = word & WORD_PARTIAL,
		.is_non_coherent = is_3 && word & WORD_NON_COHERENT,
		.count = word & WORD_COUNT,
	};
}

const char *page_use_name(enum page_use use)
{
	static const char *const names[] = {
		[USE_NONE] = "of no type",
		[USE_L1] = "an L1 page table",
		[USE_L2] = "an L2 page table",
		[USE_L3] = "an L3 page table",
		[USE_L4] = "an L4 page table",
		[USE_DESCRIPTORS] = "a GDT or LDT page",
		[USE_SHARED] = "a shared page",
		[USE_WRITABLE] = "a writable page",
		[USE_UNKNOWN] = "of an unknown type",
	};

	return names[use];
}

bool page_use_is_table(enum page_use use)
{
	return use >= USE_L1 && use <= USE_L4;
}

static void add(char *buf, const char *word)
{
	size_t len = strlen(buf);

	snprintf(buf + len, TYPE_WORD_BYTES - len, "%s", word);
}

void type_word_describe(uint64_t word, enum type_layout layout, char buf[TYPE_WORD_BYTES])
{
	struct type_word type;
	char count[40];

	type_word_decode(&type, word, layout);
	snprintf(buf, TYPE_WORD_BYTES, "%s", page_use_name(type.use));
	if (type.is_pinned)
		add(buf, ", pinned");
	/* A writable page is valid as it is. */
	if (page_use_is_table(type.use) && type.is_validated)
		add(buf, ", validated");
	if (type.is_partial)
		add(buf, ", partly validated");
	if (type.is_pae_top)
		add(buf, ", with Xen's entries");
	if (type.is_locked)
		add(buf, ", locked");
	if (type.is_non_coherent)
		add(buf, ", mapped write-combining");
	snprintf(count, sizeof(count), ", %llu use%s", (unsigned long long)type.count,
		 type.count == 1 ? "" : "s");
	add(buf, count);
}
