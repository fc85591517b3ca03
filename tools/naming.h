/* SPDX-License-Identifier: MIT */
/*
 * What an address of a domain belongs to. Knows kernels of this library (by the block in their
 * image) and Linux; for others, Linux's layout is a guess, and is called one.
 */
#ifndef TOOLS_NAMING_H
#define TOOLS_NAMING_H

#include "inspect.h"
#include "linux.h"
#include "search.h"
#include "symbols.h"

enum kernel { KERNEL_UNKNOWN, KERNEL_PVMM, KERNEL_LINUX };

struct naming {
	struct reader *reader;
	struct symbols *symbols; /* NULL: none were given */
	enum kernel kernel;
	uint64_t image_end; /* of Linux: modules are behind it */
	struct inspect inspect;
	struct linux_guest linux_guest;
};

#define PLACE_TEXT 320u

struct place {
	const char *region;    /* one word, for programs */
	char text[PLACE_TEXT]; /* in words, escaped where the domain has its say */
	bool is_own_place;     /* the direct map's place for just this frame */
	bool has_area;	       /* of a kernel of this library */
	struct inspect_area area;
};

/* symbols may be NULL, and stay the caller's. */
int naming_open(struct naming *n, struct reader *r, struct symbols *symbols);

/* What va is, as an address of the frame with this pfn (TOOL_NO_FRAME: not known). */
void naming_place(struct naming *n, uint64_t va, uint64_t pfn, struct place *place);

/* A code address: "name+0x12", perhaps with "(file.c:34)" behind it. */
void naming_code(struct naming *n, uint64_t va, char *buf, size_t len_bytes);

/* The start of the direct map; 0 if it is not known. */
uint64_t naming_direct_map(const struct naming *n);

const char *naming_kernel(const struct naming *n);

#endif
