/* SPDX-License-Identifier: MIT */
/* See inspect.h. Trees and lists of the guest's are followed for a bounded number of steps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inspect.h"
#include "text.h"

/* Where kernels of this library are (pvmm/x86_64/layout.h), and how far the block is looked for. */
#define KERNEL_BASE    0xffffffff80000000ULL
#define IMAGE_PAGES    4096u
#define MAX_TREE_DEPTH 64u
#define MAX_SYMBOLS    (1u << 20)
#define MAX_STACKS     (1u << 20)

/* A vCPU's root, or any that is pinned: the kernel's half is the same in all. */
static uint64_t some_root(const struct reader *r)
{
	for (unsigned int i = 0; i < r->nr_vcpus; i++)
		if (r->vcpus[i].root != TOOL_NO_FRAME)
			return r->vcpus[i].root;
	for (size_t i = 0; i < r->nr_tables; i++)
		if (r->tables[i].level == r->layout->levels && r->tables[i].is_pinned)
			return r->tables[i].mfn;
	return TOOL_NO_FRAME;
}

static bool is_sane(const struct pvmm_inspect *b)
{
	return b->kernel_base == KERNEL_BASE && b->page_bytes >= 8 && b->page_bytes <= 1024 &&
	       b->page_kind_at < b->page_bytes && b->page_live_at <= b->page_bytes - 4 &&
	       b->page_stale_at <= b->page_bytes - 4 && b->owner_bytes >= 8 &&
	       b->owner_bytes <= 1024 && b->owner_allocated_at <= b->owner_bytes - 4 &&
	       b->owner_freed_at <= b->owner_bytes - 4 && b->stack_bytes >= 8 &&
	       b->stack_bytes <= 1024 && b->chunk_slots && b->chunk_slots <= 512;
}

/* Fields that an older guest does not have stay 0. */
static int take_block(struct inspect *i, uint64_t va)
{
	uint32_t bytes;
	int err = walk_read(&i->walk, va + offsetof(struct pvmm_inspect, bytes), &bytes,
			    sizeof(bytes));

	if (err)
		return err;
	if (bytes > sizeof(i->block))
		bytes = sizeof(i->block);
	err = walk_read(&i->walk, va, &i->block, bytes);
	if (!err && is_sane(&i->block))
		i->is_known = true;
	return err;
}

static int find_block(struct inspect *i)
{
	static const char magic[PVMM_INSPECT_MAGIC_BYTES] = PVMM_INSPECT_MAGIC;
	uint8_t page[TOOL_PAGE_SIZE];

	for (unsigned int n = 0; n < IMAGE_PAGES; n++) {
		uint64_t va = KERNEL_BASE + (uint64_t)n * TOOL_PAGE_SIZE;
		int err = walk_read(&i->walk, va, page, sizeof(page));

		if (err)
			return err;
		for (unsigned int at = 0; at < sizeof(page); at += PVMM_INSPECT_ALIGN)
			if (!memcmp(page + at, magic, sizeof(magic)))
				return take_block(i, va + at);
	}
	return 0;
}

static uint64_t word_or_0(struct inspect *i, uint64_t va, unsigned int bytes)
{
	uint64_t word = 0;

	return va && !walk_read(&i->walk, va, &word, bytes) ? word : 0;
}

int inspect_open(struct inspect *i, struct reader *r)
{
	int err;

	i->is_known = false;
	memset(&i->block, 0, sizeof(i->block));
	walk_init(&i->walk, r, some_root(r));
	if (r->layout->levels != 4 || i->walk.root == TOOL_NO_FRAME)
		return 0;
	err = find_block(i);
	if (!i->is_known)
		return err == -EFAULT ? 0 : err;
	i->stacks = word_or_0(i, i->block.stacks_where, 8);
	i->nr_stacks = word_or_0(i, i->block.nr_stacks_where, 4);
	i->nr_symbols = word_or_0(i, i->block.nr_symbols_where, 4);
	if (i->nr_stacks > MAX_STACKS)
		i->nr_stacks = 0;
	if (i->nr_symbols > MAX_SYMBOLS)
		i->nr_symbols = 0;
	return i->block.p2m_base ? reader_use_list(r, i->walk.root, i->block.p2m_base) : 0;
}

/* --- pages and stacks --- */

