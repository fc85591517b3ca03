/* SPDX-License-Identifier: MIT */
/*
 * Xen's rules for the tables of a 32-bit domain, asked of real Xen: what
 * tests/unit/test_model_pae.c asks of the model (docs/xen-rules.md, 15 to 21, 27 and 44).
 *
 * The pages are the image's own. Each is written while it is mapped writable, then made read-only,
 * then offered to Xen as a table.
 */
#include <pvmm/paging.h>
#include "width32.h"

/* The first slot of the last L2 that is Xen's: of 0xf5800000. */
#define XEN_SLOT 428u
#define XEN_VA	 0xf5800000ul

#define ROOT_ENTRY PVMM_PTE_PRESENT
#define TABLE	   (PVMM_PTE_PRESENT | PVMM_PTE_RW | PVMM_PTE_USER | PVMM_PTE_ACCESSED)

typedef uint64_t table_t[512] __attribute__((aligned(4096)));

static table_t root, last, second, l2, l1, plain;
static const unsigned long *mfns;

static uint64_t mfn_of(const volatile void *page)
{
	return mfns[((unsigned long)page - WIDTH32_BASE) >> PVMM_PAGE_SHIFT];
}

static uint64_t entry(const table_t page, uint64_t flags)
{
	return mfn_of(page) << PVMM_PAGE_SHIFT | flags;
}

static int map(table_t page, uint64_t prot)
{
	return pvmm_hc_update_va_mapping((unsigned long)page, entry(page, prot), UVMF_INVLPG);
}

static int ext(unsigned int cmd, unsigned long mfn)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn};
	unsigned int done;

	return pvmm_hc_mmuext_op(&op, 1, &done);
}

static int pin(unsigned int cmd, const table_t page)
{
	return ext(cmd, (unsigned long)mfn_of(page));
}

static int set(const table_t page, unsigned int slot, uint64_t value)
{
	struct mmu_update update = {.ptr = entry(page, slot * sizeof(value)), .val = value};
	unsigned int done;

	return pvmm_hc_mmu_update(&update, 1, &done);
}

static bool is(const volatile uint64_t *word, uint64_t value)
{
	return *word == value;
}

/* Rule 18: slot 3 must be there, and what a root's page holds behind it is cleared. */
static void try_last_slot(void)
{
	root[511] = 1ULL << 63;
	map(root, PVMM_PROT_RO);
	check("pae: a root without its last entry is refused",
	      pin(MMUEXT_PIN_L3_TABLE, root) == -XEN_EINVAL);
	check("pae: ... and cleared behind it", is(&root[511], 0));
	map(root, PVMM_PROT_RW);
	root[3] = entry(last, ROOT_ENTRY | PVMM_PTE_ACCESSED);
	last[XEN_SLOT] = last[511] = TABLE | 1ULL << 45;
	map(root, PVMM_PROT_RO);
	map(last, PVMM_PROT_RO);
	check("pae: a root with it is pinned", !pin(MMUEXT_PIN_L3_TABLE, root));
	check("pae: ... its entry gets two bits",
	      is(&root[3],
		 entry(last, ROOT_ENTRY | PVMM_PTE_ACCESSED | PVMM_PTE_RW | PVMM_PTE_USER)));
	check("pae: ... Xen fills its own slots",
	      !is(&last[XEN_SLOT], TABLE | 1ULL << 45) && !is(&last[511], TABLE | 1ULL << 45));
}

/* Rules 12, 14, 18 and 27: which entries of a pinned root and its last L2 may change. */
static void try_changes(void)
{
	check("pae: the last entry does not change",
	      set(root, 3, entry(l2, ROOT_ENTRY)) == -XEN_EINVAL && set(root, 3, 0) == -XEN_EINVAL);
	check("pae: nor is there a fifth", set(root, 4, entry(l2, ROOT_ENTRY)) == -XEN_EINVAL);
	check("pae: Xen's slots of the last L2 do not change",
	      set(last, XEN_SLOT, 0) == -XEN_EPERM && set(last, 511, 0) == -XEN_EPERM);
	check("pae: the one below does",
	      !set(last, XEN_SLOT - 1, entry(l1, PVMM_PTE_PRESENT)) &&
		      is(&last[XEN_SLOT - 1], entry(l1, PVMM_PTE_PRESENT)));
	check("pae: another L2 has no slots of Xen's",
	      !set(root, 0, entry(l2, ROOT_ENTRY)) &&
		      !set(l2, XEN_SLOT, entry(l1, PVMM_PTE_PRESENT)));
	check("pae: a root's entry has no NX and no software bit 52",
	      set(root, 1, entry(l2, ROOT_ENTRY | PVMM_PTE_NX)) == -XEN_EINVAL &&
		      set(root, 1, entry(l2, ROOT_ENTRY | 1ULL << 52)) == -XEN_EINVAL &&
		      set(root, 1, entry(l2, ROOT_ENTRY | PVMM_PTE_PCD)) == -XEN_EINVAL);
	check("pae: a root is not its own L2",
	      set(root, 1, entry(root, ROOT_ENTRY)) == -XEN_EINVAL);
	check("pae: an L2 may be its own L1", !set(l2, 7, entry(l2, PVMM_PTE_PRESENT)));
	check("pae: the last L2 is in no other slot",
	      set(root, 1, entry(last, ROOT_ENTRY)) == -XEN_EINVAL);
	check("pae: ... and not pinned", pin(MMUEXT_PIN_L2_TABLE, last) == -XEN_EINVAL);
}

