/* SPDX-License-Identifier: MIT */
/*
 * Owns the free pages: a buddy system. Free blocks of each order form a doubly linked list through
 * the page database.
 *
 * Invariant, under the lock: every page of kind FREE is held by the checker (PVMM_PAGE_HELD) or
 * belongs to exactly one free block; the block's first page carries PVMM_PAGE_HEAD and its order
 * and is on that order's list; a block and its buddy are never both free at the same order below
 * PVMM_MAX_ORDER.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/spinlock.h>
#include "check.h"
#include "ledger.h"

struct free_list {
	uint32_t first, last; /* pfns */
	uint64_t nr_blocks;
};

/* Guards the lists and the kind, order, flags and links of free pages. Innermost lock. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
static struct free_list lists[PVMM_MAX_ORDER + 1];
static uint64_t nr_free; /* on the lists */
static uint64_t nr_held; /* free and in the checker's hands */

void alloc_init(void)
{
	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++)
		lists[order] = (struct free_list){PVMM_PAGE_NONE, PVMM_PAGE_NONE, 0};
	nr_free = nr_held = 0;
}

/* Links a block in at the front, where the next allocation takes it, or at the far end. */
static void list_add(struct free_list *list, struct pvmm_page *page, bool far_end)
{
	uint32_t pfn = (uint32_t)pfn_x(pvmm_page_pfn(page));

	page->next = far_end ? PVMM_PAGE_NONE : list->first;
	page->prev = far_end ? list->last : PVMM_PAGE_NONE;
	if (page->next != PVMM_PAGE_NONE)
		pvmm_page(_pfn(page->next))->prev = pfn;
	else
		list->last = pfn;
	if (page->prev != PVMM_PAGE_NONE)
		pvmm_page(_pfn(page->prev))->next = pfn;
	else
		list->first = pfn;
	__atomic_store_n(&list->nr_blocks, list->nr_blocks + 1, __ATOMIC_RELAXED);
}

static void list_del(struct free_list *list, struct pvmm_page *page)
{
	if (page->prev != PVMM_PAGE_NONE)
		pvmm_page(_pfn(page->prev))->next = page->next;
	else
		list->first = page->next;
	if (page->next != PVMM_PAGE_NONE)
		pvmm_page(_pfn(page->next))->prev = page->prev;
	else
		list->last = page->prev;
	__atomic_store_n(&list->nr_blocks, list->nr_blocks - 1, __ATOMIC_RELAXED);
}

static void block_add(struct pvmm_page *head, unsigned int order, bool far_end)
{
	head->order = (uint8_t)order;
	__atomic_store_n(&head->flags, head->flags | PVMM_PAGE_HEAD, __ATOMIC_RELAXED);
	list_add(&lists[order], head, far_end);
}

static void block_del(struct pvmm_page *head)
{
	list_del(&lists[head->order], head);
	__atomic_store_n(&head->flags, head->flags & ~PVMM_PAGE_HEAD, __ATOMIC_RELAXED);
}

/* The free block of this order that the block at pfn could merge with, or NULL. */
static struct pvmm_page *free_buddy(uint64_t pfn, unsigned int order)
{
	uint64_t buddy_pfn = pfn ^ (1ULL << order);
	struct pvmm_page *buddy;

	if (buddy_pfn + (1ULL << order) > pvmm_max_pfn())
		return NULL;
	buddy = pvmm_page(_pfn(buddy_pfn));
	/* Its owner may be changing what it is; free it becomes under the lock alone. */
	if (__atomic_load_n(&buddy->kind, __ATOMIC_RELAXED) != PVMM_PAGE_FREE ||
	    !(buddy->flags & PVMM_PAGE_HEAD) || buddy->order != order)
		return NULL;
	return buddy;
}

/* Gives a block of FREE pages to the lists, merged with its buddies as far as that goes. */
static void release(uint64_t pfn, unsigned int order, bool far_end)
{
	struct pvmm_page *buddy;

	__atomic_store_n(&nr_free, nr_free + (1ULL << order), __ATOMIC_RELAXED);
	while (order < PVMM_MAX_ORDER && (buddy = free_buddy(pfn, order))) {
		block_del(buddy);
		pfn &= ~(1ULL << order);
		order++;
	}
	block_add(pvmm_page(_pfn(pfn)), order, far_end);
}

/*
 * Pages that a page-table allocation looks at for one without stale mappings (R8). What is stale is
 * at the far end of each list, so the first is nearly always good, and the pin takes care of the
 * rest.
 */
#define TABLE_CANDIDATES 8

static bool is_for_table(enum pvmm_page_kind kind)
{
	return kind >= PVMM_PAGE_L1 && kind <= PVMM_PAGE_L4;
}

static struct pvmm_page *first_block(unsigned int order)
{
	uint32_t first = lists[order].first;

