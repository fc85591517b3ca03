/* SPDX-License-Identifier: MIT */
/*
 * Finds out what a sequence has left behind. Contents and entries are read; a page's type, which
 * only Xen knows, is found by asking: may it be mapped writable, may it be pinned as a table of
 * this level. Each question is taken back before the next one.
 *
 * Afterwards the direct-map entries of the arena are read-only; the arena must be cleaned.
 */
#include <pvmm/xen.h>
#include "sequence.h"

/* The processor sets these in the kernel's own tables whenever it likes. */
#define BY_PROCESSOR (PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY)

/* Xen's own entry for a root in itself, __PAGE_HYPERVISOR_RW. */
#define LINEAR_SLOT 258u

#define ASK_VA diff_window_va(DIFF_WINDOW)

/* splitmix64's mixing, so that order counts. */
uint64_t diff_hash(uint64_t hash, uint64_t value)
{
	uint64_t z = hash * 0x100000001b3ULL ^ (value + 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	return z ^ (z >> 27);
}

static uint64_t kernel_entry(pvmm_va_t va)
{
	return diff_symbolic(diff_lookup(va)) & ~BY_PROCESSOR;
}

/*
 * What is in a page. One that is or was a root has Xen's slots in it, known by Xen's linear entry,
 * and what is in them depends on the machine.
 */
static uint64_t content(unsigned int page)
{
	const uint64_t *words = diff_view(page);
	bool was_root = words[LINEAR_SLOT] == diff_entry(page, PVMM_PROT_RW);
	uint64_t hash = 0;

	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		if (!words[slot] || (was_root && slot >= DIFF_XEN_FIRST && slot <= DIFF_XEN_LAST))
			continue;
		hash = diff_hash(diff_hash(hash, slot), diff_symbolic(words[slot]));
	}
	return hash;
}

static int32_t ask_writable(unsigned int page)
{
	int err = pvmm_hc_update_va_mapping(ASK_VA, diff_entry(page, PVMM_PROT_RW), UVMF_NONE);

	if (!err)
		pvmm_hc_update_va_mapping(ASK_VA, 0, UVMF_INVLPG);
	return err;
}

static int32_t ask_pin(unsigned int page, unsigned int level)
{
	int err;

	if (level == PVMM_PT_LEVELS && diff_hazard(page))
		return DIFF_GUARDED;
	err = diff_ext(MMUEXT_PIN_L1_TABLE + level - 1, diff_mfn(page));
	if (!err)
		diff_ext(MMUEXT_UNPIN_TABLE, diff_mfn(page));
	return err;
}

void diff_look(struct diff_state *s)
{
	for (unsigned int i = 0; i < DIFF_WINDOW; i++)
		s->window[i] = kernel_entry(diff_window_va(i));
	for (unsigned int i = 0; i < DIFF_PAGES; i++)
		s->direct[i] = kernel_entry((uintptr_t)pvmm_page_virt(diff_arena.page[i]));
	for (unsigned int i = 0; i < DIFF_PAGES; i++) {
		pvmm_va_t va = (uintptr_t)pvmm_page_virt(diff_arena.page[i]);

		pvmm_hc_update_va_mapping(va, diff_entry(i, PVMM_PROT_RO), UVMF_INVLPG);
	}
	for (unsigned int i = 0; i < DIFF_PAGES; i++)
		s->content[i] = content(i);
	for (unsigned int i = 0; i < DIFF_PAGES; i++) {
		s->writable[i] = ask_writable(i);
		for (unsigned int level = 1; level <= PVMM_ARRAY_SIZE(s->pin[i]); level++)
			s->pin[i][level - 1] = ask_pin(i, level);
	}
	diff_arena.stale = true;
}
