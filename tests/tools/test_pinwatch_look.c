/* SPDX-License-Identifier: MIT */
/*
 * What is found in a domain for an incident, and how it is told (R42, R44). A fault looks like a
 * stray mapping that is not named, an innocent page that is, a domain left paused, or a domain's
 * own words reaching the terminal or the JSON as they are.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "guests.h"
#include "image.h"
#include "symbols_fake.h"
#include "tools/pinwatch_report.h"

#define STRAY  (GUEST_VMAP + 0x40012000)
#define KERNEL ENTRY_KERNEL
#define USER   ENTRY_USER

static struct image image;
static uint64_t root;
static struct look look;
static struct incident incident;
static struct look_options options;
static char *said;

static int begin(void **state)
{
	(void)state;
	image_init(&image, 512, 8);
	root = image_frame(&image, FRAME_L4 | FRAME_PINNED);
	image.vcpus[0].root = root;
	memset(&incident, 0, sizeof(incident));
	incident.number = 1;
	incident.domid = 1;
	incident.vcpu = LINE_NONE;
	options = (struct look_options){.symbols = NULL};
	fake_symbols[0].name = NULL;
	return 0;
}

static int finish(void **state)
{
	(void)state;
	assert_int_equal(image.paused, 0);
	assert_int_equal(image.nr_foreign_reads, 0);
	look_free(&look);
	image_free(&image);
	free(said);
	said = NULL;
	return 0;
}

/* A page at its own place in the direct map, with these bits. */
static uint64_t direct(uint8_t type, uint64_t bits)
{
	uint64_t mfn = image_frame(&image, type);

	image_map(&image, root, GUEST_DIRECT + (image_pfn(&image, mfn) << 12), mfn, bits);
	return mfn;
}

static void refuse(uint64_t mfn, uint64_t saw, uint64_t wanted)
{
	incident.frames[incident.nr_frames++] = (struct refused_frame){
		.mfn = mfn, .pfn = LINE_NONE, .saw = saw, .wanted = wanted, .times = 1};
}

static int look_now(bool suspects)
{
	image_publish_tree(&image);
	return look_at(&look, &incident, &image.dom, suspects, &options);
}

/* The story as text or JSON. */
static const char *tell(bool json, const char *name)
{
	struct story story = {.incident = &incident, .look = &look};
	size_t len;
	FILE *out;

	strcpy(story.name, name);
	strcpy(story.words[0].name, "strays");
	strcpy(story.words[0].value, "1\033[2J\"");
	story.nr_words = 1;
	free(said);
	out = open_memstream(&said, &len);
	if (json)
		story_json(&story, out);
	else
		story_text(&story, out);
	fclose(out);
	return said;
}

static void a_refused_frame(void **state)
{
	uint64_t page;

	(void)state;
	page = direct(FRAME_PLAIN, KERNEL);
	image_map(&image, root, STRAY, page, ENTRY_RW | KERNEL);
	refuse(page, 0xe400000000000001, 0x4000000000000000);
	refuse(IMAGE_BASE - 1, 0xe400000000000001, 0x4000000000000000);
	refuse(LINE_NONE, 0xe400000000000001, 0x4000000000000000);
	assert_int_equal(look_now(false), 0);

	assert_true(look.is_done);
	assert_int_equal(look.nr_frames, 3);
	assert_true(look.frames[0].is_found);
	assert_int_equal(look.frames[0].va, STRAY);
	assert_int_equal(look.frames[0].level, 2);
	assert_int_equal(look.frames[0].nr_found, 1);
	assert_non_null(strstr(look.frames[0].place, "vmalloc range"));
	assert_false(look.frames[1].is_own);
	assert_false(look.frames[2].is_own);
	assert_non_null(strstr(tell(false, "linux"),
			       "incident 1: domain 1 \"linux\": stray writable mapping at "
			       "0xffffc90040012000: mfn 0x"));
	assert_non_null(strstr(said, "cannot become an L2 page table\n"));
	assert_non_null(strstr(said, "saw a writable page, 1 use (e400000000000001)"));
	assert_non_null(strstr(said, "mapped writable at 0xffffc90040012000, L1 table"));
	assert_non_null(strstr(said, "it is no memory of the domain's"));
	/* A second look adds what is new, and only that. */
	refuse(page, 0xe400000000000001, 0x6000000000000000);
	refuse(direct(FRAME_PLAIN, ENTRY_RW | KERNEL), 0xe400000000000001, 0x2000000000000000);
	assert_int_equal(look_now(false), 0);
	assert_int_equal(look.nr_frames, 4);
	assert_true(look.frames[3].is_own_place);
}

