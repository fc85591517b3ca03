/* SPDX-License-Identifier: MIT */
/*
 * The way from stale to free: one flush for many areas, each trigger of R2, one page or all of them
 * before a pin (R5), what holds memory back until memory is short, and addresses that are used
 * again only behind a flush (R13).
 */
#include <pvmm/batch.h>
#include <pvmm/check.h>
#include <pvmm/clock.h>
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>
#include "mm/ledger.h"
#include "tests/unit/unit.h"

enum { PAGES = 64 };

static struct pvmm_page *pages[PAGES];
static struct pvmm_vmap_params defaults;

static int boot(void **state)
{
	unit_boot(state);
	defaults = pvmm_vmap_params();
	for (unsigned int i = 0; i < PAGES; i++)
		pages[i] = pvmm_page(unit_page());
	return 0;
}

static int shut_down(void **state)
{
	pvmm_vmap_set_params(&defaults);
	return unit_shutdown(state);
}

#define PURGE_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, shut_down)

static void *map_from(unsigned int first, unsigned int nr)
{
	void *addr;

	assert_int_equal(pvmm_vmap(&pages[first], nr, PVMM_PROT_RW, NULL, &addr), 0);
	return addr;
}

static void give_up(void *addr)
{
	assert_int_equal(pvmm_vunmap(addr), 0);
}

static void for_one(const void *page, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	fn((struct pvmm_page *)(uintptr_t)page, ctx);
}

static uint64_t purges_by(enum pvmm_purge_trigger trigger)
{
	return pvmm_ledger_stats().purges_by[trigger];
}

/* R2: 64 areas, from chunks and from the tree, in one batch with one flush. */
static void many_areas_one_flush(void **state)
{
	void *addr[PAGES];

	(void)state;
	for (unsigned int i = 0; i < PAGES; i++)
		addr[i] = map_from(i / 2, 1 + i % 7);
	for (unsigned int i = 0; i < PAGES; i++)
		give_up(addr[i]);
	assert_int_equal(pvmm_vmap_stats().stale_areas, PAGES);
	model_counters_reset();
	assert_true(pvmm_purge() > 200);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_ALL], 1);
	assert_int_equal(pvmm_vmap_stats().stale_areas, 0);
	assert_int_equal(pvmm_purge(), 0);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(purges_by(PVMM_PURGE_ASKED), 1);
	assert_clean();
}

/* A threshold of pages, and one of areas, each by itself. */
static void thresholds(void **state)
{
	struct pvmm_vmap_params params = defaults;

	(void)state;
	params.lazy_pages = 20;
	params.lazy_areas = 1000;
	assert_int_equal(pvmm_vmap_set_params(&params), 0);
	for (unsigned int i = 0; i < 5; i++)
		give_up(map_from(0, 4));
	assert_int_equal(pages[0]->stale, 5);
	give_up(map_from(0, 4));
	assert_int_equal(pages[0]->stale, 0);
	assert_int_equal(purges_by(PVMM_PURGE_THRESHOLD), 1);

	params.lazy_pages = 1000;
	params.lazy_areas = 3;
	assert_int_equal(pvmm_vmap_set_params(&params), 0);
	for (unsigned int i = 0; i < 3; i++)
		give_up(map_from(0, 1));
	assert_int_equal(pages[0]->stale, 3);
	give_up(map_from(0, 1));
	assert_int_equal(pages[0]->stale, 0);
	assert_int_equal(purges_by(PVMM_PURGE_THRESHOLD), 2);

	/* Not while a batch is open: the next one does it. */
	for (unsigned int i = 0; i < 3; i++)
		give_up(map_from(0, 1));
	{
		void *addr = map_from(0, 1);

		pvmm_batch_begin();
		give_up(addr);
		pvmm_batch_end(NULL);
	}
	assert_int_equal(pages[0]->stale, 4);
	give_up(map_from(0, 1));
	assert_int_equal(pages[0]->stale, 0);

	params.policy = PVMM_VMAP_DEFAULT;
	assert_int_equal(pvmm_vmap_set_params(&params), -XEN_EINVAL);
	params.policy = PVMM_VMAP_LAZY;
	params.small_pages = PVMM_VMAP_SMALL_MAX + 1;
	assert_int_equal(pvmm_vmap_set_params(&params), -XEN_EINVAL);
	assert_clean();
}

