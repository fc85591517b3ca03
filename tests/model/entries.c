/* SPDX-License-Identifier: MIT */
/*
 * Owns what one page-table entry may say, what Xen makes of it, and which references it holds.
 * Rules 2, 11 to 15 and 17 of docs/XEN-RULES.md.
 */
#include <pvmm/xen.h>
#include "tests/model/state.h"

#define PTE_PSE	       PVMM_PTE_PAT /* the same bit in an upper entry */
#define PTE_AVAIL      0xe00ULL	    /* bits 9 to 11: software's */
#define PTE_AVAIL_HIGH 0x7ff0000000000000ULL
#define PTE_GRANT      (1ULL << 62) /* the debug hypervisor's mark of a granted mapping */
#define PTE_KERNEL     (1ULL << 52) /* Xen's mark of a kernel mapping */
#define PTE_CACHE      (PVMM_PTE_PWT | PVMM_PTE_PCD | PVMM_PTE_PAT)

/* The flags of an entry: all but the frame. */
#define PTE_FLAGS (~PVMM_PTE_FRAME_MASK)

/* Rule 12. */
#define ALLOWED_ALWAYS                                                                         \
	(PVMM_PTE_PRESENT | PVMM_PTE_RW | PVMM_PTE_USER | PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY | \
	 PTE_AVAIL | PTE_AVAIL_HIGH | PVMM_PTE_NX)

/* Rule 26: may change without a new validation. */
#define FAST_FLAGS                                                                     \
	(PVMM_PTE_NX | PTE_AVAIL_HIGH | PTE_AVAIL | PVMM_PTE_GLOBAL | PVMM_PTE_DIRTY | \
	 PVMM_PTE_ACCESSED | PVMM_PTE_USER)

/* Rule 18: of a PAE root's entries, only these bits of the low twelve are the domain's to set. */
#define ALLOWED_PAE_ROOT                                                                       \
	(PVMM_PTE_PRESENT | PVMM_PTE_RW | PVMM_PTE_USER | PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY | \
	 PTE_AVAIL)

/* The frame number that is all ones: what INVALID_MFN makes of an entry (rule 11). */
#define ALL_ONES_MFN (PVMM_PTE_FRAME_MASK >> PVMM_PAGE_SHIFT)

/* Rule 15. */
bool slot_is_guests(uint64_t table, unsigned int level, unsigned int slot)
{
	if (!model.options.pae)
		return level != 4 || slot < XEN_SLOT_FIRST || slot > XEN_SLOT_LAST;
	if (level == 3)
		return slot < PAE_ROOT_ENTRIES;
	return level != 2 || slot < PAE_L2_SLOT_XEN || !frame_at(table)->s.pae_xen_l2;
}

/* Whether the domain may say what is at the address. */
bool va_is_guests(uint64_t va)
{
	unsigned int slot = pvmm_pt_slot(va, 4);

	if (model.options.pae)
		return va < PAE_XEN_VA;
	return pvmm_va_canonical(va) == va && (slot < XEN_SLOT_FIRST || slot > XEN_SLOT_LAST);
}

uint64_t entry_mfn(pvmm_pte_t pte)
{
	return (pte & PVMM_PTE_FRAME_MASK) >> PVMM_PAGE_SHIFT;
}

bool entry_flags_allowed(pvmm_pte_t pte, unsigned int level)
{
	uint64_t allowed = ALLOWED_ALWAYS;

	if (level == 3 && model.options.pae)
		allowed = ALLOWED_PAE_ROOT;
	if (level == 1) {
		allowed |= PVMM_PTE_GLOBAL;
		if (model.options.has_iomem)
			allowed |= PTE_CACHE;
		if (!model.options.release)
			allowed &= ~PTE_GRANT;
	}
	return !(pte & PTE_FLAGS & ~allowed);
}

bool entry_changed(pvmm_pte_t a, pvmm_pte_t b)
{
	return (a ^ b) & ~FAST_FLAGS;
}

/* Rule 17. */
pvmm_pte_t entry_adjusted(pvmm_pte_t pte, unsigned int level)
{
	if (!pvmm_pte_present(pte))
		return pte;
	if (model.options.pae)
		return level == 3 ? pte | PVMM_PTE_USER | PVMM_PTE_RW : pte;
	if (level > 1)
		return pte | PVMM_PTE_USER | (level == 4 ? PVMM_PTE_ACCESSED : 0);
	if (!(pte & PVMM_PTE_USER))
		pte |= PTE_KERNEL | PVMM_PTE_USER;
	if (!(pte & PTE_KERNEL))
		pte |= PVMM_PTE_GLOBAL | PVMM_PTE_USER;
	return pte;
}

/* Rule 17: what Xen takes back out of an entry of a table that is one no more. */
pvmm_pte_t entry_restored(pvmm_pte_t pte, unsigned int level)
{
	if (!model.options.pae || level != 3 || !pvmm_pte_present(pte))
		return pte;
	return pte & ~(PVMM_PTE_USER | PVMM_PTE_RW | PVMM_PTE_ACCESSED);
}

