/* SPDX-License-Identifier: MIT */
/*
 * Four threads as vCPUs at once: spaces of their own, one space that all of them change and run on,
 * pages mapped by all, blocks of every order. Nothing is lost and all books agree in the end. Under
 * ThreadSanitizer (make tsan) this is also the proof that the locks are enough.
 */
#include "tests/unit/worker.h"

enum { THREADS = 4, SHARED_PAGES = 8, PLACES = 24, MACHINE_PAGES = 2048 };

static struct pvmm_space common;
static unsigned int rounds; /* THREAD_ROUNDS=2000 for a longer run */
static struct pvmm_space own[THREADS];
static struct pvmm_page *shared[SHARED_PAGES];

static pvmm_va_t place(unsigned int i)
{
	return UNIT_VA + (i % 8) * PVMM_PAGE_SIZE + (i / 8) * (1ULL << 30);
}

/* A space from its making to its end, run on and changed in between. */
static void live_a_life(struct worker *w)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_USER);

	must(w, page && !pvmm_space_create(&own[w->vcpu], "own"));
	must(w, !pvmm_space_map(&own[w->vcpu], place(0), page, PVMM_PROT_RW));
	pvmm_page_put(page);
	for (unsigned int i = 1; i < PLACES; i += 1 + any(w, 4))
		must(w, !pvmm_space_map(&own[w->vcpu], place(i), shared[any(w, SHARED_PAGES)],
					PVMM_PROT_RW));
	if (any(w, 2))
		must(w, !pvmm_space_pin(&own[w->vcpu]));
	must(w, !pvmm_space_activate(&own[w->vcpu]));
	must(w, model_access(place(0), true) == MODEL_DONE);
	must(w, !pvmm_space_protect(&own[w->vcpu], place(0), PVMM_PROT_RO));
	must(w, model_access(place(0), true) == MODEL_FAULT);
	must(w, !pvmm_space_unmap(&own[w->vcpu], place(0)));
	must(w, model_access(place(0), false) == MODEL_FAULT);
	must(w, pvmm_space_unpin(&own[w->vcpu]) == -XEN_EBUSY);
	must(w, !pvmm_space_activate(&pvmm_kernel_space));
	if (any(w, 2))
		must(w, !pvmm_space_unpin(&own[w->vcpu]));
	must(w, !pvmm_space_destroy(&own[w->vcpu]));
}

/* On the space that all share any answer is possible but one that breaks something. */
static void use_the_common(struct worker *w)
{
	pvmm_va_t va = place(any(w, PLACES));
	int err;

	switch (any(w, 6)) {
	case 0:
	case 1:
		err = pvmm_space_map(&common, va, shared[any(w, SHARED_PAGES)], PVMM_PROT_RW);
		must(w, !err || err == -XEN_EEXIST);
		break;
	case 2:
		err = pvmm_space_unmap(&common, va);
		must(w, !err || err == -XEN_ENOENT);
		break;
	case 3:
		must(w, !pvmm_space_activate(&common));
		must(w, pvmm_space_current() == &common);
		for (unsigned int i = 0; i < 4; i++)
			model_access(place(any(w, PLACES)), any(w, 2));
		must(w, !pvmm_space_activate(&pvmm_kernel_space));
		break;
	case 4:
		err = pvmm_space_unpin(&common);
		must(w, !err || err == -XEN_EBUSY || err == -XEN_EINVAL);
		break;
	default:
		must(w, !pvmm_space_pin(&common));
	}
}

/* The kernel's mappings are everybody's, each at an address of its own. */
static void use_the_kernels(struct worker *w)
{
	pvmm_va_t va = PVMM_VMAP_BASE + w->vcpu * PVMM_PAGE_SIZE;
	struct pvmm_page *page = shared[any(w, SHARED_PAGES)];

	must(w, !pvmm_space_map(&pvmm_kernel_space, va, page, PVMM_PROT_RO));
	must(w, *(volatile uint64_t *)(uintptr_t)va == pfn_x(pvmm_page_pfn(page)));
	must(w, model_access(va, false) == MODEL_DONE);
	must(w, !pvmm_space_unmap(&pvmm_kernel_space, va));
	must(w, model_access(va, false) == MODEL_FAULT);
}

/* A stray of one's own: refused, while others change the tables that the search looks through. */
static void be_refused(struct worker *w)
{
	pvmm_va_t va = PVMM_VMAP_BASE + w->vcpu * PVMM_PAGE_SIZE;

	must(w, !pvmm_space_create(&own[w->vcpu], "refused"));
	must(w,
	     !pvmm_hc_update_va_mapping(va, unit_pte(own[w->vcpu].root, PVMM_PROT_RW), UVMF_NONE));
	must(w, pvmm_space_pin(&own[w->vcpu]) == -XEN_EINVAL);
	must(w, own[w->vcpu].state == PVMM_SPACE_BUILDING);
	must(w, !pvmm_hc_update_va_mapping(va, 0, UVMF_INVLPG | UVMF_ALL));
	must(w, !pvmm_space_pin(&own[w->vcpu]));
	must(w, !pvmm_space_destroy(&own[w->vcpu]));
}

static void use_blocks(struct worker *w)
{
	unsigned int order = any(w, PVMM_MAX_ORDER + 1);
	struct pvmm_page *block = pvmm_page_alloc(order, PVMM_PAGE_KERNEL);

	if (!block)
		return;
	memset(pvmm_page_virt(block), (int)w->vcpu + 1, PVMM_PAGE_SIZE);
	must(w, *(uint8_t *)pvmm_page_virt(block) == w->vcpu + 1);
	must(w, pvmm_free_pages() + pvmm_free_blocks(order) < 2 * MACHINE_PAGES);
	pvmm_page_free(block, order);
}

static void work(struct worker *w)
{
	for (unsigned int i = 0; i < rounds; i++) {
		live_a_life(w);
		for (unsigned int k = 0; k < 8; k++)
			use_the_common(w);
		use_the_kernels(w);
		use_blocks(w);
		if (!any(w, 8))
			be_refused(w);
	}
}

static void four_vcpus(void **state)
{
	struct worker workers[THREADS];
	uint64_t free;

	(void)state;
	rounds = worker_rounds(150);
	for (unsigned int i = 0; i < SHARED_PAGES; i++) {
		shared[i] = pvmm_page(unit_page_of(PVMM_PAGE_USER));
		*(uint64_t *)pvmm_page_virt(shared[i]) = pfn_x(pvmm_page_pfn(shared[i]));
	}
	/* The kernel's own new tables stay. */
	assert_int_equal(
		pvmm_space_map(&pvmm_kernel_space, PVMM_VMAP_BASE, shared[0], PVMM_PROT_RO), 0);
	assert_int_equal(pvmm_space_unmap(&pvmm_kernel_space, PVMM_VMAP_BASE), 0);
	free = unit_free_pages();
	assert_int_equal(pvmm_space_create(&common, "common"), 0);

	for (unsigned int i = 0; i < THREADS; i++)
		workers[i] = (struct worker){.run = work};
	workers_run(workers, THREADS);

	assert_clean();
	assert_int_equal(pvmm_space_destroy(&common), 0);
	for (unsigned int i = 0; i < SHARED_PAGES; i++) {
		assert_int_equal(shared[i]->live, 0);
		assert_int_equal(shared[i]->refs, 1);
	}
	assert_int_equal(unit_free_pages(), free);
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(four_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
