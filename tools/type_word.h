/* SPDX-License-Identifier: MIT */
/*
 * Xen's word for what a frame is used as (type_info of its struct page_info), as it prints it:
 * type, flags, and how many uses of that type there are.
 */
#ifndef TOOLS_TYPE_WORD_H
#define TOOLS_TYPE_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The type takes the upper 3 bits in the supported versions (4.14 to 4.20), where bit 60 says that
 * the page is locked; older ones used 4 bits for it.
 */
enum type_layout {
	TYPE_BITS_3,
	TYPE_BITS_4,
};

enum page_use {
	USE_NONE,
	USE_L1,
	USE_L2,
	USE_L3,
	USE_L4,
	USE_DESCRIPTORS,
	USE_SHARED,
	USE_WRITABLE,
	USE_UNKNOWN,
};

struct type_word {
	enum page_use use;
	bool is_locked, is_pinned, is_validated, is_pae_top, is_partial;
	bool is_non_coherent; /* from the versions of mid-2022 on; older ones count with that bit */
	uint64_t count;
};

/* The layout that two words, one seen and one wanted (its type bits only), must be of. */
enum type_layout type_layout_of(uint64_t saw, uint64_t wanted);

void type_word_decode(struct type_word *type, uint64_t word, enum type_layout layout);

/* "an L1 page table", "a writable page", ... */
const char *page_use_name(enum page_use use);

/* "a writable page, 1 use", "an L4 page table, pinned, validated, 2 uses" */
#define TYPE_WORD_BYTES 120u
void type_word_describe(uint64_t word, enum type_layout layout, char buf[TYPE_WORD_BYTES]);

/* USE_L1 ... USE_L4 */
bool page_use_is_table(enum page_use use);

#endif
