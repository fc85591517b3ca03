/* SPDX-License-Identifier: MIT */
/*
 * How a guest's page tables of either width are built (Intel SDM volume 3, 4.4.2 and 4.5), and what
 * the bits of an entry mean under Xen. An entry has 8 bytes in both.
 */
#ifndef TOOLS_LAYOUT_H
#define TOOLS_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define ENTRY_PRESENT  (1ULL << 0)
#define ENTRY_RW       (1ULL << 1)
#define ENTRY_USER     (1ULL << 2)
#define ENTRY_PWT      (1ULL << 3)
#define ENTRY_PCD      (1ULL << 4)
#define ENTRY_ACCESSED (1ULL << 5)
#define ENTRY_DIRTY    (1ULL << 6)
#define ENTRY_PAT      (1ULL << 7) /* in an L1 entry */
#define ENTRY_GLOBAL   (1ULL << 8)
#define ENTRY_KERNEL   (1ULL << 52) /* Xen's mark of what a 64-bit guest keeps to its kernel */
#define ENTRY_NX       (1ULL << 63)

#define ENTRY_FRAME_MASK 0x000ffffffffff000ULL

#define TABLE_SLOTS 512u
#define TOP_LEVEL   4u

struct layout {
	const char *name;
	unsigned int levels; /* the roots are tables of this level */
	unsigned int root_slots;
	unsigned int va_bits;
	unsigned int xen_first, xen_last; /* slots of a root that are Xen's; none if first > last */
};

/* For a domain whose words have this many bytes: 8, or 4. */
const struct layout *layout_of(unsigned int width);

static inline bool entry_present(uint64_t entry)
{
	return entry & ENTRY_PRESENT;
}

static inline uint64_t entry_frame(uint64_t entry)
{
	return (entry & ENTRY_FRAME_MASK) >> 12;
}

/* Whether the slot of a table of this level is the domain's own to fill. */
bool layout_has_slot(const struct layout *layout, unsigned int level, unsigned int slot);

unsigned int layout_slots(const struct layout *layout, unsigned int level);

/* The slot on the way to va, and what a slot adds to an address. */
unsigned int layout_slot(const struct layout *layout, unsigned int level, uint64_t va);
uint64_t layout_va(unsigned int level, unsigned int slot);

/* Extends the sign of an address that was put together from slots. */
uint64_t layout_canonical(const struct layout *layout, uint64_t va);

/* "WB", "UC-", ...: what Xen's PAT makes of the entry's bits. */
const char *entry_attribute(uint64_t entry);

/* Whether the guest's user mode may use the entry. */
bool entry_is_user(const struct layout *layout, uint64_t entry);

#endif
