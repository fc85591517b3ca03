/* SPDX-License-Identifier: MIT */
/*
 * Four threads as vCPUs: areas made and given up under every policy, also by another vCPU than made
 * them; purges, drops of single pages as before a pin, lookups of any address, kmaps. Nothing is
 * lost and the books agree in the end. Under ThreadSanitizer (make tsan) also the proof that the
 * locks are enough. R11.
 */
#include <pvmm/batch.h>
#include <pvmm/directmap.h>
#include <pvmm/kmap.h>
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>
#include "mm/ledger.h"
#include "tests/unit/worker.h"

enum { THREADS = 4, SHARED_PAGES = 32, HIGH_PAGES = 300, POSTED = 8, MOST_PAGES = 80 };

static unsigned int rounds; /* THREAD_ROUNDS=2000 for a longer run */
static struct pvmm_page *shared[SHARED_PAGES], *high[HIGH_PAGES];
static struct pvmm_page *own[THREADS]; /* for tables: mapped by nobody else */

/* Areas that are left to whoever comes by to give up. */
static void *posted[POSTED];

static void use_an_area(struct worker *w)
{
	struct pvmm_vmap_how how = {.name = "mine", .policy = (enum pvmm_vmap_policy)any(w, 4)};
	unsigned int nr = 1 + any(w, any(w, 8) ? 16 : MOST_PAGES), at = any(w, nr);
	struct pvmm_page *pages[MOST_PAGES];
	struct pvmm_vmap_info info;
	void *addr;

	for (unsigned int i = 0; i < nr; i++)
		pages[i] = shared[any(w, SHARED_PAGES)];
	if (pvmm_vmap(pages, nr, PVMM_PROT_RO, &how, &addr)) {
		must(w, false);
		return;
	}
	must(w, *(volatile uint64_t *)((char *)addr + at * PVMM_PAGE_SIZE) ==
			pfn_x(pvmm_page_pfn(pages[at])));
	must(w, pvmm_vmap_page((char *)addr + at * PVMM_PAGE_SIZE) == pages[at]);
	must(w, pvmm_vmap_find((uintptr_t)addr, &info) && info.va == (uintptr_t)addr &&
			info.nr_pages == nr && info.state == PVMM_VMAP_LIVE);
	if (any(w, 3)) {
		must(w, !pvmm_vunmap(addr));
		return;
	}
	addr = __atomic_exchange_n(&posted[any(w, POSTED)], addr, __ATOMIC_ACQ_REL);
	if (addr)
		must(w, !pvmm_vunmap(addr));
}

static void for_one(const void *page, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	fn((struct pvmm_page *)(uintptr_t)page, ctx);
}

/* A page of one's own is mapped, given up, and wanted as a table: dropped, and Xen agrees. */
static void make_a_table(struct worker *w)
{
	pfn_t pfn = pvmm_page_pfn(own[w->vcpu]);
	void *addr;

	must(w, !pvmm_vmap(&own[w->vcpu], 1, PVMM_PROT_RW, NULL, &addr));
	memset(addr, 0, PVMM_PAGE_SIZE);
	must(w, !pvmm_vunmap(addr));
	pvmm_batch_begin();
	ledger_drop_begin(for_one, own[w->vcpu]);
	pvmm_batch_end(NULL);
	ledger_drop_end(NULL);
	must(w, pvmm_page_is_clean(own[w->vcpu]));
	must(w, !pvmm_hc_update_va_mapping((uintptr_t)pvmm_page_virt(own[w->vcpu]),
					   unit_pte(pfn, PVMM_PROT_RO), UVMF_INVLPG | UVMF_ALL));
	must(w, !unit_ext_pfn(MMUEXT_PIN_L1_TABLE, pfn));
	must(w, !unit_ext_pfn(MMUEXT_UNPIN_TABLE, pfn));
	must(w, !pvmm_hc_update_va_mapping((uintptr_t)pvmm_page_virt(own[w->vcpu]),
					   unit_pte(pfn, PVMM_PROT_RW), UVMF_INVLPG | UVMF_ALL));
}

static void use_kmaps(struct worker *w)
{
	struct pvmm_page *page = high[any(w, HIGH_PAGES)];
	volatile uint64_t *p = pvmm_kmap(page), *q = pvmm_kmap_local(page);

	must(w, p && *p == pfn_x(pvmm_page_pfn(page)));
	must(w, q && *q == pfn_x(pvmm_page_pfn(page)));
	pvmm_kunmap_local((void *)(uintptr_t)q);
	pvmm_kunmap((void *)(uintptr_t)p);
}

