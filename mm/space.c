/* SPDX-License-Identifier: MIT */
/*
 * Owns address spaces: which exist, what state each is in, and the mappings of their user halves.
 *
 * Invariant: all tables of a space are building or all are read-only, as its state says (the
 * kernel's are read-only always); a table is freed only when no root that Xen knows leads to it.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/vcpu.h>
#include "mm.h"

struct pvmm_space pvmm_kernel_space;

/* Guards the list's links. While it is held no listed space loses a table. Inside a space's lock.
 */
static struct pvmm_spinlock list_lock = PVMM_SPINLOCK_INIT;
static struct pvmm_space *current_space[PVMM_MAX_VCPUS];

/*
 * Guards the marks of suspect pages and the record of the last refusal: one search at a time, or
 * one vCPU's report would name another's stray. Inside a space's lock, outside the list's.
 */
static struct pvmm_spinlock suspect_lock = PVMM_SPINLOCK_INIT;

static bool is_kernel(const struct pvmm_space *space)
{
	return space == &pvmm_kernel_space;
}

void space_init(pfn_t kernel_root)
{
	pvmm_kernel_space = (struct pvmm_space){
		.state = PVMM_SPACE_PINNED,
		.root = kernel_root,
		.next = &pvmm_kernel_space,
		.prev = &pvmm_kernel_space,
		.name = "kernel",
	};
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++)
		current_space[i] = &pvmm_kernel_space;
}

int pvmm_space_for_each(pvmm_space_visit_fn *visit, void *ctx)
{
	struct pvmm_space *space = &pvmm_kernel_space;
	int err;

	pvmm_spin_lock(&list_lock);
	do {
		err = visit(space, ctx);
		space = space->next;
	} while (!err && !is_kernel(space));
	pvmm_spin_unlock(&list_lock);
	return err;
}

static void list_insert(struct pvmm_space *space)
{
	pvmm_spin_lock(&list_lock);
	space->next = &pvmm_kernel_space;
	space->prev = pvmm_kernel_space.prev;
	space->prev->next = space;
	pvmm_kernel_space.prev = space;
	pvmm_spin_unlock(&list_lock);
}

static void list_remove(struct pvmm_space *space)
{
	pvmm_spin_lock(&list_lock);
	space->prev->next = space->next;
	space->next->prev = space->prev;
	pvmm_spin_unlock(&list_lock);
}

int space_visit(const struct pvmm_space *space, pvmm_pt_visit_fn *visit, void *ctx)
{
	unsigned int first = 0, last = PVMM_KERNEL_SLOT_FIRST - 1;

	if (is_kernel(space)) {
		first = PVMM_KERNEL_SLOT_FIRST;
		last = PVMM_KERNEL_SLOT_LAST;
	} else if (last > pvmm_pt_slot(PVMM_USER_END - 1, PVMM_PT_LEVELS)) {
		last = pvmm_pt_slot(PVMM_USER_END - 1, PVMM_PT_LEVELS);
	}
	return pvmm_pt_visit(space->root, PVMM_PT_LEVELS, 0, first, last, visit, ctx);
}

static void copy_name(struct pvmm_space *space, const char *name)
{
	size_t i;

	for (i = 0; i + 1 < sizeof(space->name) && name[i]; i++)
		space->name[i] = name[i];
	space->name[i] = '\0';
}

int pvmm_space_create(struct pvmm_space *space, const char *name)
{
	struct pvmm_page *root = pvmm_table_alloc(PVMM_PT_LEVELS);
	const pvmm_pte_t *kernel = pvmm_pt_entries(pvmm_kernel_space.root);

	if (!root)
		return -XEN_ENOMEM;

	*space = (struct pvmm_space){
		.state = PVMM_SPACE_BUILDING,
		.root = pvmm_page_pfn(root),
		.nr_tables = 1,
	};
	copy_name(space, name);
	for (unsigned int slot = PVMM_KERNEL_SLOT_FIRST; slot <= PVMM_KERNEL_SLOT_LAST; slot++)
		pvmm_pt_set(space->root, slot, kernel[slot]);
	list_insert(space);
	return 0;
}

/* --- changing the tables, with Xen's refusal undone --- */

/* Tables that one operation wants to hand to Xen: those of a whole space, or a few new ones. */
typedef void for_each_table_fn(const void *tables, void (*fn)(struct pvmm_page *));

