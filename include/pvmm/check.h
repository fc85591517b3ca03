/* SPDX-License-Identifier: MIT */
/*
 * The checker: asks Xen whether a page has a writable mapping that nobody should have, before that
 * mapping bites. Xen refuses to make a page a page table while it is mapped writable anywhere, by
 * whomever; so a free page that Xen takes as an (empty) table for a moment has no stray mapping.
 *
 * Only pages that belong to nobody are asked about: asking writes to the page and makes it
 * read-only for a moment. docs/checker.md explains modes, actions and reports.
 *
 * A page that Xen refuses is kept back until nothing is locked and no batch is open, then searched
 * for, reported and dealt with. No function here may be called from an event handler.
 */
#ifndef PVMM_CHECK_H
#define PVMM_CHECK_H

#include <pvmm/stray.h>

/* When it is asked (check=); a sweep is on when it has a rate. */
#define PVMM_CHECK_PIN	 0x1 /* a refused pin is searched for; counts are asserted before it */
#define PVMM_CHECK_FREE	 0x2 /* pages that are freed, some together */
#define PVMM_CHECK_ALLOC 0x4 /* pages that are allocated */

/* How reports look (report=). */
#define PVMM_REPORT_TEXT 0x1
#define PVMM_REPORT_JSON 0x2 /* one line each: "pvmm-json: {...}" */

struct pvmm_check_config {
	unsigned int modes;
	uint32_t sweep_rate; /* pages a second; 0: no sweep */
	enum pvmm_check_action action;
	unsigned int report;
};

PVMM_API struct pvmm_check_config pvmm_check_config(void);
PVMM_API void pvmm_check_configure(const struct pvmm_check_config *config);

/* What a check of one page has come to. */
enum pvmm_check_answer {
	PVMM_CHECK_CLEAN,
	PVMM_CHECK_STRAY,
	PVMM_CHECK_IN_USE,    /* not free, so not asked */
	PVMM_CHECK_STALE,     /* free, with stale mappings that the ledger knows; not asked */
	PVMM_CHECK_NO_ANSWER, /* Xen refused for another reason, or the page cannot be reached */
};

/*
 * Each asks about free pages: one, those of a range, or all. Known stale mappings are purged first.
 * No batch may be open, no lock held. Return what it is, or how many pages have a stray mapping.
 */
PVMM_API enum pvmm_check_answer pvmm_check_page(pfn_t pfn);
PVMM_API uint64_t pvmm_check_range(pfn_t first, uint64_t nr_pages);
PVMM_API uint64_t pvmm_check_free(void);

/* The next nr free pages in pfn order, round and round; pages with stale mappings are left out. */
PVMM_API uint64_t pvmm_check_sweep(uint64_t nr_pages);

/* Where the next sweep begins. */
PVMM_API void pvmm_check_sweep_at(pfn_t next);

/*
 * For an idle loop, a timer's thread, or wherever a kernel has a moment: sweeps as many pages as
 * the rate allows since the last call, and deals with what was kept back.
 */
PVMM_API void pvmm_check_tick(void);

/* Asks about the freed pages that are still waiting for company, and gives them back. */
PVMM_API void pvmm_check_flush(void);

/* Since boot. */
struct pvmm_check_stats {
	uint64_t probed[PVMM_CHECK_HOWS]; /* pages that Xen was asked about, by how that came */
	uint64_t skipped_stale;		  /* not asked about: stale mappings, known */
	uint64_t skipped_busy;		  /* ... a batch was open */
	uint64_t errors;		  /* ... Xen could not be asked */
	uint64_t refused_pins;
	uint64_t strays;      /* pages with a stray writable mapping */
	uint64_t mappings;    /* stray mappings found by the search */
	uint64_t repaired;    /* of them, taken away */
	uint64_t quarantined; /* pages */
};

PVMM_API struct pvmm_check_stats pvmm_check_stats(void);

/* One line about them, if there is anything to say. Any context. */
PVMM_API void pvmm_check_summary(void);

#endif
