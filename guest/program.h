/* SPDX-License-Identifier: MIT */
/* The user programs in the image (guest/user/, guest/programs.S), and how one gets into a space. */
#ifndef GUEST_PROGRAM_H
#define GUEST_PROGRAM_H

#include <pvmm/space.h>

struct program {
	const char *name;
	const void *image; /* an ELF file, on pages of its own */
	uint64_t len_bytes;
};

/* NULL if there is none of that name. */
const struct program *program_find(const char *name);

/* Where what is mapped later begins, and the end of the stack. */
#define PROGRAM_MAP_BASE  0x0000000010000000ULL
#define PROGRAM_STACK_TOP (PVMM_USER_END - PVMM_PAGE_SIZE)

/*
 * Makes a space with the program in it, not pinned; text and constants are the image's own pages.
 * *entry is its first instruction. -XEN_ENOMEM, or -XEN_EINVAL for a file that is no program.
 */
int program_load(const struct program *program, struct pvmm_space *space, pvmm_va_t *entry);

#endif