static void mark_readonly(struct pvmm_page *page)
{
	pvmm_table_mark(page, true);
}

static void mark_writable(struct pvmm_page *page)
{
	pvmm_table_mark(page, false);
}

static void mark_suspect(struct pvmm_page *page)
{
	__atomic_fetch_or(&page->flags, PVMM_PAGE_SUSPECT, __ATOMIC_RELAXED);
}

static void clear_suspect(struct pvmm_page *page)
{
	__atomic_fetch_and(&page->flags, (uint8_t)~PVMM_PAGE_SUSPECT, __ATOMIC_RELAXED);
}

/*
 * Xen refused a batch that makes tables read-only and hands them over: says who is to blame, then
 * makes them all writable again. That cannot fail: none of them is a page table for Xen, and making
 * a page writable that already is changes nothing. The flush is needed because the search has read
 * the tables through read-only translations, and the next plain store must not fault.
 */
static void undo_refused(struct pvmm_space *space, const struct pvmm_batch_failure *failure,
			 for_each_table_fn *for_each, const void *tables)
{
	pvmm_spin_lock(&suspect_lock);
	for_each(tables, mark_suspect);
	stray_refused(space, failure);
	for_each(tables, clear_suspect);
	pvmm_spin_unlock(&suspect_lock);

	pvmm_batch_begin();
	for_each(tables, pvmm_table_queue_unprotect);
	pvmm_batch_flush_all();
	pvmm_batch_end(NULL);
}

static int visit_call(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	void (**fn)(struct pvmm_page *) = ctx;

	(void)level, (void)va;
	(*fn)(pvmm_page(table));
	return 0;
}

static void for_each_of_space(const void *space, void (*fn)(struct pvmm_page *))
{
	space_visit(space, visit_call, &fn);
}

/* New tables below an existing one, lowest level first; chain[0] unused. */
struct chain {
	unsigned int levels; /* new tables of level 1 to this */
	struct pvmm_page *table[PVMM_PT_LEVELS];
};

static void for_each_of_chain(const void *ctx, void (*fn)(struct pvmm_page *))
{
	const struct chain *chain = ctx;

	for (unsigned int level = 1; level <= chain->levels; level++)
		fn(chain->table[level]);
}

static int chain_alloc(struct chain *chain, unsigned int levels)
{
	chain->levels = 0;
	for (unsigned int level = 1; level <= levels; level++) {
		chain->table[level] = pvmm_table_alloc(level);
		if (!chain->table[level]) {
			for_each_of_chain(chain, pvmm_table_free);
			return -XEN_ENOMEM;
		}
		chain->levels = level;
	}
	return 0;
}

static pvmm_pte_t entry_of_table(const struct pvmm_page *table)
{
	return pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(table)), PVMM_PROT_TABLE);
}

/* Links the new tables into each other, the leaf at the bottom: plain stores. */
static void chain_fill(const struct chain *chain, pvmm_va_t va, pvmm_pte_t leaf)
{
	pvmm_pte_t entry = leaf;

	for (unsigned int level = 1; level <= chain->levels; level++) {
		struct pvmm_page *table = chain->table[level];

		pvmm_pt_set(pvmm_page_pfn(table), pvmm_pt_slot(va, level), entry);
		entry = entry_of_table(table);
	}
}

/*
 * Stores the L1 entry for va. A translation that may be in a TLB is flushed: one of the kernel's,
 * or of a space that some vCPU runs on (to leave a space is to flush it).
 */
static void set_leaf(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
		     pvmm_pte_t entry)
{
	const struct pvmm_walk_step *at = &w->step[1];
	bool present = pvmm_pte_present(at->entry);

	if (space->state == PVMM_SPACE_BUILDING) {
		pvmm_pt_set(at->table, at->slot, entry);
	} else if (is_kernel(space) || space == pvmm_space_current()) {
		pvmm_batch_va_mapping(va, pvmm_pt_entry_maddr(at->table, at->slot), entry, present);
	} else {
		pvmm_pt_set(at->table, at->slot, entry);
		if (present && __atomic_load_n(&space->nr_loaded, __ATOMIC_ACQUIRE))
			pvmm_batch_flush_va(va);
	}
}

