/* SPDX-License-Identifier: MIT */
/*
 * Who allocated a page and who freed it last: two stack numbers a page (8 bytes, at
 * PVMM_OWNERS_BASE), each stack kept once. Off (pvmm_owner_init never called), it costs a test.
 */
#ifndef PVMM_OWNER_H
#define PVMM_OWNER_H

#include <pvmm/page.h>

/* Callers kept of each stack, innermost first. */
#define PVMM_OWNER_DEPTH 7

struct pvmm_owner_stack {
	uint32_t nr;
	uint32_t hash;
	uintptr_t callers[PVMM_OWNER_DEPTH];
};

struct pvmm_owner {
	uint32_t allocated; /* number of a stack; 0 is "not known" */
	uint32_t freed;
};

/*
 * Turns the records on. stacks: storage for nr different stacks (a power of two), zeroed; when they
 * are used up, further ones are "not known". The records at PVMM_OWNERS_BASE must be mapped.
 */
PVMM_API void pvmm_owner_init(struct pvmm_owner_stack *stacks, uint32_t nr);

/* For the allocator: the calling stack allocates or frees these pages. */
void pvmm_owner_note_alloc(pfn_t pfn, uint64_t nr_pages);
void pvmm_owner_note_free(pfn_t pfn, uint64_t nr_pages);

/* The number of the calling stack, without the calling function itself; 0 if records are off. */
uint32_t pvmm_owner_note_stack(void);

/* The stack of this number; NULL if not known. */
PVMM_API const struct pvmm_owner_stack *pvmm_owner_stack(uint32_t number);

/* The stacks of a page; NULL if not known. */
PVMM_API const struct pvmm_owner_stack *pvmm_owner_allocated(pfn_t pfn);
PVMM_API const struct pvmm_owner_stack *pvmm_owner_freed(pfn_t pfn);

/*
 * Prints who allocated the page and who freed it, "allocated by ..." behind the label, as many
 * lines as it takes.
 */
PVMM_API void pvmm_owner_print(pfn_t pfn, const char *label);

/* Prints the label and a stack, "(not known)" for NULL. */
PVMM_API void pvmm_owner_print_stack(const char *label, const struct pvmm_owner_stack *stack);

/* "buf_get+0x22 < log_recover+0x9c" or "(not known)". */
PVMM_API void pvmm_owner_describe(const struct pvmm_owner_stack *stack, char *buf,
				  size_t len_bytes);

#endif
