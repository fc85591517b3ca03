/* SPDX-License-Identifier: MIT */
/* See core_in.h. Owns the mapping of the file and the list of its frames. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core_in.h"

struct section {
	uint64_t offset, len_bytes, entry_bytes;
};

static bool fail(char *why, size_t room_bytes, const char *text)
{
	snprintf(why, room_bytes, "%s", text);
	return false;
}

/* --- the file --- */

static bool map_file(struct core *core, const char *path, char *why, size_t room_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *bytes;

	if (fd < 0 || fstat(fd, &st)) {
		snprintf(why, room_bytes, "%s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(Elf64_Ehdr)) {
		close(fd);
		return fail(why, room_bytes, "is no core: too short, or no plain file");
	}
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return fail(why, room_bytes, "cannot be mapped");
	core->bytes = bytes;
	core->len_bytes = (size_t)st.st_size;
	return true;
}

static bool is_inside(const struct core *core, uint64_t offset, uint64_t len_bytes)
{
	return offset <= core->len_bytes && len_bytes <= core->len_bytes - offset;
}

/* --- its sections --- */

static bool header(const struct core *core, Elf64_Ehdr *e, char *why, size_t room_bytes)
{
	memcpy(e, core->bytes, sizeof(*e));
	if (memcmp(e->e_ident, ELFMAG, SELFMAG) || e->e_ident[EI_CLASS] != ELFCLASS64 ||
	    e->e_type != ET_CORE)
		return fail(why, room_bytes, "is no core of xl dump-core");
	if (e->e_machine != EM_X86_64)
		return fail(why, room_bytes, "is a core, but not of a 64-bit x86 domain");
	if (!e->e_shnum || e->e_shentsize != sizeof(Elf64_Shdr) || e->e_shstrndx >= e->e_shnum ||
	    !is_inside(core, e->e_shoff, (uint64_t)e->e_shnum * sizeof(Elf64_Shdr)))
		return fail(why, room_bytes, "has no sections: it is no core of xl dump-core");
	return true;
}

static Elf64_Shdr section_header(const struct core *core, const Elf64_Ehdr *e, unsigned int i)
{
	Elf64_Shdr s;

	memcpy(&s, core->bytes + e->e_shoff + i * sizeof(s), sizeof(s));
	return s;
}

static bool has_name(const struct core *core, const Elf64_Shdr *names, const Elf64_Shdr *s,
		     const char *name)
{
	size_t len = strlen(name) + 1;

	return s->sh_name < names->sh_size && len <= names->sh_size - s->sh_name &&
	       !memcmp(core->bytes + names->sh_offset + s->sh_name, name, len);
}

static bool find(const struct core *core, const Elf64_Ehdr *e, const char *name,
		 struct section *section)
{
	Elf64_Shdr names = section_header(core, e, e->e_shstrndx);

	if (!is_inside(core, names.sh_offset, names.sh_size))
		return false;
	for (unsigned int i = 0; i < e->e_shnum; i++) {
		Elf64_Shdr s = section_header(core, e, i);

		if (!has_name(core, &names, &s, name) || !is_inside(core, s.sh_offset, s.sh_size))
			continue;
		*section = (struct section){s.sh_offset, s.sh_size, s.sh_entsize};
		return true;
	}
	return false;
}

/* --- its frames --- */

static int by_mfn(const void *a, const void *b)
{
	const struct core_frame *x = a, *y = b;

	return x->mfn < y->mfn ? -1 : x->mfn > y->mfn;
}

/* Pairs of pfn and mfn, in the order of the pages. */
static bool take_frames(struct core *core, const struct section *p2m)
{
	core->frames = calloc(core->nr_pages ? core->nr_pages : 1, sizeof(*core->frames));
	if (!core->frames)
		return false;
	for (uint64_t i = 0; i < core->nr_pages; i++) {
		uint64_t pair[2];

		memcpy(pair, core->bytes + p2m->offset + i * sizeof(pair), sizeof(pair));
		if (pair[1] != UINT64_MAX)
			core->frames[core->nr_frames++] = (struct core_frame){pair[1], i};
	}
	qsort(core->frames, core->nr_frames, sizeof(*core->frames), by_mfn);
	return true;
}

bool core_open(struct core *core, const char *path, char *why, size_t room_bytes)
{
	struct section contexts, p2m, pages;
	Elf64_Ehdr e;

	memset(core, 0, sizeof(*core));
	if (!map_file(core, path, why, room_bytes) || !header(core, &e, why, room_bytes))
		return false;
	if (!find(core, &e, ".xen_prstatus", &contexts) || !find(core, &e, ".xen_pages", &pages))
		return fail(why, room_bytes,
			    "is no whole core of xl dump-core: sections are missing");
	if (!find(core, &e, ".xen_p2m", &p2m))
		return fail(why, room_bytes, "is not of a PV domain: it has no .xen_p2m");
	if (contexts.entry_bytes < sizeof(struct vcpu_guest_context) ||
	    contexts.len_bytes < contexts.entry_bytes)
		return fail(why, room_bytes, "has no vCPU's registers");
	core->contexts = core->bytes + contexts.offset;
	core->context_bytes = contexts.entry_bytes;
	core->nr_vcpus = contexts.len_bytes / contexts.entry_bytes;
	core->pages_offset = pages.offset;
	core->nr_pages = pages.len_bytes / CORE_PAGE;
	if (p2m.len_bytes / (2 * sizeof(uint64_t)) < core->nr_pages)
		core->nr_pages = p2m.len_bytes / (2 * sizeof(uint64_t));
	return take_frames(core, &p2m) ||
	       fail(why, room_bytes, "has more pages than memory is there");
}

void core_close(struct core *core)
{
	free(core->frames);
	if (core->bytes)
		munmap((void *)(uintptr_t)core->bytes, core->len_bytes);
	memset(core, 0, sizeof(*core));
}

/* --- looking --- */

void core_context(const struct core *core, uint64_t vcpu, struct vcpu_guest_context *c)
{
	memcpy(c, core->contexts + vcpu * core->context_bytes, sizeof(*c));
}

uint64_t core_page_of(const struct core *core, uint64_t mfn)
{
	const struct core_frame key = {.mfn = mfn}, *found;

	found = bsearch(&key, core->frames, core->nr_frames, sizeof(key), by_mfn);
	return found ? found->index : CORE_NONE;
}

const uint64_t *core_page(const struct core *core, uint64_t index)
{
	return (const uint64_t *)(const void *)(core->bytes + core->pages_offset +
						index * CORE_PAGE);
}
