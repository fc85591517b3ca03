/* SPDX-License-Identifier: MIT */
/*
 * Owns the counting of mappings, and the taking away of stale ones: which keepers there are, and
 * that a purge and a drop in the batch of a pin exclude each other.
 *
 * Invariant: live counts the entries in use and stale those given up, of every page, outside the
 * direct map; a page whose kind is a page table has no writable one.
 */
#include <pvmm/batch.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/spinlock.h>
#include <pvmm/vcpu.h>
#include "ledger.h"

#define MAX_KEEPERS 4 /* vmap, kmap, and room for two more */

/* Held from the queueing of a removal until it is counted out; guards the statistics too. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
static const struct keeper *keepers[MAX_KEEPERS];
static unsigned int nr_keepers;
static unsigned int nr_queued; /* removals at the start of the batch that is under way */
static struct pvmm_ledger_stats stats;
static bool is_unguarded; /* pins leave stale mappings alone */

/* Whether this vCPU is inside the ledger: it has its lock, or is asking notifiers. */
static unsigned int inside[PVMM_MAX_VCPUS];

/* Guards the list of notifiers, and is held while they are asked: one at a time. */
static struct pvmm_spinlock notifier_lock = PVMM_SPINLOCK_INIT;
static struct pvmm_notifier *notifiers;

void ledger_init(void)
{
	nr_keepers = 0;
	notifiers = NULL;
	stats = (struct pvmm_ledger_stats){0};
	is_unguarded = false;
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++)
		inside[i] = 0;
}

void ledger_add_keeper(const struct keeper *keeper)
{
	if (nr_keepers == MAX_KEEPERS)
		pvmm_panic("more than %d keepers of stale mappings", MAX_KEEPERS);
	keepers[nr_keepers++] = keeper;
}

struct pvmm_ledger_stats pvmm_ledger_stats(void)
{
	struct pvmm_ledger_stats now;

	pvmm_spin_lock(&lock);
	now = stats;
	pvmm_spin_unlock(&lock);
	return now;
}

/* From here to leave() the reclaiming of memory would wait for itself. */
static void enter(struct pvmm_spinlock *which)
{
	inside[pvmm_this_vcpu()]++;
	pvmm_spin_lock(which);
}

static void leave(struct pvmm_spinlock *which)
{
	pvmm_spin_unlock(which);
	inside[pvmm_this_vcpu()]--;
}

/* --- counting --- */

int ledger_live(struct pvmm_page *page, uint64_t prot)
{
	uint8_t kind;
	int err = 0;

	/* Counted first: a table that is being made of the page sees it (ledger_check_tables). */
	pvmm_page_live_inc(page);
	kind = __atomic_load_n(&page->kind, __ATOMIC_SEQ_CST);
	if ((prot & PVMM_PTE_RW) && kind >= PVMM_PAGE_L1 && kind <= PVMM_PAGE_L4)
		err = -XEN_EBUSY;
	else if (kind == PVMM_PAGE_FREE || kind == PVMM_PAGE_BALLOONED)
		err = -XEN_EINVAL;
	if (err)
		pvmm_page_live_dec(page);
	return err;
}

void ledger_dead(struct pvmm_page *page)
{
	pvmm_page_live_dec(page);
}

void ledger_stale(struct pvmm_page *page)
{
	pvmm_page_stale_inc(page);
	pvmm_page_live_dec(page);
}

void ledger_cleared(struct pvmm_page *page)
{
	pvmm_page_stale_dec(page);
}

/* --- notifiers --- */

void pvmm_notifier_add(struct pvmm_notifier *notifier)
{
	pvmm_spin_lock(&notifier_lock);
	notifier->next = notifiers;
	notifiers = notifier;
	pvmm_spin_unlock(&notifier_lock);
}

void pvmm_notifier_remove(struct pvmm_notifier *notifier)
{
	struct pvmm_notifier **at = &notifiers;

	pvmm_spin_lock(&notifier_lock);
	while (*at && *at != notifier)
		at = &(*at)->next;
	if (*at)
		*at = notifier->next;
	pvmm_spin_unlock(&notifier_lock);
}