	return first == PVMM_PAGE_NONE ? NULL : pvmm_page(_pfn(first));
}

static struct pvmm_page *next_block(const struct pvmm_page *head)
{
	return head->next == PVMM_PAGE_NONE ? NULL : pvmm_page(_pfn(head->next));
}

/* A block whose first page has no stale mapping, smaller ones first; or NULL among so many. */
static struct pvmm_page *choose_clean(void)
{
	unsigned int seen = 0;

	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++)
		for (struct pvmm_page *head = first_block(order); head; head = next_block(head)) {
			if (!__atomic_load_n(&head->stale, __ATOMIC_RELAXED))
				return head;
			if (++seen == TABLE_CANDIDATES)
				return NULL;
		}
	return NULL;
}

/* The first block that is large enough, or NULL. */
static struct pvmm_page *choose(unsigned int order)
{
	for (; order <= PVMM_MAX_ORDER; order++)
		if (lists[order].first != PVMM_PAGE_NONE)
			return first_block(order);
	return NULL;
}

/* Takes a block and gives the halves not needed back. */
static struct pvmm_page *take(unsigned int order, enum pvmm_page_kind kind)
{
	struct pvmm_page *head = is_for_table(kind) && !order ? choose_clean() : NULL;
	unsigned int from;

	if (!head)
		head = choose(order);
	if (!head)
		return NULL;
	from = head->order;
	block_del(head);
	while (from > order) {
		from--;
		block_add(head + (1ULL << from), from, false);
	}
	__atomic_store_n(&nr_free, nr_free - (1ULL << order), __ATOMIC_RELAXED);
	return head;
}

/* Takes a block out of the lists and makes it the caller's. */
static struct pvmm_page *take_block(unsigned int order, enum pvmm_page_kind kind)
{
	struct pvmm_page *head;

	pvmm_spin_lock(&lock);
	head = take(order, kind);
	for (uint64_t i = 0; head && i < 1ULL << order; i++) {
		/* Who tries to map the page meanwhile looks at it without the lock (ledger.c). */
		__atomic_store_n(&head[i].kind, (uint8_t)kind, __ATOMIC_RELAXED);
		head[i].order = i ? PVMM_ORDER_TAIL : (uint8_t)order;
		head[i].refs = 1;
	}
	pvmm_spin_unlock(&lock);
	return head;
}

/* What others keep for speed first; the checker may hold their pages then. */
void alloc_reclaim(void)
{
	ledger_reclaim();
	pvmm_table_cache_shrink();
	(void)check_give_back();
}

/* Memory is out. Not from inside a batch. */
static bool reclaim(void)
{
	if (pvmm_batch_is_open())
		return false;
	alloc_reclaim();
	return true;
}

struct pvmm_page *pvmm_page_alloc(unsigned int order, enum pvmm_page_kind kind)
{
	struct pvmm_page *head;

	if (order > PVMM_MAX_ORDER || kind == PVMM_PAGE_FREE || kind >= PVMM_PAGE_KINDS)
		return NULL;

	do {
		head = take_block(order, kind);
		if (!head && reclaim())
			head = take_block(order, kind);
	} while (head && !check_allocated(head, order));

	if (!head)
		return NULL;
	for (uint64_t i = 0; i < 1ULL << order; i++)
		__atomic_store_n(&head[i].flags, 0, __ATOMIC_RELAXED);
	pvmm_owner_note_alloc(pvmm_page_pfn(head), 1ULL << order);
	return head;
}

/* Why a block may not be freed, or NULL. Looked at before anything is changed. */
static const char *free_forbidden(const struct pvmm_page *page, unsigned int order, uint64_t i)
{
	if (page->kind == PVMM_PAGE_FREE)
		return "is free already";
	if (page->kind == PVMM_PAGE_QUARANTINED)
		return "is in quarantine";
	if (page->flags & (PVMM_PAGE_READONLY | PVMM_PAGE_PINNED))
		return "is still a page table for Xen";
	if (page->flags & PVMM_PAGE_NODIRECT)
		return "is not in the direct map";
	if (page->live)
		return "is still mapped";
	if (page_has_other_refs(page))
		return "has other references";
	if (page->order != (i ? PVMM_ORDER_TAIL : order))
		return "was allocated with another order";
	return NULL;
}

