/* SPDX-License-Identifier: MIT */
/*
 * Owns address spaces: which exist, what state each is in, and on which one each vCPU runs.
 *
 * Invariant: all tables of a space are building or all are read-only, as its state says (the
 * kernel's are read-only always); a table is freed only when no root that Xen knows leads to it.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/vcpu.h>
#include "check.h"
#include "mm.h"

struct pvmm_space pvmm_kernel_space;

/* Guards the list's links. While it is held no listed space loses a table. Inside a space's lock.
 */
static struct pvmm_spinlock list_lock = PVMM_SPINLOCK_INIT;
static struct pvmm_space *current_space[PVMM_MAX_VCPUS];

bool space_is_kernel(const struct pvmm_space *space)
{
	return space == &pvmm_kernel_space;
}

void space_init(pfn_t kernel_root)
{
	pvmm_kernel_space = (struct pvmm_space){
		.state = PVMM_SPACE_PINNED,
		.root = kernel_root,
		.user_root = PVMM_INVALID_PFN,
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
	} while (!err && !space_is_kernel(space));
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
	int err;

	if (space_is_kernel(space)) {
		first = PVMM_KERNEL_SLOT_FIRST;
		last = PVMM_KERNEL_SLOT_LAST;
	} else if (last > pvmm_pt_slot(PVMM_USER_END - 1, PVMM_PT_LEVELS)) {
		last = pvmm_pt_slot(PVMM_USER_END - 1, PVMM_PT_LEVELS);
	}
	err = pvmm_pt_visit(space->root, PVMM_PT_LEVELS, 0, first, last, visit, ctx);
	if (!err && pfn_valid(space->user_root))
		err = visit(space->user_root, PVMM_PT_LEVELS, 0, ctx);
	return err;
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
	const pvmm_pte_t *kernel = pvmm_pt_entries(pvmm_kernel_space.root);
	struct pvmm_page *root = pvmm_table_alloc(PVMM_PT_LEVELS);
	struct pvmm_page *user_root = PVMM_USER_ROOT ? pvmm_table_alloc(PVMM_PT_LEVELS) : NULL;

	if (!root || (PVMM_USER_ROOT && !user_root)) {
		if (root)
			pvmm_table_free(root);
		if (user_root)
			pvmm_table_free(user_root);
		return -XEN_ENOMEM;
	}

	*space = (struct pvmm_space){
		.state = PVMM_SPACE_BUILDING,
		.root = pvmm_page_pfn(root),
		.user_root = user_root ? pvmm_page_pfn(user_root) : PVMM_INVALID_PFN,
		.nr_tables = 1 + PVMM_USER_ROOT,
	};
	copy_name(space, name);
	for (unsigned int slot = PVMM_KERNEL_SLOT_FIRST; slot <= PVMM_KERNEL_SLOT_LAST; slot++)
		pvmm_pt_set(space->root, slot, kernel[slot]);
	list_insert(space);
	return 0;
}

struct visit_call {
	void (*fn)(struct pvmm_page *page, void *ctx);
	void *ctx;
};

static int visit_call(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	const struct visit_call *call = ctx;

	(void)level, (void)va;
	call->fn(pvmm_page(table), call->ctx);
	return 0;
}

static void for_each_of_space(const void *space, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	space_visit(space, visit_call, &(struct visit_call){fn, ctx});
}

/* --- pinning --- */

static const unsigned int pin_command[] = {
	[1] = MMUEXT_PIN_L1_TABLE,
	[2] = MMUEXT_PIN_L2_TABLE,
	[3] = MMUEXT_PIN_L3_TABLE,
	[4] = MMUEXT_PIN_L4_TABLE,
};

static void queue_root_op(pfn_t root, unsigned int cmd)
{
	pvmm_batch_mmuext(&(struct mmuext_op){
		.cmd = cmd,
		.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(root)),
	});
}

/* The same for both roots. */
static void queue_roots_op(const struct pvmm_space *space, unsigned int cmd)
{
	queue_root_op(space->root, cmd);
	if (pfn_valid(space->user_root))
		queue_root_op(space->user_root, cmd);
}

static void mark_root(pfn_t root, bool pinned)
{
	if (!pfn_valid(root))
		return;
	if (pinned)
		__atomic_fetch_or(&pvmm_page(root)->flags, PVMM_PAGE_PINNED, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&pvmm_page(root)->flags, (uint8_t)~PVMM_PAGE_PINNED,
				   __ATOMIC_RELAXED);
}

