/* SPDX-License-Identifier: MIT */
/*
 * Owns the extended MMU operations: pins, base pointers, flushes, whole pages. Rules 20 to 23 and
 * the list of operations in docs/XEN-RULES.md.
 */
#include <string.h>
#include <pvmm/xen.h>
#include "tests/model/state.h"

#define RESTARTED 0x80000000u /* see mmu_update.c */

/* Rule 20. */
static int pin(uint64_t mfn, enum model_type type)
{
	int err = frame_get_and_type(mfn, type);

	if (err)
		return err;
	if (frame_at(mfn)->s.pinned) {
		frame_put_and_type(mfn, NO_MFN);
		return -XEN_EINVAL;
	}
	frame_at(mfn)->s.pinned = true;
	return 0;
}

static int unpin(uint64_t mfn)
{
	if (!frame_get(mfn))
		return -XEN_EINVAL;
	if (!frame_at(mfn)->s.pinned) {
		frame_put(mfn);
		return -XEN_EINVAL;
	}
	frame_at(mfn)->s.pinned = false;
	frame_put_and_type(mfn, NO_MFN);
	frame_put(mfn);
	return 0;
}

/* Puts a root in place of another, each holding a general and a type reference (rule 22). */
static int replace_root(uint64_t *root, uint64_t mfn)
{
	uint64_t old = *root;
	int err;

	if (old == mfn)
		return 0;
	if (mfn != NO_MFN) {
		err = frame_get_and_type(mfn, model.options.pae ? MODEL_L3 : MODEL_L4);
		if (err)
			return err;
	}
	*root = mfn;
	if (old != NO_MFN)
		frame_put_and_type(old, NO_MFN);
	return 0;
}

int load_root(uint64_t mfn)
{
	struct vcpu *v = &model.vcpus[model.this_vcpu];
	bool same = v->root == mfn;
	int err = replace_root(&v->root, mfn);

	if (err)
		return err;
	if (!same || model.options.pae)
		drop_ldt(v);
	if (!model.options.pae)
		fill_m2p_slot(mfn);
	tlb_flush(tlb_this_vcpu());
	mirror_root_changed();
	return 0;
}

static int clear_page(uint64_t mfn)
{
	int err = frame_get_and_type(mfn, MODEL_WRITABLE);

	if (err)
		return -XEN_EINVAL;
	memset(frame_entries(mfn), 0, PVMM_PAGE_SIZE);
	frame_put_and_type(mfn, NO_MFN);
	return 0;
}

static int copy_page(uint64_t to, uint64_t from)
{
	if (!frame_get(from))
		return -XEN_EINVAL;
	if (frame_get_and_type(to, MODEL_WRITABLE)) {
		frame_put(from);
		return -XEN_EINVAL;
	}
	memmove(frame_entries(to), frame_entries(from), PVMM_PAGE_SIZE);
	frame_put_and_type(to, NO_MFN);
	frame_put(from);
	return 0;
}

/* Whether Xen can read a bitmap of the domain's vCPUs here. */
bool flush_mask_readable(const void *mask)
{
	return mask && guest_range_ok(mask, sizeof(uint64_t)) &&
	       host_readable(mask, sizeof(uint64_t));
}

/* Whose TLBs a flush is for; the mask has been looked at. */
static uint64_t flushed_vcpus(const struct mmuext_op *op)
{
	switch (op->cmd) {
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_INVLPG_MULTI:
		return *(const uint64_t *)op->arg2.vcpumask.p;
	case MMUEXT_TLB_FLUSH_LOCAL:
	case MMUEXT_INVLPG_LOCAL:
		return tlb_this_vcpu();
	default:
		return ALL_VCPUS;
	}
}

static int one_op(const struct mmuext_op *op)
{
	struct vcpu *v = &model.vcpus[model.this_vcpu];
	uint64_t mfn = op->arg1.mfn;

	switch (op->cmd) {
	case MMUEXT_PIN_L1_TABLE:
		return pin(mfn, MODEL_L1);
	case MMUEXT_PIN_L2_TABLE:
		return pin(mfn, MODEL_L2);
	case MMUEXT_PIN_L3_TABLE:
		return pin(mfn, MODEL_L3);
	case MMUEXT_PIN_L4_TABLE:
		return model.options.pae ? 0 : pin(mfn, MODEL_L4); /* rule 21 */
	case MMUEXT_UNPIN_TABLE:
		return unpin(mfn);
	case MMUEXT_NEW_BASEPTR:
		return mfn == NO_MFN ? -XEN_EINVAL : load_root(mfn);
	case MMUEXT_NEW_USER_BASEPTR:
		if (model.options.pae || mfn == NO_MFN)
			return -XEN_EINVAL;
		return replace_root(&v->user_root, mfn ? mfn : NO_MFN);
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_INVLPG_MULTI:
		if (!flush_mask_readable(op->arg2.vcpumask.p))
			return -XEN_EINVAL;
		__attribute__((fallthrough));
	case MMUEXT_TLB_FLUSH_ALL:
	case MMUEXT_TLB_FLUSH_LOCAL:
		if (op->cmd != MMUEXT_INVLPG_MULTI) {
			tlb_flush(flushed_vcpus(op));
			return 0;
		}
		__attribute__((fallthrough));
	case MMUEXT_INVLPG_LOCAL:
	case MMUEXT_INVLPG_ALL:
		tlb_flush_va(flushed_vcpus(op), op->arg1.linear_addr);
		return 0;
	case MMUEXT_FLUSH_CACHE:
		return model.options.has_iomem ? 0 : -XEN_EACCES;
	case MMUEXT_FLUSH_CACHE_GLOBAL:
		return model.options.has_iomem ? 0 : -XEN_EINVAL;
	case MMUEXT_SET_LDT:
		return set_ldt(op->arg1.linear_addr, op->arg2.nr_ents);
	case MMUEXT_CLEAR_PAGE:
		return clear_page(mfn);
	case MMUEXT_COPY_PAGE:
		return copy_page(mfn, op->arg2.src_mfn);
	case MMUEXT_MARK_SUPER:
	case MMUEXT_UNMARK_SUPER:
		return -XEN_EOPNOTSUPP;
	default:
		return -XEN_ENOSYS;
	}
}

int mmuext_op(const struct mmuext_op *op, uint32_t nr, uint32_t *done, uint32_t dom)
{
	uint32_t before = 0, i = 0;
	bool is_io;
	int err;

	if (nr == RESTARTED && !op)
		return (int)dom;
	if (nr & RESTARTED) {
		nr &= ~RESTARTED;
		if (done)
			before = *done;
	}
	if (!guest_range_ok(op, (uint64_t)nr * sizeof(*op)))
		return -XEN_EFAULT;
	err = domain_of(dom & 0xffff, false, &is_io);
	if (err)
		return err;

	for (; i < nr; i++) {
		if (!fail_operation(__HYPERVISOR_mmuext_op, &err))
			err = one_op(&op[i]);
		if (err)
			break;
		if (op[i].cmd < PVMM_ARRAY_SIZE(model.count.mmuext))
			model.count.mmuext[op[i].cmd]++;
	}
	if (done)
		*done = before + i;
	return err;
}
