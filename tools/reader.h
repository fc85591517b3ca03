/* SPDX-License-Identifier: MIT */
/*
 * What there is of a domain: its frames and its page tables, whether a root leads to them or not.
 *
 * Which frames to ask Xen about is learnt from the domain: its p2m, its vCPUs' roots, and, where
 * those do not account for all the pages that Xen counts, from the entries of its tables. What they
 * are is Xen's word alone: the domain's own frames, and of these the ones whose type is a page
 * table, in use or not. So a lying domain can hide a table from the reader (and the reader says how
 * many frames it did not get to see), but make it read nothing but the domain's own memory, each
 * table once in a pass.
 *
 * Memory: a bit or two for each frame, 32 bytes for each table. All numbers are machine frames
 * unless called pfn. Functions return 0 or -errno.
 */
#ifndef TOOLS_READER_H
#define TOOLS_READER_H

#include <stdio.h>
#include "dom.h"
#include "frameset.h"
#include "layout.h"

struct table {
	uint64_t mfn;
	uint64_t sum; /* of its contents in the last pass, to notice changes */
	uint8_t level;
	bool is_typed; /* Xen has it as a table; otherwise only the guest's own records do */
	bool is_pinned;
	bool is_loaded; /* the root of a vCPU */
	bool is_unread; /* could not be read in the last pass */
};

struct reader_options {
	bool every_frame; /* ask Xen about every frame of the machine */
	/* Called now and then, with a word for what is going on. NULL: nobody wants to know. */
	void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t of);
	void *progress_ctx;
	/* Looked at between batches: stop with -EINTR. */
	const volatile int *stop;
};

/* What the reader wants said beside its answers. */
struct reader_notes {
	uint64_t missing;      /* pages that Xen counts and nobody led to */
	uint64_t p2m_lies;     /* p2m entries that Xen's m2p contradicts */
	bool p2m_absent;       /* the domain has not published one */
	bool p2m_cut;	       /* it goes on where the reader stopped */
	bool gave_up;	       /* tables lead to more frames than the domain can have */
	uint64_t unreadable;   /* tables that could not be read */
	uint64_t no_registers; /* vCPUs whose roots are not known */
};

struct reader {
	struct dom *dom;
	const struct layout *layout;
	struct reader_options options;
	struct reader_notes notes;
	struct frameset asked, own;
	struct table *tables; /* by mfn, once reader_open has returned */
	size_t nr_tables, max_tables;
	struct dom_vcpu *vcpus; /* root is TOOL_NO_FRAME where nothing is known */
	unsigned int nr_vcpus;
	uint64_t nr_read; /* pages */
	/* Frames that are to be asked about. */
	uint64_t pending[DOM_BATCH];
	unsigned int nr_pending;
	uint64_t *batch; /* room for READER_BATCH pages */
};

/* Pages that are mapped and copied at a time. */
#define READER_BATCH 128u

int reader_open(struct reader *r, struct dom *dom, const struct reader_options *options);
void reader_close(struct reader *r);

/* Learns of more frames from a p2m at va that the domain has not published, if some are missing. */
int reader_use_list(struct reader *r, uint64_t root, uint64_t va);

/* Whether the frame is the domain's own memory. Asks Xen if nobody has. */
int reader_is_own(struct reader *r, uint64_t mfn, bool *is_own);

/* NULL if the frame is no table. */
struct table *reader_table(const struct reader *r, uint64_t mfn);

/* Tables that the guest's own records know and Xen does not (yet); those that it does are skipped.
 */
int reader_add_tables(struct reader *r, const uint64_t *mfns, const uint8_t *levels, size_t nr);

/* Copies pages of the domain's own memory, at most READER_BATCH; ok[i] is false for all others. */
int reader_read(struct reader *r, const uint64_t *mfns, unsigned int nr, void *pages, bool *ok);

/*
 * Reads each table of a level, and calls visit with its entries. Sums are noted. A visit that
 * returns non-zero ends it.
 */
typedef int reader_visit_fn(struct reader *r, struct table *table, const uint64_t *entries,
			    void *ctx);
int reader_visit(struct reader *r, unsigned int level, reader_visit_fn *visit, void *ctx);

/* A number that changes when the contents of a table do, but for accessed and dirty bits. */
uint64_t table_sum(const uint64_t *entries);

/* TOOL_NO_FRAME for a frame that is not the domain's. */
uint64_t reader_pfn(struct reader *r, uint64_t mfn);

/* The domain's frame with this pfn, by Xen's m2p; -ENOENT for none, -EEXIST for several. */
int reader_find_pfn(struct reader *r, uint64_t pfn, uint64_t *mfn);

/* Calls each with the pfn of every frame of the domain. */
int reader_for_each_frame(struct reader *r,
			  int (*each)(struct reader *r, uint64_t mfn, uint64_t pfn, void *ctx),
			  void *ctx);

/* --- for the parts of the reader --- */

/* Asks about a frame, now or with others; reader_flush asks what is left. */
int reader_offer(struct reader *r, uint64_t mfn);
int reader_flush(struct reader *r);
int reader_progress(struct reader *r, const char *what, uint64_t done, uint64_t of);

/* p2m.c: offers every frame of the domain's published p2m that the m2p agrees with. */
int p2m_offer(struct reader *r);

/* The same for a list that is known of otherwise, as far as the domain's number of pages. */
int p2m_offer_list(struct reader *r, uint64_t root, uint64_t va);

#endif
