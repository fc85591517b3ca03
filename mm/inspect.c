/* SPDX-License-Identifier: MIT */
/* The block of pvmm/inspect.h. Constant: nothing here runs. */
#include <pvmm/inspect.h>
#include <pvmm/owner.h>
#include <pvmm/symbol.h>
#include "mm.h"
#include "vmap.h"

#define ADDRESS(object) ((uintptr_t) & (object))

_Static_assert(sizeof(PVMM_INSPECT_MAGIC) <= PVMM_INSPECT_MAGIC_BYTES, "magic");

__attribute__((section(".pvmm_inspect"), used,
	       aligned(PVMM_INSPECT_ALIGN))) static const struct pvmm_inspect inspect = {
	.magic = PVMM_INSPECT_MAGIC,
	.bytes = sizeof(struct pvmm_inspect),
	.nr_kinds = PVMM_PAGE_KINDS,

	.kernel_base = PVMM_KERNEL_BASE,
	.directmap_base = PVMM_DIRECTMAP_BASE,
	.directmap_bytes = PVMM_DIRECTMAP_BYTES,
	.vmap_base = PVMM_VMAP_BASE,
	.vmap_bytes = PVMM_VMAP_BYTES,
	.kmap_base = PVMM_KMAP_BASE,
	.kmap_bytes = PVMM_KMAP_BYTES,

	.pages_base = PVMM_PAGES_BASE,
	.page_bytes = sizeof(struct pvmm_page),
	.page_kind_at = offsetof(struct pvmm_page, kind),
	.page_live_at = offsetof(struct pvmm_page, live),
	.page_stale_at = offsetof(struct pvmm_page, stale),
	.kind_free = PVMM_PAGE_FREE,
	.kind_l1 = PVMM_PAGE_L1,
	.kind_l4 = PVMM_PAGE_L4,

	.owners_base = PVMM_OWNERS_BASE,
	.owner_bytes = sizeof(struct pvmm_owner),
	.owner_allocated_at = offsetof(struct pvmm_owner, allocated),
	.owner_freed_at = offsetof(struct pvmm_owner, freed),
	.stack_bytes = sizeof(struct pvmm_owner_stack),
	.stacks_where = ADDRESS(owner_stacks),
	.nr_stacks_where = ADDRESS(owner_nr_stacks),
	.stack_nr_at = offsetof(struct pvmm_owner_stack, nr),
	.stack_callers_at = offsetof(struct pvmm_owner_stack, callers),
	.stack_depth = PVMM_OWNER_DEPTH,

	.vmap_root_where = ADDRESS(vmap_tree_root),
	.range_left_at = offsetof(struct vmap_range, left),
	.range_right_at = offsetof(struct vmap_range, right),
	.range_start_at = offsetof(struct vmap_range, start),
	.range_end_at = offsetof(struct vmap_range, end),
	.range_is_chunk_at = offsetof(struct vmap_range, is_chunk),
	.chunk_range_at = offsetof(struct vmap_chunk, range),
	.chunk_table_at = offsetof(struct vmap_chunk, table),
	.chunk_slots = CHUNK_SLOTS,
	.large_range_at = offsetof(struct vmap_large, range),
	.large_area_at = offsetof(struct vmap_large, area),
	.area_va_at = offsetof(struct vmap_area, va),
	.area_nr_pages_at = offsetof(struct vmap_area, nr_pages),
	.area_name_at = offsetof(struct vmap_area, name),
	.area_state_at = offsetof(struct vmap_area, state),
	.area_made_at = offsetof(struct vmap_area, made_ns),
	.area_given_up_at = offsetof(struct vmap_area, given_up_ns),
	.area_maker_at = offsetof(struct vmap_area, maker),
	.area_giver_up_at = offsetof(struct vmap_area, giver_up),
	.state_live = PVMM_VMAP_LIVE,
	.state_stale = PVMM_VMAP_STALE,

	.symbols = (uintptr_t)pvmm_symbol_table,
	.nr_symbols_where = ADDRESS(pvmm_symbol_count),
	.names = (uintptr_t)pvmm_symbol_names,

	.p2m_base = PVMM_P2M_BASE,
};
