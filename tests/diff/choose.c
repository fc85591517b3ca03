/* SPDX-License-Identifier: MIT */
/*
 * Owns the random numbers of a sequence and what they choose at the lowest level: pages by their
 * roles, slots, entries. See generate.h.
 */
#include "generate.h"

static const uint8_t first_of_level[LEVELS + 1] = {PAGE_DATA, PAGE_L1, PAGE_L2,
						   PAGE_L3,   PAGE_L4, PAGE_END};

/* What the seed has chosen for the whole sequence. */
static struct {
	uint64_t random;
	unsigned int wild;  /* of 100 choices */
	bool slot_0_for_l4; /* see choose_slot */
} gen;

/* splitmix64: every seed gives a good start. */
static uint64_t random64(void)
{
	uint64_t z = gen.random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

unsigned int choose_below(unsigned int n)
{
	return (unsigned int)((random64() >> 32) * n >> 32);
}

bool choose_chance(unsigned int of_100)
{
	return choose_below(100) < of_100;
}

bool choose_wild(void)
{
	return choose_chance(gen.wild);
}

/* The first page with this role; of LEVELS, the end. */
unsigned int choose_first(unsigned int level)
{
	return first_of_level[level];
}

unsigned int choose_page(unsigned int level)
{
	return first_of_level[level] +
	       choose_below(first_of_level[level + 1] - first_of_level[level]);
}

unsigned int choose_level_of(unsigned int page)
{
	unsigned int level = 0;

	while (page >= first_of_level[level + 1])
		level++;
	return level;
}

unsigned int choose_table(void)
{
	return choose_page(1 + choose_below(4));
}

/* The root slots that either kernel has something in (tests/model/layout.h, x86_64/layout.h). */
bool diff_slot_is_kernels(unsigned int slot)
{
	static const uint16_t kernels[] = {253, 254, 273, 402, 466, 468, 470, 511};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(kernels); i++)
		if (kernels[i] == slot)
			return true;
	return false;
}

/* Few slots, so that operations meet; those at the edges of Xen's part of a root among them. */
static unsigned int some_slot(void)
{
	static const uint16_t hot[] = {100, 200, 255, 256, 257, 258, 264, 271, 272, 300, 510, 511};

	if (choose_chance(75))
		return choose_below(4);
	return choose_chance(80) ? hot[choose_below(PVMM_ARRAY_SIZE(hot))]
				 : choose_below(PVMM_PT_ENTRIES);
}

/*
 * A slot of a page with this role. Debug Xen 4.17 panics over a root in whose slot above 0 there is
 * an L3 table in whose slot 0 there is an L2 table that is refused above its slot 0 (docs/
 * xen-rules.md, "Left out"). So that this is rare and still all of these slots are used, a sequence
 * has L3 tables without slot 0 or roots with little else; diff_hazard sees to the rest.
 */
unsigned int choose_slot(unsigned int level)
{
	unsigned int slot = some_slot();

	if (level == 4 && gen.slot_0_for_l4)
		return diff_slot_is_kernels(slot) ? slot : 0;
	return level == 3 && !slot && !gen.slot_0_for_l4 ? 1 : slot;
}

unsigned int choose_special(void)
{
	return FRAME_KERNEL_ROOT + choose_below(FRAME_NONE - FRAME_KERNEL_ROOT);
}

static uint64_t odd_flags(uint64_t flags)
{
	static const uint64_t odd[] = {
		PVMM_PTE_PWT,	PVMM_PTE_PCD,	PVMM_PTE_PAT, PVMM_PTE_GLOBAL, PVMM_PTE_NX,
		1ULL << 9,	1ULL << 11,	1ULL << 52,   1ULL << 53,      1ULL << 58,
		1ULL << 62,	PVMM_PTE_DIRTY, PVMM_PTE_RW,  PVMM_PTE_USER,   PVMM_PTE_ACCESSED,
		0x7ffULL << 52, PVMM_PTE_USER,
	};

	return flags ^ odd[choose_below(PVMM_ARRAY_SIZE(odd))];
}

/*
 * A descriptor: segments of all rings, gates, what no domain may have. All have bit 0 set, so that
 * a page of them that is taken for a table has no entry that is not present and holds an address.
 */
uint64_t choose_descriptor(void)
{
	static const uint64_t some[] = {
		0x00affb000000ffffULL, 0x00cff3000000ffffULL, 0x00af9b000000ffffULL,
		0x00cfbb000000ffffULL, 0x0000ec0000101235ULL, 0x00008c00e0331235ULL,
		0x0000ec00e0081235ULL, 0x00008c01001b1235ULL, 0x000089000000ffffULL,
		0x0000800000000001ULL, 0x00000b000000ffffULL, 0x000082000000ffffULL,
	};

	return some[choose_below(choose_wild() ? PVMM_ARRAY_SIZE(some) : 4)];
}

/* An entry for a table of this level (1: also for an address). Never an address without P. */
void choose_entry(struct diff_item *item, unsigned int level)
{
	item->flags = PVMM_PROT_TABLE;
	if (level <= 1) {
		item->flags = choose_chance(50) ? PVMM_PROT_RW : PVMM_PROT_RO;
		if (choose_chance(30))
			item->flags |= PVMM_PTE_USER;
		/* A page that is no table is what a writable mapping should have. */
		item->frame = (uint8_t)((item->flags & PVMM_PTE_RW) || choose_chance(60)
						? choose_page(0)
						: choose_below(DIFF_PAGES));
	} else {
		item->frame = (uint8_t)choose_page(level - 1);
		if (choose_chance(15))
			item->flags &= ~PVMM_PTE_RW;
		/* Bits that Xen adds (rule 17). */
		if (choose_chance(10))
			item->flags &= ~(PVMM_PTE_ACCESSED | PVMM_PTE_USER);
	}
	if (choose_wild() || choose_chance(2)) {
		if (choose_chance(40))
			item->frame = (uint8_t)choose_below(DIFF_PAGES);
		else if (choose_chance(50)) {
			/* Linear, which has to be read-only to be accepted. */
			item->frame = (uint8_t)choose_page(level ? level : 1);
			item->flags &= ~PVMM_PTE_RW;
		} else {
			item->frame = (uint8_t)choose_special();
		}
	}
	if (choose_wild() || choose_chance(3))
		item->flags = odd_flags(item->flags);
	if (choose_chance(12)) {
		item->frame = FRAME_NONE;
		item->flags = choose_wild() ? item->flags & ~PVMM_PTE_PRESENT : 0;
	}
}

/* Seeds of 0, 1, 2, ... are as good as any. */
void choose_start(uint64_t seed)
{
	static const uint8_t how_wild[] = {0, 1, 3, 6, 12, 30};

	gen.random = seed;
	gen.wild = how_wild[choose_below(PVMM_ARRAY_SIZE(how_wild))];
	gen.slot_0_for_l4 = choose_chance(30);
}
