/* SPDX-License-Identifier: MIT */
/*
 * Builds the kernel's page tables at boot. The domain builder maps the image, its own records and
 * little more; here all of memory gets its direct map, the manager's records their own regions, and
 * the builder's mapping is cut down to the image. Used once, on one vCPU.
 *
 * Memory comes from a pointer that moves up from the end of what the builder has used. Tables are
 * taken in groups: all pages of a group are filled through whatever maps them already, then made
 * read-only there, then hooked in, in one batch; what they map is where the next group comes from.
 *
 * Invariant, between groups: pfns below mapped_end are in the direct map, read-only exactly if they
 * are page tables or the image's constant part.
 */
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/mm.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include "arch.h"

/* Different stacks that the page-owner records can hold: 64 KiB of them. */
#define OWNER_STACKS 1024

/* What a kernel needs besides its own records before it can do anything. */
#define SPARE_PAGES 256

static struct {
	uint64_t nr_pages;
	const uint64_t *p2m;	   /* the builder's, in its mapping */
	uint64_t root;		   /* pfns from here on: the root table, */
	uint64_t pt_first, pt_end; /* the builder's tables, */
	uint64_t tables_first;	   /* the first page that was free, */
	uint64_t next;		   /* the first that still is, */
	uint64_t boot_end;	   /* the end of the builder's mapping, */
	uint64_t mapped_end;	   /* and of the direct map so far */
} boot;

static uint64_t pfn_of_image(const void *address)
{
	return ((uintptr_t)address - PVMM_KERNEL_BASE) >> PVMM_PAGE_SHIFT;
}

static mfn_t boot_mfn(uint64_t pfn)
{
	return _mfn(boot.p2m[pfn]);
}

static void *boot_virt(uint64_t pfn)
{
	if (pfn < boot.boot_end)
		return (void *)(uintptr_t)(PVMM_KERNEL_BASE + (pfn << PVMM_PAGE_SHIFT));
	return pvmm_pfn_to_virt(_pfn(pfn));
}

/* Pages from next on that can be written to now. */
static uint64_t nr_reachable(void)
{
	uint64_t end = boot.boot_end > boot.mapped_end ? boot.boot_end : boot.mapped_end;

	return end > boot.next ? end - boot.next : 0;
}

static uint64_t take_pages(uint64_t nr)
{
	uint64_t first = boot.next;

	if (nr > nr_reachable())
		pvmm_panic("boot memory: %llu pages wanted, %llu reachable of %llu left",
			   (unsigned long long)nr, (unsigned long long)nr_reachable(),
			   (unsigned long long)(boot.nr_pages - boot.next));
	boot.next += nr;
	return first;
}

static void clear_page(uint64_t pfn)
{
	uint64_t *words = boot_virt(pfn);

	for (unsigned int i = 0; i < PVMM_PAGE_SIZE / sizeof(*words); i++)
		words[i] = 0;
}

static bool is_table(uint64_t pfn)
{
	return (pfn >= boot.pt_first && pfn < boot.pt_end) ||
	       (pfn >= boot.tables_first && pfn < boot.next);
}

static uint64_t directmap_prot(uint64_t pfn)
{
	if (is_table(pfn) || pfn < pfn_of_image(pvmm_image_rodata_end))
		return PVMM_PROT_RO;
	return PVMM_PROT_RW;
}

/* The table of this level on the way to va, or the pfn of none (PVMM_INVALID_FRAME). */
static uint64_t find_table(pvmm_va_t va, unsigned int level)
{
	uint64_t table = boot.root;

	for (unsigned int l = PVMM_PT_LEVELS; l > level; l--) {
		const pvmm_pte_t *entries = boot_virt(table);
		pvmm_pte_t entry = entries[pvmm_pt_slot(va, l)];

		if (!pvmm_pte_present(entry))
			return PVMM_INVALID_FRAME;
		table = pfn_x(pvmm_mfn_to_pfn(pvmm_pte_mfn(entry)));
	}
	return table;
}

static uint64_t entry_maddr(uint64_t table, unsigned int slot)
{
	return pvmm_mfn_to_maddr(boot_mfn(table)) + slot * sizeof(pvmm_pte_t);
}

static void queue_entry(pvmm_va_t va, unsigned int level, pvmm_pte_t entry)
{
	uint64_t table = find_table(va, level);

	if (table == PVMM_INVALID_FRAME)
		pvmm_panic("boot: no level %u table for 0x%llx", level, (unsigned long long)va);
	pvmm_batch_mmu_update(entry_maddr(table, pvmm_pt_slot(va, level)), entry);
}

/* Queues "read-only" wherever the page is mapped now: before it becomes a page table. */
static void queue_protect(uint64_t pfn)
{
	pvmm_pte_t entry = pvmm_pte(boot_mfn(pfn), PVMM_PROT_RO);

	if (pfn < boot.boot_end)
		queue_entry(PVMM_KERNEL_BASE + (pfn << PVMM_PAGE_SHIFT), 1, entry);
	if (pfn < boot.mapped_end)
		queue_entry(PVMM_DIRECTMAP_BASE + (pfn << PVMM_PAGE_SHIFT), 1, entry);
}