/* The timer: only when the oldest is old enough. */
static void age(void **state)
{
	uint64_t given_up;

	(void)state;
	pvmm_purge_if_older(0);
	assert_int_equal(purges_by(PVMM_PURGE_AGE), 0);
	give_up(map_from(0, 1));
	given_up = pvmm_clock_ns();
	pvmm_purge_if_older(1000000);
	assert_int_equal(pages[0]->stale, 1);
	while (pvmm_clock_ns() < given_up + 2000)
		;
	give_up(map_from(1, 1));
	pvmm_purge_if_older(1000);
	assert_int_equal(pages[0]->stale, 0);
	assert_int_equal(pages[1]->stale, 0);
	assert_int_equal(purges_by(PVMM_PURGE_AGE), 1);
	assert_clean();
}

/* Memory: pages that stale areas hold come back before an allocation fails, but not in a batch. */
static void memory_pressure(void **state)
{
	struct pvmm_vmap_how how = {.policy = PVMM_VMAP_HOLD};
	void *addr;

	(void)state;
	assert_int_equal(pvmm_vmap(pages, 16, PVMM_PROT_RW, &how, &addr), 0);
	for (unsigned int i = 0; i < 16; i++)
		pvmm_page_put(pages[i]);
	give_up(addr);
	while (pvmm_free_pages())
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	assert_int_equal(pages[0]->kind, PVMM_PAGE_KERNEL);

	pvmm_batch_begin();
	assert_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	pvmm_batch_end(NULL);
	assert_int_equal(purges_by(PVMM_PURGE_MEMORY), 0);

	assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	assert_int_equal(purges_by(PVMM_PURGE_MEMORY), 1);
	assert_true(pvmm_free_pages() >= 15);
	assert_clean();
}

/* Nor by who has the ledger's lock: it would wait for itself. */
static void memory_is_out_inside_the_ledger(void **state)
{
	(void)state;
	give_up(map_from(0, 4));
	while (pvmm_free_pages())
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	pvmm_batch_begin();
	ledger_drop_begin(for_one, pages[0]);
	pvmm_batch_end(NULL);
	assert_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	ledger_drop_end(NULL);
	assert_clean();
}

static void *kept[4];

static unsigned int give_all_up(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	assert_null(page);
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(kept); i++) {
		if (kept[i])
			give_up(kept[i]);
		kept[i] = NULL;
	}
	return 0;
}

/* R6: somebody's cache of mapped pages is asked before memory is out. */
static void memory_from_a_notifier(void **state)
{
	struct pvmm_notifier cache = {.name = "cache", .give_up = give_all_up};

	(void)state;
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(kept); i++) {
		kept[i] = map_from(4 * i, 4);
		for (unsigned int k = 0; k < 4; k++)
			pvmm_page_put(pages[4 * i + k]);
	}
	pvmm_notifier_add(&cache);
	while (pvmm_free_pages())
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	/* Not with a batch open: what they give up would not be gone at the return. */
	pvmm_batch_begin();
	assert_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	pvmm_batch_end(NULL);
	assert_non_null(kept[0]);

	assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_USER));
	assert_null(kept[0]);
	assert_true(pvmm_free_pages() >= 15);
	pvmm_notifier_remove(&cache);
	assert_clean();
}

/* Address space: a large area fits only when the stale one in its place is gone. */
static void addresses_run_out(void **state)
{
	struct pvmm_vmap_how how = {.start = PVMM_VMAP_BASE + PVMM_VMAP_FIXED_BYTES};
	void *addr;

	(void)state;
	how.end = how.start + 64 * PVMM_PAGE_SIZE;
	assert_int_equal(pvmm_vmap(pages, 40, PVMM_PROT_RW, &how, &addr), 0);
	give_up(addr);
	assert_int_equal(pvmm_vmap(pages, 40, PVMM_PROT_RW, &how, &addr), 0);
	assert_int_equal(purges_by(PVMM_PURGE_ADDRESSES), 1);
	assert_int_equal(pvmm_vmap(pages, 40, PVMM_PROT_RW, &how, &addr), -XEN_ENOMEM);
	assert_clean();
}

/* --- R5: the stale mappings of one page, in the batch of a pin --- */

/* What a pin does around its own operations. */
static void drop(struct pvmm_page *page)
{
	unsigned int nr_stale;

	assert_int_equal(ledger_check_tables(for_one, page, &nr_stale), 0);
	assert_int_equal(nr_stale, page->stale != 0);
	pvmm_batch_begin();
	ledger_drop_begin(for_one, page);
	pvmm_batch_end(NULL);
	ledger_drop_end(NULL);
	assert_true(pvmm_page_is_clean(page));
}

static void a_few_go_together(void **state)
{
	(void)state;
	give_up(map_from(0, 8));
	give_up(map_from(8, 8));
	model_counters_reset();
	drop(pages[3]);
	assert_int_equal(model_counters().traps, 1);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(pages[i]->stale, 0);
	assert_int_equal(pvmm_ledger_stats().drops, 1);
	assert_clean();
}