/*
 * Puts an entry for va into the table where the walk stopped: the leaf itself, or the new tables
 * that lead to it. All or nothing.
 */
static int insert_entry(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
			const struct chain *chain, pvmm_pte_t leaf)
{
	const struct pvmm_walk_step *at = &w->step[w->stopped_at];
	bool live = space->state == PVMM_SPACE_PINNED;
	struct pvmm_batch_failure failure;
	char what[128];
	int err;

	pvmm_batch_begin();
	if (live)
		for_each_of_chain(chain, pvmm_table_queue_protect);
	if (chain->levels)
		pvmm_pt_set(at->table, at->slot, entry_of_table(chain->table[chain->levels]));
	else
		set_leaf(space, w, va, leaf);
	err = pvmm_batch_end(&failure);

	if (!err) {
		if (live)
			for_each_of_chain(chain, mark_readonly);
		return 0;
	}
	if (chain->levels) {
		undo_refused(space, &failure, for_each_of_chain, chain);
	} else {
		pvmm_batch_describe(&failure, what, sizeof(what));
		pvmm_log(PVMM_WARN, "mapping in space \"%s\" refused by Xen: %s", space->name,
			 what);
	}
	return err;
}

/* --- mapping --- */

/* Whether a mapping at va may be made in this space at all. */
static int check_va(const struct pvmm_space *space, pvmm_va_t va)
{
	if (va & ~PVMM_PAGE_MASK)
		return -XEN_EINVAL;
	if (is_kernel(space))
		return va - PVMM_VMAP_BASE < PVMM_VMAP_BYTES ? 0 : -XEN_EINVAL;
	return pvmm_va_is_user(va) ? 0 : -XEN_EINVAL;
}

static int check_page(const struct pvmm_page *page, uint64_t prot)
{
	if (page->kind == PVMM_PAGE_FREE || page->kind == PVMM_PAGE_BALLOONED)
		return -XEN_EINVAL;
	if ((prot & PVMM_PTE_RW) && pvmm_page_table_level(page))
		return -XEN_EBUSY;
	return 0;
}

/* What the leaf entry of this space carries; 0 for a prot that is none. */
static uint64_t leaf_prot(const struct pvmm_space *space, uint64_t prot)
{
	const uint64_t allowed = PVMM_PROT_RW | PVMM_PROT_USER;

	if (!(prot & PVMM_PTE_PRESENT) || (prot & ~allowed))
		return 0;
	return is_kernel(space) ? prot & ~PVMM_PTE_USER : prot | PVMM_PTE_USER;
}

static int map_locked(struct pvmm_space *space, pvmm_va_t va, struct pvmm_page *page, uint64_t prot)
{
	struct pvmm_walk w = pvmm_pt_walk(space->root, va);
	pvmm_pte_t leaf = pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), prot);
	struct chain chain;
	int err;

	if (pvmm_pte_present(w.step[w.stopped_at].entry))
		return w.stopped_at == 1 ? -XEN_EEXIST : -XEN_EINVAL;
	err = chain_alloc(&chain, w.stopped_at - 1);
	if (err)
		return err;
	chain_fill(&chain, va, leaf);

	/* Counted before the entry stands, so that a pin of the page never sees too few. */
	pvmm_page_get(page);
	pvmm_page_live_inc(page);
	err = insert_entry(space, &w, va, &chain, leaf);
	if (err) {
		for_each_of_chain(&chain, pvmm_table_free);
		pvmm_page_live_dec(page);
		pvmm_page_put(page);
		return err;
	}
	space->nr_tables += chain.levels;
	space->nr_pages++;
	return 0;
}

int pvmm_space_map(struct pvmm_space *space, pvmm_va_t va, struct pvmm_page *page, uint64_t prot)
{
	uint64_t leaf = leaf_prot(space, prot);
	int err = leaf ? check_va(space, va) : -XEN_EINVAL;

	if (!err)
		err = check_page(page, prot);
	if (err)
		return err;

	pvmm_spin_lock(&space->lock);
	err = map_locked(space, va, page, leaf);
	pvmm_spin_unlock(&space->lock);
	return err;
}

