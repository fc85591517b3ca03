/* SPDX-License-Identifier: MIT */
/*
 * Reads the p2m that the domain publishes in its shared info page, as a list in its virtual memory
 * or as a tree of frames (xen/arch-x86/xen.h, struct arch_shared_info). It may be missing, lie, or
 * point anywhere: an entry counts only if Xen's m2p leads back to it, and the work is bounded by
 * what the domain may own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "reader.h"
#include "walk.h"

/* What a p2m may have beyond its domain's pages, in pages: holes for devices and for growing. */
#define SPARE_PFNS (1ULL << 20)

/* The words of struct arch_shared_info that matter here. */
enum { ARCH_MAX_PFN = 0, ARCH_TREE = 1, ARCH_CR3 = 3, ARCH_VADDR = 4 };

struct p2m {
	uint64_t nr_pfns;
	uint64_t top;	   /* the tree's root; 0 or TOOL_NO_FRAME if it has none */
	uint64_t root, va; /* the list; root is 0 if it has none */
	unsigned int word; /* bytes of an entry */
};

static uint64_t word_at(const void *page, unsigned int word, unsigned int i)
{
	uint32_t value4;
	uint64_t value8;

	if (word == 4) {
		memcpy(&value4, (const uint8_t *)page + 4 * (size_t)i, 4);
		return value4 == UINT32_MAX ? TOOL_NO_FRAME : value4;
	}
	memcpy(&value8, (const uint8_t *)page + 8 * (size_t)i, 8);
	return value8;
}

/* The frame that a cr3 value means (xen_cr3_to_pfn): 32 bits hold it rotated. */
static uint64_t frame_of_cr3(uint64_t cr3, unsigned int word)
{
	if (word == 4)
		return (uint32_t)(cr3 >> 12 | cr3 << 20);
	return cr3 >> 12;
}

static int find_p2m(struct reader *r, struct p2m *p2m)
{
	uint8_t page[TOOL_PAGE_SIZE];
	uint64_t mfn = r->dom->info.shared_info;
	const uint8_t *arch;
	bool ok = false;
	int err = mfn == TOOL_NO_FRAME ? 0 : reader_read(r, &mfn, 1, page, &ok);

	*p2m = (struct p2m){.word = r->dom->info.width == 4 ? 4 : 8};
	if (err || !ok)
		return err;
	arch = page + (p2m->word == 4 ? SHARED_INFO_ARCH_32 : SHARED_INFO_ARCH_64);
	p2m->nr_pfns = word_at(arch, p2m->word, ARCH_MAX_PFN);
	p2m->top = word_at(arch, p2m->word, ARCH_TREE);
	p2m->root = frame_of_cr3(word_at(arch, p2m->word, ARCH_CR3), p2m->word);
	p2m->va = word_at(arch, p2m->word, ARCH_VADDR);
	if (p2m->top == TOOL_NO_FRAME)
		p2m->top = 0;
	return 0;
}

/* Offers nr entries, the first of which is that of pfn. */
static int offer_entries(struct reader *r, const struct p2m *p2m, const void *page, uint64_t pfn,
			 unsigned int nr)
{
	uint64_t mfns[DOM_BATCH], back[DOM_BATCH];
	unsigned int at[DOM_BATCH] = {0}, nr_mfns = 0;
	int err;

	for (unsigned int i = 0; i < nr; i++) {
		uint64_t mfn = word_at(page, p2m->word, i);

		if (mfn >= r->dom->info.max_mfn)
			continue;
		at[nr_mfns] = i;
		mfns[nr_mfns++] = mfn;
	}
	err = nr_mfns ? r->dom->m2p(r->dom, mfns, nr_mfns, back) : 0;
	for (unsigned int i = 0; i < nr_mfns && !err; i++) {
		if (back[i] == pfn + at[i])
			err = reader_offer(r, mfns[i]);
		else
			r->notes.p2m_lies++;
	}
	return err;
}

/* Pages of the p2m, by their frames. */
static int offer_pages(struct reader *r, const struct p2m *p2m, const uint64_t *mfns,
		       uint64_t first, unsigned int nr)
{
	unsigned int per_page = TOOL_PAGE_SIZE / p2m->word;
	bool ok[READER_BATCH];
	int err = reader_read(r, mfns, nr, r->batch, ok);

	for (unsigned int i = 0; i < nr && !err; i++) {
		uint64_t pfn = (first + i) * per_page, left = p2m->nr_pfns - pfn;

		if (ok[i])
			err = offer_entries(r, p2m, r->batch + (size_t)i * TABLE_SLOTS, pfn,
					    left < per_page ? (unsigned int)left : per_page);
	}
	return err;
}

