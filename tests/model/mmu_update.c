/* SPDX-License-Identifier: MIT */
/*
 * Owns the changing of entries: mmu_update and update_va_mapping. Rules 24 to 33 of
 * docs/XEN-RULES.md.
 */
#include <pvmm/xen.h>
#include "tests/model/state.h"

/* The count's top bit says that a preempted call goes on (rule 34). */
#define RESTARTED 0x80000000u

/* Changes an entry of a validated table; from_io as in entry_get. */
static int mod_entry(uint64_t mfn, unsigned int level, unsigned int slot, pvmm_pte_t pte,
		     bool preserve_ad, bool from_io)
{
	uint64_t *entry = &frame_entries(mfn)[slot];
	pvmm_pte_t old = *entry;
	int rc;

	if (!slot_is_guests(mfn, level, slot))
		return level == 2 ? -XEN_EPERM : -XEN_EINVAL;
	if (model.options.pae && level == 3 && slot == PAE_ROOT_ENTRIES - 1)
		return -XEN_EINVAL;

	if (pvmm_pte_present(pte)) {
		if (!entry_flags_allowed(pte, level))
			return -XEN_EINVAL;
		pte = entry_adjusted(pte, level);
	} else {
		entry_check_l1tf(pte);
	}

	if (pvmm_pte_present(pte) && entry_changed(old, pte)) {
		rc = entry_get(pte, level, mfn, from_io);
		if (rc < 0)
			return rc;
		pte ^= (uint64_t)rc;
	} else if (pvmm_pte_present(pte)) {
		old = 0; /* rule 26: the references stay as they are */
	}

	if (preserve_ad)
		pte |= *entry & (PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY);
	*entry = pte;
	mirror_entry_changed(mfn, level, slot);
	entry_put(old, level, mfn);
	return 0;
}

/* Rule 25: what an update does depends on what its target is. *upper: an L2, L3 or L4 changed. */
static int normal_update(uint64_t maddr, pvmm_pte_t pte, bool preserve_ad, bool from_io,
			 bool *upper)
{
	unsigned int slot = (maddr & ~PVMM_PAGE_MASK) / sizeof(pvmm_pte_t);
	uint64_t mfn = maddr >> PVMM_PAGE_SHIFT;
	enum model_type type;
	int err;

	if (!frame_get(mfn))
		return -XEN_EINVAL;

	type = frame_at(mfn)->s.type;
	if (!frame_lockable(mfn)) {
		err = frame_get_type(mfn, MODEL_WRITABLE);
		if (!err) {
			frame_entries(mfn)[slot] = pte;
			frame_put_type(mfn, NO_MFN);
		}
	} else if (type == MODEL_WRITABLE) {
		frame_entries(mfn)[slot] = pte;
		err = 0;
	} else if (!type_is_table(type) || (type != MODEL_L1 && from_io)) {
		err = -XEN_EINVAL;
	} else {
		/* The lock is a type reference: a table cannot go while an entry of it changes. */
		frame_at(mfn)->s.type_count++;
		err = mod_entry(mfn, type, slot, pte, preserve_ad, from_io);
		frame_put_type(mfn, NO_MFN);
		*upper |= !err && type != MODEL_L1;
	}
	frame_put(mfn);
	return err;
}

/* Whose tables and frames an mmu_update speaks of (rule 31). */
struct owners {
	bool foreign; /* the tables or the frames are another domain's: refused entry by entry */
	bool from_io; /* the frames are DOMID_IO's */
};

static int machphys_update(uint64_t maddr, uint64_t pfn, const struct owners *whose)
{
	uint64_t mfn = maddr >> PVMM_PAGE_SHIFT;

	if (whose->foreign)
		return -XEN_EPERM;
	if (whose->from_io || !frame_get(mfn))
		return -XEN_EINVAL;
	model.m2p[mfn] = pfn;
	frame_put(mfn);
	return 0;
}

static int one_update(const struct mmu_update *req, const struct owners *whose, bool *upper)
{
	unsigned int cmd = req->ptr & (sizeof(pvmm_pte_t) - 1);

	switch (cmd) {
	case MMU_NORMAL_PT_UPDATE:
	case MMU_PT_UPDATE_PRESERVE_AD:
	case MMU_PT_UPDATE_NO_TRANSLATE:
		if (whose->foreign)
			return -XEN_EPERM;
		return normal_update(req->ptr - cmd, req->val, cmd == MMU_PT_UPDATE_PRESERVE_AD,
				     whose->from_io, upper);
	case MMU_MACHPHYS_UPDATE:
		return machphys_update(req->ptr, req->val, whose);
	default:
		return -XEN_ENOSYS;
	}
}

int domain_of(uint32_t dom, bool io_allowed, bool *is_io)
{
	*is_io = false;
	if (dom == DOMID_SELF)
		return 0;
	if (dom == DOMID_IO && io_allowed) {
		*is_io = true;
		return 0;
	}
	/* A domain does not exist for itself under its own number; others are no business of it. */
	return dom == 0 || dom == FOREIGN_DOMID || dom == DOMID_IO || dom == DOMID_XEN ? -XEN_EPERM
										       : -XEN_ESRCH;
}

