/* SPDX-License-Identifier: MIT */
/* What the checker's files, the search, the reports and the allocator tell each other. */
#ifndef PVMM_MM_CHECK_H
#define PVMM_MM_CHECK_H

#include <pvmm/check.h>
#include "mm.h"

/* --- finding: mm/stray.c --- */

/* A mapping, and what was known of its address space while the list of spaces was locked. */
struct sighting {
	struct pvmm_mapping m;
	bool pinned, loaded;
	char space_name[PVMM_SPACE_NAME_BYTES];
};

/* Mappings that a report shows; further ones are counted. */
#define SHOWN 8

enum finding_kind {
	FOUND_STRAY,	   /* nr_found mappings, or held by what cannot be seen from here */
	FOUND_LIVE,	   /* the manager itself counts live mappings: Xen was not asked */
	FOUND_CONFLICT,	   /* a space that is to be pinned maps a page table writable */
	FOUND_PLACE,	   /* the page's place in the direct map is not as it should be */
	FOUND_GONE,	   /* Xen refused the page a moment ago and takes it now */
	FOUND_UNEXPLAINED, /* Xen refused tables, and takes each of them alone */
	FOUND_UNSEARCHED,  /* check=off */
	FOUND_HELD,	   /* a page that is to leave the domain is still mapped, if only to read */
};

/* All that is known of one refusal: what reports are made of. */
struct finding {
	enum finding_kind kind;
	enum pvmm_check_how how;
	pfn_t pfn; /* PVMM_INVALID_PFN if it is not known which */
	int err;
	const struct pvmm_space *space;		  /* whose pin it was, or NULL */
	const struct pvmm_batch_failure *failure; /* of the pin */
	uint32_t live, stale;			  /* what the ledger knows of the page */
	unsigned int nr_found, nr_shown;
	struct sighting found[SHOWN];

	enum pvmm_check_action action;
	unsigned int nr_removed;
	pfn_t replacement; /* of a table that went to quarantine */
	bool done;
};

/*
 * One search and one report at a time: guards the marks of suspect pages and the record of the
 * last report. Inside a space's lock, outside the list's.
 */
extern struct pvmm_spinlock stray_lock;

enum wanted { WANTED_PAGE, WANTED_SUSPECTS, WANTED_TABLES };

struct search {
	enum wanted wanted;
	pfn_t pfn;		  /* the page, for WANTED_PAGE */
	bool writable;		  /* only writable mappings */
	bool skip_own;		  /* not a page's own place in the direct map */
	struct pvmm_space *space; /* only this one; NULL: all */
	void (*match)(const struct pvmm_mapping *m, void *ctx);
	void *ctx;
};

/* Calls match for each mapping, with the list of spaces locked unless it is one space only. */
void stray_search(const struct search *search);

/*
 * Fills the finding's sightings with the writable mappings of what is wanted; with all of them, if
 * that is a page that is to leave (FOUND_HELD).
 */
void stray_find(struct finding *f, enum wanted wanted, struct pvmm_space *space);

/* The same with all mappings of f->pfn, read-only ones and its own place among them. */
void stray_find_all(struct finding *f);

/* Keeps it as the last one. */
void stray_record(const struct finding *f);

/* --- asking: mm/check_probe.c --- */

/*
 * Pages that are asked about together. What is saved by more is little (docs/checker.md), and so
 * many pins and unpins, and not one more, share a trap with what comes behind them.
 */
#define PROBE_PAGES 31

enum probe_answer {
	PROBE_ASKING,
	PROBE_CLEAN,
	PROBE_REFUSED,
	PROBE_PLACE, /* its place in the direct map is not its own and writable: not asked */
	PROBE_ERROR, /* Xen could not be asked */
};

struct probe {
	struct pvmm_page *page;
	uint64_t maddr; /* of its direct-map entry */
	enum probe_answer answer;
	int err;
};

/*
 * Asks Xen about pages that are nobody's, and zeroes them. No batch may be open. Afterwards each is
 * writable in the direct map again, whatever happened.
 */
void probe_pages(struct probe *probes, unsigned int nr);
enum probe_answer probe_page(struct pvmm_page *page, int *err);

/* --- what Xen has refused: mm/check_custody.c --- */

void custody_init(void);

/* The page of a probe that was refused, held by the checker. */
void custody_add(const struct probe *p, enum pvmm_check_how how);

/* Deals with what is in custody, if this is a moment at which locks may be taken: how many pages.
 */
uint64_t custody_settle(void);

/* --- doing: mm/check_repair.c --- */

/*
 * Removes the writable mappings of the page or of the suspects. held: the space whose lock the
 * caller has, or NULL. Returns how many are gone; those whose space is locked by somebody else, or
 * that are not the manager's to change, stay.
 */
unsigned int repair_mappings(enum wanted wanted, pfn_t pfn, struct pvmm_space *within,
			     struct pvmm_space *held);

/*
 * The same for all mappings of a page that is to leave the domain, and of which the ledger knows
 * none.
 */
unsigned int repair_holders(pfn_t pfn);

/* Gives the page its own place in the direct map back, writable. */
bool repair_place(pfn_t pfn);

/* --- the checker: mm/check.c --- */

extern struct pvmm_check_config check_config;
extern struct pvmm_check_stats check_stats;

static inline void check_count(uint64_t *counter, uint64_t nr)
{
	__atomic_fetch_add(counter, nr, __ATOMIC_RELAXED);
}

void check_init(void);

/* For the allocator. Whether these pages, which are being freed, go through the checker. */
static inline bool check_wants_freed(uint64_t nr_pages, bool stale)
{
	if (!(check_config.modes & PVMM_CHECK_FREE))
		return false;
	if (stale)
		check_count(&check_stats.skipped_stale, nr_pages);
	return !stale;
}

/* They are held now: asks about them, when there are enough. */
void check_freed(pfn_t pfn, unsigned int order);

bool check_block(struct pvmm_page *block, unsigned int order);

/*
 * Whether the block may be handed out. If not it is the allocator's again, but for the pages that
 * Xen has refused.
 */
static inline bool check_allocated(struct pvmm_page *block, unsigned int order)
{
	return !(check_config.modes & PVMM_CHECK_ALLOC) || check_block(block, order);
}

/* Memory is short: gives back what the checker holds; false if that is nothing. */
bool check_give_back(void);

/* --- free pages in the checker's hands: mm/alloc.c --- */

/* Takes a free page off the lists; false if it is not on one. */
bool alloc_isolate(pfn_t pfn);

/* Takes an allocated block back from its owner-to-be. */
void alloc_retract(struct pvmm_page *block, unsigned int order);

/* Ends the hold: onto the lists, or out of use. */
void alloc_give_back(struct pvmm_page *page, bool reported, bool far_end);
void alloc_quarantine(struct pvmm_page *page);

/* --- saying: mm/report.c, mm/report_json.c --- */

/* What was found, and afterwards what was done. */
void report_finding(const struct finding *f);
void report_action(const struct finding *f);

void report_json(const struct finding *f);

/* What an address belongs to, in a word; and in words, on lines of their own. */
const char *report_place(const struct sighting *s);
void report_print_place(const struct sighting *s);
const char *report_action_name(enum pvmm_check_action action);
const char *report_how_name(enum pvmm_check_how how);

/* "text: what Xen refused". */
void report_refusal(const struct pvmm_batch_failure *failure, const char *fmt, ...)
	PVMM_PRINTF(2, 3);

#endif