static void mark_roots(const struct pvmm_space *space, bool pinned)
{
	mark_root(space->root, pinned);
	mark_root(space->user_root, pinned);
}

/* A table of the space is another page now; nobody but the space itself knows its roots. */
static void exchange_root(void *of, struct pvmm_page *old, struct pvmm_page *new)
{
	struct pvmm_space *space = of;

	if (pfn_eq(space->root, pvmm_page_pfn(old)))
		space->root = pvmm_page_pfn(new);
	if (pfn_eq(space->user_root, pvmm_page_pfn(old)))
		space->user_root = pvmm_page_pfn(new);
}

/*
 * Xen refused the batch of a pin. The user half's root comes second: if it was the one refused, the
 * other one is pinned.
 */
static bool undo_pin(struct pvmm_space *space, const struct pvmm_batch_failure *failure)
{
	if (failure->kind == PVMM_BATCH_MMUEXT && pfn_valid(space->user_root) &&
	    failure->op.ext.arg1.mfn == mfn_x(pvmm_pfn_to_mfn(space->user_root))) {
		pvmm_batch_begin();
		queue_root_op(space->root, MMUEXT_UNPIN_TABLE);
		pvmm_batch_end(NULL);
	}
	return handover_undo(space, failure, for_each_of_space, exchange_root, space);
}

/*
 * One batch: every table read-only, then the pins, with which Xen validates them all. Translations
 * that still allow writing need no flush from us: Xen flushes when a frame changes its type.
 */
static int pin_locked(struct pvmm_space *space)
{
	struct pvmm_batch_failure failure;
	int err;

	if (space->state == PVMM_SPACE_PINNED)
		return 0;

	do {
		pvmm_batch_begin();
		handover_queue(for_each_of_space, space);
		queue_roots_op(space, pin_command[PVMM_PT_LEVELS]);
		err = pvmm_batch_end(&failure);
	} while (err && undo_pin(space, &failure));
	if (err)
		return err;

	handover_done(for_each_of_space, space);
	mark_roots(space, true);
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
	queue_roots_op(space, MMUEXT_UNPIN_TABLE);
	handback_queue(for_each_of_space, space);
	pvmm_batch_end(NULL);

	mark_roots(space, false);
	handback_done(for_each_of_space, space);
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

	if (space_is_kernel(space))
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
	if (!space_is_kernel(space))
		__atomic_fetch_add(&space->nr_loaded, (uint32_t)change, __ATOMIC_ACQ_REL);
}

/* Queues the base pointers of a space: the kernel's has none for user mode. */
static void queue_load(const struct pvmm_space *space)
{
	queue_root_op(space->root, MMUEXT_NEW_BASEPTR);
	if (!PVMM_USER_ROOT)
		return;
	if (pfn_valid(space->user_root))
		queue_root_op(space->user_root, MMUEXT_NEW_USER_BASEPTR);
	else
		pvmm_batch_mmuext(&(struct mmuext_op){.cmd = MMUEXT_NEW_USER_BASEPTR});
}

/* Loads a pinned space on this vCPU, or leaves the one it runs on. */
static int load(const struct pvmm_space *space, const struct pvmm_space *before)
{
	struct pvmm_batch_failure failure;
	int err;

	pvmm_batch_begin();
	queue_load(space);
	err = pvmm_batch_end(&failure);
	if (!err)
		return 0;

	report_refusal(&failure, "space \"%s\" not loaded", space->name);
	/* One of the two may be loaded; what is loaded now can be loaded again. */
	pvmm_batch_begin();
	queue_load(before);
	pvmm_batch_end(NULL);
	return err;
}

int pvmm_space_activate(struct pvmm_space *space)
{
	struct pvmm_space **current = &current_space[pvmm_this_vcpu()];
	int err;

	if (*current == space)
		return 0;
	pvmm_batch_assert_closed("a change of the address space");

	pvmm_spin_lock(&space->lock);
	err = pin_locked(space);
	if (!err)
		err = load(space, *current);
	if (!err)
		count_vcpu(space, 1);
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

	if (space_is_kernel(space))
		return -XEN_EBUSY;
	pvmm_spin_lock(&space->lock);
	err = space_visit(space, visit_mapped, NULL);
	if (!err && space->state == PVMM_SPACE_PINNED)
		err = unpin_locked(space);
	if (!err) {
		list_remove(space);
		space_visit(space, visit_destroy, NULL);
		space->root = space->user_root = PVMM_INVALID_PFN;
		space->nr_tables = space->nr_pages = 0;
	}
	pvmm_spin_unlock(&space->lock);
	return err;
}
