/* SPDX-License-Identifier: MIT */
/*
 * Owns the kmap region: which page is behind each slot. The first slots belong to vCPUs, as stacks;
 * the others are a cache, found by page.
 *
 *	free ──► live ⇄ stale ──► live, for another page
 *	  ▲                └────► cleared ──┐
 *	  └─────────── flushed ─────────────┘
 *
 * Invariant, under the lock: a live or stale slot is in the hash, and its page has its live or
 * stale count; stale slots are in the LRU list; free slots have no entry in any TLB.
 */
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/vcpu.h>
#include "kmap.h"
#include "ledger.h"

enum {
	LOCAL_SLOTS = PVMM_MAX_VCPUS * PVMM_KMAP_LOCAL_SLOTS,
	SHARED_SLOTS = PVMM_PT_ENTRIES - LOCAL_SLOTS,
	BUCKETS = 256,
	NO_SLOT = 0xffff,
};

_Static_assert(PVMM_KMAP_BYTES == PVMM_PT_ENTRIES * PVMM_PAGE_SIZE, "the region is one L1 table");

enum slot_state { SLOT_FREE, SLOT_LIVE, SLOT_STALE, SLOT_CLEARED };

struct slot {
	struct pvmm_page *page; /* unless it is free */
	uint32_t users;
	uint16_t next_hash;
	uint16_t next, prev; /* free, cleared: next alone; stale: the LRU list */
	uint8_t state;
};

/* Guards the shared slots. A keeper's lock: inside the ledger's; the batch is used under it. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
static struct slot slots[SHARED_SLOTS];
static uint16_t buckets[BUCKETS];
static uint16_t first_free, first_cleared;
static uint16_t lru_first, lru_last; /* first has been stale longest */
static struct pvmm_kmap_stats stats;

/* Each vCPU's own: no lock. */
static struct local {
	unsigned int depth;
	struct pvmm_page *page[PVMM_KMAP_LOCAL_SLOTS];
} locals[PVMM_MAX_VCPUS];

static pfn_t l1;

void kmap_init(void)
{
	struct pvmm_walk w = pvmm_pt_walk(pvmm_kernel_space.root, PVMM_KMAP_BASE);

	if (w.stopped_at != 1)
		pvmm_panic("the kmap region has no L1 table: the walk of 0x%llx ends at level %u",
			   (unsigned long long)PVMM_KMAP_BASE, w.stopped_at);
	l1 = w.step[1].table;
	stats = (struct pvmm_kmap_stats){0};
	for (unsigned int i = 0; i < BUCKETS; i++)
		buckets[i] = NO_SLOT;
	for (unsigned int i = 0; i < SHARED_SLOTS; i++)
		slots[i] =
			(struct slot){.next = i + 1u < SHARED_SLOTS ? (uint16_t)(i + 1) : NO_SLOT};
	first_free = 0;
	first_cleared = lru_first = lru_last = NO_SLOT;
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++)
		locals[i] = (struct local){0};
}

static bool is_in_directmap(const struct pvmm_page *page)
{
	return !(__atomic_load_n(&page->flags, __ATOMIC_RELAXED) & PVMM_PAGE_NODIRECT);
}

/* Both kinds of slots by their place in the L1 table. */
static pvmm_va_t va_of(unsigned int place)
{
	return PVMM_KMAP_BASE + place * PVMM_PAGE_SIZE;
}

/* The place of an address of the region, or PVMM_KMAP_SLOTS. */
static unsigned int place_of(const void *addr)
{
	uint64_t offset = (uintptr_t)addr - PVMM_KMAP_BASE;

	return offset < PVMM_KMAP_BYTES ? (unsigned int)(offset >> PVMM_PAGE_SHIFT)
					: PVMM_KMAP_SLOTS;
}

/* Stores one entry at once; false, and said, if Xen refuses. */
static bool set_entry(unsigned int place, pvmm_pte_t entry, bool flush)
{
	struct pvmm_batch_failure failure;
	char what[128];

	pvmm_batch_begin();
	pvmm_batch_va_mapping(va_of(place), pvmm_pt_entry_maddr(l1, place), entry, flush);
	if (!pvmm_batch_end(&failure))
		return true;
	pvmm_batch_describe(&failure, what, sizeof(what));
	pvmm_log(PVMM_WARN, "kmap refused by Xen: %s", what);
	return false;
}

static pvmm_pte_t entry_for(const struct pvmm_page *page)
{
	return pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), PVMM_PROT_RW);
}

/* --- the hash and the LRU list, under the lock --- */

static uint16_t *bucket_of(const struct pvmm_page *page)
{
	uint32_t pfn = (uint32_t)pfn_x(pvmm_page_pfn(page));

	return &buckets[(pfn * 0x9e3779b1u) >> 24];
}