/* Replaces the present leaf entry for va and flushes it where a TLB may hold it. */
static int change_entry(struct pvmm_space *space, const struct pvmm_walk *w, pvmm_va_t va,
			pvmm_pte_t entry)
{
	struct pvmm_batch_failure failure;
	char what[128];
	int err;

	pvmm_batch_begin();
	set_leaf(space, w, va, entry);
	err = pvmm_batch_end(&failure);
	if (!err)
		return 0;

	pvmm_batch_describe(&failure, what, sizeof(what));
	pvmm_log(PVMM_WARN, "change of 0x%llx in space \"%s\" refused by Xen: %s",
		 (unsigned long long)va, space->name, what);
	return err;
}

/* Looks va up for a change; fills in the page it maps. */
static int find_mapped(struct pvmm_space *space, pvmm_va_t va, struct pvmm_walk *w,
		       struct pvmm_page **page)
{
	pfn_t pfn;

	*w = pvmm_pt_walk(space->root, va);
	if (w->stopped_at != 1 || !pvmm_pte_present(w->step[1].entry))
		return -XEN_ENOENT;
	pfn = pvmm_mfn_to_pfn(pvmm_pte_mfn(w->step[1].entry));
	if (!pfn_valid(pfn))
		return -XEN_EINVAL;
	*page = pvmm_page(pfn);
	return 0;
}

int pvmm_space_unmap(struct pvmm_space *space, pvmm_va_t va)
{
	struct pvmm_page *page;
	struct pvmm_walk w;
	int err = check_va(space, va);

	if (err)
		return err;

	pvmm_spin_lock(&space->lock);
	err = find_mapped(space, va, &w, &page);
	if (!err)
		err = change_entry(space, &w, va, 0);
	if (!err)
		space->nr_pages--;
	pvmm_spin_unlock(&space->lock);
	if (err)
		return err;

	pvmm_page_live_dec(page);
	pvmm_page_put(page);
	return 0;
}

int pvmm_space_protect(struct pvmm_space *space, pvmm_va_t va, uint64_t prot)
{
	uint64_t leaf = leaf_prot(space, prot);
	int err = leaf ? check_va(space, va) : -XEN_EINVAL;
	struct pvmm_page *page;
	struct pvmm_walk w;

	if (err)
		return err;

	pvmm_spin_lock(&space->lock);
	err = find_mapped(space, va, &w, &page);
	if (!err)
		err = check_page(page, prot);
	if (!err)
		err = change_entry(space, &w, va, pvmm_pte(pvmm_pte_mfn(w.step[1].entry), leaf));
	pvmm_spin_unlock(&space->lock);
	return err;
}

/* --- pinning --- */

static const unsigned int pin_command[] = {
	[1] = MMUEXT_PIN_L1_TABLE,
	[2] = MMUEXT_PIN_L2_TABLE,
	[3] = MMUEXT_PIN_L3_TABLE,
	[4] = MMUEXT_PIN_L4_TABLE,
};

static void queue_root_op(const struct pvmm_space *space, unsigned int cmd)
{
	pvmm_batch_mmuext(&(struct mmuext_op){
		.cmd = cmd,
		.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(space->root)),
	});
}

/*
 * One batch: every table read-only, then the pin, with which Xen validates them all. Translations
 * that still allow writing need no flush from us: Xen flushes when a frame changes its type.
 */
static int pin_locked(struct pvmm_space *space)
{
	struct pvmm_batch_failure failure;
	int err;

	if (space->state == PVMM_SPACE_PINNED)
		return 0;

	pvmm_batch_begin();
	for_each_of_space(space, pvmm_table_queue_protect);
	queue_root_op(space, pin_command[PVMM_PT_LEVELS]);
	err = pvmm_batch_end(&failure);
	if (err) {
		undo_refused(space, &failure, for_each_of_space, space);
		return err;
	}

	for_each_of_space(space, mark_readonly);
	__atomic_fetch_or(&pvmm_page(space->root)->flags, PVMM_PAGE_PINNED, __ATOMIC_RELAXED);
	space->state = PVMM_SPACE_PINNED;
	return 0;
}

/*
 * The reverse, in the reverse order: only when Xen no longer holds the tables may they become
 * writable. Again Xen flushes at the change of type.
 */
