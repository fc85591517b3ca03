/* SPDX-License-Identifier: MIT */
/*
 * The x86_64 PV guest's virtual memory. Xen keeps L4 slots 256 to 271 for itself
 * (xen/arch-x86/xen-x86_64.h, HYPERVISOR_VIRT_START to _END); everything of ours is above. Each
 * region lies within root slots of its own, and every root slot that a region can ever use gets its
 * L3 table at boot, so that no root has to be changed afterwards.
 */
#ifndef PVMM_X86_64_LAYOUT_H
#define PVMM_X86_64_LAYOUT_H

#define PVMM_PT_LEVELS	   4
#define PVMM_PT_INDEX_BITS 9
#define PVMM_PT_ENTRIES	   (1u << PVMM_PT_INDEX_BITS)
#define PVMM_VA_BITS	   48

/* User mode runs on a root of its own, without the kernel's half (xen/xen.h, NEW_USER_BASEPTR). */
#define PVMM_USER_ROOT 1

/* All of the domain's memory, in pfn order. One root slot: 512 GiB. */
#define PVMM_DIRECTMAP_BASE  0xffff888000000000ULL
#define PVMM_DIRECTMAP_BYTES (1ULL << 39)

/* Virtually contiguous mappings. One root slot. */
#define PVMM_VMAP_BASE	0xffffc90000000000ULL
#define PVMM_VMAP_BYTES (1ULL << 39)

/* Its first part is for addresses that the caller chooses: pvmm_space_map of the kernel's space. */
#define PVMM_VMAP_FIXED_BYTES (1ULL << 32)

/* The end of that part: stacks of vCPUs, each above a page that is never mapped. */
#define PVMM_STACKS_BYTES (1ULL << 26)
#define PVMM_STACKS_BASE  (PVMM_VMAP_BASE + PVMM_VMAP_FIXED_BYTES - PVMM_STACKS_BYTES)

/* Mappings of single pages that are not in the direct map: one L1 table, made at boot. */
#define PVMM_KMAP_BASE	0xffffca0000000000ULL
#define PVMM_KMAP_BYTES (1ULL << 21)

/* pfn to mfn, indexed by pfn; grows in place when the domain does. */
#define PVMM_P2M_BASE 0xffffe90000000000ULL

/* struct pvmm_page, indexed by pfn. */
#define PVMM_PAGES_BASE 0xffffea0000000000ULL

/* Who allocated and freed each page, indexed by pfn. */
#define PVMM_OWNERS_BASE 0xffffeb0000000000ULL

/* The kernel's image, where the domain builder loads it (XEN_ELFNOTE_VIRT_BASE). */
#define PVMM_KERNEL_BASE 0xffffffff80000000ULL

/* User space: the lower canonical half, without its first page. */
#define PVMM_USER_BASE 0x0000000000001000ULL
#define PVMM_USER_END  0x0000800000000000ULL

/* Root slots that every address space shares with the kernel's root. */
#define PVMM_KERNEL_SLOT_FIRST 272u
#define PVMM_KERNEL_SLOT_LAST  511u

#endif
