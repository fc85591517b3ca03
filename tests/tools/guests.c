/* SPDX-License-Identifier: MIT */
/* See guests.h. */
#include <assert.h>
#include <stddef.h>
#include <string.h>
#include "guests.h"

/* The layout of this test's kernel: offsets are chosen, and told by the block. */
enum {
	RANGE_LEFT = 0,
	RANGE_RIGHT = 8,
	RANGE_START = 16,
	RANGE_END = 24,
	RANGE_CHUNK = 32,
	LARGE_AREA = 40,
	CHUNK_TABLE = 48,
	AREA_VA = 0,
	AREA_PAGES = 8,
	AREA_NAME = 16,
	AREA_MADE = 24,
	AREA_GIVEN_UP = 32,
	AREA_MAKER = 40,
	AREA_GIVER_UP = 44,
	AREA_STATE = 48,
};

/* Where things are in the data page. */
enum {
	DATA_ROOT = 0x000,
	DATA_STACKS_WHERE = 0x008,
	DATA_NR_STACKS = 0x010,
	DATA_NR_SYMBOLS = 0x014,
	DATA_CHUNK = 0x100,
	DATA_LARGE = 0x180,
	DATA_SMALL_AREA = 0x240,
	DATA_STACKS = 0x300,
	DATA_SYMBOLS = 0x400,
	DATA_NAMES = 0x480,
	DATA_AREA_NAMES = 0x500,
};

#define RODATA (GUEST_IMAGE + 0x3000)
#define DATA   (GUEST_IMAGE + 0x4000)
#define TABLE  (GUEST_IMAGE + 0x5000)

static uint8_t *frame_at(struct image *image, uint64_t root, uint64_t va)
{
	const struct layout *layout = layout_of(8);
	uint64_t l1 = image_table(image, root, va, 1);

	return (uint8_t *)image_page(
		image, entry_frame(image_page(image, l1)[layout_slot(layout, 1, va)]));
}

static void put(uint8_t *page, size_t at, uint64_t value, size_t bytes)
{
	memcpy(page + at, &value, bytes);
}

static const struct pvmm_inspect block = {
	.magic = PVMM_INSPECT_MAGIC,
	.bytes = sizeof(struct pvmm_inspect),
	.nr_kinds = 11,
	.kernel_base = GUEST_IMAGE,
	.directmap_base = GUEST_DIRECT,
	.directmap_bytes = 1ULL << 39,
	.vmap_base = GUEST_VMAP,
	.vmap_bytes = 1ULL << 39,
	.kmap_base = GUEST_KMAP,
	.kmap_bytes = 1ULL << 21,
	.pages_base = GUEST_PAGES,
	.page_bytes = sizeof(struct guest_page),
	.page_kind_at = offsetof(struct guest_page, kind),
	.page_live_at = offsetof(struct guest_page, live),
	.page_stale_at = offsetof(struct guest_page, stale),
	.kind_free = 0,
	.kind_l1 = 2,
	.kind_l4 = 5,
	.owners_base = GUEST_OWNERS,
	.owner_bytes = 8,
	.owner_allocated_at = 0,
	.owner_freed_at = 4,
	.stack_bytes = 64,
	.stacks_where = DATA + DATA_STACKS_WHERE,
	.nr_stacks_where = DATA + DATA_NR_STACKS,
	.stack_nr_at = 0,
	.stack_callers_at = 8,
	.stack_depth = 7,
	.vmap_root_where = DATA + DATA_ROOT,
	.range_left_at = RANGE_LEFT,
	.range_right_at = RANGE_RIGHT,
	.range_start_at = RANGE_START,
	.range_end_at = RANGE_END,
	.range_is_chunk_at = RANGE_CHUNK,
	.chunk_range_at = 0,
	.chunk_table_at = CHUNK_TABLE,
	.chunk_slots = 512,
	.large_range_at = 0,
	.large_area_at = LARGE_AREA,
	.area_va_at = AREA_VA,
	.area_nr_pages_at = AREA_PAGES,
	.area_name_at = AREA_NAME,
	.area_state_at = AREA_STATE,
	.area_made_at = AREA_MADE,
	.area_given_up_at = AREA_GIVEN_UP,
	.area_maker_at = AREA_MAKER,
	.area_giver_up_at = AREA_GIVER_UP,
	.state_live = 1,
	.state_stale = 2,
	.symbols = DATA + DATA_SYMBOLS,
	.nr_symbols_where = DATA + DATA_NR_SYMBOLS,
	.names = DATA + DATA_NAMES,
};

static void put_area(uint8_t *data, size_t at, uint64_t va, uint64_t nr_pages, uint64_t name)
{
	put(data, at + AREA_VA, va, 8);
	put(data, at + AREA_PAGES, nr_pages, 8);
	put(data, at + AREA_NAME, name, 8);
	put(data, at + AREA_MADE, 1204000000, 8);
	put(data, at + AREA_MAKER, 1, 4);
	put(data, at + AREA_STATE, 1, 1);
}

