/* SPDX-License-Identifier: MIT */
/*
 * What the tools say, to the letter: tests/tools/golden/ has the expected text. With UPDATE=1 in
 * the environment the files are written anew, for somebody to look at.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "guests.h"
#include "symbols_fake.h"
#include "tools/map.h"
#include "tools/report.h"

static struct image image;
static struct reader reader;
static struct naming naming;
static struct search_result result;
static uint64_t root, page;

static char *text;
static size_t len;

static void begin(unsigned int width)
{
	image_init(&image, 512, width);
	root = image_frame(&image, (width == 4 ? FRAME_L3 : FRAME_L4) | FRAME_PINNED);
	image.vcpus[0].root = root;
	page = image_frame(&image, FRAME_PLAIN);
	memset(fake_symbols, 0, sizeof(fake_symbols));
}

static void look(void)
{
	const struct search_request request = {.mfns = &page, .nr_mfns = 1};

	assert_int_equal(reader_open(&reader, &image.dom, NULL), 0);
	assert_int_equal(naming_open(&naming, &reader, fake_symbols[0].name ? FAKE_LIST : NULL), 0);
	assert_int_equal(inspect_add_tables(&naming.inspect, &reader), 0);
	assert_int_equal(search(&reader, &request, &result), 0);
}

static int finish(void **state)
{
	(void)state;
	search_free(&result);
	reader_close(&reader);
	image_free(&image);
	free(text);
	text = NULL;
	return 0;
}

/* Compares the text with the golden file of this name. */
static void must_be(const char *name)
{
	char path[128], *expected = NULL;
	size_t expected_len = 0;
	FILE *file;

	snprintf(path, sizeof(path), "tests/tools/golden/%s", name);
	if (getenv("UPDATE")) {
		file = fopen(path, "w");
		assert_non_null(file);
		fwrite(text, 1, len, file);
		fclose(file);
	}
	file = fopen(path, "r");
	assert_non_null(file);
	if (getdelim(&expected, &expected_len, 0, file) < 0)
		fail_msg("%s is empty", path);
	fclose(file);
	assert_string_equal(text, expected);
	free(expected);
}

static void tell(bool in_json)
{
	const struct report report = {
		.reader = &reader, .naming = &naming, .result = &result, .shows_paths = true};
	FILE *out = open_memstream(&text, &len);
	struct json j = {.out = out};

	assert_non_null(out);
	if (in_json) {
		json_object(&j, NULL);
		report_domain_json(&report, &j);
		json_array(&j, "frames");
		report_json(&report, &j, page);
		json_end_array(&j);
		report_notes_json(&report, &j);
		json_end_object(&j);
	} else {
		report_domain_text(&report, out);
		report_text(&report, out, page);
		report_notes_text(&report, out);
	}
	fclose(out);
}

/* A page that a stale area, a live one, user mode, and somebody else have got. */
static void make_pvmm(void)
{
	begin(8);
	guest_pvmm(&image, root);
	image_map(&image, root, GUEST_DIRECT + (image_pfn(&image, page) << 12), page,
		  ENTRY_RW | ENTRY_USER | ENTRY_KERNEL);
	image_map(&image, root, GUEST_SMALL + 0x2000, page, ENTRY_RW | ENTRY_KERNEL | ENTRY_PCD);
	image_map(&image, root, GUEST_LARGE + 0x5000, page, ENTRY_KERNEL);
	image_map(&image, root, GUEST_KMAP + 0x3000, page, ENTRY_RW | ENTRY_KERNEL);
	image_map(&image, root, 0x400000, page, ENTRY_RW | ENTRY_USER);
	image.grants[0] = (struct dom_grant){.ref = 9, .domid = 3, .mfn = page, .is_mapped = true};
	image.nr_grants = 1;
	image_publish_tree(&image);
	guest_page(&image, image_pfn(&image, page))->kind = 0;
	guest_page(&image, image_pfn(&image, page))->stale = 1;
}

static void of_our_kernel(void **state)
{
	(void)state;
	make_pvmm();
	look();
	tell(false);
	must_be("pvmm.txt");
}

static void of_our_kernel_as_json(void **state)
{
	(void)state;
	make_pvmm();
	look();
	tell(true);
	must_be("pvmm.json");
}