_Static_assert(BUCKETS == 1 << 8, "the hash is the top 8 bits");

static uint16_t hash_find(const struct pvmm_page *page)
{
	uint16_t i = *bucket_of(page);

	while (i != NO_SLOT && slots[i].page != page)
		i = slots[i].next_hash;
	return i;
}

static void hash_add(uint16_t i)
{
	uint16_t *bucket = bucket_of(slots[i].page);

	slots[i].next_hash = *bucket;
	*bucket = i;
}

static void hash_del(uint16_t i)
{
	uint16_t *at = bucket_of(slots[i].page);

	while (*at != i)
		at = &slots[*at].next_hash;
	*at = slots[i].next_hash;
}

static void lru_add(uint16_t i)
{
	slots[i].next = NO_SLOT;
	slots[i].prev = lru_last;
	if (lru_last != NO_SLOT)
		slots[lru_last].next = i;
	else
		lru_first = i;
	lru_last = i;
	stats.stale++;
}

static void lru_del(uint16_t i)
{
	if (slots[i].prev != NO_SLOT)
		slots[slots[i].prev].next = slots[i].next;
	else
		lru_first = slots[i].next;
	if (slots[i].next != NO_SLOT)
		slots[slots[i].next].prev = slots[i].prev;
	else
		lru_last = slots[i].prev;
	stats.stale--;
}

/* --- shared slots --- */

/* stale to live, without a trap: the entry stands. */
static void revive(uint16_t i)
{
	ledger_cleared(slots[i].page);
	lru_del(i);
	slots[i].state = SLOT_LIVE;
	stats.in_use++;
}

/* Makes a slot the page's: a free one, or the one that has been stale longest. */
static uint16_t map_page(struct pvmm_page *page)
{
	bool is_free = first_free != NO_SLOT;
	uint16_t i = is_free ? first_free : lru_first;

	stats.misses++;
	if (i == NO_SLOT || !set_entry(LOCAL_SLOTS + i, entry_for(page), !is_free))
		return NO_SLOT;
	if (is_free) {
		first_free = slots[i].next;
	} else {
		hash_del(i);
		lru_del(i);
		ledger_cleared(slots[i].page);
		stats.reused++;
	}
	slots[i].page = page;
	slots[i].state = SLOT_LIVE;
	hash_add(i);
	stats.in_use++;
	return i;
}

void *pvmm_kmap(struct pvmm_page *page)
{
	uint16_t i;

	if (is_in_directmap(page))
		return pvmm_page_virt(page);
	pvmm_batch_assert_closed("a kmap");
	pvmm_spin_lock(&lock);
	i = hash_find(page);
	if (i == NO_SLOT || slots[i].state == SLOT_STALE) {
		if (ledger_live(page, PVMM_PROT_RW)) {
			pvmm_spin_unlock(&lock);
			return NULL;
		}
		if (i == NO_SLOT) {
			i = map_page(page);
			if (i == NO_SLOT)
				ledger_dead(page);
		} else {
			stats.hits++;
			revive(i);
		}
	} else {
		stats.hits++;
	}
	if (i != NO_SLOT)
		slots[i].users++;
	pvmm_spin_unlock(&lock);
	return i == NO_SLOT ? NULL : (void *)(uintptr_t)va_of(LOCAL_SLOTS + i);
}

void pvmm_kunmap(const void *addr)
{
	unsigned int place = place_of(addr);
	struct slot *slot;

	if (place == PVMM_KMAP_SLOTS)
		return;
	pvmm_spin_lock(&lock);
	slot = place >= LOCAL_SLOTS ? &slots[place - LOCAL_SLOTS] : NULL;
	if (!slot || slot->state != SLOT_LIVE)
		pvmm_panic("kunmap of %p, which is not kmapped, by %pS", addr,
			   __builtin_return_address(0));
	if (!--slot->users) {
		ledger_stale(slot->page);
		slot->state = SLOT_STALE;
		stats.in_use--;
		lru_add((uint16_t)(place - LOCAL_SLOTS));
	}
	pvmm_spin_unlock(&lock);
}

/* --- each vCPU's own slots --- */

void *pvmm_kmap_local(struct pvmm_page *page)
{
	unsigned int vcpu = pvmm_this_vcpu();
	struct local *local = &locals[vcpu];
	unsigned int place = vcpu * PVMM_KMAP_LOCAL_SLOTS + local->depth;

	if (is_in_directmap(page))
		return pvmm_page_virt(page);
	pvmm_batch_assert_closed("a local kmap");
	if (local->depth == PVMM_KMAP_LOCAL_SLOTS || ledger_live(page, PVMM_PROT_RW))
		return NULL;
	if (!set_entry(place, entry_for(page), false)) {
		ledger_dead(page);
		return NULL;
	}
	local->page[local->depth++] = page;
	return (void *)(uintptr_t)va_of(place);
}

