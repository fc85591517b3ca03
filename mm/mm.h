/* SPDX-License-Identifier: MIT */
/* What the rooms of mm/ tell each other and nobody else. */
#ifndef PVMM_MM_INTERNAL_H
#define PVMM_MM_INTERNAL_H

#include <pvmm/mm.h>
#include <pvmm/space.h>
#include <pvmm/stray.h>

void pages_init(uint64_t nr_pages);
void alloc_init(void);
void space_init(pfn_t kernel_root);

/* The allocator's part of the audit: its lists against the page database. Returns problems. */
unsigned int alloc_audit(void);

bool space_is_kernel(const struct pvmm_space *space);

/*
 * Tables that one operation hands to Xen or takes back: a whole space's, or a few new ones.
 * Children come before their parents.
 */
typedef void for_each_table_fn(const void *tables, void (*fn)(struct pvmm_page *page, void *ctx),
			       void *ctx);

/* Tells who owns the tables that one of them was exchanged for another page. */
typedef void exchange_table_fn(void *tables, struct pvmm_page *old, struct pvmm_page *new);

/*
 * Queue "read-only" for the tables, in the batch that hands them over; when that has succeeded,
 * note it. When Xen has refused: say who is to blame, do about it what check-action= says, and make
 * them all writable again. True: the cause is gone, the same is worth another try.
 */
void handover_queue(for_each_table_fn *for_each, const void *tables);
void handover_done(for_each_table_fn *for_each, const void *tables);
bool handover_undo(struct pvmm_space *space, const struct pvmm_batch_failure *failure,
		   for_each_table_fn *for_each, exchange_table_fn *exchange, void *tables);

/* The reverse, behind the operation with which Xen gives them up. */
void handback_queue(for_each_table_fn *for_each, const void *tables);
void handback_done(for_each_table_fn *for_each, const void *tables);

/* Visits the tables of a space that are its own: a user half, or all of the kernel's. */
int space_visit(const struct pvmm_space *space, pvmm_pt_visit_fn *visit, void *ctx);

#endif
