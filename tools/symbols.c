/* SPDX-License-Identifier: MIT */
/*
 * See symbols.h. Owns the sorted list of names. The file is the administrator's, not the domain's:
 * it is checked for sense, not for malice.
 */
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dom_xen.h"
#include "symbols.h"

/* An address that is farther than this behind the last symbol has no name. */
#define FAR_BYTES (1u << 20)

struct symbol {
	uint64_t va;
	char *name;
	uint8_t rank; /* of several at one address the lowest is taken: functions first */
};

struct symbols {
	struct symbol *list; /* by va, then rank */
	size_t nr, max;
	int fd; /* of an ELF image that has source lines, or -1 */
	Elf *elf;
	Dwarf *dwarf;
};

static bool add(struct symbols *s, uint64_t va, const char *name, uint8_t rank)
{
	if (s->nr == s->max) {
		size_t max = s->max ? 2 * s->max : 1024;
		struct symbol *list = realloc(s->list, max * sizeof(*list));

		if (!list)
			return false;
		s->list = list;
		s->max = max;
	}
	s->list[s->nr] = (struct symbol){.va = va, .name = strdup(name), .rank = rank};
	return s->list[s->nr++].name;
}

/* --- ELF --- */

static bool add_section(struct symbols *s, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t nr = header->sh_entsize ? header->sh_size / header->sh_entsize : 0;

	for (size_t i = 0; data && i < nr; i++) {
		GElf_Sym sym;
		const char *name;
		unsigned int type;

		if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF ||
		    sym.st_shndx == SHN_ABS)
			continue;
		type = GELF_ST_TYPE(sym.st_info);
		name = elf_strptr(s->elf, header->sh_link, sym.st_name);
		if (!name || !*name || type > STT_FUNC)
			continue;
		if (!add(s, sym.st_value, name, type == STT_FUNC ? 0 : type == STT_OBJECT ? 1 : 2))
			return false;
	}
	return true;
}

static bool load_elf(struct symbols *s)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	while ((section = elf_nextscn(s->elf, section)))
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB &&
		    !add_section(s, section, &header))
			return false;
	s->dwarf = dwarf_begin_elf(s->elf, DWARF_C_READ, NULL);
	return true;
}

/* --- System.map --- */

/* "ffffffff81000000 T _stext", with "[module]" behind it in kallsyms: 16 digits, or 8. */
static bool parse_line(char *line, uint64_t *va, char *type, char **name)
{
	size_t digits = strspn(line, "0123456789abcdef");

	if ((digits != 16 && digits != 8) || line[digits] != ' ' || !line[digits + 1] ||
	    line[digits + 2] != ' ')
		return false;
	*va = strtoull(line, NULL, 16);
	*type = line[digits + 1];
	*name = line + digits + 3;
	(*name)[strcspn(*name, " \t\n")] = 0;
	return *va && **name;
}

static bool load_text(struct symbols *s, FILE *file)
{
	char line[512], *name, type;
	uint64_t va;

	while (fgets(line, sizeof(line), file))
		if (parse_line(line, &va, &type, &name) && !strchr("aAuU", type) &&
		    !add(s, va, name, strchr("tTwW", type) ? 0 : 1))
			return false;
	return true;
}

/* --- loading --- */

static int by_va(const void *a, const void *b)
{
	const struct symbol *sa = a, *sb = b;

	if (sa->va != sb->va)
		return sa->va < sb->va ? -1 : 1;
	return (int)sa->rank - (int)sb->rank;
}

static bool is_elf(int fd)
{
	char magic[SELFMAG];

	return pread(fd, magic, sizeof(magic), 0) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG);
}

static const char *load(struct symbols *s, const char *path)
{
	FILE *file;
	bool ok;

	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0)
		return strerror(errno);
	if (is_elf(s->fd)) {
		elf_version(EV_CURRENT);
		s->elf = elf_begin(s->fd, ELF_C_READ, NULL);
		if (!s->elf)
			return elf_errmsg(-1);
		return load_elf(s) ? NULL : "out of memory";
	}
	file = fopen(path, "re");
	if (!file)
		return strerror(errno);
	ok = load_text(s, file);
	fclose(file);
	return ok ? NULL : "out of memory";
}

struct symbols *symbols_load(const char *path, char *why)
{
	struct symbols *s = calloc(1, sizeof(*s));
	const char *problem = "out of memory";

	if (s) {
		s->fd = -1;
		problem = load(s, path);
		if (!problem && !s->nr)
			problem =
				"no symbols in it (an ELF image that is not stripped, a System.map, or a copy of /proc/kallsyms is wanted)";
	}
	if (problem) {
		snprintf(why, TOOL_ERROR_BYTES, "%s: %s", path, problem);
		symbols_free(s);
		return NULL;
	}
	qsort(s->list, s->nr, sizeof(*s->list), by_va);
	return s;
}

void symbols_free(struct symbols *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr; i++)
		free(s->list[i].name);
	free(s->list);
	if (s->dwarf)
		dwarf_end(s->dwarf);
	if (s->elf)
		elf_end(s->elf);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

/* --- asking --- */

const char *symbols_name(const struct symbols *s, uint64_t va, uint64_t *offset)
{
	size_t low = 0, high = s ? s->nr : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->list[middle].va <= va)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	*offset = va - s->list[low - 1].va;
	while (low > 1 && s->list[low - 2].va == s->list[low - 1].va)
		low--;
	return *offset < FAR_BYTES ? s->list[low - 1].name : NULL;
}

uint64_t symbols_address(const struct symbols *s, const char *name)
{
	for (size_t i = 0; s && i < s->nr; i++)
		if (!strcmp(s->list[i].name, name))
			return s->list[i].va;
	return 0;
}

void symbols_describe(const struct symbols *s, uint64_t va, char *buf, size_t len_bytes)
{
	uint64_t offset = 0;
	const char *name = symbols_name(s, va, &offset);

	if (name)
		snprintf(buf, len_bytes, "%s+0x%llx", name, (unsigned long long)offset);
	else
		snprintf(buf, len_bytes, "0x%llx", (unsigned long long)va);
}

bool symbols_line(struct symbols *s, uint64_t va, char *buf, size_t len_bytes)
{
	Dwarf_Line *line;
	const char *file;
	Dwarf_Die unit;
	int number;

	if (!s || !s->dwarf || !dwarf_addrdie(s->dwarf, va, &unit))
		return false;
	line = dwarf_getsrc_die(&unit, va);
	file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	if (!file || dwarf_lineno(line, &number))
		return false;
	snprintf(buf, len_bytes, "%s:%d", file, number);
	return true;
}
