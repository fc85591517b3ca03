/* SPDX-License-Identifier: MIT */
/*
 * What Linux says of its own address space, for who has its symbols: where its regions are, and
 * which vmalloc area an address is in. The structures are those of Linux 4.19 to 6.8 on x86-64
 * (struct vmap_area, struct vm_struct); what does not look like one is not believed.
 */
#ifndef TOOLS_LINUX_H
#define TOOLS_LINUX_H

#include "symbols.h"
#include "walk.h"

struct linux_guest {
	bool has_areas; /* the symbols name the tree of areas */
	struct walker walk;
	uint64_t page_offset, vmalloc, vmemmap; /* the regions' starts */
	uint64_t tree;				/* the variable with the areas' root */
};

struct linux_area {
	uint64_t va, len_bytes;
	bool has_details;  /* an area that is being given up has none */
	uint64_t caller;   /* who asked for it */
	const char *what;  /* "vmap", "vmalloc", "ioremap", "area" */
	uint64_t nr_pages; /* mapped */
};

/* symbols may be NULL: then Linux's usual addresses are taken. */
void linux_open(struct linux_guest *l, struct reader *r, const struct symbols *symbols);

/* -ENOENT: no area known there. */
int linux_area(struct linux_guest *l, uint64_t va, struct linux_area *area);

#endif
