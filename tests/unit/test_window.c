/* SPDX-License-Identifier: MIT */
/*
 * R16: there is no window between "checked" and "pinned" in which a mapping of the page can appear
 * through the manager. One thread makes a page table of a page again and again, another one tries
 * to map that page at the same time; never may both be told yes.
 *
 * A fault here looks like "both": ledger_live looks at the kind before it counts, or the table's
 * maker looks at the count before it sets the kind. Under ThreadSanitizer (make tsan) the same
 * shows that neither order is left to chance.
 */
#include <pthread.h>
#include <sched.h>
#include <pvmm/batch.h>
#include "mm/ledger.h"
#include "tests/unit/unit.h"

static unsigned int rounds = 200000;
static struct pvmm_page *page;
static bool table_is_made, mapping_is_made, seen_all, over;
static uint64_t both, mapped, refused;

static void for_one(const void *one, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	fn((struct pvmm_page *)(uintptr_t)one, ctx);
}

static void set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static bool get(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void *map_it(void *unused)
{
	(void)unused;
	model_set_vcpu(1);
	while (!get(&over)) {
		if (ledger_live(page, PVMM_PROT_RW)) {
			refused++;
			set(&seen_all, mapped);
			continue;
		}
		mapped++;
		set(&mapping_is_made, true);
		if (get(&table_is_made))
			__atomic_fetch_add(&both, 1, __ATOMIC_RELAXED);
		set(&mapping_is_made, false);
		ledger_dead(page);
	}
	return NULL;
}

/* What the allocator and the hand-over do with a page that becomes a table, and back. */
static unsigned int make_tables(void)
{
	unsigned int made = 0, nr_stale;

	for (unsigned int i = 0; i < rounds || !get(&seen_all); i++) {
		__atomic_store_n(&page->kind, PVMM_PAGE_L1, __ATOMIC_RELAXED);
		if (!ledger_check_tables(for_one, page, &nr_stale)) {
			made++;
			set(&table_is_made, true);
			if (get(&mapping_is_made))
				__atomic_fetch_add(&both, 1, __ATOMIC_RELAXED);
			set(&table_is_made, false);
		}
		/* On one processor, too, the other thread comes by with and without a table. */
		if (i % 64 == 32)
			sched_yield();
		__atomic_store_n(&page->kind, PVMM_PAGE_KERNEL, __ATOMIC_RELEASE);
		if (i % 64 == 0)
			sched_yield();
	}
	return made;
}

static void never_both(void **state)
{
	const char *text = getenv("THREAD_ROUNDS");
	unsigned int made;
	pthread_t mapper;

	(void)state;
	if (text)
		rounds = 100 * (unsigned int)atoi(text);
	page = pvmm_page(unit_page());
	model_vcpu_up(1);
	model_threads(true);
	assert_int_equal(pthread_create(&mapper, NULL, map_it, NULL), 0);
	made = make_tables();
	set(&over, true);
	pthread_join(mapper, NULL);
	model_threads(false);
	print_message("# %u tables made, %llu mappings made, %llu refused\n", made,
		      (unsigned long long)mapped, (unsigned long long)refused);
	assert_true(made && mapped && refused);
	assert_int_equal(both, 0);
	assert_int_equal(page->live, 0);
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(never_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