/* The frame of a page of the p2m, TOOL_NO_FRAME for a hole. */
typedef int page_of_fn(struct walker *w, const struct p2m *p2m, uint64_t page, uint64_t *mfn);

static int page_of_list(struct walker *w, const struct p2m *p2m, uint64_t page, uint64_t *mfn)
{
	int err = walk_frame(w, p2m->va + page * TOOL_PAGE_SIZE, mfn);

	if (err != -EFAULT)
		return err;
	*mfn = TOOL_NO_FRAME;
	return 0;
}

/* A tree of frames is walked like tables, with the walker's room for its two upper levels. */
static int page_of_tree(struct walker *w, const struct p2m *p2m, uint64_t page, uint64_t *mfn)
{
	unsigned int per_page = TOOL_PAGE_SIZE / p2m->word;
	uint64_t at = p2m->top;

	for (unsigned int level = 2; level; level--) {
		uint64_t slot = level == 2 ? page / per_page : page % per_page;
		bool ok = w->kept[level] == at;
		int err = ok ? 0 : reader_read(w->reader, &at, 1, w->entries[level], &ok);

		if (err)
			return err;
		w->kept[level] = ok ? at : TOOL_NO_FRAME;
		at = ok ? word_at(w->entries[level], p2m->word, (unsigned int)slot) : TOOL_NO_FRAME;
		if (at == TOOL_NO_FRAME)
			break;
	}
	*mfn = at;
	return 0;
}

static int offer_all(struct reader *r, const struct p2m *p2m, page_of_fn *page_of)
{
	unsigned int per_page = TOOL_PAGE_SIZE / p2m->word, nr = 0;
	uint64_t nr_pages = (p2m->nr_pfns + per_page - 1) / per_page;
	uint64_t mfns[READER_BATCH], first = 0;
	struct walker *w = malloc(sizeof(*w));
	int err = w ? 0 : -ENOMEM;

	if (w)
		walk_init(w, r, p2m->root);
	for (uint64_t page = 0; page < nr_pages && !err; page++) {
		err = page_of(w, p2m, page, &mfns[nr++]);
		if (err || (nr < READER_BATCH && page + 1 < nr_pages))
			continue;
		err = offer_pages(r, p2m, mfns, first, nr);
		first += nr;
		nr = 0;
		if (!err)
			err = reader_progress(r, "reading the p2m", page + 1, nr_pages);
	}
	free(w);
	return err;
}

int p2m_offer_list(struct reader *r, uint64_t root, uint64_t va)
{
	const struct dom_info *info = &r->dom->info;
	const struct p2m p2m = {
		.nr_pfns = info->nr_pages,
		.root = root,
		.va = va,
		.word = info->width == 4 ? 4 : 8,
	};

	return offer_all(r, &p2m, page_of_list);
}

/* pfns that are believed: what the domain may own and some more, and what a tree can hold. */
static uint64_t most_pfns(const struct dom_info *info, const struct p2m *p2m)
{
	uint64_t most = info->nr_pages > info->max_pages ? info->nr_pages : info->max_pages;
	uint64_t per_page = TOOL_PAGE_SIZE / p2m->word, tree = per_page * per_page * per_page;

	most = (most < info->max_mfn ? most : info->max_mfn) + SPARE_PFNS;
	return !p2m->root && tree < most ? tree : most;
}

int p2m_offer(struct reader *r)
{
	struct p2m p2m;
	int err = find_p2m(r, &p2m);

	if (err)
		return err;
	/* The list goes first, as the tree may end where it cannot hold more. */
	if (!p2m.nr_pfns || (!p2m.root && !p2m.top)) {
		r->notes.p2m_absent = true;
		return 0;
	}
	if (p2m.nr_pfns > most_pfns(&r->dom->info, &p2m)) {
		p2m.nr_pfns = most_pfns(&r->dom->info, &p2m);
		r->notes.p2m_cut = true;
	}
	return offer_all(r, &p2m, p2m.root ? page_of_list : page_of_tree);
}
