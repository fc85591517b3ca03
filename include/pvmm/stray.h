/* SPDX-License-Identifier: MIT */
/*
 * Stray writable mappings: finding them (mm/stray.c) and saying so (mm/report.c). When Xen refuses
 * to make a page a page table, the report is printed without asking; its lines are explained in
 * docs/checker.md. pvmm/check.h looks for them before that.
 *
 * Xen keeps no reverse map, so neither can say where a page is mapped without looking; this looks,
 * in every table that the manager knows: the kernel's and every address space's, loaded or not.
 */
#ifndef PVMM_STRAY_H
#define PVMM_STRAY_H

#include <pvmm/space.h>

/* One L1 entry that maps a page. */
struct pvmm_mapping {
	pfn_t pfn;   /* what is mapped */
	pfn_t table; /* the L1 table that maps it, */
	unsigned int slot;
	pvmm_pte_t entry;
	pvmm_va_t va;
	struct pvmm_space *space; /* &pvmm_kernel_space or the one whose user half it is in */
};

#define PVMM_FIND_WRITABLE 0x1 /* only writable mappings */

/*
 * Finds the mappings of a page, the direct map's own among them; fills at most max of found and
 * returns how many there are. Takes the space list's lock; cost is a look at every L1 entry.
 */
PVMM_API unsigned int pvmm_find_mappings(pfn_t pfn, unsigned int flags, struct pvmm_mapping *found,
					 unsigned int max);

/* How a stray mapping came to notice. */
enum pvmm_check_how {
	PVMM_CHECK_BY_PIN, /* Xen refused tables */
	PVMM_CHECK_BY_FREE,
	PVMM_CHECK_BY_ALLOC,
	PVMM_CHECK_BY_SWEEP,
	PVMM_CHECK_BY_CALL,	/* pvmm_check_page and the like */
	PVMM_CHECK_BY_BALLOON,	/* given away, and Xen still counts it as the domain's */
	PVMM_CHECK_BY_EXCHANGE, /* Xen does not exchange it for another frame */
	PVMM_CHECK_HOWS,
};

/* What is done about one (check-action=). */
enum pvmm_check_action {
	PVMM_ACTION_REPORT, /* nothing */
	PVMM_ACTION_FIX,    /* mappings are removed; a page that stays held goes to quarantine */
	PVMM_ACTION_QUARANTINE, /* the page is not used any more */
	PVMM_ACTION_PANIC,
};

/* The last report, for tests and tools. */
struct pvmm_stray_record {
	uint64_t refused_pins; /* since boot */
	uint64_t reports;      /* since boot, of refused pins and of everything else */
	enum pvmm_check_how how;
	pfn_t pfn; /* the page; PVMM_INVALID_PFN if it is not known which */
	int err;   /* Xen's answer */
	unsigned int nr_found;
	struct pvmm_mapping first;     /* if nr_found is not 0 */
	enum pvmm_check_action action; /* what was tried, */
	bool done;		       /* and whether the page, or the pin, is all right now */
};

PVMM_API struct pvmm_stray_record pvmm_stray_last(void);

/*
 * Prints all that is known of a page: its state, its counts, who had it, and every mapping with
 * what the address belongs to. -XEN_EINVAL for a pfn past the end. For an engineer at a console:
 * looks at every L1 entry.
 */
PVMM_API int pvmm_report_page(pfn_t pfn);

/*
 * A full audit: every page's direct-map entry is right and writable exactly when it should be, the
 * free lists hold exactly the free pages, live counts equal the mappings found. Prints each problem
 * and returns how many. For tests: nothing else may run meanwhile.
 */
PVMM_API unsigned int pvmm_audit(void);

#endif