const char *inspect_kind_name(unsigned int kind)
{
	static const char *const names[] = {
		"free", "kernel",    "L1 table", "L2 table", "L3 table",    "L4 table",
		"user", "ballooned", "granted",	 "reserved", "quarantined",
	};

	return kind < TOOL_ARRAY_SIZE(names) ? names[kind] : "of a kind unknown here";
}

int inspect_page(struct inspect *i, uint64_t pfn, struct inspect_page *page)
{
	const struct pvmm_inspect *b = &i->block;
	uint64_t va = b->pages_base + pfn * b->page_bytes;
	uint8_t record[1024];
	int err;

	*page = (struct inspect_page){0};
	if (pfn >= b->directmap_bytes >> TOOL_PAGE_SHIFT)
		return -ENOENT;
	err = walk_read(&i->walk, va, record, b->page_bytes);
	if (err)
		return err;
	page->kind = record[b->page_kind_at];
	memcpy(&page->live, record + b->page_live_at, 4);
	memcpy(&page->stale, record + b->page_stale_at, 4);
	va = b->owners_base + pfn * b->owner_bytes;
	page->allocated = (uint32_t)word_or_0(i, va + b->owner_allocated_at, 4);
	page->freed = (uint32_t)word_or_0(i, va + b->owner_freed_at, 4);
	return 0;
}

int inspect_stack(struct inspect *i, uint32_t number, struct inspect_stack *stack)
{
	const struct pvmm_inspect *b = &i->block;
	uint64_t va = i->stacks + (uint64_t)(number - 1) * b->stack_bytes;
	unsigned int most = b->stack_depth < INSPECT_DEPTH ? b->stack_depth : INSPECT_DEPTH;
	uint32_t nr = 0;
	int err;

	*stack = (struct inspect_stack){0};
	if (!number || number > i->nr_stacks)
		return -ENOENT;
	err = walk_read(&i->walk, va + b->stack_nr_at, &nr, sizeof(nr));
	if (!err)
		err = walk_read(&i->walk, va + b->stack_callers_at, stack->callers,
				most * sizeof(stack->callers[0]));
	stack->nr = nr < most ? nr : most;
	return err;
}

/* --- areas --- */

static const char *state_name(const struct inspect *i, unsigned int state)
{
	if (state == i->block.state_live)
		return "live";
	return state == i->block.state_stale ? "stale" : "cleared";
}

static void read_name(struct inspect *i, uint64_t va, char *name)
{
	char raw[INSPECT_RAW] = "";

	for (unsigned int n = 0; va && n + 1 < INSPECT_RAW; n++)
		if (walk_read(&i->walk, va + n, &raw[n], 1) || !raw[n]) {
			raw[n] = 0;
			break;
		}
	text_escape(name, INSPECT_NAME, raw);
}

static int read_area(struct inspect *i, uint64_t at, uint64_t va, struct inspect_area *area)
{
	const struct pvmm_inspect *b = &i->block;
	uint64_t name;
	int err = walk_word(&i->walk, at + b->area_va_at, &area->va);

	if (!err)
		err = walk_word(&i->walk, at + b->area_nr_pages_at, &area->nr_pages);
	if (!err)
		err = walk_word(&i->walk, at + b->area_name_at, &name);
	if (err)
		return err;
	if (va < area->va || (va - area->va) >> TOOL_PAGE_SHIFT > area->nr_pages ||
	    area->nr_pages > b->vmap_bytes >> TOOL_PAGE_SHIFT)
		return -ENOENT;
	area->is_guard = (va - area->va) >> TOOL_PAGE_SHIFT == area->nr_pages;
	area->state = state_name(i, (unsigned int)word_or_0(i, at + b->area_state_at, 1));
	area->made_ns = word_or_0(i, at + b->area_made_at, 8);
	area->given_up_ns = word_or_0(i, at + b->area_given_up_at, 8);
	area->maker = (uint32_t)word_or_0(i, at + b->area_maker_at, 4);
	area->giver_up = (uint32_t)word_or_0(i, at + b->area_giver_up_at, 4);
	read_name(i, name, area->name);
	return 0;
}

