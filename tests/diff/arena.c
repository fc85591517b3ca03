/* SPDX-License-Identifier: MIT */
/*
 * Owns the arena that sequences play in: its pages, its window of virtual addresses, what symbols
 * mean on this machine, and that all of it is as new before the next sequence.
 *
 * Invariant, between sequences: the kernel's root is loaded and no user root, the window is empty,
 * no page of the arena has a type or a pin, each is zero and writable in the direct map. The domain
 * has given up no page's frame. Which frames the pages have, the arena knows alone: the memory
 * manager does not hear of it when they change.
 */
#include <pvmm/alloc.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include "sequence.h"

/* Behind what the in-guest suites use of the region; one L1 table has all of this. */
#define ANCHOR_VA (PVMM_VMAP_BASE + 64 * PVMM_PAGE_SIZE)
#define VIEW_VA	  (ANCHOR_VA + (DIFF_WINDOW + 2) * PVMM_PAGE_SIZE)
#define GRANTS_VA (VIEW_VA + DIFF_PAGES * PVMM_PAGE_SIZE)

/* The last address of the window is nobody's but who asks or erases. */
#define PROBE_VA diff_window_va(DIFF_WINDOW)

#define ONES_MFN (PVMM_PTE_FRAME_MASK >> PVMM_PAGE_SHIFT)

/* 1 TiB: more than the laboratory's machines have. */
#define NO_FRAME_FROM (1ULL << 28)

struct diff_arena diff_arena;

pvmm_va_t diff_window_va(unsigned int number)
{
	return ANCHOR_VA + (1 + number) * PVMM_PAGE_SIZE;
}

/* A root is loaded on either side only if all slots that any kernel uses are the kernel's. */
static void choose_kernel_half(void)
{
	const uint64_t *root = pvmm_pt_entries(pvmm_kernel_space.root);
	uint64_t any = root[pvmm_pt_slot(PVMM_DIRECTMAP_BASE, PVMM_PT_LEVELS)];

	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		uint64_t entry = pvmm_pte_present(root[slot]) ? root[slot] : any;

		diff_arena.kernel_half[slot] =
			diff_slot_is_kernels(slot) ? pvmm_pte(pvmm_pte_mfn(entry), PVMM_PROT_TABLE)
						   : 0;
	}
}

static void clear(uint64_t *words)
{
	for (unsigned int i = 0; i < PVMM_PT_ENTRIES; i++)
		words[i] = 0;
}

static pvmm_va_t view_va(unsigned int page)
{
	return VIEW_VA + page * PVMM_PAGE_SIZE;
}

/* False if the page's frame is the domain's no more. */
bool diff_view_map(unsigned int page)
{
	return !pvmm_hc_update_va_mapping(view_va(page), diff_entry(page, PVMM_PROT_RO),
					  UVMF_INVLPG);
}

int diff_view_unmap(unsigned int page)
{
	return pvmm_hc_update_va_mapping(view_va(page), 0, UVMF_INVLPG);
}

/* Erases a page that nothing maps. */
void diff_blank(unsigned int page)
{
	if (pvmm_hc_update_va_mapping(PROBE_VA, diff_entry(page, PVMM_PROT_RW), UVMF_INVLPG))
		return;
	clear((uint64_t *)(uintptr_t)PROBE_VA);
	pvmm_hc_update_va_mapping(PROBE_VA, 0, UVMF_INVLPG);
}

