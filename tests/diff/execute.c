/* SPDX-License-Identifier: MIT */
/*
 * Carries an operation out: symbols become frames and addresses, then the hypercall is made. What
 * would take the ground from under the running kernel is not done (DIFF_GUARDED); what decides that
 * is the same on both sides.
 */
#include <pvmm/xen.h>
#include "sequence.h"

/* What hypercalls read. */
static struct mmu_update updates[PVMM_PT_ENTRIES];
static struct mmuext_op ext_ops[DIFF_ITEMS];
static struct multicall_entry calls[DIFF_ITEMS];
static uint32_t done_of_call[DIFF_ITEMS];
static uint64_t this_vcpu_only = 1;

/* No address on either side. */
#define WILD_VA 0x0000900000000000ULL
/* Xen's part of the address space, whatever the layout (rule 15). */
#define XEN_VA 0xffff830000000000ULL

pvmm_va_t diff_va_of(const struct diff_item *item)
{
	unsigned int n = item->number;

	switch (item->place) {
	case PLACE_WINDOW:
		return diff_window_va(n);
	case PLACE_DIRECT_MAP:
		return (uintptr_t)pvmm_page_virt(diff_arena.page[n]);
	case PLACE_LOW:
		return (uint64_t)(n >> 6) << 39 | (uint64_t)(n >> 4 & 3) << 30 |
		       (uint64_t)(n >> 2 & 3) << 21 | (uint64_t)(n & 3) << 12;
	case PLACE_XEN:
		return XEN_VA + n * PVMM_PAGE_SIZE;
	default:
		return WILD_VA + n * PVMM_PAGE_SIZE;
	}
}

static const void *mask_of(const struct diff_item *item)
{
	return item->mask == MASK_BAD ? (void *)(uintptr_t)WILD_VA : &this_vcpu_only;
}

static uint64_t map_flags(const struct diff_item *item)
{
	switch (item->mask) {
	case MASK_LOCAL:
		return item->flush | UVMF_LOCAL;
	case MASK_ALL:
		return item->flush | UVMF_ALL;
	default:
		return item->flush | pvmm_arg(mask_of(item));
	}
}

static struct mmu_update update_of(const struct diff_item *item)
{
	struct mmu_update u = {
		.ptr = (diff_mfn(item->page) << PVMM_PAGE_SHIFT) + item->slot * sizeof(uint64_t),
		.val = diff_entry(item->frame, item->flags),
	};

	u.ptr |= item->cmd;
	if (item->cmd == MMU_MACHPHYS_UPDATE && item->frame < DIFF_PAGES)
		u.val = pfn_x(pvmm_page_pfn(diff_arena.page[item->frame]));
	return u;
}

static struct mmuext_op ext_of(const struct diff_item *item)
{
	struct mmuext_op op = {.cmd = item->cmd, .arg1.mfn = diff_mfn(item->page)};

	switch (item->cmd) {
	case MMUEXT_INVLPG_LOCAL:
	case MMUEXT_INVLPG_ALL:
	case MMUEXT_INVLPG_MULTI:
		op.arg1.linear_addr = diff_window_va(item->number);
		op.arg2.vcpumask.p = (void *)(uintptr_t)mask_of(item);
		break;
	case MMUEXT_TLB_FLUSH_MULTI:
		op.arg2.vcpumask.p = (void *)(uintptr_t)mask_of(item);
		break;
	case MMUEXT_SET_LDT:
		/* None; one at an address that is not aligned; one more than there can be. */
		op.arg1.linear_addr = diff_window_va(0) + (item->number == 1);
		op.arg2.nr_ents = item->number == 2 ? 8193 : item->number;
		break;
	case MMUEXT_COPY_PAGE:
		op.arg2.src_mfn = diff_mfn(item->frame);
		break;
	default:
		break;
	}
	return op;
}

/* An entry of the loaded root that the kernel needs. */
static bool endangers_root(const struct diff_item *item)
{
	return diff_arena.root >= 0 && item->page == (unsigned int)diff_arena.root &&
	       diff_slot_is_kernels(item->slot);
}

static bool makes_root(const struct diff_item *item)
{
	if (item->kind == DIFF_EXT)
		return item->cmd == MMUEXT_PIN_L4_TABLE || item->cmd == MMUEXT_NEW_USER_BASEPTR;
	return item->kind == DIFF_LOAD;
}