void pvmm_page_free(struct pvmm_page *page, unsigned int order)
{
	uint64_t nr_pages = 1ULL << (order <= PVMM_MAX_ORDER ? order : 0);
	pfn_t pfn = pvmm_page_pfn(page);
	bool stale = false, held = false, checked;
	const char *why;

	for (uint64_t i = 0; i < nr_pages; i++) {
		why = free_forbidden(&page[i], order, i);
		if (why)
			pvmm_panic(
				"page freed that %s: pfn 0x%llx (%s, order %u, refs %u, live %u, stale %u), freed with order %u by %pS",
				why, (unsigned long long)(pfn_x(pfn) + i),
				pvmm_page_kind_name(page[i].kind), page[i].order, page[i].refs,
				page[i].live, page[i].stale, order, __builtin_return_address(0));
		stale |= __atomic_load_n(&page[i].stale, __ATOMIC_RELAXED) != 0;
		held |= __atomic_load_n(&page[i].refs, __ATOMIC_ACQUIRE) != 1;
	}
	if (held) {
		free_held(page, order, __builtin_return_address(0));
		return;
	}

	pvmm_owner_note_free(pfn, nr_pages);
	checked = check_wants_freed(nr_pages, stale);

	pvmm_spin_lock(&lock);
	for (uint64_t i = 0; i < nr_pages; i++) {
		page[i].kind = PVMM_PAGE_FREE;
		__atomic_store_n(&page[i].flags, checked ? PVMM_PAGE_HELD : 0, __ATOMIC_RELAXED);
		page[i].refs = 0;
		page[i].private = 0;
	}
	if (checked)
		__atomic_store_n(&nr_held, nr_held + nr_pages, __ATOMIC_RELAXED);
	else
		release(pfn_x(pfn), order, stale);
	pvmm_spin_unlock(&lock);

	if (checked)
		check_freed(pfn, order);
}

void pvmm_mm_add_free(pfn_t first, uint64_t nr_pages)
{
	uint64_t pfn = pfn_x(first), end = pfn + nr_pages;

	if (end < pfn || end > pvmm_max_pfn())
		pvmm_panic("free memory pfn 0x%llx to 0x%llx is outside the domain's 0x%llx pages",
			   (unsigned long long)pfn, (unsigned long long)end,
			   (unsigned long long)pvmm_max_pfn());

	pvmm_spin_lock(&lock);
	while (pfn < end) {
		unsigned int order = 0;

		while (order < PVMM_MAX_ORDER && !(pfn & (1ULL << order)) &&
		       pfn + (2ULL << order) <= end)
			order++;
		for (uint64_t i = 0; i < 1ULL << order; i++) {
			struct pvmm_page *page = pvmm_page(_pfn(pfn + i));

			if (page->kind != PVMM_PAGE_RESERVED || page->flags || page->refs != 1)
				pvmm_panic(
					"pfn 0x%llx is added as free memory, but it is %s, refs %u, flags 0x%x",
					(unsigned long long)(pfn + i),
					pvmm_page_kind_name(page->kind), page->refs, page->flags);
			page->kind = PVMM_PAGE_FREE;
			page->refs = 0;
		}
		/* At the far end, so that memory is handed out from its start upward. */
		release(pfn, order, true);
		pfn += 1ULL << order;
	}
	pvmm_spin_unlock(&lock);
}

uint64_t pvmm_free_pages(void)
{
	return __atomic_load_n(&nr_free, __ATOMIC_RELAXED) +
	       __atomic_load_n(&nr_held, __ATOMIC_RELAXED);
}

uint64_t pvmm_free_blocks(unsigned int order)
{
	return order <= PVMM_MAX_ORDER ? __atomic_load_n(&lists[order].nr_blocks, __ATOMIC_RELAXED)
				       : 0;
}

/* Walks one order's list; adds up its pages and returns how many problems it has. */
static unsigned int list_audit(unsigned int order, uint64_t *nr_pages)
{
	const struct free_list *list = &lists[order];
	uint32_t pfn = list->first, prev = PVMM_PAGE_NONE;
	unsigned int problems = 0;
	uint64_t blocks = 0;

	for (; pfn != PVMM_PAGE_NONE && blocks <= list->nr_blocks; blocks++) {
		const struct pvmm_page *head = pvmm_page(_pfn(pfn));

		if (head->kind != PVMM_PAGE_FREE || !(head->flags & PVMM_PAGE_HEAD) ||
		    head->order != order || head->prev != prev) {
			pvmm_log(
				PVMM_ERROR,
				"audit: pfn 0x%x on the free list of order %u is %s, order %u, flags 0x%x",
				pfn, order, pvmm_page_kind_name(head->kind), head->order,
				head->flags);
			problems++;
		}
		*nr_pages += 1ULL << order;
		prev = pfn;
		pfn = head->next;
	}
	if (blocks != list->nr_blocks || list->last != prev) {
		pvmm_log(PVMM_ERROR,
			 "audit: free list of order %u has %llu blocks, counted as %llu", order,
			 (unsigned long long)blocks, (unsigned long long)list->nr_blocks);
		problems++;
	}
	return problems;
}

