/* SPDX-License-Identifier: MIT */
/* See core_walk.h. Owns nothing. Tables are a hostile domain's: nothing is believed but the core. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core_walk.h"

#define LEVELS	   4u
#define ENTRIES	   512u
#define FRAME_MASK 0x000ffffffffff000ULL
#define PRESENT	   0x1u
#define RW	   0x2u
#define SUPERPAGE  0x80u
#define NX	   (1ULL << 63)

/* Slots of a root that are Xen's own (xen/arch-x86/xen-x86_64.h, HYPERVISOR_VIRT_START to _END). */
#define XEN_FIRST 256u
#define XEN_LAST  271u

static uint64_t canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16);
}

static bool goes_on(const struct core_run *last, const struct core_run *next)
{
	return last->va + last->nr_pages * CORE_PAGE == next->va &&
	       last->index + last->nr_pages == next->index && last->writable == next->writable &&
	       last->executable == next->executable;
}

static int add(struct core_runs *runs, const struct core_run *run)
{
	runs->nr_pages++;
	if (runs->nr && goes_on(&runs->runs[runs->nr - 1], run)) {
		runs->runs[runs->nr - 1].nr_pages++;
		return 0;
	}
	if (runs->nr == runs->room) {
		uint64_t room = runs->room ? 2 * runs->room : 256;
		struct core_run *more = realloc(runs->runs, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		runs->runs = more;
		runs->room = room;
	}
	runs->runs[runs->nr++] = *run;
	return 0;
}

/* An entry of an L1 table. */
static int take_page(const struct core *core, uint64_t entry, uint64_t va, struct core_runs *runs)
{
	struct core_run run = {
		.va = canonical(va),
		.index = core_page_of(core, (entry & FRAME_MASK) / CORE_PAGE),
		.nr_pages = 1,
		.writable = entry & RW,
		.executable = !(entry & NX),
	};

	if (run.index == CORE_NONE) {
		runs->nr_missing++;
		return 0;
	}
	return add(runs, &run);
}

static int walk(const struct core *core, uint64_t index, unsigned int level, uint64_t va,
		struct core_runs *runs)
{
	uint64_t entries[ENTRIES];
	int err = 0;

	if (!runs->tables_left--)
		return -ELOOP;
	memcpy(entries, core_page(core, index), sizeof(entries));
	for (unsigned int slot = 0; slot < ENTRIES && !err; slot++) {
		uint64_t entry = entries[slot],
			 below = va + ((uint64_t)slot << (12 + 9 * (level - 1)));
		uint64_t next;

		if (!(entry & PRESENT) ||
		    (level == LEVELS && slot >= XEN_FIRST && slot <= XEN_LAST))
			continue;
		if (level == 1) {
			err = take_page(core, entry, below, runs);
			continue;
		}
		next = core_page_of(core, (entry & FRAME_MASK) / CORE_PAGE);
		if (next != CORE_NONE && !(entry & SUPERPAGE)) /* which PV has none of */
			err = walk(core, next, level - 1, below, runs);
	}
	return err;
}

int core_walk(const struct core *core, uint64_t root_mfn, struct core_runs *runs)
{
	uint64_t index = core_page_of(core, root_mfn);
	int err;

	memset(runs, 0, sizeof(*runs));
	if (index == CORE_NONE)
		return -ENOENT;
	/* A right kernel's table is seen once, or a few times if it is shared. */
	runs->tables_left = 4 * core->nr_pages + 1024;
	err = walk(core, index, LEVELS, 0, runs);
	if (err) {
		free(runs->runs);
		memset(runs, 0, sizeof(*runs));
	}
	return err;
}