static void of_many_only_the_one(void **state)
{
	struct pvmm_vmap_how hold = {.policy = PVMM_VMAP_HOLD};
	struct pvmm_vmap_params params = defaults;
	struct pvmm_page *twice[3] = {pages[3], pages[4], pages[3]};
	void *a, *b, *c;

	(void)state;
	params.drop_all_pages = 5;
	pvmm_vmap_set_params(&params);
	a = map_from(0, 8);
	b = map_from(3, 2);
	assert_int_equal(pvmm_vmap(twice, 3, PVMM_PROT_RW, &hold, &c), 0);
	give_up(a);
	give_up(b);
	give_up(c);
	assert_int_equal(pages[3]->stale, 4);
	assert_int_equal(pages[3]->refs, 3);
	model_counters_reset();
	drop(pages[3]);
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().mmu_updates, 4);
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_ALL], 0);
	assert_int_equal(pages[3]->refs, 1);
	assert_int_equal(pages[4]->stale, 3);
	assert_int_equal(pages[2]->stale, 1);
	assert_clean();
	drop(pages[3]); /* nothing left to do */
	drop(pages[2]);
	assert_clean();
	assert_int_equal(pvmm_purge(), 6 + 1 + 1);
	assert_int_equal(pages[4]->stale, 0);
	assert_int_equal(pages[4]->refs, 1);
	assert_clean();
}

static void for_pair(const void *pair, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	struct pvmm_page *const *p = pair;

	fn(p[0], ctx);
	fn(p[1], ctx);
}

/* Several tables in one batch: the second may find that all is on its way already. */
static void two_pages_in_a_batch(void **state)
{
	struct pvmm_vmap_params params = defaults;
	struct pvmm_page *pair[2] = {pages[0], pages[1]};

	(void)state;
	for (params.drop_all_pages = 0; params.drop_all_pages < 30; params.drop_all_pages += 10) {
		pvmm_vmap_set_params(&params);
		give_up(map_from(0, 8));
		give_up(map_from(0, 8));
		pvmm_batch_begin();
		ledger_drop_begin(for_pair, pair);
		pvmm_batch_end(NULL);
		ledger_drop_end(NULL);
		assert_true(pvmm_page_is_clean(pages[0]));
		assert_true(pvmm_page_is_clean(pages[1]));
		assert_clean();
	}
	pvmm_purge();
	assert_clean();
}

/* The whole story on the model's Xen: the page is an L1 table after the drop, not before. */
static void a_stale_page_becomes_a_table(void **state)
{
	void *addr = map_from(0, 4);

	(void)state;
	*(uint64_t *)addr = 0; /* into the TLB, writable */
	give_up(addr);
	assert_int_equal(pvmm_hc_update_va_mapping((uintptr_t)pvmm_page_virt(pages[0]),
						   unit_pte(pvmm_page_pfn(pages[0]), PVMM_PROT_RO),
						   UVMF_INVLPG),
			 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, pvmm_page_pfn(pages[0])), -XEN_EINVAL);
	drop(pages[0]);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, pvmm_page_pfn(pages[0])), 0);
	assert_model_clean();
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, pvmm_page_pfn(pages[0])), 0);
	unit_writable(pvmm_page_pfn(pages[0]));
	assert_clean();
}

/* The guard off, a pin finds nothing to drop, and Xen refuses; on again, the same pin is good. */
static void unguarded_pins_are_refused(void **state)
{
	static struct pvmm_space space;
	struct pvmm_check_config config = pvmm_check_config(), quiet = config;
	struct pvmm_page *root;
	void *addr;

	(void)state;
	assert_int_equal(pvmm_space_create(&space, "unguarded"), 0);
	root = pvmm_page(space.root);
	root->kind = PVMM_PAGE_KERNEL; /* mapped when it was somebody's buffer, and given up */
	assert_int_equal(pvmm_vmap(&root, 1, PVMM_PROT_RW, NULL, &addr), 0);
	give_up(addr);
	root->kind = PVMM_PAGE_L4;

	quiet.report = 0;
	pvmm_check_configure(&quiet);
	pvmm_ledger_guard(false);
	assert_int_equal(pvmm_space_pin(&space), -XEN_EINVAL);
	assert_int_equal(root->stale, 1);
	pvmm_ledger_guard(true);
	assert_int_equal(pvmm_space_pin(&space), 0);
	assert_int_equal(root->stale, 0);
	pvmm_check_configure(&config);
	assert_int_equal(pvmm_space_destroy(&space), 0);
	assert_clean();
}

/* --- addresses --- */

/*
 * R13: an address comes back only behind a flush. Each area is touched while it lives, so that a
 * TLB has it, and a translation that is too old is a problem of the model's.
 */