unsigned int alloc_audit(void)
{
	uint64_t on_lists = 0, of_kind_free = 0, held = 0;
	unsigned int problems = 0;

	pvmm_spin_lock(&lock);
	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++)
		problems += list_audit(order, &on_lists);
	for (uint64_t i = 0; i < pvmm_max_pfn(); i++) {
		const struct pvmm_page *page = pvmm_page(_pfn(i));

		if (page->kind != PVMM_PAGE_FREE)
			continue;
		of_kind_free++;
		held += (page->flags & PVMM_PAGE_HELD) != 0;
		if (page->refs || page->live ||
		    (page->flags & ~(PVMM_PAGE_HEAD | PVMM_PAGE_HELD | PVMM_PAGE_REPORTED))) {
			pvmm_log(PVMM_ERROR,
				 "audit: free pfn 0x%llx has refs %u, live %u, flags 0x%x",
				 (unsigned long long)i, page->refs, page->live, page->flags);
			problems++;
		}
	}
	if (on_lists != nr_free || of_kind_free != nr_free + nr_held || held != nr_held) {
		pvmm_log(
			PVMM_ERROR,
			"audit: %llu free pages counted, %llu on the lists; %llu held, %llu marked so; %llu of kind free",
			(unsigned long long)nr_free, (unsigned long long)on_lists,
			(unsigned long long)nr_held, (unsigned long long)held,
			(unsigned long long)of_kind_free);
		problems++;
	}
	pvmm_spin_unlock(&lock);
	return problems;
}

/* --- for the checker: single pages out of the lists and back --- */

/* The free block that contains this page, or NULL. */
static struct pvmm_page *free_block_of(uint64_t pfn)
{
	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++) {
		struct pvmm_page *head = pvmm_page(_pfn(pfn & ~((1ULL << order) - 1)));

		if (head->kind == PVMM_PAGE_FREE && (head->flags & PVMM_PAGE_HEAD) &&
		    head->order == order)
			return head;
	}
	return NULL;
}

/* The halves of its block that the page is not in stay on the lists. */
static void isolate(struct pvmm_page *head, uint64_t pfn)
{
	uint64_t first = pfn_x(pvmm_page_pfn(head));
	unsigned int order = head->order;

	block_del(head);
	while (order--) {
		uint64_t upper = first + (1ULL << order);
		bool in_upper = pfn >= upper;

		block_add(pvmm_page(_pfn(in_upper ? first : upper)), order, true);
		if (in_upper)
			first = upper;
	}
}

static void hold(struct pvmm_page *page)
{
	__atomic_store_n(&page->flags, page->flags | PVMM_PAGE_HELD, __ATOMIC_RELAXED);
	__atomic_store_n(&nr_held, nr_held + 1, __ATOMIC_RELAXED);
}

static void unhold(struct pvmm_page *page, uint8_t flags)
{
	if (!(page->flags & PVMM_PAGE_HELD))
		pvmm_panic("pfn 0x%llx (%s, flags 0x%x) is not held by the checker",
			   (unsigned long long)pfn_x(pvmm_page_pfn(page)),
			   pvmm_page_kind_name(page->kind), page->flags);
	__atomic_store_n(&page->flags, flags, __ATOMIC_RELAXED);
	__atomic_store_n(&nr_held, nr_held - 1, __ATOMIC_RELAXED);
	page->private = 0;
}

bool alloc_isolate(pfn_t pfn)
{
	struct pvmm_page *page = pvmm_page(pfn), *head = NULL;

	pvmm_spin_lock(&lock);
	if (page->kind == PVMM_PAGE_FREE && !(page->flags & PVMM_PAGE_HELD))
		head = free_block_of(pfn_x(pfn));
	if (head) {
		isolate(head, pfn_x(pfn));
		hold(page);
		__atomic_store_n(&nr_free, nr_free - 1, __ATOMIC_RELAXED);
	}
	pvmm_spin_unlock(&lock);
	return head;
}

void alloc_retract(struct pvmm_page *block, unsigned int order)
{
	pvmm_spin_lock(&lock);
	for (uint64_t i = 0; i < 1ULL << order; i++) {
		block[i].kind = PVMM_PAGE_FREE;
		block[i].refs = 0;
		hold(&block[i]);
	}
	pvmm_spin_unlock(&lock);
}

void alloc_give_back(struct pvmm_page *page, bool reported, bool far_end)
{
	pvmm_spin_lock(&lock);
	unhold(page, reported ? PVMM_PAGE_REPORTED : 0);
	release(pfn_x(pvmm_page_pfn(page)), 0, far_end);
	pvmm_spin_unlock(&lock);
}

void alloc_quarantine(struct pvmm_page *page)
{
	pvmm_spin_lock(&lock);
	unhold(page, 0);
	page->kind = PVMM_PAGE_QUARANTINED;
	page->refs = 1;
	pvmm_spin_unlock(&lock);
}