static bool endangers(const struct diff_op *op)
{
	bool changed = false;

	if (op->kind == DIFF_MANY)
		return diff_arena.root >= 0 && op->item[0].page == (unsigned int)diff_arena.root;
	for (unsigned int i = 0; i < op->nr; i++) {
		const struct diff_item *item = &op->item[i];

		if (item->kind == DIFF_UPDATE && endangers_root(item))
			return true;
		/* What a root is made of must be known now, not only when it is its turn. */
		if (makes_root(item) && item->page < DIFF_PAGES &&
		    (changed || diff_hazard(item->page)))
			return true;
		changed |= item->kind == DIFF_UPDATE ||
			   (item->kind == DIFF_EXT && item->cmd == MMUEXT_COPY_PAGE);
	}
	return false;
}

static void do_store(const struct diff_op *op, struct diff_result *r)
{
	for (unsigned int i = 0; i < op->nr; i++) {
		const struct diff_item *item = &op->item[i];
		uint64_t *words = diff_writable(item->page);

		if (words)
			words[item->slot] = diff_entry(item->frame, item->flags);
		r->item[i] = words != NULL;
	}
}

static void do_kernel_half(const struct diff_op *op, struct diff_result *r)
{
	uint64_t *words = diff_writable(op->item[0].page);

	for (unsigned int slot = 0; words && slot < PVMM_PT_ENTRIES; slot++)
		if (diff_arena.kernel_half[slot])
			words[slot] = diff_arena.kernel_half[slot];
	r->item[0] = words != NULL;
}

static int hc_mmu_update(const void *req, uint32_t nr, uint32_t *done, uint32_t foreign)
{
	return (int)pvmm_hypercall(pvmm_arg(req), nr, pvmm_arg(done), foreign, 0,
				   __HYPERVISOR_mmu_update);
}

static int hc_mmuext_op(const void *op, uint32_t nr, uint32_t *done, uint32_t foreign)
{
	return (int)pvmm_hypercall(pvmm_arg(op), nr, pvmm_arg(done), foreign, 0,
				   __HYPERVISOR_mmuext_op);
}

static void do_update(const struct diff_op *op, struct diff_result *r)
{
	for (unsigned int i = 0; i < op->nr; i++)
		updates[i] = update_of(&op->item[i]);
	r->ret = hc_mmu_update(updates, op->nr, &r->done, op->foreign);
}

static void do_ext(const struct diff_op *op, struct diff_result *r)
{
	for (unsigned int i = 0; i < op->nr; i++)
		ext_ops[i] = ext_of(&op->item[i]);
	r->ret = hc_mmuext_op(ext_ops, op->nr, &r->done, op->foreign);
}

static void do_map(const struct diff_item *item, struct diff_result *r)
{
	r->ret = pvmm_hc_update_va_mapping(diff_va_of(item), diff_entry(item->frame, item->flags),
					   map_flags(item));
}

static void do_load(const struct diff_item *item, struct diff_result *r)
{
	if (item->page < DIFF_PAGES && !diff_has_kernel_half(item->page)) {
		r->ret = DIFF_GUARDED;
		return;
	}
	r->ret = diff_ext(MMUEXT_NEW_BASEPTR, diff_mfn(item->page));
	if (!r->ret)
		diff_arena.root = item->page < DIFF_PAGES ? item->page : -1;
}

static void make_call(const struct diff_item *item, unsigned int i)
{
	struct multicall_entry *call = &calls[i];

	*call = (struct multicall_entry){.args[3] = DOMID_SELF};
	done_of_call[i] = DIFF_NOT_DONE;
	switch (item->kind) {
	case DIFF_UPDATE:
		updates[i] = update_of(item);
		call->op = __HYPERVISOR_mmu_update;
		call->args[0] = pvmm_arg(&updates[i]);
		call->args[1] = 1;
		call->args[2] = pvmm_arg(&done_of_call[i]);
		break;
	case DIFF_EXT:
		ext_ops[i] = ext_of(item);
		call->op = __HYPERVISOR_mmuext_op;
		call->args[0] = pvmm_arg(&ext_ops[i]);
		call->args[1] = 1;
		call->args[2] = pvmm_arg(&done_of_call[i]);
		break;
	case DIFF_MAP:
		call->op = __HYPERVISOR_update_va_mapping;
		call->args[0] = diff_va_of(item);
		call->args[1] = diff_entry(item->frame, item->flags);
		call->args[2] = map_flags(item);
		break;
	default:
		/* A multicall in a multicall; a number that no hypercall has. */
		call->op = item->cmd ? 63 : __HYPERVISOR_multicall;
		call->args[0] = pvmm_arg(calls);
		break;
	}
}

