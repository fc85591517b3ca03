/* SPDX-License-Identifier: MIT */
/*
 * Puts programs into address spaces. The space is building, so all of it is plain stores, in the
 * tables and through the direct map: no hypercall.
 */
#include <elf.h>
#include <pvmm/cmdline.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "program.h"
#include "user/abi.h"

#define STACK_PAGES 16

extern const struct program programs[];

const struct program *program_find(const char *name)
{
	for (const struct program *p = programs; p->name; p++)
		if (pvmm_text_equal(p->name, name))
			return p;
	return NULL;
}

/* A page of the kernel's image. */
static struct pvmm_page *image_page(const void *address)
{
	return pvmm_page(_pfn(((uintptr_t)address - PVMM_KERNEL_BASE) >> PVMM_PAGE_SHIFT));
}

/* What is never written is mapped where it lies. */
static int map_constant(struct pvmm_space *space, const char *from, const Elf64_Phdr *segment)
{
	uint64_t prot = segment->p_flags & PF_X ? PVMM_PROT_RX : PVMM_PROT_RO;

	for (uint64_t at = 0; at < segment->p_filesz; at += PVMM_PAGE_SIZE) {
		int err = pvmm_space_map(space, segment->p_vaddr + at, image_page(from + at), prot);

		if (err)
			return err;
	}
	return 0;
}

/* Writes into pages of the space that are there. */
static void fill(struct pvmm_space *space, pvmm_va_t va, const char *from, uint64_t len_bytes)
{
	for (uint64_t at = 0; at < len_bytes; at++) {
		pvmm_pte_t entry = pvmm_pt_lookup(space->root, va + at);
		char *page = pvmm_pfn_to_virt(pvmm_mfn_to_pfn(pvmm_pte_mfn(entry)));

		page[(va + at) % PVMM_PAGE_SIZE] = from[at];
	}
}

/* Data is a region; what the file says of it is there from the start. */
static int make_data(struct pvmm_space *space, const char *from, const Elf64_Phdr *segment)
{
	int err = pvmm_space_region(space, segment->p_vaddr, pvmm_pages_for(segment->p_memsz),
				    PVMM_PROT_RW);

	if (!err && segment->p_filesz)
		err = pvmm_space_populate(space, segment->p_vaddr,
					  pvmm_pages_for(segment->p_filesz));
	if (!err)
		fill(space, segment->p_vaddr, from, segment->p_filesz);
	return err;
}

static bool is_sound(const struct program *program, const Elf64_Phdr *segment)
{
	return !(segment->p_vaddr % PVMM_PAGE_SIZE) && segment->p_filesz <= segment->p_memsz &&
	       segment->p_offset + segment->p_filesz <= program->len_bytes &&
	       (segment->p_flags & PF_W || !(segment->p_offset % PVMM_PAGE_SIZE));
}

static int load_segments(const struct program *program, struct pvmm_space *space)
{
	const char *image = program->image;
	const Elf64_Ehdr *header = program->image;
	const Elf64_Phdr *segment = (const Elf64_Phdr *)(image + header->e_phoff);
	int err = 0;

	for (unsigned int i = 0; !err && i < header->e_phnum; i++, segment++) {
		const char *from = image + segment->p_offset;

		if (segment->p_type != PT_LOAD || !segment->p_memsz)
			continue;
		if (!is_sound(program, segment))
			err = -XEN_EINVAL;
		else if (segment->p_flags & PF_W)
			err = make_data(space, from, segment);
		else
			err = map_constant(space, from, segment);
	}
	return err;
}

/* The first page is there at once: every program uses it. */
static int make_stack(struct pvmm_space *space)
{
	int err = pvmm_space_region(space, PROGRAM_STACK_TOP - STACK_PAGES * PVMM_PAGE_SIZE,
				    STACK_PAGES, PVMM_PROT_RW);

	return err ? err : pvmm_space_populate(space, PROGRAM_STACK_TOP - PVMM_PAGE_SIZE, 1);
}

int program_load(const struct program *program, struct pvmm_space *space, pvmm_va_t *entry)
{
	int err = pvmm_space_create(space, program->name);

	if (err)
		return err;
	err = load_segments(program, space);
	if (!err)
		err = make_stack(space);
	if (err && pvmm_space_destroy(space))
		pvmm_panic("the space of program \"%s\" is in use already", program->name);
	*entry = ((const Elf64_Ehdr *)program->image)->e_entry;
	return err;
}
