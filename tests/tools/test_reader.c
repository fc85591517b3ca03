/* SPDX-License-Identifier: MIT */
/*
 * What the reader finds in a domain's tables, whatever the domain does to them (R44). A fault looks
 * like a mapping that is not found, an address that is not its own, a frame read that is not the
 * domain's, or work without a bound.
 */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
#include "image.h"
#include "tools/census.h"
#include "tools/search.h"
#include "tools/walk.h"

#define VA    0xffffc90000012000ULL
#define OTHER 0xffff888000345000ULL

static struct image image;
static struct reader reader;
static struct search_result result;
static uint64_t root;

static void begin(unsigned int nr, unsigned int width)
{
	image_init(&image, nr, width);
	root = image_frame(&image, (width == 4 ? FRAME_L3 : FRAME_L4) | FRAME_PINNED);
	image.vcpus[0].root = root;
}

static int look(uint64_t mfn)
{
	const struct search_request request = {.mfns = &mfn, .nr_mfns = 1};

	assert_int_equal(reader_open(&reader, &image.dom, NULL), 0);
	return search(&reader, &request, &result);
}

static int finish(void **state)
{
	(void)state;
	assert_int_equal(image.nr_foreign_reads, 0);
	search_free(&result);
	reader_close(&reader);
	image_free(&image);
	return 0;
}

static void an_entry(void **state)
{
	const struct finding *f;
	uint64_t page;

	(void)state;
	begin(256, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, ENTRY_RW | ENTRY_USER | ENTRY_KERNEL | ENTRY_PCD);
	image_publish_tree(&image);
	assert_int_equal(look(page), 0);

	assert_int_equal(reader.notes.missing, 0);
	assert_int_equal(reader.notes.p2m_lies, 0);
	assert_int_equal(image.nr_foreign_types, 0);
	assert_int_equal(result.nr, 1);
	f = &result.findings[0];
	assert_int_equal(f->holder, HOLDER_ENTRY);
	assert_int_equal(f->mfn, page);
	assert_int_equal(f->nr_addresses, 1);
	assert_int_equal(f->at[0].va, VA);
	assert_int_equal(f->at[0].nr_roots, 1);
	assert_true(f->at[0].is_loaded);
	assert_int_equal(f->table, image_table(&image, root, VA, 1));
	assert_int_equal(f->table_pfn, image_pfn(&image, f->table));
	assert_int_equal(f->slot, 0x12);
	assert_int_equal(f->state, TABLE_REFERRED);
	assert_int_equal(f->at[0].table[4], root);
	assert_int_equal(f->at[0].slot[4], 0x192);
	assert_true(finding_is_writable(f));
	assert_false(f->is_user);
	assert_false(f->changed);
	assert_string_equal(entry_attribute(f->entry), "UC-");
}

static void an_entry_of_pae(void **state)
{
	uint64_t page;

	(void)state;
	begin(300, 4);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, 0xc0345000, page, ENTRY_RW);
	image_map(&image, root, 0x08048000, page, ENTRY_USER);
	image_page(&image, root)[5] = page << 12 | ENTRY_PRESENT; /* no slot: a root has four */
	image_publish_tree(&image);
	assert_int_equal(look(page), 0);

	assert_int_equal(reader.notes.missing, 0);
	assert_int_equal(result.nr, 2);
	assert_int_equal(result.findings[0].at[0].va, 0x08048000);
	assert_true(result.findings[0].is_user);
	assert_false(finding_is_writable(&result.findings[0]));
	assert_int_equal(result.findings[1].at[0].va, 0xc0345000);
	assert_int_equal(result.findings[1].at[0].slot[3], 3);
	assert_int_equal(result.findings[1].at[0].table[3], root);
}