/* The area in the chunk's table that starts at or before the slot of va. */
static int area_of_chunk(struct inspect *i, uint64_t chunk, uint64_t va, struct inspect_area *area)
{
	uint64_t table, at;
	int err = walk_word(&i->walk, chunk + i->block.chunk_table_at, &table);

	for (int n = (int)(va >> TOOL_PAGE_SHIFT & (i->block.chunk_slots - 1)) / 2; n >= 0 && !err;
	     n--) {
		err = walk_word(&i->walk, table + (unsigned int)n * 8, &at);
		if (err || !at)
			continue;
		err = read_area(i, at, va, area);
		/* The one before may be it, when two begin in the same pair of slots. */
		if (err != -ENOENT)
			return err;
		err = 0;
	}
	return err ? err : -ENOENT;
}

int inspect_area(struct inspect *i, uint64_t va, struct inspect_area *area)
{
	const struct pvmm_inspect *b = &i->block;
	uint64_t page = va >> TOOL_PAGE_SHIFT, at, start = 0, end = 0;
	int err = walk_word(&i->walk, b->vmap_root_where, &at);

	*area = (struct inspect_area){0};
	for (unsigned int depth = 0; !err && at && depth < MAX_TREE_DEPTH; depth++) {
		err = walk_word(&i->walk, at + b->range_start_at, &start);
		if (!err)
			err = walk_word(&i->walk, at + b->range_end_at, &end);
		if (err)
			return err;
		if (page >= start && page < end) {
			if (word_or_0(i, at + b->range_is_chunk_at, 1))
				return area_of_chunk(i, at - b->chunk_range_at, va, area);
			return read_area(i, at - b->large_range_at + b->large_area_at, va, area);
		}
		err = walk_word(&i->walk,
				at + (page < start ? b->range_left_at : b->range_right_at), &at);
	}
	return err ? err : -ENOENT;
}

/* --- names --- */

