/* SPDX-License-Identifier: MIT */
/*
 * The words that every other header speaks in.
 *
 * Two kinds of frame number exist in a PV guest and mixing them up is the classic bug: a pfn is
 * the guest's own, dense numbering of its memory; an mfn is what Xen and the page tables use. They
 * are distinct types here, so the compiler refuses the mix-up. The names _pfn(), pfn_x(), _mfn()
 * and mfn_x() are Xen's own for wrapping and unwrapping.
 */
#ifndef PVMM_TYPES_H
#define PVMM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PVMM_PAGE_SHIFT 12
#define PVMM_PAGE_SIZE	(1UL << PVMM_PAGE_SHIFT)
#define PVMM_PAGE_MASK	(~(PVMM_PAGE_SIZE - 1))

/* A frame of the guest's pseudo-physical memory: 0 is the domain's first page. */
typedef struct pvmm_pfn {
	uint64_t v;
} pfn_t;

/* A frame of the machine's memory: what a page-table entry holds. */
typedef struct pvmm_mfn {
	uint64_t v;
} mfn_t;

/* A virtual address in the guest. */
typedef uint64_t pvmm_va_t;

static inline pfn_t _pfn(uint64_t v)
{
	return (pfn_t){v};
}

static inline uint64_t pfn_x(pfn_t pfn)
{
	return pfn.v;
}

static inline bool pfn_eq(pfn_t a, pfn_t b)
{
	return a.v == b.v;
}

static inline pfn_t pfn_add(pfn_t pfn, uint64_t nr_pages)
{
	return _pfn(pfn.v + nr_pages);
}

static inline mfn_t _mfn(uint64_t v)
{
	return (mfn_t){v};
}

static inline uint64_t mfn_x(mfn_t mfn)
{
	return mfn.v;
}

static inline bool mfn_eq(mfn_t a, mfn_t b)
{
	return a.v == b.v;
}

/* The machine address of a frame's first byte. */
static inline uint64_t pvmm_mfn_to_maddr(mfn_t mfn)
{
	return mfn.v << PVMM_PAGE_SHIFT;
}

/* "No such frame": the value that Xen's interface uses for both kinds (INVALID_P2M_ENTRY). */
#define PVMM_INVALID_FRAME (~0ULL)
#define PVMM_INVALID_PFN   _pfn(PVMM_INVALID_FRAME)
#define PVMM_INVALID_MFN   _mfn(PVMM_INVALID_FRAME)

static inline bool pfn_valid(pfn_t pfn)
{
	return pfn.v != PVMM_INVALID_FRAME;
}

static inline bool mfn_valid(mfn_t mfn)
{
	return mfn.v != PVMM_INVALID_FRAME;
}

/* Bytes to pages, rounded up. */
static inline uint64_t pvmm_pages_for(uint64_t len_bytes)
{
	return (len_bytes + PVMM_PAGE_SIZE - 1) >> PVMM_PAGE_SHIFT;
}

#define PVMM_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define PVMM_NORETURN	     __attribute__((noreturn))
#define PVMM_PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))

/*
 * Marks what is part of the library's interface. Everything else in libpvmm.a is made local when
 * the archive is built, so that a kernel may use any name that does not start with pvmm_.
 */
#define PVMM_API __attribute__((visibility("default")))

#endif