/* A kernel's table that several roots share is one entry at one address. */
static void a_table_of_many_roots(void **state)
{
	uint64_t page, others[3];

	(void)state;
	begin(256, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, ENTRY_RW);
	for (unsigned int i = 0; i < 3; i++) {
		others[i] = image_frame(&image, FRAME_L4 | FRAME_PINNED);
		image_page(&image, others[i])[layout_slot(layout_of(8), 4, VA)] =
			image_page(&image, root)[layout_slot(layout_of(8), 4, VA)];
	}
	image_publish_tree(&image);
	assert_int_equal(look(page), 0);
	assert_int_equal(result.nr, 1);
	assert_int_equal(result.findings[0].nr_addresses, 1);
	assert_int_equal(result.findings[0].at[0].nr_roots, 4);
	assert_int_equal(result.findings[0].at[0].table[4], root); /* the one that is loaded */
}

/* A table that is reached at two places translates two addresses. */
static void a_table_at_two_places(void **state)
{
	uint64_t page;

	(void)state;
	begin(256, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, ENTRY_RW);
	image_map(&image, root, VA + (2ULL << 21), page, ENTRY_RW);
	image_page(&image, image_table(&image, root, VA, 2))[layout_slot(layout_of(8), 2, VA) + 1] =
		image_table(&image, root, VA, 1) << 12 | ENTRY_PRESENT;
	assert_int_equal(look(page), 0);
	assert_int_equal(result.nr, 2);
	assert_int_equal(result.findings[0].nr_addresses, 2);
	assert_int_equal(result.findings[0].at[0].va, VA);
	assert_false(result.findings[0].at[0].is_readonly_above);
	assert_int_equal(result.findings[0].at[1].va, VA + (1ULL << 21));
	assert_true(result.findings[0].at[1].is_readonly_above);
	assert_int_equal(result.findings[1].at[0].va, VA + (2ULL << 21));
}

/* Tables that no root leads to: pinned, and only of that type. */
static void tables_without_a_root(void **state)
{
	uint64_t page, pinned, idle;

	(void)state;
	begin(256, 8);
	page = image_frame(&image, FRAME_PLAIN);
	pinned = image_frame(&image, FRAME_L1 | FRAME_PINNED);
	idle = image_frame(&image, FRAME_L1);
	image_page(&image, pinned)[7] = page << 12 | ENTRY_PRESENT | ENTRY_RW;
	image_page(&image, idle)[8] = page << 12 | ENTRY_PRESENT;
	image_publish_tree(&image);
	assert_int_equal(look(page), 0);
	assert_int_equal(result.nr, 2);
	assert_int_equal(result.findings[0].nr_addresses, 0);
	assert_int_equal(result.findings[0].table, pinned);
	assert_int_equal(result.findings[0].state, TABLE_PINNED);
	assert_int_equal(result.findings[1].slot, 8);
	assert_int_equal(result.findings[1].state, TABLE_UNREACHED);
}

/* Without a p2m, the tables themselves lead to everything. */
static void without_a_p2m(void **state)
{
	uint64_t page, hidden;

	(void)state;
	begin(64, 8);
	page = image_frame(&image, FRAME_PLAIN);
	hidden = image_frame(&image, FRAME_L1 | FRAME_PINNED);
	image_map(&image, root, OTHER, hidden, 0);
	image_page(&image, hidden)[3] = page << 12 | ENTRY_PRESENT | ENTRY_RW;
	assert_int_equal(look(page), 0);
	assert_true(reader.notes.p2m_absent);
	assert_int_equal(reader.notes.missing, 64 - 6); /* five tables, and the page */
	assert_int_equal(result.nr, 1);
	assert_int_equal(result.findings[0].table, hidden);
}

/* Entries of the p2m for what is not the domain's, or is another pfn's. */
static void a_lying_p2m(void **state)
{
	uint64_t page, leaf, *words;

	(void)state;
	begin(256, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, ENTRY_RW);
	image_publish_tree(&image);
	leaf = IMAGE_BASE + image.next - 1;
	words = image_page(&image, leaf);
	words[0] = 0x10;	   /* another domain's */
	words[1] = IMAGE_BASE + 2; /* not this pfn's */
	words[2] = 1ULL << 50;
	words[3] = IMAGE_BASE + image.nr + 3;
	assert_int_equal(look(page), 0);
	assert_int_equal(result.nr, 1);
	assert_int_equal(reader.notes.p2m_lies, 3); /* the 50-bit number is no frame at all */
	assert_int_equal(image.nr_foreign_types, 0);
	/* What the p2m hid, but for the image's four pages that no table maps. */
	assert_true(reader.notes.missing <= 4);
}

