/* SPDX-License-Identifier: MIT */
/*
 * The manager's records for those who look at the guest from outside (pvmm-aliases and pvmm-map in
 * dom0): where they are and how they are laid out, so that a tool of another build can read them.
 *
 * The block is constant and lies in the image's read-only part, aligned to 16 bytes, near its
 * start: who looks for it walks the pages from the kernel's base until PVMM_INSPECT_MAGIC. Whoever
 * reads it must not trust it, or anything that it leads to: a guest can put there what it likes.
 * Fields are only ever added at the end; bytes says how many there are.
 *
 * All addresses are virtual, in any of the guest's roots. "Where" is the address of a variable,
 * "at" an offset in bytes.
 */
#ifndef PVMM_INSPECT_H
#define PVMM_INSPECT_H

#include <stdint.h>

#define PVMM_INSPECT_MAGIC	 "pvmm-inspect"
#define PVMM_INSPECT_MAGIC_BYTES 16
#define PVMM_INSPECT_ALIGN	 16

struct pvmm_inspect {
	char magic[PVMM_INSPECT_MAGIC_BYTES];
	uint32_t bytes;
	uint32_t nr_kinds;

	/* The guest's regions. */
	uint64_t kernel_base;
	uint64_t directmap_base, directmap_bytes;
	uint64_t vmap_base, vmap_bytes;
	uint64_t kmap_base, kmap_bytes;

	/* struct pvmm_page, by pfn; kinds as in enum pvmm_page_kind. */
	uint64_t pages_base;
	uint32_t page_bytes, page_kind_at, page_live_at, page_stale_at;
	uint32_t kind_free, kind_l1, kind_l4, reserved;

	/* struct pvmm_owner, by pfn; the stacks that its numbers (from 1 on) stand for. */
	uint64_t owners_base;
	uint32_t owner_bytes, owner_allocated_at, owner_freed_at, stack_bytes;
	uint64_t stacks_where, nr_stacks_where;
	uint32_t stack_nr_at, stack_callers_at, stack_depth, stack_reserved;

	/*
	 * Areas of the vmap region: a tree of ranges of pages, [start, end). A range is in a chunk
	 * or in a large area; a chunk leads to its table, an array of chunk_slots / 2 areas.
	 */
	uint64_t vmap_root_where;
	uint32_t range_left_at, range_right_at, range_start_at, range_end_at;
	uint32_t range_is_chunk_at, chunk_range_at, chunk_table_at, chunk_slots;
	uint32_t large_range_at, large_area_at, area_va_at, area_nr_pages_at;
	uint32_t area_name_at, area_state_at, area_made_at, area_given_up_at;
	uint32_t area_maker_at, area_giver_up_at, state_live, state_stale;

	/* Functions, sorted: two words of 32 bits each, from kernel_base and into the names. */
	uint64_t symbols, nr_symbols_where, names;

	/* The p2m: a word of 8 bytes for each pfn. */
	uint64_t p2m_base;
};

#endif