bool diff_arena_create(const struct diff_machine *machine)
{
	struct diff_arena *a = &diff_arena;

	a->machine = machine;
	a->root = -1;
	a->stale = false;
	for (unsigned int i = 0; i < DIFF_PAGES; i++) {
		a->page[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		if (!a->page[i])
			return false;
		clear(pvmm_page_virt(a->page[i]));
		a->mfn[i] = mfn_x(pvmm_pfn_to_mfn(pvmm_page_pfn(a->page[i])));
		a->given_up[i] = false;
	}
	if (!a->anchor) {
		a->anchor = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		if (!a->anchor ||
		    pvmm_space_map(&pvmm_kernel_space, ANCHOR_VA, a->anchor, PVMM_PROT_RO))
			return false;
	}
	choose_kernel_half();
	/* Each page stays mapped read-only, which keeps it from nothing. */
	for (unsigned int i = 0; i < DIFF_PAGES; i++)
		if (!diff_view_map(i))
			return false;
	return diff_grants_create(GRANTS_VA);
}

const uint64_t *diff_view(unsigned int page)
{
	return (const uint64_t *)(uintptr_t)view_va(page);
}

/* A symbol's machine frame. */
uint64_t diff_mfn(unsigned int frame)
{
	if (frame < DIFF_PAGES)
		return diff_arena.mfn[frame];
	switch (frame) {
	case FRAME_KERNEL_ROOT:
		return mfn_x(pvmm_pfn_to_mfn(pvmm_kernel_space.root));
	case FRAME_FOREIGN:
		return mfn_x(diff_arena.machine->foreign);
	case FRAME_XEN:
		return mfn_x(pvmm_pte_mfn(pvmm_pt_entries(pvmm_kernel_space.root)[256]));
	case FRAME_IO:
		return mfn_x(diff_arena.machine->io);
	case FRAME_OUTSIDE:
		return mfn_x(diff_arena.machine->outside);
	case FRAME_ONES:
		return ONES_MFN;
	default:
		return 0;
	}
}

/* A machine frame's symbol. */
unsigned int diff_symbol(mfn_t mfn)
{
	for (unsigned int frame = 0; frame < FRAME_NONE; frame++)
		if (diff_mfn(frame) == mfn_x(mfn))
			return frame;
	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++)
		if (diff_arena.kernel_half[slot] &&
		    mfn_eq(pvmm_pte_mfn(diff_arena.kernel_half[slot]), mfn))
			return FRAME_KERNEL_L3;
	return FRAME_OTHER;
}

uint64_t diff_entry(unsigned int frame, uint64_t flags)
{
	return pvmm_pte(_mfn(diff_mfn(frame)), flags);
}

/*
 * The entry with its frame's symbol in place of the frame. What no machine has as a frame is no
 * frame but part of a descriptor, and stays.
 */
pvmm_pte_t diff_symbolic(pvmm_pte_t entry)
{
	uint64_t frame =
		entry & PVMM_PTE_FRAME_MASK ? diff_symbol(pvmm_pte_mfn(entry)) : FRAME_NONE;

	if (frame == FRAME_OTHER && mfn_x(pvmm_pte_mfn(entry)) >= NO_FRAME_FROM)
		return entry;
	return (entry & ~PVMM_PTE_FRAME_MASK) | frame << PVMM_PAGE_SHIFT;
}

pvmm_pte_t diff_lookup(pvmm_va_t va)
{
	return pvmm_pt_lookup(pvmm_kernel_space.root, va);
}

int diff_ext(unsigned int cmd, uint64_t mfn)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn};

	return pvmm_hc_mmuext_op(&op, 1, NULL);
}

/* The page's own direct-map address, if that maps it writable; else NULL. */
uint64_t *diff_writable(unsigned int page)
{
	void *virt = pvmm_page_virt(diff_arena.page[page]);
	pvmm_pte_t entry = diff_lookup((uintptr_t)virt);

	if (!pvmm_pte_writable(entry) || mfn_x(pvmm_pte_mfn(entry)) != diff_mfn(page))
		return NULL;
	if (diff_arena.stale) {
		diff_ext(MMUEXT_TLB_FLUSH_LOCAL, 0);
		diff_arena.stale = false;
	}
	return virt;
}

/* Whether the kernel goes on running on this root. */
bool diff_has_kernel_half(unsigned int page)
{
	const uint64_t *entries = diff_view(page);

	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		uint64_t is = entries[slot], should = diff_arena.kernel_half[slot];

		if (should && (!pvmm_pte_present(is) || (is & PVMM_PTE_NX) || !(is & PVMM_PTE_RW) ||
			       !mfn_eq(pvmm_pte_mfn(is), pvmm_pte_mfn(should))))
			return false;
	}
	return true;
}

/* The arena's page that an entry leads to; DIFF_PAGES or more if to none. */
static unsigned int leads_to(pvmm_pte_t entry)
{
	return pvmm_pte_present(entry) ? diff_symbol(pvmm_pte_mfn(entry)) : FRAME_NONE;
}

