/* SPDX-License-Identifier: MIT */
/*
 * The tree of taken ranges (mm/vmap_tree.h) by itself: the lowest place that will do, alignment,
 * bounds, balance, against a map of every page; and what one more range costs when there are
 * 100,000. R11.
 */
#include "mm/vmap_tree.h"
#include "tests/unit/unit.h"

enum { PAGES = 8192, LOW = 1024 };

static uint8_t taken[PAGES];

static int tree_set_up(void **state)
{
	(void)state;
	vmap_tree_init();
	memset(taken, 0, sizeof(taken));
	return 0;
}

/* The answer of somebody who looks at every page. */
static uint64_t lowest(const struct vmap_wish *w)
{
	for (uint64_t at = (w->low + w->align - 1) / w->align * w->align;
	     at + w->nr_pages <= w->high; at += w->align) {
		uint64_t i = 0;

		while (i < w->nr_pages && !taken[at + i])
			i++;
		if (i == w->nr_pages)
			return at;
	}
	return UINT64_MAX;
}

static void against_a_map(void **state)
{
	enum { HELD = 200 };
	static struct vmap_range held[HELD];
	static bool used[HELD];
	uint64_t seed = 5;

	(void)state;
	memset(used, 0, sizeof(used));
	for (unsigned int step = 0; step < 20000; step++) {
		unsigned int i = unit_random(&seed) % HELD;
		static const uint64_t aligns[] = {1, 1, 1, CHUNK_SLOTS, 16};
		struct vmap_wish w = {
			.nr_pages = 1 + unit_random(&seed) % 100,
			.align = aligns[unit_random(&seed) % 5],
			.low = LOW,
			.high = PAGES,
		};
		uint64_t expected;
		bool found;

		if (used[i]) {
			memset(&taken[held[i].start], 0, held[i].end - held[i].start);
			vmap_tree_give(&held[i]);
			used[i] = false;
			continue;
		}
		if (w.align == CHUNK_SLOTS)
			w.nr_pages = CHUNK_SLOTS;
		if (unit_random(&seed) % 4 == 0) {
			w.low += unit_random(&seed) % PAGES / 2;
			w.high = w.low + unit_random(&seed) % (PAGES - w.low);
		}
		expected = lowest(&w);
		found = vmap_tree_take(&held[i], &w);
		assert_int_equal(found, expected != UINT64_MAX);
		if (!found)
			continue;
		/* With an odd alignment a larger gap may come first. */
		if (w.align != 16)
			assert_int_equal(held[i].start, expected);
		assert_int_equal(held[i].start % w.align, 0);
		assert_true(held[i].start >= w.low && held[i].end <= w.high);
		for (uint64_t p = held[i].start; p < held[i].end; p++) {
			assert_int_equal(taken[p], 0);
			taken[p] = 1;
		}
		used[i] = true;
		assert_ptr_equal(vmap_tree_find(held[i].end - 1), &held[i]);
		if (step % 64 == 0)
			assert_int_equal(vmap_tree_audit(), 0);
	}
	for (unsigned int i = 0; i < HELD; i++)
		if (used[i])
			vmap_tree_give(&held[i]);
	assert_int_equal(vmap_tree_nr(), 0);
	assert_int_equal(vmap_tree_audit(), 0);
	assert_null(vmap_tree_find(LOW));
}

/* A gap that is exactly large enough is found, the window's ends count, overflow does not fit. */
static void the_edges(void **state)
{
	struct vmap_range a, b, c;

	(void)state;
	assert_true(vmap_tree_take(&a, &(struct vmap_wish){10, 1, 100, 130}));
	assert_true(vmap_tree_take(&b, &(struct vmap_wish){10, 1, 100, 130}));
	assert_true(vmap_tree_take(&c, &(struct vmap_wish){10, 1, 100, 130}));
	assert_int_equal(c.end, 130);
	vmap_tree_give(&b);
	assert_false(vmap_tree_take(&b, &(struct vmap_wish){11, 1, 100, 130}));
	assert_false(vmap_tree_take(&b, &(struct vmap_wish){10, 1, 100, 119}));
	assert_false(vmap_tree_take(&b, &(struct vmap_wish){10, 1, 111, 130}));
	assert_false(vmap_tree_take(&b, &(struct vmap_wish){UINT64_MAX - 8, 1, 100, 130}));
	assert_false(vmap_tree_take(&b, &(struct vmap_wish){1, 1ULL << 63, 100, 130}));
	assert_true(vmap_tree_take(&b, &(struct vmap_wish){10, 1, 100, 130}));
	assert_int_equal(b.start, 110);
	assert_int_equal(vmap_tree_audit(), 0);
}