static void work(struct worker *w)
{
	for (unsigned int i = 0; i < rounds; i++) {
		struct pvmm_vmap_info info;
		void *addr;

		for (unsigned int k = 0; k < 4; k++)
			use_an_area(w);
		make_a_table(w);
		use_kmaps(w);
		if (!any(w, 8))
			pvmm_purge();
		if (!any(w, 8))
			pvmm_purge_if_older(any(w, 1000));
		must(w, !pvmm_vmalloc((1 + any(w, 20)) * PVMM_PAGE_SIZE, NULL, &addr));
		*(uint64_t *)addr = i;
		must(w, !pvmm_vfree(addr));
		/* Whatever is there, or is not any more. */
		pvmm_vmap_find(PVMM_VMAP_BASE + PVMM_VMAP_FIXED_BYTES +
				       any(w, 4096) * PVMM_PAGE_SIZE,
			       &info);
		(void)pvmm_vmap_stats();
	}
}

static void page_with_its_pfn(struct pvmm_page **page)
{
	*page = pvmm_page(unit_page());
	*(uint64_t *)pvmm_page_virt(*page) = pfn_x(pvmm_page_pfn(*page));
}

static void four_vcpus(void **state)
{
	struct worker workers[THREADS];
	const struct pvmm_vmap_params defaults = pvmm_vmap_params();
	struct pvmm_vmap_params params = defaults;
	uint64_t accounted;

	(void)state;
	rounds = worker_rounds(300);
	model_shutdown();
	model_boot(4096, 1);
	params.lazy_areas = 10;
	params.drop_all_pages = 30;
	assert_int_equal(pvmm_vmap_set_params(&params), 0);
	for (unsigned int i = 0; i < SHARED_PAGES; i++)
		page_with_its_pfn(&shared[i]);
	for (unsigned int i = 0; i < HIGH_PAGES; i++)
		page_with_its_pfn(&high[i]);
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.run = work};
		own[i] = pvmm_page(unit_page());
	}
	assert_int_equal(pvmm_directmap_remove(high, HIGH_PAGES), 0);
	accounted = pvmm_free_pages() + pvmm_kernel_space.nr_tables;

	workers_run(workers, THREADS);

	assert_clean();
	for (unsigned int i = 0; i < POSTED; i++)
		if (posted[i])
			assert_int_equal(pvmm_vunmap(posted[i]), 0);
	pvmm_purge();
	assert_int_equal(pvmm_vmap_stats().live_areas, 0);
	assert_int_equal(pvmm_free_pages() + pvmm_kernel_space.nr_tables, accounted);
	for (unsigned int i = 0; i < SHARED_PAGES; i++)
		assert_int_equal(shared[i]->refs, 1);
	assert_clean();
	assert_int_equal(pvmm_vmap_set_params(&defaults), 0);
}

/* --- a page that is taken while the area that it was in is being given up --- */

enum { FEW_PAGES = 200, HALF = 80 };

static unsigned int nr_caught; /* pages that had a stale mapping when they were taken */
static bool is_over;

static void give_up_memory(struct worker *w)
{
	for (unsigned int i = 0; i < rounds * 10; i++) {
		void *addr;

		if (pvmm_vmalloc(HALF * PVMM_PAGE_SIZE, NULL, &addr))
			continue;
		pvmm_purge(); /* it is the only stale area then */
		must(w, !pvmm_vfree(addr));
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
}

/* What it finds free it wants as a table at once: then no mapping of it may be left. */
static void take_memory(struct worker *w)
{
	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);

		if (!page)
			continue;
		if (__atomic_load_n(&page->stale, __ATOMIC_ACQUIRE)) {
			nr_caught++;
			pvmm_batch_begin();
			ledger_drop_begin(for_one, page);
			pvmm_batch_end(NULL);
			ledger_drop_end(NULL);
			must(w, pvmm_page_is_clean(page));
		}
		pvmm_page_put(page);
	}
}

/* Free as soon as it has lost its reference, long before the last page of its area has. */
static void taken_halfway(void **state)
{
	struct worker workers[] = {{.run = give_up_memory}, {.run = take_memory}};

	(void)state;
	rounds = worker_rounds(300);
	model_shutdown();
	model_boot(4096, 1);
	while (pvmm_free_pages() > FEW_PAGES)
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
	is_over = false;
	workers_run(workers, 2);
	print_message("# %u pages were taken with a stale mapping\n", nr_caught);
	pvmm_purge();
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(four_vcpus),
		UNIT_TEST(taken_halfway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