/* Rules 21, 22, 32 and 44. */
static void try_roots(const struct start_info *si)
{
	unsigned long loaded = (unsigned long)mfn_of((void *)(unsigned long)si->pt_base);

	check("pae: pinning an L4 is silently nothing",
	      !pin(MMUEXT_PIN_L4_TABLE, plain) && !ext(MMUEXT_PIN_L4_TABLE, 0) &&
		      pin(MMUEXT_UNPIN_TABLE, plain) == -XEN_EINVAL);
	check("pae: there is no root for user mode",
	      ext(MMUEXT_NEW_USER_BASEPTR, 0) == -XEN_EINVAL &&
		      pin(MMUEXT_NEW_USER_BASEPTR, root) == -XEN_EINVAL);
	check("pae: the loaded root can be loaded", !ext(MMUEXT_NEW_BASEPTR, loaded));
	check("pae: an L2 cannot", pin(MMUEXT_NEW_BASEPTR, last) == -XEN_EINVAL);
	check("pae: addresses end where Xen begins",
	      pvmm_hc_update_va_mapping(XEN_VA, 0, UVMF_NONE) == -XEN_EINVAL);
}

/* Rule 18: a second root with the same last L2 is refused, and keeps that from being free again. */
static void try_sharing(void)
{
	second[3] = entry(last, ROOT_ENTRY);
	map(second, PVMM_PROT_RO);
	check("pae: the last L2 is not shared", pin(MMUEXT_PIN_L3_TABLE, second) == -XEN_EINVAL);
	check("pae: the second root is none", !map(second, PVMM_PROT_RW));
	check("pae: the first is unpinned", !pin(MMUEXT_UNPIN_TABLE, root));
	check("pae: ... Xen's bits and the accessed one are gone",
	      is(&root[3], entry(last, ROOT_ENTRY)));
	check("pae: ... and it can be written", !map(root, PVMM_PROT_RW));
	check("pae: the last L2 stays one for good", map(last, PVMM_PROT_RW) == -XEN_EBUSY);
}

static int descriptor(unsigned int slot, uint64_t value)
{
	uint64_t maddr = entry(plain, slot * sizeof(value));

	return (int)pvmm_hypercall((unsigned long)maddr, (unsigned long)(maddr >> 32),
				   (unsigned long)value, (unsigned long)(value >> 32), 0,
				   __HYPERVISOR_update_descriptor);
}

/* Rule 19. */
static void try_descriptors(void)
{
	check("pae: the kernel's segments are ring 1's",
	      !descriptor(1, 0x00cf9b000000ffffULL) && is(&plain[1], 0x00cfbb000000ffffULL));
	check("pae: one that reaches Xen's part has no end",
	      !descriptor(2, 0x00cfb3000000b5ffULL) && is(&plain[2], 0x00cfb3000000ffffULL));
	check("pae: one that does not is let be",
	      !descriptor(2, 0x00c7b3000000b5ffULL) && is(&plain[2], 0x00c7b3000000b5ffULL));
	check("pae: no 64-bit code", descriptor(3, 0x00affb000000ffffULL) == -XEN_EINVAL);
	check("pae: no task state", descriptor(3, 0x000089000000ffffULL) == -XEN_EINVAL);
	check("pae: a gate leads to the guest or Xen's flat code",
	      !descriptor(3, 0x0000ec00e0191234ULL) && is(&plain[3], 0x00008c00e01b1234ULL) &&
		      descriptor(3, 0x0000ec00e0331234ULL) == -XEN_EINVAL);
}

void try_pae(const struct start_info *si)
{
	mfns = (const unsigned long *)si->mfn_list;
	map(l2, PVMM_PROT_RO);
	map(l1, PVMM_PROT_RO);
	try_last_slot();
	try_changes();
	try_roots(si);
	try_sharing();
	try_descriptors();
}