/* A table of the kernel's records that Xen does not know; an orphan; a domain with a nasty name. */
static void of_tables(void **state)
{
	uint64_t own, orphan;

	(void)state;
	make_pvmm();
	own = image_frame(&image, FRAME_PLAIN);
	orphan = image_frame(&image, FRAME_L1);
	image_page(&image, own)[5] = page << 12 | ENTRY_PRESENT | ENTRY_RW;
	image_page(&image, orphan)[6] = page << 12 | ENTRY_PRESENT;
	guest_page(&image, image_pfn(&image, own))->kind = 2;
	strcpy(image.dom.info.name, "a\033]0;\"b\"\n");
	image.dom.info.is_shutdown = true;
	image.dom.info.shutdown_reason = 3;
	look();
	tell(false);
	must_be("tables.txt");
}

static void of_linux(void **state)
{
	static const struct fake_symbol symbols[] = {
		{"init_task", 0xffffffff82010000ULL},	 {"vmap_area_root", GUEST_LINUX_TREE},
		{"_end", 0xffffffff83000000ULL},	 {"keep_init", 0xffffffffc0001200ULL},
		{"start_kernel", 0xffffffff82100000ULL},
	};

	(void)state;
	begin(8);
	memcpy(fake_symbols, symbols, sizeof(symbols));
	guest_linux(&image, root, GUEST_SMALL, 4);
	image_map(&image, root, GUEST_SMALL + 0x1000, page, ENTRY_RW | ENTRY_KERNEL);
	image_map(&image, root, GUEST_SMALL + 0x400000, page, ENTRY_RW | ENTRY_KERNEL);
	image_map(&image, root, GUEST_DIRECT + 0x77000, page, ENTRY_KERNEL);
	image_map(&image, root, 0xffffffff82100000ULL, page, ENTRY_KERNEL);
	image_map(&image, root, 0xffffffffc0001000ULL, page, ENTRY_KERNEL);
	image_map(&image, root, 0xffffea0000000000ULL, page, ENTRY_KERNEL);
	image_map(&image, root, 0xffffffffff600000ULL, page, ENTRY_USER);
	image_publish_tree(&image);
	look();
	tell(false);
	must_be("linux.txt");
}

/* Nothing is known of it: Linux is guessed, and called a guess. */
static void of_somebody(void **state)
{
	(void)state;
	begin(8);
	image_map(&image, root, GUEST_SMALL, page, ENTRY_RW);
	image_map(&image, root, 0xffffa00000000000ULL, page, ENTRY_RW);
	look();
	tell(false);
	must_be("unknown.txt");
}

static void of_pae(void **state)
{
	(void)state;
	begin(4);
	image_map(&image, root, 0xc0100000, page, ENTRY_RW);
	image_map(&image, root, 0x08048000, page, ENTRY_USER);
	image_publish_list(&image, root, 0xd0000000);
	look();
	tell(false);
	must_be("pae.txt");
}

/* --- pictures --- */

static void take_picture(struct map *map)
{
	struct census census;

	make_pvmm();
	look();
	assert_int_equal(census_take(&reader, &census), 0);
	assert_int_equal(inspect_mark_free(&naming.inspect, &census), 0);
	assert_int_equal(census_mark_strays(&reader, &census, GUEST_DIRECT, root), 0);
	assert_int_equal(map_make(map, &census), 0);
	census_free(&census);
}

static void a_picture(void **state)
{
	const struct map_view plain = {.columns = 32, .rows = 32};
	const struct map_view small = {.columns = 16, .rows = 4, .has_colour = true};
	struct map map;
	FILE *out;

	(void)state;
	take_picture(&map);
	out = open_memstream(&text, &len);
	map_text(&map, &plain, out);
	map_text(&map, &small, out);
	map_totals(&map, out);
	fclose(out);
	map_free(&map);
	must_be("map.txt");
}

static void a_picture_as_svg(void **state)
{
	struct map map;
	FILE *out;

	(void)state;
	take_picture(&map);
	out = open_memstream(&text, &len);
	map_svg(&map, "domain 7 \"<image>\033\"", out);
	fclose(out);
	map_free(&map);
	must_be("map.svg");
}

static void a_picture_as_json(void **state)
{
	struct json j = {0};
	struct map map;

	(void)state;
	take_picture(&map);
	j.out = open_memstream(&text, &len);
	json_object(&j, NULL);
	map_json(&map, &j);
	json_end_object(&j);
	fclose(j.out);
	map_free(&map);
	must_be("map.json");
}

#define TEST(name) cmocka_unit_test_teardown(name, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(of_our_kernel), TEST(of_our_kernel_as_json), TEST(of_tables),
		TEST(of_linux),	     TEST(of_somebody),		  TEST(of_pae),
		TEST(a_picture),     TEST(a_picture_as_svg),	  TEST(a_picture_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
