/* SPDX-License-Identifier: MIT */
/* See layout.h. Owns nothing. */
#include "layout.h"

/* HYPERVISOR_VIRT_START and _END (xen/arch-x86/xen-x86_64.h) are root slots 256 to 271. */
static const struct layout layout_64 = {
	.name = "64-bit",
	.levels = 4,
	.root_slots = TABLE_SLOTS,
	.va_bits = 48,
	.xen_first = 256,
	.xen_last = 271,
};

static const struct layout layout_pae = {
	.name = "32-bit PAE",
	.levels = 3,
	.root_slots = 4,
	.va_bits = 32,
	.xen_first = 1,
	.xen_last = 0,
};

const struct layout *layout_of(unsigned int width)
{
	return width == 4 ? &layout_pae : &layout_64;
}

bool layout_has_slot(const struct layout *layout, unsigned int level, unsigned int slot)
{
	return level != layout->levels || slot < layout->xen_first || slot > layout->xen_last;
}

unsigned int layout_slots(const struct layout *layout, unsigned int level)
{
	return level == layout->levels ? layout->root_slots : TABLE_SLOTS;
}

unsigned int layout_slot(const struct layout *layout, unsigned int level, uint64_t va)
{
	return (unsigned int)(va >> (12 + 9 * (level - 1))) & (layout_slots(layout, level) - 1);
}

uint64_t layout_va(unsigned int level, unsigned int slot)
{
	return (uint64_t)slot << (12 + 9 * (level - 1));
}

uint64_t layout_canonical(const struct layout *layout, uint64_t va)
{
	if (layout->va_bits == 48 && va >> 47)
		va |= 0xffffULL << 48;
	return va;
}

const char *entry_attribute(uint64_t entry)
{
	/* XEN_MSR_PAT, by PAT, PCD and PWT. */
	static const char *const names[8] = {"WB", "WT", "UC-", "UC", "WC", "WP", "UC", "UC"};

	return names[(entry & ENTRY_PAT ? 4 : 0) + (entry & ENTRY_PCD ? 2 : 0) +
		     (entry & ENTRY_PWT ? 1 : 0)];
}

bool entry_is_user(const struct layout *layout, uint64_t entry)
{
	if (layout->va_bits == 48)
		return !(entry & ENTRY_KERNEL) && entry & ENTRY_USER;
	return entry & ENTRY_USER;
}