void inspect_describe(struct inspect *i, uint64_t va, char *buf, size_t len_bytes)
{
	const struct pvmm_inspect *b = &i->block;
	uint64_t offset = va - b->kernel_base, low = 0, high = i->nr_symbols;
	char name[INSPECT_NAME];
	uint32_t symbol[2];

	snprintf(buf, len_bytes, "0x%llx", (unsigned long long)va);
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (walk_read(&i->walk, b->symbols + middle * sizeof(symbol), symbol,
			      sizeof(symbol)))
			return;
		if (symbol[0] <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	/* The last symbol ends the text. */
	if (!low || low == i->nr_symbols ||
	    walk_read(&i->walk, b->symbols + (low - 1) * sizeof(symbol), symbol, sizeof(symbol)))
		return;
	read_name(i, b->names + symbol[1], name);
	snprintf(buf, len_bytes, "%s+0x%llx", name, (unsigned long long)(offset - symbol[0]));
}

/* --- for all pages --- */

struct page_visit {
	struct inspect *i;
	uint8_t *kinds; /* by pfn; 0xff for those whose record cannot be read */
	uint64_t nr_kinds;
	uint64_t *mfns; /* of tables or free pages */
	uint8_t *levels;
	size_t nr, max;
	bool wants_free;
};

#define NO_KIND 0xff

/* Pages of records that lie next to each other are read together. */
static int read_kinds(struct page_visit *v, uint64_t first_va, unsigned int nr)
{
	const struct pvmm_inspect *b = &v->i->block;
	struct reader *r = v->i->walk.reader;
	uint64_t mfns[READER_BATCH], pfn;
	bool ok[READER_BATCH];
	int err = 0;

	for (unsigned int n = 0; n < nr && !err; n++) {
		err = walk_frame(&v->i->walk, first_va + (uint64_t)n * TOOL_PAGE_SIZE, &mfns[n]);
		if (err == -EFAULT) {
			mfns[n] = TOOL_NO_FRAME;
			err = 0;
		}
	}
	if (!err)
		err = reader_read(r, mfns, nr, r->batch, ok);
	if (err)
		return err;
	/* The first record whose kind can lie in these pages, and all behind it. */
	pfn = first_va <= b->pages_base ? 0 : (first_va - b->pages_base) / b->page_bytes;
	for (; pfn < v->nr_kinds; pfn++) {
		uint64_t va = b->pages_base + pfn * b->page_bytes + b->page_kind_at;

		if (va < first_va)
			continue;
		if ((va - first_va) / TOOL_PAGE_SIZE >= nr)
			break;
		if (ok[(va - first_va) / TOOL_PAGE_SIZE])
			v->kinds[pfn] = ((const uint8_t *)r->batch)[va - first_va];
	}
	return 0;
}

static int find_last(struct reader *r, uint64_t mfn, uint64_t pfn, void *ctx)
{
	struct page_visit *v = ctx;

	(void)r;
	(void)mfn;
	/* pfns far beyond what the domain has are lies, and not worth the room. */
	if (pfn >= v->nr_kinds && pfn < 4 * r->own.nr + 65536)
		v->nr_kinds = pfn + 1;
	return 0;
}

static int read_all_kinds(struct page_visit *v)
{
	const struct pvmm_inspect *b = &v->i->block;
	uint64_t first = b->pages_base & ~(uint64_t)(TOOL_PAGE_SIZE - 1), nr_pages;
	int err = reader_for_each_frame(v->i->walk.reader, find_last, v);

	if (err)
		return err;
	v->kinds = malloc(v->nr_kinds + 1);
	if (!v->kinds)
		return -ENOMEM;
	memset(v->kinds, NO_KIND, v->nr_kinds + 1);
	nr_pages = (b->pages_base - first + v->nr_kinds * b->page_bytes) / TOOL_PAGE_SIZE + 1;
	for (uint64_t n = 0; n < nr_pages && !err; n += READER_BATCH) {
		uint64_t left = nr_pages - n;

		err = read_kinds(v, first + n * TOOL_PAGE_SIZE,
				 left < READER_BATCH ? (unsigned int)left : READER_BATCH);
		if (!err)
			err = reader_progress(v->i->walk.reader, "reading the guest's records", n,
					      nr_pages);
	}
	return err;
}

static int grow(struct page_visit *v)
{
	size_t max = v->max ? 2 * v->max : 256;
	uint64_t *mfns = realloc(v->mfns, max * sizeof(*mfns));
	uint8_t *levels = mfns ? realloc(v->levels, max) : NULL;

	if (mfns)
		v->mfns = mfns;
	if (!levels)
		return -ENOMEM;
	v->levels = levels;
	v->max = max;
	return 0;
}

static int collect(struct reader *r, uint64_t mfn, uint64_t pfn, void *ctx)
{
	struct page_visit *v = ctx;
	const struct pvmm_inspect *b = &v->i->block;
	uint8_t kind = pfn < v->nr_kinds ? v->kinds[pfn] : NO_KIND;
	bool is_table = kind >= b->kind_l1 && kind <= b->kind_l4;

	(void)r;
	if (kind == NO_KIND || !(v->wants_free ? kind == b->kind_free : is_table))
		return 0;
	if (v->nr == v->max && grow(v))
		return -ENOMEM;
	v->mfns[v->nr] = mfn;
	v->levels[v->nr++] = (uint8_t)(kind - b->kind_l1 + 1);
	return 0;
}

static int collect_all(struct page_visit *v)
{
	int err = v->i->is_known ? read_all_kinds(v) : 0;

	if (!err && v->i->is_known)
		err = reader_for_each_frame(v->i->walk.reader, collect, v);
	free(v->kinds);
	v->kinds = NULL;
	return err;
}

int inspect_add_tables(struct inspect *i, struct reader *r)
{
	struct page_visit v = {.i = i};
	int err = collect_all(&v);

	if (!err)
		err = reader_add_tables(r, v.mfns, v.levels, v.nr);
	free(v.mfns);
	free(v.levels);
	return err;
}

int inspect_free_frames(struct inspect *i, uint64_t **mfns, size_t *nr)
{
	struct page_visit v = {.i = i, .wants_free = true};
	int err = collect_all(&v);

	free(v.levels);
	if (err)
		free(v.mfns);
	*mfns = err ? NULL : v.mfns;
	*nr = err ? 0 : v.nr;
	return err;
}

int inspect_mark_free(struct inspect *i, struct census *census)
{
	uint64_t *mfns;
	size_t nr;
	int err = inspect_free_frames(i, &mfns, &nr);

	for (size_t n = 0; n < nr; n++) {
		struct census_frame *f = census_frame(census, mfns[n]);

		if (f)
			f->flags |= CENSUS_FREE;
	}
	free(mfns);
	return err;
}
