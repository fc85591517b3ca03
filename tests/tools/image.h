/* SPDX-License-Identifier: MIT */
/*
 * A domain made of memory, behind the tools' seam: what Xen would say of each frame, and its
 * contents. Machine frames are IMAGE_BASE and above, in an order that is not that of the pfns.
 */
#ifndef TESTS_TOOLS_IMAGE_H
#define TESTS_TOOLS_IMAGE_H

#include "tools/dom.h"
#include "tools/layout.h"

#define IMAGE_BASE 0x1000u

struct image {
	struct dom dom;
	unsigned int
		nr; /* frames; the machine has IMAGE_BASE before them and as many behind them */
	uint64_t *pages;
	uint8_t *types; /* FRAME_* */
	uint64_t *pfns; /* the m2p's answer */
	bool *unreadable;
	struct dom_vcpu vcpus[4];
	bool vcpu_is_down[4];
	struct dom_grant grants[8];
	unsigned int nr_grants;
	unsigned int next; /* the first frame that nobody has taken */
	/* What was done to it. */
	unsigned int nr_reads, nr_foreign_reads, nr_type_calls, nr_foreign_types, nr_pauses, paused;
	unsigned int most_reads_of_a_page, *reads_of;
	/* Called before each read: a domain that changes while it is looked at. */
	void (*before_read)(struct image *image, uint64_t mfn);
};

void image_init(struct image *image, unsigned int nr, unsigned int width);
void image_free(struct image *image);

/* The next frame, of this type, empty. */
uint64_t image_frame(struct image *image, uint8_t type);
uint64_t *image_page(struct image *image, uint64_t mfn);
uint64_t image_pfn(const struct image *image, uint64_t mfn);

/* Maps va to a frame in the tables of root, making the tables that are missing, as validated ones.
 */
void image_map(struct image *image, uint64_t root, uint64_t va, uint64_t mfn, uint64_t bits);

/* The table of this level on the way to va. */
uint64_t image_table(struct image *image, uint64_t root, uint64_t va, unsigned int level);

/* Publishes a p2m of all frames: a tree, or a list at va in the tables of root. */
void image_publish_tree(struct image *image);
void image_publish_list(struct image *image, uint64_t root, uint64_t va);

/* The nth word of what the domain publishes in its shared info page (struct arch_shared_info). */
void image_publish_word(struct image *image, unsigned int n, uint64_t value);

#endif