static void queue_hook(pvmm_va_t va, unsigned int level, uint64_t table)
{
	queue_entry(va, level, pvmm_pte(boot_mfn(table), PVMM_PROT_TABLE));
}

/* Makes sure that va has a table of this level, with empty ones where there is none. */
static void ensure_table(pvmm_va_t va, unsigned int level)
{
	for (unsigned int l = PVMM_PT_LEVELS - 1; l >= level; l--) {
		uint64_t table;

		if (find_table(va, l) != PVMM_INVALID_FRAME)
			continue;
		table = take_pages(1);
		clear_page(table);
		pvmm_batch_begin();
		queue_protect(table);
		queue_hook(va, l + 1, table);
		pvmm_batch_end(NULL);
	}
}

/* Fills an L1 table that maps at most nr pages from pfn on. */
static void fill_l1(uint64_t table, uint64_t pfn, uint64_t nr, bool is_directmap)
{
	pvmm_pte_t *entries = boot_virt(table);

	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++, pfn++) {
		uint64_t prot = is_directmap ? directmap_prot(pfn) : PVMM_PROT_RW;

		entries[slot] = slot < nr ? pvmm_pte(boot_mfn(pfn), prot) : 0;
	}
}

static uint64_t min3(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/*
 * Maps nr pages from first on at va, which is aligned to an L1 table's reach. is_directmap: what is
 * mapped becomes reachable for the next tables.
 */
static void map_range(pvmm_va_t va, uint64_t first, uint64_t nr, bool is_directmap)
{
	uint64_t done = 0;

	while (done < nr) {
		pvmm_va_t at = va + (done << PVMM_PAGE_SHIFT);
		uint64_t wanted = (nr - done + PVMM_PT_ENTRIES - 1) / PVMM_PT_ENTRIES;
		uint64_t in_l2 = PVMM_PT_ENTRIES - pvmm_pt_slot(at, 2);
		uint64_t group, tables;

		ensure_table(at, 2);
		group = min3(wanted, in_l2, nr_reachable());
		tables = take_pages(group ? group : 1);
		for (uint64_t i = 0; i < group; i++) {
			uint64_t from = done + i * PVMM_PT_ENTRIES;

			fill_l1(tables + i, first + from, nr - from, is_directmap);
		}

		pvmm_batch_begin();
		for (uint64_t i = 0; i < group; i++)
			queue_protect(tables + i);
		for (uint64_t i = 0; i < group; i++)
			queue_hook(at + i * pvmm_level_bytes(2), 2, tables + i);
		pvmm_batch_end(NULL);

		done += group * PVMM_PT_ENTRIES;
		if (is_directmap)
			boot.mapped_end = first + (done < nr ? done : nr);
	}
}

/* Takes zeroed pages for the manager's records; the direct map is complete. */
static uint64_t take_records(uint64_t len_bytes)
{
	uint64_t nr = pvmm_pages_for(len_bytes), first = take_pages(nr);

	for (uint64_t i = 0; i < nr; i++)
		clear_page(first + i);
	return first;
}

static void map_records(pvmm_va_t va, uint64_t len_bytes)
{
	map_range(va, take_records(len_bytes), pvmm_pages_for(len_bytes), false);
}

/* Pages that the tables and records of a domain of this size take. */
static uint64_t pages_needed(void)
{
	const uint64_t records[] = {
		boot.nr_pages * sizeof(struct pvmm_page),
		boot.nr_pages * sizeof(struct pvmm_owner),
	};
	uint64_t nr = 4 * (PVMM_PT_LEVELS - 2); /* upper levels: a region of its own each, */
	uint64_t l1s = pvmm_pages_for(boot.nr_pages * sizeof(pvmm_pte_t)); /* the direct map */

	nr += l1s + l1s / PVMM_PT_ENTRIES + 1;
	nr += pvmm_pages_for(l1s * sizeof(pvmm_pte_t)) + 1; /* the p2m */
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(records); i++) {
		uint64_t pages = pvmm_pages_for(records[i]);

		nr += pages + pvmm_pages_for(pages * sizeof(pvmm_pte_t)) + 1;
	}
	return nr + pvmm_pages_for(OWNER_STACKS * sizeof(struct pvmm_owner_stack));
}