/* A page that its kernel has taken back is writable where it always is: that explains nothing. */
static void its_own_place(void **state)
{
	uint64_t both, one;

	(void)state;
	both = direct(FRAME_PLAIN, ENTRY_RW | KERNEL);
	one = direct(FRAME_PLAIN, ENTRY_RW | KERNEL);
	image_map(&image, root, STRAY, both, ENTRY_RW | KERNEL);
	refuse(one, 0xe400000000000001, 0x4000000000000000);
	assert_int_equal(look_now(false), 0);
	assert_true(look.frames[0].is_own_place);
	assert_null(strstr(tell(false, "x"), "stray writable mapping"));
	assert_non_null(strstr(said, "its own place in the direct map is all"));
	refuse(both, 0xe400000000000002, 0x4000000000000000);
	assert_int_equal(look_now(false), 0);
	assert_false(look.frames[1].is_own_place);
	assert_int_equal(look.frames[1].nr_found, 2);
	assert_non_null(strstr(tell(false, "x"), "stray writable mapping at 0xffffc90040012000"));
}

/* The other way round: a table was to be mapped writable. */
static void a_table_in_the_way(void **state)
{
	uint64_t table;

	(void)state;
	image_map(&image, root, STRAY, image_frame(&image, FRAME_PLAIN), ENTRY_RW | KERNEL);
	table = image_table(&image, root, STRAY, 1);
	refuse(table, 0x2400000000000001, 0xe000000000000000);
	assert_int_equal(look_now(false), 0);
	assert_false(look.frames[0].is_found);
	assert_non_null(
		strstr(tell(false, "x"),
		       "cannot become a writable page: it is an L1 page table, validated, 1 use"));
	assert_non_null(strstr(said, "used       as a table by an L2 table"));
}

static void in_linux_the_area_is_named(void **state)
{
	uint64_t page;

	(void)state;
	page = direct(FRAME_PLAIN, KERNEL);
	image_map(&image, root, STRAY, page, ENTRY_RW | KERNEL);
	guest_linux(&image, root, STRAY - 0x2000, 4);
	fake_symbols[0] = (struct fake_symbol){"init_task", GUEST_IMAGE + 0x1000};
	fake_symbols[1] = (struct fake_symbol){"vmap_area_root", GUEST_LINUX_TREE};
	fake_symbols[2].name = NULL;
	options.symbols = FAKE_LIST;
	refuse(page, 0xe400000000000001, 0x8000000000000000);
	assert_int_equal(look_now(false), 0);
	assert_string_equal(look.kernel, "linux");
	assert_non_null(strstr(look.frames[0].place, "area 0xffffc90040010000+0x"));
}

/* A table as its kernel has filled it, about to be pinned: what a release hypervisor leaves. */
static void suspects(void **state)
{
	uint64_t table, zero, innocent, *entries;

	(void)state;
	table = direct(FRAME_PLAIN, KERNEL);
	image_map(&image, root, STRAY, table, ENTRY_RW | KERNEL);
	entries = image_page(&image, table);
	entries[3] = image_frame(&image, FRAME_L1) << 12 | ENTRY_PRESENT | ENTRY_RW | ENTRY_USER;
	entries[4] = 0x7000; /* swapped out, or the like */
	zero = direct(FRAME_PLAIN, KERNEL);
	image_map(&image, root, STRAY + 0x1000, zero, ENTRY_RW | KERNEL);
	/* Code, read-only where it runs, and writable in the direct map. */
	innocent = direct(FRAME_PLAIN, ENTRY_RW | KERNEL);
	image_map(&image, root, GUEST_IMAGE, innocent, KERNEL);
	entries = image_page(&image, innocent);
	entries[0] = entries[1] = table << 12 | ENTRY_PRESENT;
	/* A user's read-only page with a kernel buffer. */
	innocent = image_frame(&image, FRAME_PLAIN);
	image_map(&image, root, 0x400000, innocent, USER);
	image_map(&image, root, STRAY + 0x2000, innocent, ENTRY_RW | KERNEL);
	/* Read-only and writable, and filled with something else. */
	innocent = direct(FRAME_PLAIN, KERNEL);
	image_map(&image, root, STRAY + 0x3000, innocent, ENTRY_RW | KERNEL);
	memset(image_page(&image, innocent), 0x41, TOOL_PAGE_SIZE);
	/* A table that Xen has as one. */
	image_map(&image, root, STRAY + 0x4000, direct(FRAME_L1, KERNEL), KERNEL);
	incident.has_crashed = true;
	incident.is_crash_only = true;
	assert_int_equal(look_now(true), 0);

	assert_int_equal(look.nr_frames, 2);
	assert_int_equal(look.frames[0].reason, LOOK_SUSPECT);
	assert_int_equal(look.frames[0].mfn, table);
	assert_int_equal(look.frames[0].level, 2);
	assert_int_equal(look.frames[0].va, STRAY);
	assert_int_equal(look.frames[1].reason, LOOK_EMPTY);
	assert_int_equal(look.frames[1].mfn, zero);
	assert_non_null(strstr(tell(false, "x"), "stray writable mapping at 0xffffc90040012000"));
	assert_non_null(strstr(said, "  suspect  mfn"));
	assert_non_null(strstr(said, "  perhaps  mfn"));
}