/*
 * What to take and give back one range costs among nr others, as the mean of many, with holes
 * everywhere that are too small.
 */
static uint64_t steps_among(struct vmap_range *ranges, unsigned int nr, uint64_t align)
{
	enum { TIMES = 1000 };
	const struct vmap_wish small = {3, 1, LOW, UINT64_MAX / 2};
	const struct vmap_wish wish = {align == 1 ? 100 : CHUNK_SLOTS, align, LOW, UINT64_MAX / 2};
	struct vmap_range one;
	uint64_t steps;

	vmap_tree_init();
	for (unsigned int i = 0; i < nr; i++)
		assert_true(vmap_tree_take(&ranges[i], &small));
	for (unsigned int i = 0; i < nr; i += 2)
		vmap_tree_give(&ranges[i]);
	for (unsigned int i = 0; i < nr; i += 2) {
		const struct vmap_wish larger = {4, 1, LOW, UINT64_MAX / 2};

		assert_true(vmap_tree_take(&ranges[i], &larger));
	}
	assert_int_equal(vmap_tree_nr(), nr);
	steps = vmap_tree_steps();
	for (unsigned int i = 0; i < TIMES; i++) {
		assert_true(vmap_tree_take(&one, &wish));
		vmap_tree_give(&one);
	}
	return (vmap_tree_steps() - steps) / TIMES;
}

static void a_hundred_thousand(void **state)
{
	struct vmap_range *ranges = calloc(100000, sizeof(*ranges));
	static const uint64_t aligns[] = {1, CHUNK_SLOTS, 16};

	(void)state;
	assert_non_null(ranges);
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(aligns); i++) {
		uint64_t few = steps_among(ranges, 1000, aligns[i]);
		uint64_t many = steps_among(ranges, 100000, aligns[i]);

		print_message("# alignment %llu: %llu steps among 1,000, %llu among 100,000\n",
			      (unsigned long long)aligns[i], (unsigned long long)few,
			      (unsigned long long)many);
		assert_true(many <= 2 * few);
		assert_int_equal(vmap_tree_audit(), 0);
	}
	free(ranges);
}

/* Gaps that are larger than a chunk and hold none, for it would not be aligned: no search enters.
 */
static uint64_t steps_among_unaligned(struct vmap_range *ranges, unsigned int nr)
{
	const struct vmap_wish wish = {CHUNK_SLOTS, CHUNK_SLOTS, 0, UINT64_MAX / 2};
	struct vmap_range one;
	uint64_t steps;

	vmap_tree_init();
	for (uint64_t i = 0; i < nr; i++) {
		const uint64_t low = i * 2 * CHUNK_SLOTS + (i ? 700 : 0);
		const struct vmap_wish w = {i ? 424 : 1124, 1, low, low + (i ? 424 : 1124)};

		assert_true(vmap_tree_take(&ranges[i], &w));
	}
	steps = vmap_tree_steps();
	assert_true(vmap_tree_take(&one, &wish));
	assert_true(one.start > ranges[nr - 1].start);
	return vmap_tree_steps() - steps;
}

static void gaps_without_a_chunk(void **state)
{
	struct vmap_range *ranges = calloc(100000, sizeof(*ranges));

	(void)state;
	assert_non_null(ranges);
	assert_true(steps_among_unaligned(ranges, 100000) <=
		    2 * steps_among_unaligned(ranges, 1000));
	free(ranges);
}

static void give_what_is_not_there(void *ctx)
{
	vmap_tree_give(ctx);
}

static void what_was_not_taken(void **state)
{
	struct vmap_range range = {.start = 5, .end = 6};

	(void)state;
	vmap_tree_init();
	assert_true(model_panics(give_what_is_not_there, &range, "not taken"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(against_a_map, tree_set_up),
		cmocka_unit_test_setup(the_edges, tree_set_up),
		cmocka_unit_test_setup(a_hundred_thousand, tree_set_up),
		cmocka_unit_test_setup(gaps_without_a_chunk, tree_set_up),
		UNIT_TEST(what_was_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