static void addresses_come_back_flushed(void **state)
{
	uint64_t seed = 3, highest = 0;
	void *held[8] = {NULL};

	(void)state;
	for (unsigned int step = 0; step < 4000; step++) {
		unsigned int i = unit_random(&seed) % 8, nr = 1 + unit_random(&seed) % 64;

		if (held[i])
			give_up(held[i]);
		held[i] = map_from(0, nr);
		assert_false(model_write_faults((char *)held[i] + (nr - 1) * PVMM_PAGE_SIZE));
		assert_true(model_read_faults((char *)held[i] + nr * PVMM_PAGE_SIZE));
		if ((uintptr_t)held[i] > highest)
			highest = (uintptr_t)held[i];
		if (step % 500 == 0)
			assert_clean();
	}
	assert_clean();
	/* Not burnt for ever: some hundred areas at a time need a few dozen chunks. */
	assert_in_range(highest, PVMM_VMAP_BASE + PVMM_VMAP_FIXED_BYTES,
			PVMM_VMAP_BASE + PVMM_VMAP_FIXED_BYTES + (64ULL << 21));
}

/* R18: one long-lived area in each chunk does not keep the rest of it from being used again. */
static void chunks_are_used_again(void **state)
{
	uint32_t tables;

	(void)state;
	for (unsigned int i = 0; i < 30; i++) {
		map_from(0, 1);
		for (unsigned int k = 0; k < 15; k++)
			give_up(map_from(0, 31));
		pvmm_purge();
	}
	tables = pvmm_kernel_space.nr_tables;
	assert_in_range(pvmm_vmap_stats().chunks, 1, 3);
	for (unsigned int i = 0; i < 100; i++) {
		for (unsigned int k = 0; k < 15; k++)
			give_up(map_from(0, 31));
		pvmm_purge();
	}
	assert_int_equal(pvmm_kernel_space.nr_tables, tables);
	assert_clean();
}

/* The same when the chunk was full, and left, before it became half free. */
static void full_chunks_too(void **state)
{
	enum { AREAS = 64, PER_CHUNK = 16 };
	void *addr[AREAS];
	uint32_t tables;

	(void)state;
	for (unsigned int i = 0; i < AREAS; i++)
		addr[i] = map_from(0, 31);
	assert_int_equal(pvmm_vmap_stats().chunks, AREAS / PER_CHUNK);
	for (unsigned int i = 0; i < AREAS; i++)
		if (i % PER_CHUNK)
			give_up(addr[i]);
	pvmm_purge();
	tables = pvmm_kernel_space.nr_tables;
	for (unsigned int i = 0; i < AREAS; i++)
		if (i % PER_CHUNK)
			addr[i] = map_from(0, 31);
	assert_int_equal(pvmm_kernel_space.nr_tables, tables);
	assert_int_equal(pvmm_vmap_stats().chunks, AREAS / PER_CHUNK);
	for (unsigned int i = 0; i < AREAS; i++)
		give_up(addr[i]);
	pvmm_purge();
	assert_int_equal(pvmm_vmap_stats().chunks, 0);
	assert_clean();
}

/* R8: of what is first in the lists, a table takes what has no stale mapping. */
static void tables_are_made_of_clean_pages(void **state)
{
	struct pvmm_page *table;

	(void)state;
	while (pvmm_page_alloc(0, PVMM_PAGE_USER))
		;
	for (unsigned int i = 0; i < 12; i += 4) /* no two of them buddies */
		pvmm_page_free(pages[i], 0);
	pages[8]->stale = pages[4]->stale = 1; /* the first two to be had */
	assert_ptr_equal(pvmm_page_alloc(0, PVMM_PAGE_USER), pages[8]);
	table = pvmm_page_alloc(0, PVMM_PAGE_L1);
	assert_ptr_equal(table, pages[0]);
	/* And if there is no other, that one. */
	assert_ptr_equal(pvmm_page_alloc(0, PVMM_PAGE_L1), pages[4]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PURGE_TEST(many_areas_one_flush),
		PURGE_TEST(thresholds),
		PURGE_TEST(age),
		PURGE_TEST(memory_pressure),
		PURGE_TEST(memory_is_out_inside_the_ledger),
		PURGE_TEST(memory_from_a_notifier),
		PURGE_TEST(addresses_run_out),
		PURGE_TEST(a_few_go_together),
		PURGE_TEST(of_many_only_the_one),
		PURGE_TEST(two_pages_in_a_batch),
		PURGE_TEST(a_stale_page_becomes_a_table),
		PURGE_TEST(addresses_come_back_flushed),
		PURGE_TEST(unguarded_pins_are_refused),
		PURGE_TEST(chunks_are_used_again),
		PURGE_TEST(full_chunks_too),
		PURGE_TEST(tables_are_made_of_clean_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
