/* SPDX-License-Identifier: MIT */
/* See linux.h. */
#include <errno.h>
#include "linux.h"

/* Where the regions are without address randomisation, which PV guests do not have. */
#define PAGE_OFFSET 0xffff888000000000ULL
#define VMALLOC	    0xffffc90000000000ULL
#define VMEMMAP	    0xffffea0000000000ULL

#define MAX_TREE_DEPTH 128u

/* struct vmap_area: va_start, va_end, rb_node { colour, right, left }, list, vm. */
enum { AREA_START = 0, AREA_END = 8, AREA_NODE = 16, AREA_VM = 56, NODE_RIGHT = 8, NODE_LEFT = 16 };

/* struct vm_struct: next, addr, size, flags, pages, (page_order,) nr_pages, phys_addr, caller. */
enum { VM_ADDR = 8, VM_SIZE = 16, VM_FLAGS = 24, VM_NR_PAGES = 44, VM_CALLER = 56 };

#define FLAG_IOREMAP 1u
#define FLAG_ALLOC   2u
#define FLAG_MAP     4u

static uint64_t variable(struct linux_guest *l, const struct symbols *symbols, const char *name,
			 uint64_t usual)
{
	uint64_t at = symbols_address(symbols, name), value;

	/* A region starts on a page of its own, in the kernel's half. */
	if (!at || walk_word(&l->walk, at, &value) || value % TOOL_PAGE_SIZE || !(value >> 63))
		return usual;
	return value;
}

void linux_open(struct linux_guest *l, struct reader *r, const struct symbols *symbols)
{
	uint64_t root = TOOL_NO_FRAME;

	for (unsigned int i = 0; i < r->nr_vcpus && root == TOOL_NO_FRAME; i++)
		root = r->vcpus[i].root;
	for (size_t i = 0; i < r->nr_tables && root == TOOL_NO_FRAME; i++)
		if (r->tables[i].level == r->layout->levels && r->tables[i].is_pinned)
			root = r->tables[i].mfn;
	walk_init(&l->walk, r, root);
	l->page_offset = variable(l, symbols, "page_offset_base", PAGE_OFFSET);
	l->vmalloc = variable(l, symbols, "vmalloc_base", VMALLOC);
	l->vmemmap = variable(l, symbols, "vmemmap_base", VMEMMAP);
	l->tree = symbols_address(symbols, "vmap_area_root");
	l->has_areas = l->tree && r->layout->levels == 4;
}

static void take_details(struct linux_guest *l, uint64_t vm, struct linux_area *area)
{
	uint64_t addr, size, flags, caller, pages;

	if (!(vm >> 63) || walk_word(&l->walk, vm + VM_ADDR, &addr) ||
	    walk_word(&l->walk, vm + VM_SIZE, &size) ||
	    walk_word(&l->walk, vm + VM_FLAGS, &flags) ||
	    walk_word(&l->walk, vm + VM_CALLER, &caller) ||
	    walk_word(&l->walk, vm + (VM_NR_PAGES & ~7), &pages))
		return;
	if (addr != area->va || size > area->len_bytes)
		return;
	area->has_details = true;
	area->caller = caller;
	area->nr_pages = pages >> 32;
	area->what = flags & FLAG_IOREMAP ? "ioremap"
		     : flags & FLAG_ALLOC ? "vmalloc"
		     : flags & FLAG_MAP	  ? "vmap"
					  : "area";
}

int linux_area(struct linux_guest *l, uint64_t va, struct linux_area *area)
{
	uint64_t node, start, end, vm;

	*area = (struct linux_area){.what = "area"};
	if (!l->has_areas || walk_word(&l->walk, l->tree, &node))
		return -ENOENT;
	for (unsigned int depth = 0; node && depth < MAX_TREE_DEPTH; depth++) {
		uint64_t at = node - AREA_NODE;

		if (walk_word(&l->walk, at + AREA_START, &start) ||
		    walk_word(&l->walk, at + AREA_END, &end) || start >= end)
			return -ENOENT;
		if (va >= start && va < end) {
			area->va = start;
			area->len_bytes = end - start;
			if (!walk_word(&l->walk, at + AREA_VM, &vm))
				take_details(l, vm, area);
			return 0;
		}
		if (walk_word(&l->walk, node + (va < start ? NODE_LEFT : NODE_RIGHT), &node))
			return -ENOENT;
	}
	return -ENOENT;
}