static void a_mapping_that_counts_nothing(void **state)
{
	uint64_t table, page, *entries;

	(void)state;
	page = direct(FRAME_PLAIN, KERNEL);
	/* In a table that none leads to. */
	table = image_frame(&image, FRAME_L1);
	entries = image_page(&image, table);
	entries[0] = page << 12 | ENTRY_PRESENT | ENTRY_RW;
	refuse(page, 0xe400000000000001, 0x2000000000000000);
	assert_int_equal(look_now(false), 0);
	assert_false(look.frames[0].is_found);
	assert_int_equal(look.frames[0].nr_found, 0);
	assert_non_null(strstr(tell(false, "x"), "no writable mapping of it is left"));
}

static void nothing_to_suspect(void **state)
{
	(void)state;
	direct(FRAME_PLAIN, ENTRY_RW | KERNEL);
	incident.has_crashed = true;
	incident.is_crash_only = true;
	assert_int_equal(look_now(true), 0);
	assert_int_equal(look.nr_frames, 0);
	assert_non_null(strstr(tell(false, "x"),
			       ": nothing was said of a refusal; the domain has crashed\n"));
	assert_non_null(strstr(said, "  searched no page"));
}

static void where_there_is_nothing_to_look_at(void **state)
{
	(void)state;
	image.dom.info.is_hvm = true;
	assert_int_equal(look_now(true), 0);
	assert_false(look.is_done);
	assert_non_null(strstr(look.why, "no PV domain"));
	image.dom.info.is_hvm = false;
	image.dom.info.is_self = true;
	assert_int_equal(look_now(true), 0);
	assert_non_null(strstr(look.why, "--force"));
	options.force = true;
	image.dom.info.is_dying = true;
	assert_int_equal(look_now(true), 0);
	assert_non_null(strstr(look.why, "preserve"));
	image.dom.info.is_dying = false;
	assert_int_equal(look_now(true), 0);
	assert_true(look.is_done);
}

static void paused_meanwhile(void **state)
{
	int stop = 1;

	(void)state;
	options.pause = true;
	assert_int_equal(look_now(true), 0);
	assert_int_equal(image.nr_pauses, 1);
	/* One that stands anyway is left alone. */
	image.dom.info.is_shutdown = true;
	assert_int_equal(look_now(true), 0);
	assert_int_equal(image.nr_pauses, 1);
	/* Stopped: it runs again (finish). */
	image.dom.info.is_shutdown = false;
	options.stop = &stop;
	assert_int_equal(look_now(true), -EINTR);
	assert_int_equal(image.nr_pauses, 2);
}

/* Every byte printable; quotes and braces in pairs, as far as JSON is concerned. */
static void assert_is_clean(const char *text, bool json)
{
	bool in_string = false;
	int depth = 0;

	for (const char *c = text; *c; c++) {
		assert_true((*c >= ' ' && *c <= '~') || *c == '\n');
		if (*c == '"')
			in_string = !in_string;
		else if (*c == '\\')
			c++;
		else if (!in_string)
			depth += (*c == '{' || *c == '[') - (*c == '}' || *c == ']');
		assert_true(depth >= 0);
	}
	if (json) {
		assert_false(in_string);
		assert_int_equal(depth, 0);
		assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
	}
}

static void hostile_words(void **state)
{
	uint64_t page;

	(void)state;
	page = direct(FRAME_PLAIN, KERNEL);
	image_map(&image, root, STRAY, page, ENTRY_RW | KERNEL);
	refuse(page, 0xe400000000000001, 0x4000000000000000);
	strcpy(incident.lines[0], "(XEN) \"quoted\\");
	incident.nr_kept = 1;
	assert_int_equal(look_now(false), 0);
	assert_is_clean(tell(false, "a\033]0;b\a\"\\\n\x80"), false);
	assert_is_clean(tell(true, "a\033]0;b\a\"\\\n\x80"), true);
	assert_non_null(strstr(said, "\"va\":\"0xffffc90040012000\""));
	assert_non_null(strstr(said, "\"kind\":\"refusal\""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
	const struct CMUnitTest tests[] = {
		TEST(a_refused_frame),	  TEST(its_own_place),
		TEST(a_table_in_the_way), TEST(in_linux_the_area_is_named),
		TEST(suspects),		  TEST(a_mapping_that_counts_nothing),
		TEST(nothing_to_suspect), TEST(where_there_is_nothing_to_look_at),
		TEST(paused_meanwhile),	  TEST(hostile_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