/* A domain that cannot hold the kernel and its records is told so, and how much it would take. */
static void check_size(void)
{
	uint64_t needed = boot.tables_first + pages_needed() + SPARE_PAGES;

	if (boot.nr_pages > PVMM_DIRECTMAP_BYTES >> PVMM_PAGE_SHIFT)
		refuse_boot(
			"this domain is too large: it has %llu MiB, the direct map reaches %llu MiB",
			(unsigned long long)boot.nr_pages / 256, PVMM_DIRECTMAP_BYTES >> 20);
	if (boot.nr_pages >= needed)
		return;
	refuse_boot(
		"this domain is too small: it has %llu KiB; the kernel and its tables and records need %llu KiB (memory = %llu in the xl configuration)",
		(unsigned long long)boot.nr_pages * 4, (unsigned long long)needed * 4,
		(unsigned long long)(needed + 255) / 256);
}

static void measure(const struct start_info *si, uint64_t boot_stack_end)
{
	uint64_t pt = si->pt_base - PVMM_KERNEL_BASE;

	boot.nr_pages = si->nr_pages;
	boot.p2m = (const uint64_t *)si->mfn_list;
	boot.root = boot.pt_first = pt >> PVMM_PAGE_SHIFT;
	boot.pt_end = boot.pt_first + si->nr_pt_frames;
	boot.next = pvmm_pages_for(boot_stack_end - PVMM_KERNEL_BASE);
	if (boot.next < boot.pt_end)
		boot.next = boot.pt_end;
	boot.tables_first = boot.next;

	/* All the builder's tables lie in its own mapping, which ends at the first missing entry.
	 */
	boot.boot_end = boot.next;
	while (boot.boot_end < boot.nr_pages) {
		pvmm_va_t va = PVMM_KERNEL_BASE + (boot.boot_end << PVMM_PAGE_SHIFT);
		uint64_t l1 = find_table(va, 1);

		if (l1 == PVMM_INVALID_FRAME ||
		    !pvmm_pte_present(((pvmm_pte_t *)boot_virt(l1))[pvmm_pt_slot(va, 1)]))
			break;
		boot.boot_end++;
	}
}

/* What the image's own mapping allows for each of its pages. */
static pvmm_pte_t image_entry(uint64_t pfn)
{
	if (pfn == pfn_of_image(pvmm_boot_stack_guard))
		return 0;
	if (pfn < pfn_of_image(pvmm_image_text_end))
		return pvmm_pte(boot_mfn(pfn), PVMM_PROT_RX);
	if (pfn < pfn_of_image(pvmm_image_rodata_end))
		return pvmm_pte(boot_mfn(pfn), PVMM_PROT_RO);
	return pvmm_pte(boot_mfn(pfn), PVMM_PROT_RW);
}

/*
 * Cuts the builder's mapping down to the image, with no more rights than each part needs. What lay
 * behind it has its direct map and no second mapping that a pin could stumble over.
 */
static void trim_boot_mapping(void)
{
	uint64_t image_end = pfn_of_image(pvmm_image_end), end = boot.boot_end;

	boot.boot_end = 0; /* from here on the tables are read through the direct map */
	pvmm_batch_begin();
	for (uint64_t pfn = 0; pfn < end; pfn++) {
		pvmm_va_t va = PVMM_KERNEL_BASE + (pfn << PVMM_PAGE_SHIFT);

		if (pfn != pfn_of_image(pvmm_shared_info_page))
			queue_entry(va, 1, pfn < image_end ? image_entry(pfn) : 0);
	}
	pvmm_batch_flush_all();
	pvmm_batch_end(NULL);
}

void boot_map_all(const struct start_info *si, uint64_t boot_stack_end)
{
	const uint64_t stacks_bytes = OWNER_STACKS * sizeof(struct pvmm_owner_stack);
	const uint64_t p2m_bytes = si->nr_pages * sizeof(uint64_t);
	uint64_t stacks;

	measure(si, boot_stack_end);
	check_size();

	map_range(PVMM_DIRECTMAP_BASE, 0, boot.nr_pages, true);
	ensure_table(PVMM_VMAP_BASE, PVMM_PT_LEVELS - 1);
	ensure_table(PVMM_KMAP_BASE, 1);
	map_range(PVMM_P2M_BASE, pfn_of_image(boot.p2m), pvmm_pages_for(p2m_bytes), false);
	map_records(PVMM_PAGES_BASE, boot.nr_pages * sizeof(struct pvmm_page));
	map_records(PVMM_OWNERS_BASE, boot.nr_pages * sizeof(struct pvmm_owner));
	stacks = take_records(stacks_bytes);

	/* Nothing of the builder's mapping behind the image is used any more. */
	console_use_directmap(si);
	boot.p2m = (const uint64_t *)PVMM_P2M_BASE;
	pvmm_p2m_init(boot.p2m, boot.nr_pages, machine_to_phys_mapping, MACH2PHYS_NR_ENTRIES);
	trim_boot_mapping();

	pvmm_mm_init(boot.nr_pages, _pfn(boot.root));
	pvmm_owner_init(pvmm_pfn_to_virt(_pfn(stacks)), OWNER_STACKS);
	pvmm_mm_add_free(_pfn(boot.next), boot.nr_pages - boot.next);
}