/* Two ranges: the chunk is the root, the large area is to its right. */
static void put_areas(uint8_t *data, uint8_t *table)
{
	put(data, DATA_ROOT, DATA + DATA_CHUNK, 8);
	put(data, DATA_CHUNK + RANGE_RIGHT, DATA + DATA_LARGE, 8);
	put(data, DATA_CHUNK + RANGE_START, GUEST_VMAP >> 12, 8);
	put(data, DATA_CHUNK + RANGE_END, (GUEST_VMAP >> 12) + 512, 8);
	put(data, DATA_CHUNK + RANGE_CHUNK, 1, 1);
	put(data, DATA_CHUNK + CHUNK_TABLE, TABLE, 8);
	put(table, 8 * (0x12 / 2), DATA + DATA_SMALL_AREA, 8);
	put_area(data, DATA_SMALL_AREA, GUEST_SMALL, GUEST_SMALL_PAGES, DATA + DATA_AREA_NAMES);
	put(data, DATA_SMALL_AREA + AREA_STATE, 2, 1);
	put(data, DATA_SMALL_AREA + AREA_GIVEN_UP, 1310000000, 8);
	put(data, DATA_SMALL_AREA + AREA_GIVER_UP, 2, 4);
	put(data, DATA_LARGE + RANGE_START, GUEST_LARGE >> 12, 8);
	put(data, DATA_LARGE + RANGE_END, (GUEST_LARGE >> 12) + GUEST_LARGE_PAGES + 1, 8);
	put_area(data, DATA_LARGE + LARGE_AREA, GUEST_LARGE, GUEST_LARGE_PAGES,
		 DATA + DATA_AREA_NAMES + 16);
	memcpy(data + DATA_AREA_NAMES, "xfs_buf", 8);
	memcpy(data + DATA_AREA_NAMES + 16, "big\033[2J\"", 9);
}

/* "buf_map" at 0x1000, "buf_free" at 0x1100; the text ends at 0x1200. */
static void put_names(uint8_t *data)
{
	static const uint32_t symbols[3][2] = {{0x1000, 0}, {0x1100, 8}, {0x1200, 17}};

	memcpy(data + DATA_SYMBOLS, symbols, sizeof(symbols));
	memcpy(data + DATA_NAMES, "buf_map\0buf_free\0", 18);
	put(data, DATA_NR_SYMBOLS, 3, 4);
	put(data, DATA_STACKS_WHERE, DATA + DATA_STACKS, 8);
	put(data, DATA_NR_STACKS, 2, 4);
	put(data, DATA_STACKS, 2, 4);
	put(data, DATA_STACKS + 8, GUEST_IMAGE + 0x1041, 8);
	put(data, DATA_STACKS + 16, GUEST_IMAGE + 0x1090, 8);
	put(data, DATA_STACKS + 64, 1, 4);
	put(data, DATA_STACKS + 72, GUEST_IMAGE + 0x1151, 8);
}

static uint64_t pages_root;

struct guest_page *guest_page(struct image *image, uint64_t pfn)
{
	uint64_t va = GUEST_PAGES + pfn * sizeof(struct guest_page);

	return (struct guest_page *)(frame_at(image, pages_root, va) + va % TOOL_PAGE_SIZE);
}

static void map_new(struct image *image, uint64_t root, uint64_t va, unsigned int nr, uint64_t bits)
{
	for (unsigned int i = 0; i < nr; i++)
		image_map(image, root, va + (uint64_t)i * TOOL_PAGE_SIZE,
			  image_frame(image, FRAME_PLAIN), bits);
}

void guest_pvmm(struct image *image, uint64_t root)
{
	unsigned int pages = image->nr * sizeof(struct guest_page) / TOOL_PAGE_SIZE + 1;

	map_new(image, root, GUEST_IMAGE, 6, ENTRY_RW);
	map_new(image, root, GUEST_PAGES, pages, ENTRY_RW);
	map_new(image, root, GUEST_OWNERS, image->nr * 8 / TOOL_PAGE_SIZE + 1, ENTRY_RW);
	memcpy(frame_at(image, root, RODATA) + 0x20, &block, sizeof(block));
	put_areas(frame_at(image, root, DATA), frame_at(image, root, TABLE));
	put_names(frame_at(image, root, DATA));
	pages_root = root;
	for (uint64_t pfn = 0; pfn < image->nr; pfn++) {
		uint8_t *owners = frame_at(image, root, GUEST_OWNERS + pfn * 8);

		guest_page(image, pfn)->kind = 9;
		put(owners, pfn * 8 % TOOL_PAGE_SIZE, 1, 4);
		put(owners, pfn * 8 % TOOL_PAGE_SIZE + 4, 2, 4);
	}
}

void guest_linux(struct image *image, uint64_t root, uint64_t area, uint64_t nr_pages)
{
	uint64_t heap = GUEST_DIRECT + 0x5000, other = heap + 0x100, vm = heap + 0x200;
	uint8_t *data, *page;

	map_new(image, root, GUEST_LINUX_TREE & ~0xfffULL, 1, ENTRY_RW);
	map_new(image, root, heap, 1, ENTRY_RW);
	data = frame_at(image, root, GUEST_LINUX_TREE);
	page = frame_at(image, root, heap);
	/* The tree's root is an area behind ours, which is to its left. */
	put(data, 0x100, other + 16, 8);
	put(page, 0x100, area + 0x100000, 8);
	put(page, 0x108, area + 0x200000, 8);
	put(page, 0x100 + 16 + 16, heap + 16, 8);
	put(page, 0x00, area, 8);
	put(page, 0x08, area + (nr_pages + 1) * TOOL_PAGE_SIZE, 8);
	put(page, 56, vm, 8);
	put(page, 0x200 + 8, area, 8);
	put(page, 0x200 + 16, (nr_pages + 1) * TOOL_PAGE_SIZE, 8);
	put(page, 0x200 + 24, 4, 8);
	put(page, 0x200 + 44, nr_pages, 4);
	put(page, 0x200 + 56, 0xffffffffc0001234ULL, 8);
}
