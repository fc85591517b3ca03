/* SPDX-License-Identifier: MIT */
/*
 * Kernels in an image: one of this library, with a page database, owners, stacks, names and areas;
 * and what of a Linux the tools look at.
 */
#ifndef TESTS_TOOLS_GUESTS_H
#define TESTS_TOOLS_GUESTS_H

#include <pvmm/inspect.h>
#include "image.h"

#define GUEST_DIRECT 0xffff888000000000ULL
#define GUEST_VMAP   0xffffc90000000000ULL
#define GUEST_KMAP   0xffffca0000000000ULL
#define GUEST_PAGES  0xffffea0000000000ULL
#define GUEST_OWNERS 0xffffeb0000000000ULL
#define GUEST_IMAGE  0xffffffff80000000ULL

/* The areas that the kernel of this library has: a small one in a chunk, and a large one. */
#define GUEST_SMALL	  (GUEST_VMAP + 0x12000)
#define GUEST_SMALL_PAGES 4u
#define GUEST_LARGE	  (GUEST_VMAP + (8ULL << 21))
#define GUEST_LARGE_PAGES 100u

struct guest_page {
	uint32_t unused[2], refs, live, stale;
	uint8_t kind, pad[11];
};

/*
 * Makes the kernel of this library, in the tables of root: about 25 frames. The record of a pfn is
 * guest_page(). The small area is stale, made and given up by the functions of guest_stack.
 */
void guest_pvmm(struct image *image, uint64_t root);
struct guest_page *guest_page(struct image *image, uint64_t pfn);

/* What vmap_area_root and its structures look like, with one area at this address. */
#define GUEST_LINUX_TREE 0xffffffff82000100ULL
void guest_linux(struct image *image, uint64_t root, uint64_t area, uint64_t nr_pages);

#endif
