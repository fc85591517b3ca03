/* SPDX-License-Identifier: MIT */
/*
 * Owns address spaces: which exist, what state each is in, and on which one each vCPU runs.
 *
 * Invariant: all tables of a space are building or all are read-only, as its state says (the
 * kernel's are read-only always); a table is freed only when no root that Xen knows leads to it.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/vcpu.h>
#include "check.h"
#include "space.h"

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

unsigned int space_last_user_slot(void)
{
	unsigned int last = pvmm_pt_slot(PVMM_USER_END - 1, PVMM_PT_LEVELS);

	return last < PVMM_KERNEL_SLOT_FIRST ? last : PVMM_KERNEL_SLOT_FIRST - 1;
}

int space_visit(const struct pvmm_space *space, pvmm_pt_visit_fn *visit, void *ctx)
{
	unsigned int first = 0, last = space_last_user_slot();
	int err;

	if (space_is_kernel(space)) {
		first = PVMM_KERNEL_SLOT_FIRST;
		last = PVMM_KERNEL_SLOT_LAST;
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

static void queue_root_op(pfn_t root, unsigned int cmd)
{
	pvmm_batch_mmuext(&(struct mmuext_op){
		.cmd = cmd,
		.arg1.mfn = mfn_x(pvmm_pfn_to_mfn(root)),
	});
}

static void queue_unpins(const struct pvmm_space *space)
{
	table_queue_unpin(pvmm_page(space->root));
	if (pfn_valid(space->user_root))
		table_queue_unpin(pvmm_page(space->user_root));
}

static void queue_pins(const struct pvmm_space *space)
{
	table_queue_pin(pvmm_page(space->root));
	if (pfn_valid(space->user_root))
		table_queue_pin(pvmm_page(space->user_root));
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

/* What became of the pins of a batch that Xen refused a part of. */
struct pin_fate {
	const struct pvmm_space *space;
	bool root_refused, user_root_refused;
};

static void note_refusal(const struct pvmm_batch_failure *op, bool tried, void *ctx)
{
	struct pin_fate *fate = ctx;
	uint64_t mfn = op->op.ext.arg1.mfn;

	(void)tried;
	if (op->kind != PVMM_BATCH_MMUEXT)
		return;
	fate->root_refused |= mfn == mfn_x(pvmm_pfn_to_mfn(fate->space->root));
	fate->user_root_refused |= mfn == mfn_x(pvmm_pfn_to_mfn(fate->space->user_root));
}

/* Xen may have gone on to the pins behind a refusal, and have accepted one of them. */
static void undo_pins(const struct pin_fate *fate)
{
	const struct pvmm_space *space = fate->space;

	pvmm_batch_begin();
	if (!fate->root_refused)
		table_queue_unpin(pvmm_page(space->root));
	if (!fate->user_root_refused && pfn_valid(space->user_root))
		table_queue_unpin(pvmm_page(space->user_root));
	pvmm_batch_end(NULL);
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
 * Every table read-only, then the pins, with which Xen validates them all. Translations that still
 * allow writing need no flush from us: Xen flushes when a frame changes its type.
 */
int pin_end_batch(struct pvmm_space *space, struct handover *h)
{
	struct pin_fate fate = {.space = space};
	int err;

	h->for_each = for_each_of_space;
	h->exchange = exchange_root;
	h->of = space;
	pvmm_batch_on_refusal(note_refusal, &fate);
	handover_queue(h);
	queue_pins(space);
	err = handover_end(h);
	if (err) {
		undo_pins(&fate);
		return err;
	}
	mark_roots(space, true);
	space->state = PVMM_SPACE_PINNED;
	return 0;
}

static int pin_locked(struct pvmm_space *space)
{
	struct handover h = {.space = space, .for_each = for_each_of_space, .of = space};
	int err;

	if (space->state == PVMM_SPACE_PINNED)
		return 0;
	do {
		err = handover_begin(&h);
		if (err)
			return err;
		err = pin_end_batch(space, &h);
	} while (err && handover_undo(&h));
	return err;
}

/* A kept table holds those that it leads to: a space that is building has none. */
static void unkeep(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (!(page->flags & PVMM_PAGE_KEPT))
		return;
	table_queue_unpin(page);
	table_mark_kept(page, false);
}

/*
 * The reverse, in the reverse order: only when Xen no longer holds the tables may they become
 * writable. Again Xen flushes at the change of type.
 */
static int unpin_locked(struct pvmm_space *space)
{
	if (space->state != PVMM_SPACE_PINNED)
		return -XEN_EINVAL;
	if (space_is_loaded(space))
		return -XEN_EBUSY;

	pvmm_batch_begin();
	queue_unpins(space);
	for_each_of_space(space, unkeep, NULL);
	for_each_of_space(space, handback_queue, NULL);
	pvmm_batch_end(NULL);

	mark_roots(space, false);
	for_each_of_space(space, handback_done, NULL);
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

/* A table that somebody has mapped, read-only, is still in use. */
static int visit_mapped(pfn_t table, unsigned int level, pvmm_va_t va, void *ctx)
{
	(void)level, (void)va, (void)ctx;
	return pvmm_page(table)->live ? -XEN_EBUSY : 0;
}

/* Takes a space that no vCPU runs on from Xen, and gives up all that it has. */
static void dismantle(struct pvmm_space *space)
{
	struct dying dying;

	dying_init(&dying);
	pvmm_batch_begin();
	space_visit(space, dying_visit, &dying);
	if (space->state == PVMM_SPACE_PINNED)
		queue_unpins(space);
	dying_queue(&dying);
	pvmm_batch_end(NULL);
	mark_roots(space, false);
	dying_free(space, &dying);
	(void)region_cut(space, 0, PVMM_USER_END);
	space->state = PVMM_SPACE_BUILDING;
	space->root = space->user_root = PVMM_INVALID_PFN;
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
	err = space_is_loaded(space) ? -XEN_EBUSY : space_visit(space, visit_mapped, NULL);
	if (!err) {
		list_remove(space);
		dismantle(space);
	}
	pvmm_spin_unlock(&space->lock);
	return err;
}