/* At once: a slot whose mapping stood on would need a lock, since a pin elsewhere may want it. */
void pvmm_kunmap_local(const void *addr)
{
	unsigned int vcpu = pvmm_this_vcpu(), place = place_of(addr);
	struct local *local = &locals[vcpu];

	if (place == PVMM_KMAP_SLOTS)
		return;
	if (!local->depth || place != vcpu * PVMM_KMAP_LOCAL_SLOTS + local->depth - 1)
		pvmm_panic(
			"kunmap_local of %p on vCPU %u, which is not its last local kmap (depth %u), by %pS",
			addr, vcpu, local->depth, __builtin_return_address(0));
	pvmm_batch_assert_closed("the end of a local kmap");
	pvmm_batch_begin();
	pvmm_batch_va_mapping(va_of(place), pvmm_pt_entry_maddr(l1, place), 0, true);
	pvmm_batch_end(NULL);
	ledger_dead(local->page[--local->depth]);
}

/* --- a keeper of stale mappings --- */

static void queue_slot(uint16_t i)
{
	hash_del(i);
	lru_del(i);
	slots[i].state = SLOT_CLEARED;
	slots[i].next = first_cleared;
	first_cleared = i;
	pvmm_batch_mmu_update(pvmm_pt_entry_maddr(l1, LOCAL_SLOTS + i), 0);
	pvmm_batch_flush_va(va_of(LOCAL_SLOTS + i));
}

static unsigned int queue(struct pvmm_page *page)
{
	unsigned int nr = 0;
	uint16_t i;

	pvmm_spin_lock(&lock);
	if (page) {
		i = hash_find(page);
		if (i != NO_SLOT && slots[i].state == SLOT_STALE) {
			queue_slot(i);
			nr++;
		}
	} else {
		for (; lru_first != NO_SLOT; nr++)
			queue_slot(lru_first);
	}
	pvmm_spin_unlock(&lock);
	return nr;
}

static void done(void)
{
	pvmm_spin_lock(&lock);
	while (first_cleared != NO_SLOT) {
		struct slot *slot = &slots[first_cleared];
		uint16_t next = slot->next;

		ledger_cleared(slot->page);
		slot->page = NULL;
		slot->state = SLOT_FREE;
		slot->next = first_free;
		first_free = first_cleared;
		first_cleared = next;
	}
	pvmm_spin_unlock(&lock);
}

const struct keeper kmap_keeper = {.queue = queue, .done = done};

/* --- looking --- */

struct pvmm_kmap_stats pvmm_kmap_stats(void)
{
	struct pvmm_kmap_stats now;

	pvmm_spin_lock(&lock);
	now = stats;
	pvmm_spin_unlock(&lock);
	return now;
}

static bool slot_is_right(uint16_t i)
{
	pvmm_pte_t entry = pvmm_pt_entries(l1)[LOCAL_SLOTS + i];
	const struct slot *slot = &slots[i];

	if (slot->state == SLOT_FREE)
		return !entry && !slot->users;
	return pvmm_pte_present(entry) && slot->state != SLOT_CLEARED &&
	       mfn_eq(pvmm_pte_mfn(entry), pvmm_pfn_to_mfn(pvmm_page_pfn(slot->page))) &&
	       hash_find(slot->page) == i && (slot->state == SLOT_LIVE) == (slot->users != 0);
}

unsigned int kmap_audit(void)
{
	unsigned int problems = 0, nr_live = 0, nr_stale = 0, nr_listed = 0;

	for (uint16_t i = 0; i < SHARED_SLOTS; i++) {
		nr_live += slots[i].state == SLOT_LIVE;
		nr_stale += slots[i].state == SLOT_STALE;
		if (slot_is_right(i))
			continue;
		pvmm_log(PVMM_ERROR, "audit: kmap slot %u, state %u, users %u, is not right", i,
			 slots[i].state, slots[i].users);
		problems++;
	}
	for (uint16_t i = lru_first; i != NO_SLOT && nr_listed <= nr_stale; i = slots[i].next)
		nr_listed++;
	if (nr_live != stats.in_use || nr_stale != stats.stale || nr_listed != nr_stale) {
		pvmm_log(
			PVMM_ERROR,
			"audit: kmap counts %llu live and %llu stale slots, there are %u and %u, %u listed",
			(unsigned long long)stats.in_use, (unsigned long long)stats.stale, nr_live,
			nr_stale, nr_listed);
		problems++;
	}
	return problems;
}