/* Asks everybody; says by name who cannot give the page up. */
static void ask_notifiers(struct pvmm_page *page)
{
	enter(&notifier_lock);
	for (const struct pvmm_notifier *n = notifiers; n; n = n->next) {
		unsigned int kept = n->give_up(page, n->ctx);

		if (page && kept)
			pvmm_log(PVMM_WARN, "pfn 0x%llx: \"%s\" keeps %u mappings of it",
				 (unsigned long long)pfn_x(pvmm_page_pfn(page)), n->name, kept);
	}
	leave(&notifier_lock);
	__atomic_fetch_add(&stats.asked, 1, __ATOMIC_RELAXED);
}

/* --- purge --- */

/* Queues the removal of the stale mappings of a page, or of all. */
static unsigned int queue_removal(struct pvmm_page *page)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < nr_keepers; i++)
		nr += keepers[i]->queue(page);
	return nr;
}

static void count_out(uint64_t *kind, unsigned int nr)
{
	for (unsigned int i = 0; i < nr_keepers; i++)
		keepers[i]->done();
	*kind += nr != 0;
	stats.pages_purged += nr;
}

uint64_t ledger_purge(enum pvmm_purge_trigger trigger)
{
	unsigned int nr;

	if (pvmm_batch_is_open())
		return 0;
	enter(&lock);
	pvmm_batch_begin();
	nr = queue_removal(NULL);
	pvmm_batch_end(NULL);
	count_out(&stats.purges, nr);
	stats.purges_by[trigger] += nr != 0;
	leave(&lock);
	return nr;
}

uint64_t pvmm_purge(void)
{
	pvmm_batch_assert_closed("a purge of stale mappings");
	return ledger_purge(PVMM_PURGE_ASKED);
}

void ledger_reclaim(void)
{
	if (pvmm_batch_is_open() || inside[pvmm_this_vcpu()])
		return;
	if (__atomic_load_n(&notifiers, __ATOMIC_RELAXED))
		ask_notifiers(NULL);
	ledger_purge(PVMM_PURGE_MEMORY);
}

/* --- pages that become page tables --- */

void pvmm_ledger_guard(bool is_guarded)
{
	__atomic_store_n(&is_unguarded, !is_guarded, __ATOMIC_RELAXED);
}

struct check {
	unsigned int nr_live, nr_stale;
	bool ask;
};

static void check_table(struct pvmm_page *page, void *ctx)
{
	struct check *c = ctx;

	/* Xen holds it as a table already: read-only mappings of it are legal. */
	if (page->flags & PVMM_PAGE_READONLY)
		return;
	if (__atomic_load_n(&page->live, __ATOMIC_SEQ_CST) && c->ask)
		ask_notifiers(page);
	c->nr_live += __atomic_load_n(&page->live, __ATOMIC_SEQ_CST) != 0;
	/* After live: a mapping that is given up meanwhile is counted as stale before it is not
	 * live any more. */
	c->nr_stale += __atomic_load_n(&page->stale, __ATOMIC_SEQ_CST) != 0;
}

int ledger_check_tables(for_each_table_fn *for_each, const void *tables, unsigned int *nr_stale)
{
	struct check c = {.ask = __atomic_load_n(&notifiers, __ATOMIC_RELAXED) != NULL};

	/* The kinds were set before; who maps one of the pages from now on sees them. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for_each(tables, check_table, &c);
	*nr_stale = __atomic_load_n(&is_unguarded, __ATOMIC_RELAXED) ? 0 : c.nr_stale;
	return c.nr_live ? -XEN_EBUSY : 0;
}

static void queue_drop(struct pvmm_page *page, void *ctx)
{
	unsigned int *nr = ctx;

	if (!(page->flags & PVMM_PAGE_READONLY) && __atomic_load_n(&page->stale, __ATOMIC_ACQUIRE))
		*nr += queue_removal(page);
}

void ledger_drop_begin(for_each_table_fn *for_each, const void *tables)
{
	enter(&lock);
	nr_queued = 0;
	for_each(tables, queue_drop, &nr_queued);
}

void ledger_drop_end(const struct pvmm_batch_failure *failure)
{
	char what[128];

	if (failure && failure->index < nr_queued) {
		pvmm_batch_describe(failure, what, sizeof(what));
		pvmm_panic("Xen refuses the removal of a stale mapping: %s", what);
	}
	count_out(&stats.drops, nr_queued);
	leave(&lock);
}