/* A p2m that points at itself, at nothing, at others; and one that never ends. */
static void a_p2m_that_points_anywhere(void **state)
{
	static const uint64_t tops[] = {0x10, IMAGE_BASE, 1ULL << 40, IMAGE_BASE + 300};

	(void)state;
	begin(256, 8);
	for (unsigned int i = 0; i < TOOL_ARRAY_SIZE(tops); i++) {
		for (unsigned int list = 0; list < 2; list++) {
			image_publish_word(&image, 0, UINT64_MAX);
			image_publish_word(&image, 1, list ? TOOL_NO_FRAME : tops[i]);
			image_publish_word(&image, 3, list ? tops[i] << 12 : 0);
			image_publish_word(&image, 4, 0xffffe90000000000ULL);
			image_page(&image, root)[1] = root;
			assert_int_equal(look(IMAGE_BASE + 9), 0);
			assert_true(reader.notes.p2m_cut);
			search_free(&result);
			reader_close(&reader);
		}
	}
	assert_true(image.nr_reads < 20000);
	assert_int_equal(look(IMAGE_BASE + 9), 0);
}

static void a_p2m_as_a_list(void **state)
{
	for (unsigned int width = 4; width <= 8; width += 4) {
		uint64_t orphan, page;

		begin(1500, width);
		page = image_frame(&image, FRAME_PLAIN);
		orphan = image_frame(&image, FRAME_L1 | FRAME_PINNED);
		image_page(&image, orphan)[3] = page << 12 | ENTRY_PRESENT | ENTRY_RW;
		image_publish_list(&image, root, width == 4 ? 0xd0000000 : 0xffffe90000000000ULL);
		assert_int_equal(look(page), 0);
		assert_false(reader.notes.p2m_absent);
		assert_int_equal(reader.notes.p2m_lies, 0);
		assert_int_equal(reader.notes.missing, 0);
		assert_int_equal(result.nr, 1);
		assert_int_equal(result.findings[0].table, orphan);
		if (width == 4)
			finish(state);
	}
}

/* Entries that lead back up, to their own table, and around. */
static void loops(void **state)
{
	uint64_t page, l2, l3;

	(void)state;
	begin(256, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, ENTRY_RW);
	l2 = image_table(&image, root, VA, 2);
	l3 = image_table(&image, root, VA, 3);
	image_page(&image, root)[300] = root << 12 | ENTRY_PRESENT;
	image_page(&image, l2)[5] = l3 << 12 | ENTRY_PRESENT;
	image_page(&image, l2)[6] = l2 << 12 | ENTRY_PRESENT;
	image_page(&image, l3)[6] = root << 12 | ENTRY_PRESENT;
	assert_int_equal(look(page), 0);
	assert_int_equal(result.nr, 1);
	assert_int_equal(result.findings[0].nr_addresses, 1);
	assert_int_equal(result.findings[0].at[0].va, VA);
}

/* What refers to a table, as a table. */
static void a_table_is_asked_for(void **state)
{
	uint64_t page, l1;

	(void)state;
	begin(256, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, ENTRY_RW);
	l1 = image_table(&image, root, VA, 1);
	image_map(&image, root, OTHER, l1, 0);
	image_page(&image, l1)[9] = l1 << 12 | ENTRY_PRESENT;
	assert_int_equal(look(l1), 0);
	assert_int_equal(result.nr, 3);
	assert_int_equal(result.findings[0].at[0].va, OTHER);
	assert_int_equal(result.findings[1].at[0].va, (VA & ~0x1fffffULL) + (9 << 12));
	assert_int_equal(result.findings[2].holder, HOLDER_TABLE);
	assert_int_equal(result.findings[2].level, 2);
	assert_int_equal(result.findings[2].at[0].va, VA & ~0x1fffffULL);
	search_free(&result);
	reader_close(&reader);

	image_page(&image, root)[300] = root << 12 | ENTRY_PRESENT;
	assert_int_equal(look(root), 0);
	assert_int_equal(result.nr, 2);
	assert_int_equal(result.findings[0].holder, HOLDER_LINEAR);
	assert_int_equal(result.findings[1].holder, HOLDER_ROOT);
}

