/* SPDX-License-Identifier: MIT */
/* Pages that are made ready to leave the domain, judged, and put back if they stay. */
#ifndef PVMM_MM_LEAVE_H
#define PVMM_MM_LEAVE_H

#include <pvmm/hypercall.h>
#include "mm.h"

/*
 * Pages that leave together: as many as a page of frame numbers holds, and their direct-map entries
 * are a quarter of what one trap takes.
 */
#define LEAVING_PAGES 512

struct leaving {
	unsigned int nr;	  /* that leave; behind them in pages[] those that are held, */
	unsigned int nr_held;	  /* so many */
	unsigned int nr_stale;	  /* that had stale mappings */
	unsigned int nr_replaced; /* whose frame was exchanged */
	struct pvmm_page *pages[LEAVING_PAGES];
	uint8_t kinds[LEAVING_PAGES];	 /* what each is again if it stays */
	xen_pfn_t frames[LEAVING_PAGES]; /* what Xen is told */
	xen_pfn_t names[LEAVING_PAGES];	 /* pfns for new frames, and then those frames */
};

/*
 * Makes the pages BALLOONED, with no mapping left: one trap. -XEN_EBUSY, with a report, if the
 * ledger counts a live mapping of one; or Xen's refusal. On errors they are as before.
 */
int leave_prepare(struct leaving *l);

/*
 * Exchanges each one's frame for another. Those that Xen refuses are reported, and moved behind the
 * others, unless check-action=fix has removed what held them. 0, or why Xen could not be asked
 * about all.
 */
int leave_exchange(struct leaving *l);

/*
 * Pages first to first + nr - 1 stay, or have new frames: they get their places in the direct map,
 * and are what kinds[] says. One whose frame Xen does not let us map goes to quarantine; then
 * -XEN_EINVAL.
 */
int leave_back(struct leaving *l, unsigned int first, unsigned int nr);

/* Page i was given away, and Xen still counts it: says who holds it; done when it does not now. */
bool leave_report_given(const struct leaving *l, unsigned int i);

/* Whether Xen still has the page's frame as ours, under its pfn. */
bool leave_is_ours(const struct pvmm_page *page);

#endif
