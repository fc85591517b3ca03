/* SPDX-License-Identifier: MIT */
/* The ledger's side that is for the rooms of mm/ alone. */
#ifndef PVMM_MM_LEDGER_H
#define PVMM_MM_LEDGER_H

#include <pvmm/batch.h>
#include <pvmm/ledger.h>
#include "mm.h"

/*
 * A room that keeps stale mappings. Both functions run with the ledger's lock held, inside the
 * batch that queue fills; none may allocate.
 */
struct keeper {
	/*
	 * Queues the removal of the stale entries of this page, or of all pages (NULL), and the
	 * flush that its addresses need before they are used again. Returns how many entries.
	 */
	unsigned int (*queue)(struct pvmm_page *page);
	/* The batch was applied and flushed: counts the entries out (ledger_cleared), frees. */
	void (*done)(void);
};

void ledger_add_keeper(const struct keeper *keeper);
void ledger_init(void);

/* pvmm_purge for one of its triggers. Does nothing with a batch open. */
uint64_t ledger_purge(enum pvmm_purge_trigger trigger);

/*
 * Memory is out: asks the notifiers for what they can spare, then purges. Does nothing with a batch
 * open, or inside the ledger, whose locks it would wait for.
 */
void ledger_reclaim(void);

/*
 * A mapping of the page is about to be made. Counts it, then looks: -XEN_EBUSY, and not counted, if
 * prot is writable and the page is a page table; -XEN_EINVAL if the page is nobody's (free, given
 * away). The caller holds a reference on the page.
 */
int ledger_live(struct pvmm_page *page, uint64_t prot);

/* Its entry is gone, from the tables and from the TLBs that matter. */
void ledger_dead(struct pvmm_page *page);

/* Its user gave it up, the entry stands. Called under the lock that keeps the keeper from it. */
void ledger_stale(struct pvmm_page *page);

/* The entry of a stale mapping is gone. */
void ledger_cleared(struct pvmm_page *page);

/*
 * What is known of these pages, whose kind says "page table" already. Asks notifiers about live
 * mappings; -XEN_EBUSY if one of them has a live mapping still. *nr_stale is how many have stale
 * ones.
 */
int ledger_check_tables(for_each_table_fn *for_each, const void *tables, unsigned int *nr_stale);

/*
 * Before and after a batch that hands tables to Xen, if some of them have stale mappings: begin
 * takes the lock and queues, first of all in the batch, the removal; end counts them out. failure
 * is the batch's, or NULL: one among the removals is a panic, since nothing can refuse them.
 */
void ledger_drop_begin(for_each_table_fn *for_each, const void *tables);
void ledger_drop_end(const struct pvmm_batch_failure *failure);

#endif
