/* SPDX-License-Identifier: MIT */
/* What the rooms of mm/ tell each other and nobody else. */
#ifndef PVMM_MM_INTERNAL_H
#define PVMM_MM_INTERNAL_H

#include <pvmm/mm.h>
#include <pvmm/owner.h>
#include <pvmm/space.h>
#include <pvmm/stray.h>

void pages_init(uint64_t nr_pages);
void alloc_init(void);
void space_init(pfn_t kernel_root);
void regions_init(void);
void balloon_init(uint64_t nr_pages);

/* The page's frame is this one from now on (the balloon's room alone). */
void p2m_set(pfn_t pfn, mfn_t mfn);
void p2m_grow(uint64_t to_pfn);

/* Pages that others hold: mm/holder.c. */
void holders_init(void);

/* Whether somebody has references of an allocated page but its owner, who frees it, and holders. */
bool page_has_other_refs(const struct pvmm_page *page);

/*
 * Frees a block page by page, but for pages that are held: those lose their owner's reference, with
 * a line that names the holder and the caller, and are free when the last holder lets go.
 */
void free_held(struct pvmm_page *page, unsigned int order, const void *caller);

/* The allocator's part of the audit: its lists against the page database. Returns problems. */
unsigned int alloc_audit(void);

/* The balloon's: its list, and its count of frames against the p2m's. */
unsigned int balloon_audit(void);

/*
 * What others keep for speed, and what the checker holds, goes back to the allocator. Not with a
 * batch open.
 */
void alloc_reclaim(void);

/*
 * Makes records and direct-map tables for pages beyond pvmm_max_pfn(), which become BALLOONED: up
 * to the next multiple of GROW_PAGES. -XEN_ENOMEM, -XEN_ENOSPC at the end of the direct map, or
 * Xen's refusal: then pvmm_max_pfn() is what it was, and what has been made serves the next
 * attempt. *nr_records counts the pages that the records took. One caller at a time, no batch
 * open.
 */
#define GROW_PAGES 512u
int mm_grow(uint64_t *nr_records);

/* For inspect.c: where owner.c keeps its stacks. */
extern struct pvmm_owner_stack *owner_stacks;
extern uint32_t owner_nr_stacks;

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

/*
 * Queues a page's own entry in the direct map, of its own frame; prot 0: none. And the flag of
 * pages that have none.
 */
void directmap_queue(const struct pvmm_page *page, uint64_t prot);
void directmap_mark(struct pvmm_page *page, bool out);

/* Gives a table's page to the allocator, whatever it might be good for. */
void table_dismiss(struct pvmm_page *page);

/*
 * Pages that were upper tables and wait to be such again (table_spare.c). give: whether it is kept,
 * else it is to be freed. take: a zeroed one, or NULL. shrink: frees them, returns how many.
 */
void table_spare_init(void);
bool table_spare_give(struct pvmm_page *page);
struct pvmm_page *table_spare_take(unsigned int level);
unsigned int table_spare_nr(void);
unsigned int table_spare_shrink(void);

bool space_is_kernel(const struct pvmm_space *space);

/*
 * Calls fn for each table that one operation hands to Xen or takes back: a whole space's, or a few
 * new ones. Children come before their parents.
 */
typedef void for_each_table_fn(const void *tables, void (*fn)(struct pvmm_page *page, void *ctx),
			       void *ctx);

/* Tells who owns the tables that one of them was exchanged for another page. */
typedef void exchange_table_fn(void *tables, struct pvmm_page *old, struct pvmm_page *new);

/* Tables on their way to Xen. */
struct handover {
	struct pvmm_space *space; /* whose they are */
	for_each_table_fn *for_each;
	exchange_table_fn *exchange;
	void *of;

	bool drops; /* stale mappings of theirs go in the same batch */
	struct pvmm_batch_failure failure;
};

/*
 * Looks at what is known of the tables' pages (a live, writable mapping is a refusal before Xen is
 * asked, with a report: -XEN_EBUSY), then opens the batch, with the removal of their stale mappings
 * first of all. queue adds "read-only" for each; the operation that hands them over is the
 * caller's. end sends it all, and notes it when that has succeeded.
 *
 * undo, after a refusal: says who is to blame, does about it what check-action= says, and makes
 * them all writable again. True: the cause is gone, the same is worth another try.
 */
int handover_begin(struct handover *h);
void handover_queue(const struct handover *h);
int handover_end(struct handover *h);
bool handover_undo(struct handover *h);

/* The reverse, for each table: behind the operation with which Xen gives it up; and when it has. */
void handback_queue(struct pvmm_page *page, void *ctx);
void handback_done(struct pvmm_page *page, void *ctx);

/*
 * Makes sure that a kernel address has an L1 table, which stays for good; *l1 is it. Adds to
 * *levels a bit (1 << level) for each level at which an entry was made. Takes the kernel space's
 * lock.
 */
int map_kernel_l1(pvmm_va_t va, pfn_t *l1, unsigned int *levels);

/* Visits the tables of a space that are its own: a user half, or all of the kernel's. */
int space_visit(const struct pvmm_space *space, pvmm_pt_visit_fn *visit, void *ctx);

#endif