static void do_multicall(const struct diff_op *op, struct diff_result *r)
{
	for (unsigned int i = 0; i < op->nr; i++)
		make_call(&op->item[i], i);
	r->ret = pvmm_hc_multicall(calls, op->nr);
	for (unsigned int i = 0; i < op->nr; i++)
		r->item[i] = (int64_t)((uint64_t)done_of_call[i] << 32 | (uint32_t)calls[i].result);
}

static void do_many(const struct diff_op *op, struct diff_result *r)
{
	for (unsigned int i = 0; i < op->count; i++) {
		struct diff_item item = op->item[0];

		if (item.cmd)
			item.slot = (uint16_t)(item.slot + i);
		else if (i & 1)
			item.flags = 0, item.frame = FRAME_NONE;
		item.cmd = MMU_NORMAL_PT_UPDATE;
		updates[i] = update_of(&item);
	}
	r->ret = hc_mmu_update(updates, op->count, &r->done, op->foreign);
}

/*
 * Counts that are larger than any array. Xen looks at the array's address and then goes from entry
 * to entry, so the first one here is one that it refuses. 0x80000000 is the count of a call that
 * goes on after a preemption, with nothing left to do.
 */
static void do_huge(const struct diff_op *op, struct diff_result *r)
{
	static const uint32_t counts[] = {0x0fffffff, 0x7fffffff, 0x8fffffff, 0x80000000};
	uint32_t count = counts[op->count];
	const void *updates_at = updates, *ext_at = ext_ops;

	updates[0] = (struct mmu_update){.ptr = 7};
	ext_ops[0] = (struct mmuext_op){.cmd = 99};
	if (op->item[0].mask == MASK_BAD)
		updates_at = ext_at = (void *)(uintptr_t)WILD_VA;
	r->ret = op->item[0].cmd ? hc_mmuext_op(ext_at, count, &r->done, DOMID_SELF)
				 : hc_mmu_update(updates_at, count, &r->done, DOMID_SELF);
}

static void do_gdt(const struct diff_op *op, struct diff_result *r)
{
	static xen_pfn_t frames[DIFF_ITEMS];

	for (unsigned int i = 0; i < op->nr; i++)
		frames[i] = diff_mfn(op->item[i].page);
	r->ret = pvmm_hc_set_gdt(op->item[0].mask == MASK_BAD ? (void *)(uintptr_t)WILD_VA : frames,
				 op->count);
}

static void do_descriptor(const struct diff_item *item, struct diff_result *r)
{
	uint64_t maddr = (diff_mfn(item->page) << PVMM_PAGE_SHIFT) + item->slot * sizeof(uint64_t);

	r->ret = (int)pvmm_hypercall(maddr + item->cmd, item->flags, 0, 0, 0,
				     __HYPERVISOR_update_descriptor);
}

/* The operations behind DIFF_HUGE. */
static void do_owned(const struct diff_op *op, struct diff_result *r)
{
	switch (op->kind) {
	case DIFF_EXCHANGE:
		diff_exchange(op, r);
		break;
	case DIFF_BALLOON:
		diff_balloon(op, r);
		break;
	case DIFF_INCREASE:
		diff_increase(op, r);
		break;
	case DIFF_GRANT:
		diff_grant(&op->item[0], r);
		break;
	case DIFF_GDT:
		do_gdt(op, r);
		break;
	default:
		do_descriptor(&op->item[0], r);
		break;
	}
}

struct diff_result diff_execute(const struct diff_op *op)
{
	struct diff_result r = {.done = DIFF_NOT_DONE};

	if (endangers(op)) {
		r.ret = DIFF_GUARDED;
		return r;
	}
	switch (op->kind) {
	case DIFF_STORE:
		do_store(op, &r);
		break;
	case DIFF_KERNEL_HALF:
		do_kernel_half(op, &r);
		break;
	case DIFF_UPDATE:
		do_update(op, &r);
		break;
	case DIFF_EXT:
		do_ext(op, &r);
		break;
	case DIFF_MAP:
		do_map(&op->item[0], &r);
		break;
	case DIFF_LOAD:
		do_load(&op->item[0], &r);
		break;
	case DIFF_MULTICALL:
		do_multicall(op, &r);
		break;
	case DIFF_MANY:
		do_many(op, &r);
		break;
	case DIFF_HUGE:
		do_huge(op, &r);
		break;
	default:
		do_owned(op, &r);
		break;
	}
	if (op->kind != DIFF_STORE && op->kind != DIFF_KERNEL_HALF)
		diff_arena.stale = true;
	return r;
}