static bool has_entry_above_0(unsigned int page)
{
	const uint64_t *entries = diff_view(page);

	for (unsigned int slot = 1; slot < PVMM_PT_ENTRIES; slot++)
		if (pvmm_pte_present(entries[slot]))
			return true;
	return false;
}

/* Whether debug Xen could panic over the page as a root (choose_slot in choose.c). */
bool diff_hazard(unsigned int page)
{
	for (unsigned int slot = 1; slot < PVMM_PT_ENTRIES; slot++) {
		unsigned int l3 = leads_to(diff_view(page)[slot]), l2 = FRAME_NONE;

		if (l3 < DIFF_PAGES && (slot < DIFF_XEN_FIRST || slot > DIFF_XEN_LAST))
			l2 = leads_to(diff_view(l3)[0]);
		if (l2 < DIFF_PAGES && has_entry_above_0(l2))
			return true;
	}
	return false;
}

static const char *clean_page(unsigned int page, int *err)
{
	pvmm_va_t va = (uintptr_t)pvmm_page_virt(diff_arena.page[page]);

	*err = pvmm_hc_update_va_mapping(va, diff_entry(page, PVMM_PROT_RW), UVMF_INVLPG);
	if (*err)
		return "made writable";
	clear(pvmm_page_virt(diff_arena.page[page]));
	return NULL;
}

/* Whether the frame, which nothing maps, has gone with that or can be exchanged for another. */
static bool frame_goes(unsigned int page)
{
	if (!diff_arena.given_up[page])
		return diff_exchange_frame(page);
	diff_arena.gone[page] =
		pvmm_hc_update_va_mapping(PROBE_VA, diff_entry(page, PVMM_PROT_RO), UVMF_INVLPG);
	return diff_arena.gone[page] && diff_new_frame(page) == 1;
}

/*
 * Every page gets another frame, which Xen allows only if nobody refers to the old one. Real Xen
 * loses count of a reference at times (docs/xen-rules.md, "Confirmed"): such a frame is left
 * behind.
 */
static const char *renew(unsigned int page, int *err)
{
	diff_arena.gone[page] = 0;
	*err = diff_view_unmap(page);
	if (*err)
		return "unmapped from its view";
	if (frame_goes(page))
		return NULL;
	diff_arena.lost_frames++;
	*err = diff_new_frame(page);
	return *err == 1 ? NULL : "populated";
}

const char *diff_arena_clean(unsigned int *page, int *err)
{
	const char *what;

	*page = 0;
	*err = pvmm_hc_set_gdt(NULL, 0);
	if (*err)
		return "replaced by no GDT";
	*err = diff_grants_clean();
	if (*err)
		return "unmapped as a grant";
	*err = diff_ext(MMUEXT_NEW_BASEPTR, diff_mfn(FRAME_KERNEL_ROOT));
	if (*err)
		return "replaced by the kernel's root";
	diff_arena.root = -1;
	*err = diff_ext(MMUEXT_NEW_USER_BASEPTR, 0);
	if (*err)
		return "taken away as the user root";
	for (unsigned int i = 0; i < DIFF_WINDOW; i++) {
		*err = pvmm_hc_update_va_mapping(diff_window_va(i), 0, UVMF_INVLPG);
		if (*err)
			return "unmapped from the window";
	}
	for (*page = 0; *page < DIFF_PAGES; (*page)++) {
		*err = diff_ext(MMUEXT_UNPIN_TABLE, diff_mfn(*page));
		diff_arena.unpin[*page] = *err;
		if (*err && *err != -XEN_EINVAL)
			return "unpinned";
		/* Whatever its direct-map address maps writable may be in another page's way. */
		*err = pvmm_hc_update_va_mapping((uintptr_t)pvmm_page_virt(diff_arena.page[*page]),
						 0, UVMF_INVLPG);
		if (*err)
			return "unmapped from the direct map";
	}
	for (*page = 0; *page < DIFF_PAGES; (*page)++) {
		what = renew(*page, err);
		if (!what)
			what = clean_page(*page, err);
		if (what)
			return what;
	}
	diff_arena.stale = false;
	return NULL;
}
