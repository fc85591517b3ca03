/* SPDX-License-Identifier: MIT */
/*
 * The hosted tests' PVMM_LAYOUT: the x86_64 guest's virtual memory (include/pvmm/x86_64/layout.h),
 * with the kernel's half moved to addresses that a Linux process can map.
 *
 * Root slots 253 and 254 (0x7e8000000000 to 0x7f7fffffffff) are free under AddressSanitizer and are
 * application memory for ThreadSanitizer, whose own regions take nearly all of the rest. The C
 * library's mappings may be placed in slot 254: the model reserves what it needs when the process
 * starts and starts it again in the rare case that something is in the way (tests/model/mirror.c).
 * Xen's slots 256 to 271 stay Xen's.
 */
#ifndef MODEL_LAYOUT_H
#define MODEL_LAYOUT_H

#define PVMM_PT_LEVELS	   4
#define PVMM_PT_INDEX_BITS 9
#define PVMM_PT_ENTRIES	   (1u << PVMM_PT_INDEX_BITS)
#define PVMM_VA_BITS	   48
#define PVMM_USER_ROOT	   1

#define PVMM_DIRECTMAP_BASE  0x7e8000000000ULL
#define PVMM_DIRECTMAP_BYTES (1ULL << 37)

#define PVMM_P2M_BASE	 0x7ea000000000ULL
#define PVMM_PAGES_BASE	 0x7ec000000000ULL
#define PVMM_OWNERS_BASE 0x7ee000000000ULL

/* Small enough to lie in nothing's way, large enough for several L3 slots. */
#define PVMM_VMAP_BASE	      0x7f0000000000ULL
#define PVMM_VMAP_BYTES	      (1ULL << 34)
#define PVMM_VMAP_FIXED_BYTES (1ULL << 32)

/* In the same root slot as the records, behind them. */
#define PVMM_KMAP_BASE	0x7ef000000000ULL
#define PVMM_KMAP_BYTES (1ULL << 21)

/* No image of its own: the kernel is the test program. */
#define PVMM_KERNEL_BASE 0x7eff80000000ULL

#define PVMM_USER_BASE 0x0000000000001000ULL
#define PVMM_USER_END  0x00007e8000000000ULL

#define PVMM_KERNEL_SLOT_FIRST 253u
#define PVMM_KERNEL_SLOT_LAST  254u

#endif
