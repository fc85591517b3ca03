/* SPDX-License-Identifier: MIT */
/*
 * Page-table entries: their bits (Intel SDM volume 3, section 4.5) and the only functions that
 * build one or take one apart. An entry of level n maps a table of level n-1; level 1 maps pages.
 */
#ifndef PVMM_PAGING_H
#define PVMM_PAGING_H

#include <pvmm/layout.h>
#include <pvmm/types.h>

typedef uint64_t pvmm_pte_t;

#define PVMM_PTE_PRESENT  (1ULL << 0)
#define PVMM_PTE_RW	  (1ULL << 1)
#define PVMM_PTE_USER	  (1ULL << 2)
#define PVMM_PTE_PWT	  (1ULL << 3)
#define PVMM_PTE_PCD	  (1ULL << 4)
#define PVMM_PTE_ACCESSED (1ULL << 5)
#define PVMM_PTE_DIRTY	  (1ULL << 6)
#define PVMM_PTE_PAT	  (1ULL << 7) /* in an L1 entry; in an upper one, "superpage" */
#define PVMM_PTE_GLOBAL	  (1ULL << 8)
#define PVMM_PTE_NX	  (1ULL << 63)

/* Bits 12 to 51: the frame. Bits 52 to 62 are software's; Xen uses 52 for itself. */
#define PVMM_PTE_FRAME_MASK 0x000ffffffffff000ULL

/* What the kernel's own mappings carry. Xen adds the user bit and a mark of its own. */
#define PVMM_PROT_RO   (PVMM_PTE_PRESENT | PVMM_PTE_ACCESSED | PVMM_PTE_NX)
#define PVMM_PROT_RW   (PVMM_PROT_RO | PVMM_PTE_RW | PVMM_PTE_DIRTY)
#define PVMM_PROT_RX   (PVMM_PTE_PRESENT | PVMM_PTE_ACCESSED)
#define PVMM_PROT_USER PVMM_PTE_USER
/* An entry that points to a table: the leaf decides what is allowed. */
#define PVMM_PROT_TABLE \
	(PVMM_PTE_PRESENT | PVMM_PTE_RW | PVMM_PTE_USER | PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY)

static inline pvmm_pte_t pvmm_pte(mfn_t mfn, uint64_t prot)
{
	return (mfn.v << PVMM_PAGE_SHIFT) | prot;
}

static inline mfn_t pvmm_pte_mfn(pvmm_pte_t pte)
{
	return _mfn((pte & PVMM_PTE_FRAME_MASK) >> PVMM_PAGE_SHIFT);
}

static inline bool pvmm_pte_present(pvmm_pte_t pte)
{
	return pte & PVMM_PTE_PRESENT;
}

static inline bool pvmm_pte_writable(pvmm_pte_t pte)
{
	return (pte & (PVMM_PTE_PRESENT | PVMM_PTE_RW)) == (PVMM_PTE_PRESENT | PVMM_PTE_RW);
}

/* Bytes of address space that one entry of this level covers. */
static inline uint64_t pvmm_level_bytes(unsigned int level)
{
	return 1ULL << (PVMM_PAGE_SHIFT + PVMM_PT_INDEX_BITS * (level - 1));
}

/* Which slot of a table of this level translates va. */
static inline unsigned int pvmm_pt_slot(pvmm_va_t va, unsigned int level)
{
	return (va >> (PVMM_PAGE_SHIFT + PVMM_PT_INDEX_BITS * (level - 1))) & (PVMM_PT_ENTRIES - 1);
}

/* Sign-extends an address put together from slots. */
static inline pvmm_va_t pvmm_va_canonical(uint64_t bits)
{
	return (uint64_t)((int64_t)(bits << (64 - PVMM_VA_BITS)) >> (64 - PVMM_VA_BITS));
}

static inline bool pvmm_va_is_user(pvmm_va_t va)
{
	return va >= PVMM_USER_BASE && va < PVMM_USER_END;
}

#endif
