/* SPDX-License-Identifier: MIT */
/*
 * Plays the domain builder and arch-xen's start of day: from a machine full of frames to a domain
 * whose memory manager runs. The tables are built with plain stores and handed to the model at the
 * end, as Xen gets them from the builder (rule 43).
 *
 * The domain's pages in order: what stands for the kernel's image, the tables, p2m, page database,
 * owner records, then free memory.
 */
#include <stdlib.h>
#include <string.h>
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/mm.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/xen.h>
#include "tests/model/state.h"

#define IMAGE_PAGES  8u
#define OWNER_STACKS 1024u

/* How much more than its memory xl lets a domain have. */
#define SLACK_PAGES 256u

static struct pvmm_owner_stack owner_stacks[OWNER_STACKS];

struct builder {
	uint64_t next_pfn; /* of the pages not given out yet */
	uint64_t root;	   /* pfns */
	uint8_t *is_table; /* by pfn */
};

static mfn_t mfn_of(uint64_t pfn)
{
	return _mfn(model.mfn_of_store[pfn]);
}

static uint64_t *table_of(uint64_t pfn)
{
	return frame_entries(mfn_x(mfn_of(pfn)));
}

static uint64_t take(struct builder *b, uint64_t nr_pages)
{
	uint64_t first = b->next_pfn;

	b->next_pfn += nr_pages;
	if (b->next_pfn > model.nr_pages)
		pvmm_panic("model: %llu pages are too few to boot",
			   (unsigned long long)model.nr_pages);
	return first;
}

static uint64_t new_table(struct builder *b)
{
	uint64_t pfn = take(b, 1);

	b->is_table[pfn] = 1;
	return pfn;
}

/* The table of this level that translates va, made if it is not there. */
static uint64_t *table_for(struct builder *b, uint64_t va, unsigned int to_level)
{
	uint64_t *table = table_of(b->root);

	for (unsigned int level = PVMM_PT_LEVELS; level > to_level; level--) {
		uint64_t *entry = &table[pvmm_pt_slot(va, level)];

		if (!*entry)
			*entry = pvmm_pte(mfn_of(new_table(b)), PVMM_PROT_TABLE);
		table = frame_entries(entry_mfn(*entry));
	}
	return table;
}

/* Makes the tables for a region, or maps it; twice, because the first changes what is a table. */
static void region(struct builder *b, uint64_t va, uint64_t first_pfn, uint64_t nr_pages, bool map)
{
	for (uint64_t i = 0; i < nr_pages; i++) {
		uint64_t at = va + i * PVMM_PAGE_SIZE, pfn = first_pfn + i;
		uint64_t *l1 = table_for(b, at, 1);

		if (map)
			l1[pvmm_pt_slot(at, 1)] = pvmm_pte(
				mfn_of(pfn), b->is_table[pfn] ? PVMM_PROT_RO : PVMM_PROT_RW);
	}
}

static void build(struct builder *b)
{
	uint64_t nr = model.nr_pages;
	struct {
		uint64_t va, nr_pages, first;
	} regions[] = {
		{PVMM_P2M_BASE, pvmm_pages_for(nr * sizeof(uint64_t)), 0},
		{PVMM_PAGES_BASE, pvmm_pages_for(nr * sizeof(struct pvmm_page)), 0},
		{PVMM_OWNERS_BASE, pvmm_pages_for(nr * sizeof(struct pvmm_owner)), 0},
		{PVMM_DIRECTMAP_BASE, nr, 0},
	};

	take(b, IMAGE_PAGES);
	b->root = new_table(b);
	table_for(b, PVMM_VMAP_BASE, 3);
	table_for(b, PVMM_KMAP_BASE, 1);
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(regions); i++)
		region(b, regions[i].va, 0, regions[i].nr_pages, false);
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(regions) - 1; i++)
		regions[i].first = take(b, regions[i].nr_pages);
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(regions); i++)
		region(b, regions[i].va, regions[i].first, regions[i].nr_pages, true);

	for (uint64_t pfn = 0; pfn < nr; pfn++)
		((uint64_t *)model_bytes(mfn_of(regions[0].first + pfn / 512)))[pfn % 512] =
			mfn_x(mfn_of(pfn));
}

/* Hands the tables to Xen: pinned, then loaded. */
static void hand_over(const struct builder *b)
{
	struct frame *special = frame_at(mfn_x(mfn_of(model.special_pfn)));
	uint64_t root = mfn_x(mfn_of(b->root));
	int err;

	special->s.special = true;
	err = frame_get_and_type(root, MODEL_L4);
	if (err)
		pvmm_panic("model: the builder's tables are refused: %d", err);
	frame_at(root)->s.pinned = true;
	model.vcpus[0].up = true;
	model.kernel_root = root;
	err = load_root(root);
	if (err)
		pvmm_panic("model: the builder's root is not loaded: %d", err);
	mirror_start();
}

static void start_machine(uint64_t nr_pages, uint64_t seed, const struct model_options *options)
{
	memset(&model, 0, sizeof(model));
	model.options = *options;
	if (!model.options.max_pages)
		model.options.max_pages = nr_pages + SLACK_PAGES;
	model.flush_epoch = 1;
	model.special_pfn = 1;
	host_reset();
	vcpu_reset();
	tlb_reset();
	grants_reset();
	model_fail_fired();
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++)
		model.vcpus[i] = (struct vcpu){.root = NO_MFN, .user_root = NO_MFN};
	frames_create(nr_pages, seed);
	/* A domain's grant table has a frame from the start. */
	frame_share(frame_of_grant_table(0));
}

void model_boot_with(uint64_t nr_pages, uint64_t seed, const struct model_options *options)
{
	struct builder b = {0};

	start_machine(nr_pages, seed, options);
	b.is_table = calloc(nr_pages, 1);
	if (!b.is_table)
		abort();
	build(&b);
	hand_over(&b);
	free(b.is_table);
	model_counters_reset();

	pvmm_p2m_init((const uint64_t *)(uintptr_t)PVMM_P2M_BASE, nr_pages, model.guest_m2p,
		      model.nr_mfns);
	pvmm_mm_init(nr_pages, _pfn(b.root));
	memset(owner_stacks, 0, sizeof(owner_stacks));
	pvmm_owner_init(owner_stacks, OWNER_STACKS);
	pvmm_mm_add_free(_pfn(b.next_pfn), nr_pages - b.next_pfn);
}

void model_boot_bare(uint64_t nr_pages, uint64_t seed, const struct model_options *options)
{
	start_machine(nr_pages, seed, options);
	model.vcpus[0].up = true;
}

void model_boot(uint64_t nr_pages, uint64_t seed)
{
	model_boot_with(nr_pages, seed, &(struct model_options){0});
}

void model_shutdown(void)
{
	mirror_stop();
	frames_destroy();
}