/* Where a domain may also be named by its own number: 0, or an error. */
int any_domain_of(uint32_t dom)
{
	if (dom == DOMID_SELF || dom == GUEST_DOMID)
		return 0;
	return dom == 0 || dom == FOREIGN_DOMID ? -XEN_EPERM : -XEN_ESRCH;
}

/* Rule 31: the tables' owner, plus 1, is in the upper half. That one does not exist: -XEN_ESRCH. */
static int table_owner(uint32_t dom, struct owners *whose)
{
	uint32_t tables = dom >> 16;

	if (!tables || tables - 1 == GUEST_DOMID)
		return 0;
	if (tables - 1 != 0 && tables - 1 != FOREIGN_DOMID)
		return -XEN_ESRCH;
	whose->foreign = true;
	return 0;
}

int mmu_update(const struct mmu_update *req, uint32_t nr, uint32_t *done, uint32_t dom)
{
	struct owners whose = {0};
	uint32_t before = 0, i = 0;
	bool upper = false;
	int err;

	if (nr == RESTARTED && !req)
		return (int)dom;
	if (nr & RESTARTED) {
		nr &= ~RESTARTED;
		if (done)
			before = *done;
	}
	if (!guest_range_ok(req, (uint64_t)nr * sizeof(*req)))
		return -XEN_EFAULT;

	err = table_owner(dom, &whose);
	if (err)
		return err;
	err = domain_of(dom & 0xffff, true, &whose.from_io);
	if (err == -XEN_EPERM) {
		whose.foreign = true;
		err = 0;
	}
	for (; !err && i < nr; i++) {
		if (!fail_operation(__HYPERVISOR_mmu_update, &err))
			err = one_update(&req[i], &whose, &upper);
		if (err)
			break;
		model.count.mmu_updates++;
	}

	/* Rule 30. */
	if (upper && !model.options.no_upper_flush) {
		model.count.upper_flushes++;
		tlb_flush(ALL_VCPUS);
	}
	if (done)
		*done = before + i;
	return err;
}

/* The L1 table and slot that map va in the loaded root; leaves marks in it (rule 32). */
bool find_l1(uint64_t va, uint64_t *mfn, unsigned int *slot)
{
	*mfn = model.vcpus[model.this_vcpu].root;
	if (!va_is_guests(va) || *mfn == NO_MFN)
		return false;
	for (unsigned int level = model.options.pae ? 3 : 4; level > 1; level--) {
		pvmm_pte_t *entry = &frame_entries(*mfn)[pvmm_pt_slot(va, level)];

		if (!pvmm_pte_present(*entry))
			return false;
		/* Xen reads the L2 entry through its linear mapping, in which an L3 entry is a
		 * leaf. */
		if (level > 2)
			*entry |= PVMM_PTE_ACCESSED;
		*mfn = entry_mfn(*entry);
	}
	*slot = pvmm_pt_slot(va, 1);
	return true;
}

/* The entry, if it is one of a validated L1 table of the domain, which then is held; or NULL. */
pvmm_pte_t *lock_l1(uint64_t mfn, unsigned int slot)
{
	if (!frame_get(mfn))
		return NULL;
	if (!frame_lockable(mfn) || frame_at(mfn)->s.type != MODEL_L1) {
		frame_put(mfn);
		return NULL;
	}
	frame_at(mfn)->s.type_count++;
	return &frame_entries(mfn)[slot];
}

void unlock_l1(uint64_t mfn)
{
	frame_put_and_type(mfn, NO_MFN);
}

/* Rule 33. */
static int flush_by_flags(uint64_t va, uint64_t flags)
{
	uint64_t who = flags & ~UVMF_FLUSHTYPE_MASK, vcpus;

	if (!(flags & UVMF_FLUSHTYPE_MASK) || (flags & UVMF_FLUSHTYPE_MASK) == UVMF_FLUSHTYPE_MASK)
		return 0;
	if (who != UVMF_LOCAL && who != UVMF_ALL && !flush_mask_readable((void *)(uintptr_t)who))
		return -XEN_EFAULT;
	vcpus = who == UVMF_ALL	    ? ALL_VCPUS
		: who == UVMF_LOCAL ? tlb_this_vcpu()
				    : *(const uint64_t *)(uintptr_t)who;
	if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_TLB_FLUSH)
		tlb_flush(vcpus);
	else
		tlb_flush_va(vcpus, va);
	return 0;
}

int mmu_update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags)
{
	unsigned int slot;
	uint64_t mfn;
	int err;

	if (!find_l1(va, &mfn, &slot) || !lock_l1(mfn, slot))
		return -XEN_EINVAL;
	err = mod_entry(mfn, 1, slot, pte, false, false);
	unlock_l1(mfn);
	return err ? err : flush_by_flags(va, flags);
}
