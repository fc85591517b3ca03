/* SPDX-License-Identifier: MIT */
/*
 * Random operations on areas, from several vCPUs in turn, with pages that come and go, purges,
 * drops of single pages and pins, against a plain record of what must be mapped where and how often
 * each page is held. R5, R8, R10, R13.
 *
 *	RANDOM_OPERATIONS=1000000 RANDOM_SEED=7 build/hosted/tests/unit/test_vmap_random
 */
#include <pvmm/batch.h>
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>
#include "mm/ledger.h"
#include "tests/unit/unit.h"

enum { AREAS = 40, PAGES = 120, VCPUS = 3, MOST_PAGES = 90, MACHINE_PAGES = 4096 };

static struct area {
	void *addr; /* NULL: none */
	unsigned int nr;
	bool is_vmalloc;
	unsigned int page[MOST_PAGES];
} areas[AREAS];

static struct {
	struct pvmm_page *page;
	unsigned int live; /* by the record */
} pages[PAGES];

static uint64_t seed;

static unsigned int any(unsigned int nr)
{
	return (unsigned int)(unit_random(&seed) % nr);
}

static uint64_t *word(const struct area *a, unsigned int i)
{
	return (uint64_t *)((char *)a->addr + i * PVMM_PAGE_SIZE);
}

static void do_map(struct area *a)
{
	struct pvmm_vmap_how how = {.policy = (enum pvmm_vmap_policy)any(4)};
	struct pvmm_page *list[MOST_PAGES];

	a->nr = 1 + any(any(4) ? 20 : MOST_PAGES);
	a->is_vmalloc = !any(8);
	if (!any(16))
		how.align_bytes = PVMM_PAGE_SIZE << any(4);
	if (a->is_vmalloc) {
		assert_int_equal(pvmm_vmalloc(a->nr * PVMM_PAGE_SIZE, &how, &a->addr), 0);
		*word(a, a->nr - 1) = (uintptr_t)a;
		return;
	}
	for (unsigned int i = 0; i < a->nr; i++) {
		a->page[i] = any(PAGES);
		list[i] = pages[a->page[i]].page;
		pages[a->page[i]].live++;
	}
	assert_int_equal(pvmm_vmap(list, a->nr, PVMM_PROT_RW, &how, &a->addr), 0);
}

static void look(const struct area *a)
{
	unsigned int i = any(a->nr);

	if (a->is_vmalloc) {
		assert_int_equal(*word(a, a->nr - 1), (uintptr_t)a);
		return;
	}
	assert_int_equal(model_access((uintptr_t)word(a, i), true), MODEL_DONE);
	assert_int_equal(*word(a, i), pfn_x(pvmm_page_pfn(pages[a->page[i]].page)));
	assert_int_equal(model_access((uintptr_t)word(a, a->nr), false), MODEL_FAULT);
}

static void do_unmap(struct area *a)
{
	look(a);
	assert_int_equal(a->is_vmalloc ? pvmm_vfree(a->addr) : pvmm_vunmap(a->addr), 0);
	for (unsigned int i = 0; !a->is_vmalloc && i < a->nr; i++)
		pages[a->page[i]].live--;
	a->addr = NULL;
}

static void new_page(unsigned int i)
{
	pages[i].page = pvmm_page(unit_page());
	*(uint64_t *)pvmm_page_virt(pages[i].page) = pfn_x(pvmm_page_pfn(pages[i].page));
}

static void for_one(const void *page, void (*fn)(struct pvmm_page *, void *), void *ctx)
{
	fn((struct pvmm_page *)(uintptr_t)page, ctx);
}

/* What a pin of a table in this page does; Xen is asked, and believes it. */
static void do_drop(unsigned int i)
{
	struct pvmm_page *page = pages[i].page;
	pfn_t pfn = pvmm_page_pfn(page);

	if (pages[i].live)
		return;
	pvmm_batch_begin();
	ledger_drop_begin(for_one, page);
	pvmm_batch_end(NULL);
	ledger_drop_end(NULL);
	assert_true(pvmm_page_is_clean(page));
	memset(pvmm_page_virt(page), 0, PVMM_PAGE_SIZE);
	unit_readonly(pfn);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, pfn), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, pfn), 0);
	unit_writable(pfn);
	*(uint64_t *)pvmm_page_virt(page) = pfn_x(pfn);
}

static void step(void)
{
	struct area *a = &areas[any(AREAS)];
	unsigned int i = any(PAGES);

	model_set_vcpu(any(VCPUS));
	switch (any(16)) {
	case 0:
		if (!any(8))
			pvmm_purge();
		break;
	case 1:
		do_drop(i);
		break;
	case 2: /* given back while it may be mapped, even live: the mapping keeps it */
		if (!pages[i].live) {
			pvmm_page_put(pages[i].page);
			new_page(i);
		}
		break;
	case 3:
		pvmm_purge_if_older(any(2000));
		break;
	default:
		if (a->addr)
			do_unmap(a);
		else
			do_map(a);
	}
}

static void compare(void)
{
	for (unsigned int i = 0; i < PAGES; i++) {
		assert_int_equal(pages[i].page->live, pages[i].live);
		assert_true(pages[i].page->refs >= 1 + pages[i].live);
	}
	for (unsigned int i = 0; i < AREAS; i++)
		if (areas[i].addr)
			look(&areas[i]);
	assert_clean();
}

static void run(uint64_t nr_steps)
{
	struct pvmm_vmap_params defaults = pvmm_vmap_params(), params = defaults;
	uint64_t accounted;

	params.lazy_pages = any(2) ? 200 : 2000;
	params.lazy_areas = 5 + any(40);
	params.drop_all_pages = any(2) ? 0 : 100;
	params.small_pages = any(3) ? 64 : any(256);
	assert_int_equal(pvmm_vmap_set_params(&params), 0);
	for (unsigned int vcpu = 1; vcpu < VCPUS; vcpu++)
		model_vcpu_up(vcpu);
	memset(areas, 0, sizeof(areas));
	memset(pages, 0, sizeof(pages));
	accounted = pvmm_free_pages() + pvmm_kernel_space.nr_tables;
	for (unsigned int i = 0; i < PAGES; i++)
		new_page(i);
	for (uint64_t i = 0; i < nr_steps; i++) {
		step();
		if (i % 1000 == 0)
			compare();
	}
	model_set_vcpu(0);
	for (unsigned int i = 0; i < AREAS; i++)
		if (areas[i].addr)
			do_unmap(&areas[i]);
	pvmm_purge();
	compare();
	for (unsigned int i = 0; i < PAGES; i++)
		pvmm_page_put(pages[i].page);
	assert_int_equal(pvmm_free_pages() + pvmm_kernel_space.nr_tables, accounted);
	assert_clean();
	assert_int_equal(pvmm_vmap_set_params(&defaults), 0);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void random_operations(void **state)
{
	uint64_t left = number_from("RANDOM_OPERATIONS", 12000);

	(void)state;
	for (uint64_t i = number_from("RANDOM_SEED", 1); left; i++) {
		uint64_t nr = left < 3000 ? left : 3000;
		const struct model_options options = {.release = i & 1};

		model_shutdown();
		model_boot_with(MACHINE_PAGES, i, &options);
		seed = i * 0x9e3779b97f4a7c15ULL | 1;
		run(nr);
		left -= nr;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