static void holders_that_are_no_entries(void **state)
{
	uint64_t page, ldt;

	(void)state;
	begin(256, 8);
	page = image_frame(&image, FRAME_PLAIN);
	ldt = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, ldt, 0);
	image.vcpus[0].gdt[1] = page;
	image.vcpus[0].nr_gdt = 2;
	image.vcpus[0].ldt_va = VA;
	image.vcpus[0].ldt_entries = 9;
	image.grants[0] = (struct dom_grant){.ref = 8, .domid = 0, .mfn = page, .is_mapped = true};
	image.nr_grants = 1;
	assert_int_equal(look(page), 0);
	assert_int_equal(result.nr, 2);
	assert_int_equal(result.findings[0].holder, HOLDER_GDT);
	assert_int_equal(result.findings[1].holder, HOLDER_GRANT);
	assert_int_equal(result.findings[1].grant.ref, 8);
	search_free(&result);
	reader_close(&reader);
	assert_int_equal(look(ldt), 0);
	assert_int_equal(result.nr, 2);
	assert_int_equal(result.findings[1].holder, HOLDER_LDT);
}

/* Every slot of every level leads on: 512^3 addresses for each of 512 entries. */
static void too_many_addresses(void **state)
{
	uint64_t page;

	(void)state;
	begin(64, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, ENTRY_RW);
	for (unsigned int level = 4; level >= 1; level--) {
		uint64_t table = image_table(&image, root, VA, level);
		uint64_t entry = image_page(&image, table)[layout_slot(layout_of(8), level, VA)];

		for (unsigned int s = 0; s < TABLE_SLOTS; s++)
			image_page(&image, table)[s] = entry;
	}
	assert_int_equal(look(page), 0);
	assert_int_equal(result.nr, 512);
	for (unsigned int i = 0; i < result.nr; i++) {
		assert_int_equal(result.findings[i].nr_addresses, FINDING_ADDRESSES);
		assert_true(result.findings[i].has_more_addresses);
	}
}

/* More findings than are wanted: it says so. */
static void too_many_findings(void **state)
{
	struct search_request request = {.nr_mfns = 1, .max_findings = 10};
	uint64_t page;

	(void)state;
	begin(64, 8);
	page = image_frame(&image, FRAME_PLAIN);
	for (unsigned int i = 0; i < 20; i++)
		image_map(&image, root, VA + i * 0x1000, page, ENTRY_RW);
	request.mfns = &page;
	assert_int_equal(reader_open(&reader, &image.dom, NULL), 0);
	assert_int_equal(search(&reader, &request, &result), 0);
	assert_int_equal(result.nr, 10);
	assert_true(result.is_full);
}

/* All that a domain has are tables, and each leads to every frame of the machine. */
static void everything_is_a_table(void **state)
{
	(void)state;
	begin(2000, 8);
	for (unsigned int s = 0; s < 256; s++)
		image_page(&image, root)[s] = (IMAGE_BASE + 7ULL * s) << 12 | ENTRY_PRESENT;
	while (image.next < image.nr) {
		uint64_t table = image_frame(&image, (uint8_t)(1 + image.next % 4));

		for (unsigned int s = 0; s < TABLE_SLOTS; s++)
			image_page(&image, table)[s] =
				(image.next * 512ULL + s) % (1 << 20) << 12 | ENTRY_PRESENT;
	}
	image.dom.info.max_mfn = 1 << 20;
	image.dom.info.nr_pages = 3000; /* some that nothing leads to: so everything is tried */
	assert_int_equal(look(IMAGE_BASE + 17), 0);
	assert_true(reader.notes.gave_up);
	assert_true(image.nr_type_calls < 300);
	/* Once to follow, once to search, once to look again, for each round. */
	assert_true(image.most_reads_of_a_page <= 1 + 2 * result.rounds);
	assert_true(reader.nr_tables <= 2000);
}

