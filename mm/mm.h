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
void regions_init(void);

/* The allocator's part of the audit: its lists against the page database. Returns problems. */
unsigned int alloc_audit(void);

/*
 * Xen refused to make the pages marked PVMM_PAGE_SUSPECT page tables of this space: finds out who
 * still maps them, keeps the record and prints the report. The marks are the caller's to remove.
 * Called before anything is undone, so that the pages' own direct-map entries are read-only and
 * every writable mapping found is a stray.
 */
void stray_refused(struct pvmm_space *space, const struct pvmm_batch_failure *failure);

/* Prints the report of a refused pin: nr_found strays, of which found holds nr_shown. */
void report_refused_pin(const struct pvmm_space *space, const struct pvmm_batch_failure *failure,
			const struct pvmm_mapping *found, unsigned int nr_found,
			unsigned int nr_shown);

/* The contents of pages in the direct map. */
static inline void page_zero(struct pvmm_page *page)
{
	uint64_t *words = pvmm_page_virt(page);

	for (unsigned int i = 0; i < PVMM_PAGE_SIZE / sizeof(*words); i++)
		words[i] = 0;
}

static inline void page_copy(struct pvmm_page *to, const struct pvmm_page *from)
{
	const uint64_t *source = pvmm_page_virt(from);
	uint64_t *words = pvmm_page_virt(to);

	for (unsigned int i = 0; i < PVMM_PAGE_SIZE / sizeof(*words); i++)
		words[i] = source[i];
}

bool space_is_kernel(const struct pvmm_space *space);

/* Tables that one operation hands to Xen or takes back: a whole space's, or a few new ones. */
typedef void for_each_table_fn(const void *tables, void (*fn)(struct pvmm_page *page, void *ctx),
			       void *ctx);

/*
 * Queue "read-only" for the tables, in the batch that hands them over; when that has succeeded,
 * note it. When Xen has refused: say who is to blame, and make them all writable again.
 */
void handover_queue(for_each_table_fn *for_each, const void *tables);
void handover_done(for_each_table_fn *for_each, const void *tables);
void handover_undo(struct pvmm_space *space, const struct pvmm_batch_failure *failure,
		   for_each_table_fn *for_each, const void *tables);

/* The reverse, behind the operation with which Xen gives them up. */
void handback_queue(for_each_table_fn *for_each, const void *tables);
void handback_done(for_each_table_fn *for_each, const void *tables);

/*
 * Makes sure that a kernel address has an L1 table, which stays for good; *l1 is it. Adds to
 * *levels a bit (1 << level) for each level at which an entry was made. Takes the kernel space's
 * lock.
 */
int map_kernel_l1(pvmm_va_t va, pfn_t *l1, unsigned int *levels);

/* Visits the tables of a space that are its own: a user half, or all of the kernel's. */
int space_visit(const struct pvmm_space *space, pvmm_pt_visit_fn *visit, void *ctx);

#endif