/* The L1 entry that Xen makes for a granted page; flags: GNTMAP_*. */
pvmm_pte_t entry_of_grant(uint64_t mfn, uint64_t flags)
{
	pvmm_pte_t pte = pvmm_pte(_mfn(mfn), PVMM_PTE_PRESENT | PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY |
						     PVMM_PTE_NX);

	if (!model.options.release)
		pte |= PTE_GRANT;
	if (flags & GNTMAP_application_map)
		pte |= PVMM_PTE_USER;
	if (!(flags & GNTMAP_readonly))
		pte |= PVMM_PTE_RW;
	pte |= (flags >> _GNTMAP_guest_avail0) << 9 & PTE_AVAIL;
	return entry_adjusted(pte, 1);
}

/* A processor with L1TF would read the cache at this address: Xen crashes or shadows the domain. */
void entry_check_l1tf(pvmm_pte_t pte)
{
	if (!model.options.no_l1tf && !pvmm_pte_present(pte) && (pte & PVMM_PTE_FRAME_MASK))
		model_domain_crashed("non-present entry with an address (L1TF)", pte);
}

/* Rule 11 for a frame that is not memory: positive, the flags that Xen changes. */
static int get_io(pvmm_pte_t pte, uint64_t mfn)
{
	if (!model.options.has_iomem)
		return mfn == ALL_ONES_MFN ? -XEN_EINVAL : -XEN_EPERM;

	/* Not cacheable unless asked for: write-back, write-through and write-protect change. */
	switch (pte & PTE_CACHE) {
	case 0:
		return PVMM_PTE_PWT | PVMM_PTE_PCD;
	case PVMM_PTE_PWT:
		return PVMM_PTE_PCD;
	case PVMM_PTE_PWT | PVMM_PTE_PAT:
		return PVMM_PTE_PCD | PVMM_PTE_PAT;
	default:
		return 0;
	}
}

/* Rules 2 and 11. from_io: the hypercall names DOMID_IO as the frames' owner. */
static int get_l1(pvmm_pte_t pte, bool from_io)
{
	uint64_t mfn = entry_mfn(pte);
	const struct frame *f;

	if (!entry_flags_allowed(pte, 1))
		return -XEN_EINVAL;
	if (!frame_exists(mfn) || frame_at(mfn)->s.owner == MODEL_IO)
		return get_io(pte, mfn);

	f = frame_at(mfn);
	if (f->s.owner != MODEL_GUEST || from_io)
		return -XEN_EBUSY;
	frame_get(mfn);
	if ((pte & PVMM_PTE_RW) && frame_get_type(mfn, MODEL_WRITABLE)) {
		frame_put(mfn);
		return -XEN_EBUSY;
	}
	if ((pte & PTE_CACHE) && f->s.special) {
		if (pte & PVMM_PTE_RW)
			frame_put_type(mfn, NO_MFN);
		frame_put(mfn);
		return -XEN_EACCES;
	}
	return 0;
}

/* Rule 14: a table that is entered in one of its own level. */
static bool get_linear(pvmm_pte_t pte, unsigned int level, uint64_t parent)
{
	uint64_t mfn = entry_mfn(pte);
	struct frame *f, *p = frame_at(parent);

	if (model.options.no_linear || (pte & PVMM_PTE_RW) || (model.options.pae && level == 3))
		return false;
	if (mfn == parent)
		return true;
	if (!frame_get(mfn))
		return false;
	f = frame_at(mfn);
	/* No nesting: the parent is not used so itself, the child has no such entries. */
	if (p->s.linear < 0 || f->s.linear > 0 || f->s.type != (enum model_type)level ||
	    !f->s.validated) {
		frame_put(mfn);
		return false;
	}
	p->s.linear++;
	f->s.linear--;
	f->s.type_count++;
	return true;
}

/* Rule 13. */
static int get_upper(pvmm_pte_t pte, unsigned int level, uint64_t parent)
{
	int err;

	if (!entry_flags_allowed(pte, level))
		return -XEN_EINVAL;
	err = frame_get_and_type(entry_mfn(pte), (enum model_type)(level - 1));
	if (err == -XEN_EINVAL && get_linear(pte, level, parent))
		err = 0;
	return err;
}

int entry_get(pvmm_pte_t pte, unsigned int level, uint64_t parent, bool from_io)
{
	return level == 1 ? get_l1(pte, from_io) : get_upper(pte, level, parent);
}

/* Gives back what entry_get took. */
void entry_put(pvmm_pte_t pte, unsigned int level, uint64_t parent)
{
	uint64_t mfn = entry_mfn(pte);

	if (!pvmm_pte_present(pte))
		return;
	if (level > 1) {
		if (mfn != parent)
			frame_put_and_type(mfn, parent);
		return;
	}
	if (!frame_exists(mfn) || frame_at(mfn)->s.owner == MODEL_IO)
		return;
	if ((pte & PTE_GRANT) && !model.options.release)
		model_domain_crashed("a granted mapping goes without its grant (#GP)", pte);
	if (frame_at(mfn)->s.owner == MODEL_FOREIGN)
		return;
	if (pte & PVMM_PTE_RW)
		frame_put_type(mfn, NO_MFN);
	frame_put(mfn);
}
