/* SPDX-License-Identifier: MIT */
/*
 * Who holds these frames? Looks through every table of a domain once, lowest level first, and keeps
 * what leads to the frames: entries that map them, tables that lead to those, up to the roots. Then
 * adds the holders that are no entries: roots, descriptor tables, grants.
 *
 * A finding is a plain struct, for printing or for judging by a program. Nothing in it points into
 * the reader; the reader may be closed before the result is freed.
 */
#ifndef TOOLS_SEARCH_H
#define TOOLS_SEARCH_H

#include "reader.h"

enum holder {
	HOLDER_ENTRY,	  /* an L1 entry maps the frame */
	HOLDER_TABLE,	  /* an upper entry uses it as a table */
	HOLDER_LINEAR,	  /* an entry refers to a table of its own level: a linear page table */
	HOLDER_ROOT,	  /* it is a vCPU's root */
	HOLDER_USER_ROOT, /* ... for user mode */
	HOLDER_GDT,	  /* of a vCPU */
	HOLDER_LDT,
	HOLDER_GRANT,
	HOLDERS,
};

/* What Xen thinks of the table that an entry is in. */
enum table_state {
	TABLE_PINNED,	 /* validated, and kept so by a pin of its own */
	TABLE_LOADED,	 /* ... because it is a vCPU's root */
	TABLE_REFERRED,	 /* ... because validated tables lead to it */
	TABLE_UNREACHED, /* has been a table; none that is validated leads to it: counts nothing */
	TABLE_UNTYPED,	 /* only the guest's own records have it as a table */
	TABLE_STATES,
};

/* One address of an entry, with one way from a root to it. */
struct address {
	uint64_t va;		       /* of the first byte that the entry translates */
	uint64_t table[TOP_LEVEL + 1]; /* by level; [0] is not used */
	uint16_t slot[TOP_LEVEL + 1];
	uint32_t nr_roots;	/* that lead there, counted up to a limit */
	bool is_loaded;		/* one of the roots is a vCPU's */
	bool is_readonly_above; /* a level above the entry is not writable */
};

#define FINDING_ADDRESSES 8u

struct finding {
	enum holder holder;
	uint32_t domid; /* whose entry, vCPU or grant it is */
	uint64_t mfn;	/* what is held */
	/* Of entries: */
	uint64_t table, table_pfn, entry;
	unsigned int level, slot;
	enum table_state state;
	bool changed; /* it was different when the tables were read again */
	bool is_user;
	struct address at[FINDING_ADDRESSES];
	unsigned int nr_addresses; /* in at */
	bool has_more_addresses;
	/* Of roots and descriptor tables: */
	unsigned int vcpu;
	/* Of grants: */
	struct dom_grant grant;
};

struct search_request {
	const uint64_t *mfns; /* any order, none twice */
	size_t nr_mfns;
	bool writable_only; /* L1 entries that are writable, and nothing above */
	/* Leaves an L1 entry out of the result if it says so; NULL: none. */
	bool (*ignore)(void *ctx, const struct finding *f);
	void *ignore_ctx;
	size_t max_findings; /* 0: SEARCH_FINDINGS */
};

#define SEARCH_FINDINGS 10000u

struct search_result {
	struct finding *findings; /* by frame, then in the order of enum holder, then by address */
	size_t nr, max;
	bool is_full;		 /* there are more */
	unsigned int rounds;	 /* that it took until the tables stood still */
	uint64_t changed_tables; /* after the last round, where it matters; 0: as of one moment */
	uint64_t unread_tables;
	uint64_t nr_tables;
};

int search(struct reader *r, const struct search_request *request, struct search_result *result);

/*
 * Only the entries of another domain's tables: r is that domain's reader. Adds to the result.
 * Called before the last search_sort.
 */
int search_foreign(struct reader *r, const struct search_request *request,
		   struct search_result *result);

void search_sort(struct search_result *result);
void search_free(struct search_result *result);

const char *table_state_name(enum table_state state);
const char *holder_name(enum holder holder);

static inline bool finding_is_writable(const struct finding *f)
{
	return f->holder == HOLDER_ENTRY && f->entry & ENTRY_RW;
}

/* --- for the parts of the search --- */

/* -ENOMEM; a result that is full only notes it. */
int result_add(struct search_result *result, size_t max, const struct finding *f);

/* holders.c: what is no entry of a table. */
int search_holders(struct reader *r, const struct frameset *wanted, size_t max,
		   struct search_result *result);

#endif