/* A page that is in no table and no p2m, on a machine of many more frames than the domain has. */
static void every_frame_is_asked_about(void **state)
{
	const struct reader_options every_frame = {.every_frame = true};
	uint64_t page, mfn;

	(void)state;
	begin(64, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image.dom.info.max_mfn = 1 << 20;
	assert_int_equal(look(page), 0);
	assert_int_equal(reader_find_pfn(&reader, image.pfns[page - IMAGE_BASE], &mfn), -ENOENT);
	reader_close(&reader);

	assert_int_equal(reader_open(&reader, &image.dom, &every_frame), 0);
	assert_int_equal(reader_find_pfn(&reader, image.pfns[page - IMAGE_BASE], &mfn), 0);
	assert_int_equal(mfn, page);
	assert_false(reader.notes.gave_up);
}

static void unreadable_tables(void **state)
{
	uint64_t page;

	(void)state;
	begin(64, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, ENTRY_RW);
	image_map(&image, root, OTHER, page, ENTRY_RW);
	image.unreadable[image_table(&image, root, VA, 1) - IMAGE_BASE] = true;
	image_publish_tree(&image);
	assert_int_equal(look(page), 0);
	assert_int_equal(result.unread_tables, 1);
	assert_int_equal(result.nr, 1);
	assert_int_equal(result.findings[0].at[0].va, OTHER);
}

/* --- while it runs --- */

static uint64_t victim, flipping;
static unsigned int flips;

static void flip(struct image *i, uint64_t mfn)
{
	if (mfn == flipping && flips) {
		flips--;
		image_page(i, mfn)[3] ^= victim << 12 | ENTRY_PRESENT;
	}
}

static void changes_are_said(void **state)
{
	(void)state;
	begin(64, 8);
	victim = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, victim, ENTRY_RW);
	flipping = image_table(&image, root, VA, 1);
	image_publish_tree(&image);
	image.before_read = flip;

	flips = 2; /* changes once between the looks, then stands still */
	assert_int_equal(look(victim), 0);
	assert_int_equal(result.rounds, 2);
	assert_int_equal(result.changed_tables, 0);
	search_free(&result);
	reader_close(&reader);

	flips = 1000;
	assert_int_equal(look(victim), 0);
	assert_int_equal(result.rounds, 3);
	assert_int_equal(result.changed_tables, 1);
	search_free(&result);
	reader_close(&reader);

	image.dom.info.is_paused = true;
	image.nr_reads = 0;
	assert_int_equal(look(victim), 0);
	assert_int_equal(result.rounds, 1);
}

/* --- numbers --- */

static void pfns_both_ways(void **state)
{
	uint64_t mfn;

	(void)state;
	begin(300, 8);
	image_publish_tree(&image);
	assert_int_equal(reader_open(&reader, &image.dom, NULL), 0);
	for (unsigned int i = 0; i < 300; i++) {
		int err = reader_find_pfn(&reader, image.pfns[i], &mfn);

		assert_int_equal(err, image.types[i] == FRAME_NOT_ITS ? -ENOENT : 0);
		if (!err)
			assert_int_equal(mfn, IMAGE_BASE + i);
	}
	assert_int_equal(reader_find_pfn(&reader, 300, &mfn), -ENOENT);
	assert_int_equal(reader_find_pfn(&reader, TOOL_NO_FRAME, &mfn), -ENOENT);
	image.pfns[4] = image.pfns[5];
	assert_int_equal(reader_find_pfn(&reader, image.pfns[5], &mfn), -EEXIST);
	assert_int_equal(reader_pfn(&reader, 3), TOOL_NO_FRAME);
}