static int unpin_locked(struct pvmm_space *space)
{
	if (space->state != PVMM_SPACE_PINNED)
		return -XEN_EINVAL;
	if (__atomic_load_n(&space->nr_loaded, __ATOMIC_ACQUIRE))
		return -XEN_EBUSY;

	pvmm_batch_begin();
	queue_root_op(space, MMUEXT_UNPIN_TABLE);
	for_each_of_space(space, pvmm_table_queue_unprotect);
	pvmm_batch_end(NULL);

	__atomic_fetch_and(&pvmm_page(space->root)->flags, (uint8_t)~PVMM_PAGE_PINNED,
			   __ATOMIC_RELAXED);
	for_each_of_space(space, mark_writable);
	space->state = PVMM_SPACE_BUILDING;
	return 0;
}

int pvmm_space_pin(struct pvmm_space *space)
{
	int err;

	pvmm_spin_lock(&space->lock);
	err = pin_locked(space);
	pvmm_spin_unlock(&space->lock);
	return err;
}

int pvmm_space_unpin(struct pvmm_space *space)
{
	int err;

	if (is_kernel(space))
		return -XEN_EBUSY;
	pvmm_spin_lock(&space->lock);
	err = unpin_locked(space);
	pvmm_spin_unlock(&space->lock);
	return err;
}

struct pvmm_space *pvmm_space_current(void)
{
	return current_space[pvmm_this_vcpu()];
}

/* The kernel's space cannot be unpinned, so nobody asks how many run on it. */
static void count_vcpu(struct pvmm_space *space, int change)
{
	if (!is_kernel(space))
		__atomic_fetch_add(&space->nr_loaded, (uint32_t)change, __ATOMIC_ACQ_REL);
}

int pvmm_space_activate(struct pvmm_space *space)
{
	struct pvmm_space **current = &current_space[pvmm_this_vcpu()];
	struct pvmm_batch_failure failure;
	char what[128];
	int err;

	if (*current == space)
		return 0;
	pvmm_batch_assert_closed("a change of the address space");

	pvmm_spin_lock(&space->lock);
	err = pin_locked(space);
	if (!err) {
		pvmm_batch_begin();
		queue_root_op(space, MMUEXT_NEW_BASEPTR);
		err = pvmm_batch_end(&failure);
		if (err) {
			pvmm_batch_describe(&failure, what, sizeof(what));
			pvmm_log(PVMM_WARN, "space \"%s\" not loaded: %s", space->name, what);
		} else {
			count_vcpu(space, 1);
		}
	}
	pvmm_spin_unlock(&space->lock);
	if (err)
		return err;

	count_vcpu(*current, -1);
	*current = space;
	return 0;
}

/* Gives up what a table of a dying space holds, then the table. */
static int visit_destroy(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	const pvmm_pte_t *entries = pvmm_pt_entries(table);

	(void)va, (void)ctx;
	for (unsigned int slot = 0; level == 1 && slot < PVMM_PT_ENTRIES; slot++) {
		pfn_t pfn;

		if (!pvmm_pte_present(entries[slot]))
			continue;
		pfn = pvmm_mfn_to_pfn(pvmm_pte_mfn(entries[slot]));
		if (!pfn_valid(pfn))
			continue;
		pvmm_page_live_dec(pvmm_page(pfn));
		pvmm_page_put(pvmm_page(pfn));
	}
	pvmm_table_free(pvmm_page(table));
	return 0;
}

/* A table that is mapped (read-only) somewhere cannot go: its page would be reused under the
 * mapping. */
static int visit_mapped(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	(void)level, (void)va, (void)ctx;
	return pvmm_page(table)->live ? -XEN_EBUSY : 0;
}

/*
 * No flush: no vCPU runs on the space, and leaving it (a new base pointer) has flushed what the
 * vCPU had cached of its user half.
 */
int pvmm_space_destroy(struct pvmm_space *space)
{
	int err;

	if (is_kernel(space))
		return -XEN_EBUSY;
	pvmm_spin_lock(&space->lock);
	err = space_visit(space, visit_mapped, NULL);
	if (!err && space->state == PVMM_SPACE_PINNED)
		err = unpin_locked(space);
	if (!err) {
		list_remove(space);
		space_visit(space, visit_destroy, NULL);
		space->root = PVMM_INVALID_PFN;
		space->nr_tables = space->nr_pages = 0;
	}
	pvmm_spin_unlock(&space->lock);
	return err;
}
