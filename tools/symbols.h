/* SPDX-License-Identifier: MIT */
/*
 * Names of addresses in a kernel: from its ELF image (vmlinux, pvmm-guest), a System.map, or a copy
 * of /proc/kallsyms. With an ELF image that has debug information, source lines too.
 */
#ifndef TOOLS_SYMBOLS_H
#define TOOLS_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbols;

/* NULL, with a reason of one line (TOOL_ERROR_BYTES). */
struct symbols *symbols_load(const char *path, char *why);
void symbols_free(struct symbols *s);

/* The name at or before an address; NULL if there is none nearby. s may be NULL. */
const char *symbols_name(const struct symbols *s, uint64_t va, uint64_t *offset);

/* 0 if there is no symbol of that name. s may be NULL. */
uint64_t symbols_address(const struct symbols *s, const char *name);

/* "name+0x12", or the bare address. */
void symbols_describe(const struct symbols *s, uint64_t va, char *buf, size_t len_bytes);

/* "file.c:123"; false if it is not known. */
bool symbols_line(struct symbols *s, uint64_t va, char *buf, size_t len_bytes);

#endif