static void reading_by_address(void **state)
{
	static struct walker w;
	uint64_t page, words[3] = {0};
	bool ok;

	(void)state;
	begin(64, 8);
	page = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, 0);
	image_map(&image, root, VA + 0x1000, root, 0);
	image_map(&image, root, VA + 0x2000, 0x10, 0); /* another domain's */
	image_page(&image, page)[511] = 42;
	image_page(&image, root)[0] = 43;
	image_page(&image, root)[256] = image_page(&image, root)[layout_slot(layout_of(8), 4, VA)];
	assert_int_equal(reader_open(&reader, &image.dom, NULL), 0);
	walk_init(&w, &reader, root);
	assert_int_equal(walk_read(&w, VA + 0xff8, words, 16), 0);
	assert_int_equal(words[0], 42);
	assert_int_equal(words[1], 43);
	assert_int_equal(walk_read(&w, VA + 0x1ff8, words, 16), -EFAULT);
	assert_int_equal(walk_read(&w, VA + 0x3000, words, 8), -EFAULT);
	assert_int_equal(walk_read(&w, 0xffff800000012ff8ULL, words, 8), -EFAULT); /* Xen's */
	assert_int_equal(walk_read(&w, UINT64_MAX - 3, words, 8), -EFAULT);
	assert_int_equal(reader_is_own(&reader, 0x10, &ok), 0);
	assert_false(ok);
}

static void a_census(void **state)
{
	struct census census;
	uint64_t page, freed;

	(void)state;
	begin(256, 8);
	page = image_frame(&image, FRAME_PLAIN);
	freed = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, VA, page, ENTRY_RW);
	image_map(&image, root, OTHER, page, 0);
	image_map(&image, root, VA + 0x1000, root, ENTRY_RW);
	image_map(&image, root, VA + 0x2000, freed, ENTRY_RW);
	image_map(&image, root, 0xffff888000000000ULL + (image_pfn(&image, freed) << 12), freed, 0);
	image_map(&image, root, VA + 0x3000, 0x10, 0);
	image_publish_tree(&image);
	assert_int_equal(reader_open(&reader, &image.dom, NULL), 0);
	assert_int_equal(census_take(&reader, &census), 0);
	assert_int_equal(census.foreign, 1);
	assert_int_equal(census.nr, 255); /* all but the shared info page */
	assert_int_equal(census_frame(&census, page)->nr_writable, 1);
	assert_int_equal(census_frame(&census, page)->nr_readonly, 1);
	assert_int_equal(census_frame(&census, root)->level, 4);
	census_frame(&census, freed)->flags |= CENSUS_FREE;
	assert_int_equal(census_mark_strays(&reader, &census, 0xffff888000000000ULL, root), 0);
	assert_true(census_frame(&census, root)->flags & CENSUS_STRAY);
	assert_true(census_frame(&census, freed)->flags & CENSUS_STRAY);
	assert_false(census_frame(&census, page)->flags & CENSUS_STRAY);
	census_free(&census);
}

static void stops_when_told(void **state)
{
	static volatile int stop = 1;
	const struct reader_options options = {.stop = &stop};

	(void)state;
	begin(256, 8);
	image_publish_tree(&image);
	assert_int_equal(reader_open(&reader, &image.dom, &options), -EINTR);
}

#define TEST(name) cmocka_unit_test_teardown(name, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_entry),
		TEST(an_entry_of_pae),
		TEST(a_table_of_many_roots),
		TEST(a_table_at_two_places),
		TEST(tables_without_a_root),
		TEST(without_a_p2m),
		TEST(a_lying_p2m),
		TEST(a_p2m_that_points_anywhere),
		TEST(a_p2m_as_a_list),
		TEST(loops),
		TEST(a_table_is_asked_for),
		TEST(holders_that_are_no_entries),
		TEST(too_many_addresses),
		TEST(too_many_findings),
		TEST(everything_is_a_table),
		TEST(every_frame_is_asked_about),
		TEST(unreadable_tables),
		TEST(changes_are_said),
		TEST(pfns_both_ways),
		TEST(reading_by_address),
		TEST(a_census),
		TEST(stops_when_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
