/* SPDX-License-Identifier: MIT */
/*
 * The model against docs/xen-rules.md: how the domain gives frames up and gets others (rules 42, 45
 * and 46).
 */
#include "tests/model/state.h"
#include "tests/unit/unit.h"

static struct xen_memory_domain self = {.domid = DOMID_SELF};

static long owned(void)
{
	return pvmm_hc_memory_op(XENMEM_current_reservation, &self);
}

static void unmap(pfn_t pfn)
{
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(pfn);

	assert_int_equal(pvmm_hc_update_va_mapping(va, 0, UVMF_INVLPG), 0);
}

static long reserve(unsigned int op, xen_pfn_t *list, unsigned int nr)
{
	struct xen_memory_reservation r = {.nr_extents = nr, .domid = DOMID_SELF};

	r.extent_start.p = list;
	return pvmm_hc_memory_op(op, &r);
}

static struct xen_memory_exchange exchange_of(xen_pfn_t *in, xen_pfn_t *out, unsigned int nr)
{
	struct xen_memory_exchange x = {
		.in = {.nr_extents = nr, .domid = DOMID_SELF},
		.out = {.nr_extents = nr, .domid = DOMID_SELF},
	};

	x.in.extent_start.p = in;
	x.out.extent_start.p = out;
	return x;
}

static xen_pfn_t frame_of(pfn_t pfn)
{
	return mfn_x(pvmm_pfn_to_mfn(pfn));
}

/* Rule 42: a frame that nothing refers to is free at once, and the m2p forgets it. */
static void decrease_frees(void **state)
{
	pfn_t page = unit_page();
	xen_pfn_t mfn = frame_of(page);

	(void)state;
	unmap(page);
	assert_int_equal(reserve(XENMEM_decrease_reservation, &mfn, 1), 1);
	assert_int_equal(model_frame(_mfn(mfn)).owner, MODEL_FREE);
	assert_true(model.m2p[mfn] == UINT64_MAX);
	assert_int_equal(owned(), UNIT_PAGES - 1);
	assert_int_equal(reserve(XENMEM_decrease_reservation, &mfn, 1), 0);
	assert_model_clean();
}

/* Rule 42: one that is still mapped stays the domain's, type and all, until its mappings go. */
static void decrease_of_a_used_frame(void **state)
{
	pfn_t page = unit_page();
	xen_pfn_t mfn = frame_of(page);

	(void)state;
	assert_int_equal(reserve(XENMEM_decrease_reservation, &mfn, 1), 1);
	assert_int_equal(model_frame(_mfn(mfn)).owner, MODEL_GUEST);
	assert_int_equal(model_frame(_mfn(mfn)).refs, 1);
	assert_int_equal(owned(), UNIT_PAGES);
	*(uint64_t *)pvmm_pfn_to_virt(page) = 5;
	/* Again: there is nothing left to give up, and no error. */
	assert_int_equal(reserve(XENMEM_decrease_reservation, &mfn, 1), 1);
	assert_int_equal(model_frame(_mfn(mfn)).refs, 1);
	assert_model_clean();

	/* It may even become a table, whose pin then is what keeps it. */
	unit_readonly(page);
	memset(model_bytes(_mfn(mfn)), 0, PVMM_PAGE_SIZE);
	assert_int_equal(unit_ext(MMUEXT_PIN_L1_TABLE, _mfn(mfn)), 0);
	unmap(page);
	assert_int_equal(model_frame(_mfn(mfn)).refs, 1);
	assert_model_clean();
	assert_int_equal(unit_ext(MMUEXT_UNPIN_TABLE, _mfn(mfn)), 0);
	assert_int_equal(model_frame(_mfn(mfn)).owner, MODEL_FREE);
	assert_int_equal(owned(), UNIT_PAGES - 1);
	assert_model_clean();
}

/* What is given up next must be the domain's: the call stops there and says how far it got. */
static void decrease_stops(void **state)
{
	const enum model_owner others[] = {MODEL_HOLE, MODEL_FREE, MODEL_FOREIGN, MODEL_XEN,
					   MODEL_IO};
	xen_pfn_t list[3];

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(others); i++) {
		pfn_t a = unit_page(), b = unit_page();

		list[0] = frame_of(a);
		list[1] = mfn_x(model_frame_owned(others[i], 0));
		list[2] = frame_of(b);
		assert_int_equal(reserve(XENMEM_decrease_reservation, list, 3), 1);
		assert_true(model_frame_of(b).allocated);
		assert_false(model_frame_of(a).allocated);
	}
	assert_model_clean();
}

/* Rule 45: nothing but a count tells that a reservation's arguments were wrong. */
static void reservations_without_an_error(void **state)
{
	pfn_t page = unit_page();
	xen_pfn_t mfn = frame_of(page);
	struct xen_memory_reservation good = {.nr_extents = 1, .domid = DOMID_SELF}, r;

	(void)state;
	good.extent_start.p = &mfn;
	r = good;
	r.domid = FOREIGN_DOMID;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_decrease_reservation, &r), 0);
	r.domid = 999;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_decrease_reservation, &r), 0);
	r = good;
	r.extent_order = 10;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_decrease_reservation, &r), 0);
	r = good;
	r.nr_extents = 0x4000000;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_decrease_reservation, &r), 0);
	r = good;
	r.extent_start.p = NULL;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_decrease_reservation, &r), 0);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_decrease_reservation, NULL), 0);
	/* Begun where it says: behind the end. */
	assert_int_equal(pvmm_hc_memory_op(XENMEM_decrease_reservation | 3 << 6, &good), 3);
	assert_true(model_frame_of(page).allocated);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_decrease_reservation, &good), 1);
	assert_model_clean();
}

/* A new frame: no type, no mapping, the page it is to be in the m2p. */
static void populate_gives_a_frame(void **state)
{
	pfn_t page = unit_page();
	xen_pfn_t mfn = frame_of(page), ext;
	uint64_t entry;

	(void)state;
	unmap(page);
	assert_int_equal(reserve(XENMEM_decrease_reservation, &mfn, 1), 1);
	ext = pfn_x(page);
	assert_int_equal(reserve(XENMEM_populate_physmap, &ext, 1), 1);
	assert_int_equal(model_frame(_mfn(ext)).owner, MODEL_GUEST);
	assert_int_equal(model_frame(_mfn(ext)).refs, 1);
	assert_int_equal(model_frame(_mfn(ext)).type, MODEL_NONE);
	assert_int_equal(model_frame_of(page).refs, 1);
	assert_true(model.m2p[ext] == pfn_x(page));
	assert_int_equal(owned(), UNIT_PAGES);

	entry = pvmm_pte(_mfn(ext), PVMM_PROT_RW);
	assert_int_equal(pvmm_hc_update_va_mapping((uintptr_t)pvmm_pfn_to_virt(page), entry, 0), 0);
	*(uint64_t *)pvmm_pfn_to_virt(page) = 5;
	assert_int_equal(*(uint64_t *)model_bytes(_mfn(ext)), 5);
	assert_model_clean();
}

/* No more than the domain may have. */
static void limits(void **state)
{
	xen_pfn_t list[4] = {0};

	(void)state;
	unit_reboot(&(struct model_options){.max_pages = UNIT_PAGES + 2});
	assert_int_equal(reserve(XENMEM_populate_physmap, list, 4), 2);
	assert_int_equal(reserve(XENMEM_increase_reservation, list, 1), 0);
	assert_int_equal(owned(), UNIT_PAGES + 2);
	assert_int_equal(reserve(XENMEM_decrease_reservation, list, 2), 2);
	assert_model_clean();
	/* An increase needs no list; then it is known by nobody which frame it was. */
	assert_int_equal(reserve(XENMEM_increase_reservation, list, 1), 1);
	assert_true(model.m2p[list[0]] == UINT64_MAX);
	assert_int_equal(reserve(XENMEM_increase_reservation, NULL, 1), 1);
	assert_int_equal(owned(), UNIT_PAGES + 2);
	assert_model_clean();
}

/* Rule 46: the new frame has the page's number, the old one is free. */
static void exchange_works(void **state)
{
	pfn_t page = unit_page();
	xen_pfn_t in = frame_of(page), out = pfn_x(page);
	struct xen_memory_exchange x = exchange_of(&in, &out, 1);

	(void)state;
	unmap(page);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), 0);
	assert_int_equal(x.nr_exchanged, 1);
	assert_true(out != in);
	assert_int_equal(model_frame(_mfn(in)).owner, MODEL_FREE);
	assert_true(model.m2p[in] == UINT64_MAX);
	assert_true(model.m2p[out] == pfn_x(page));
	assert_int_equal(model_frame_of(page).refs, 1);
	assert_int_equal(owned(), UNIT_PAGES);
	assert_model_clean();
	/* Nothing is left to do. */
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), 0);
}

/* Rules 42 and 46: any other reference is in the way, and those before stay exchanged. */
static void exchange_is_strict(void **state)
{
	pfn_t free = unit_page(), mapped = unit_page(), pinned = unit_page(), last = unit_page();
	xen_pfn_t in[3], out[3] = {0};
	struct xen_memory_exchange x = exchange_of(in, out, 3);

	(void)state;
	unmap(free);
	unmap(pinned);
	unmap(last);
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, pinned), 0);
	in[0] = frame_of(free);
	in[1] = frame_of(mapped);
	in[2] = frame_of(last);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	assert_int_equal(x.nr_exchanged, 1);
	assert_int_equal(model_frame(_mfn(in[0])).owner, MODEL_FREE);
	assert_int_equal(model_frame_of(last).owner, MODEL_GUEST);

	in[1] = frame_of(pinned);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	assert_int_equal(x.nr_exchanged, 1);
	in[1] = mfn_x(model_frame_owned(MODEL_FOREIGN, 0));
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	in[1] = UINT64_MAX;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	in[1] = frame_of(model_special_pfn());
	unmap(model_special_pfn());
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	in[1] = frame_of(last);
	assert_int_equal(reserve(XENMEM_decrease_reservation, &in[1], 1), 1);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	/* One reference, and not the domain's own: given up, and mapped. */
	in[1] = frame_of(mapped);
	assert_int_equal(reserve(XENMEM_decrease_reservation, &in[1], 1), 1);
	assert_int_equal(model_frame(_mfn(in[1])).refs, 1);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	assert_model_clean();
}

/* A chunk that cannot be exchanged whole is given back: it has lost its type, and nothing else. */
static void exchange_gives_back(void **state)
{
	pfn_t page = unit_table();
	xen_pfn_t in[2], out[1] = {0};
	struct xen_memory_exchange x = exchange_of(in, out, 1);

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, page), 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_UNPIN_TABLE, page), 0);
	unmap(page);
	assert_int_equal(model_frame_of(page).type, MODEL_L1);
	in[0] = frame_of(page);
	in[1] = mfn_x(model_frame_owned(MODEL_FOREIGN, 0));
	x.in.nr_extents = 2;
	x.out.extent_order = 1;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	assert_int_equal(x.nr_exchanged, 0);
	assert_int_equal(model_frame_of(page).owner, MODEL_GUEST);
	assert_int_equal(model_frame_of(page).refs, 1);
	assert_int_equal(model_frame_of(page).type, MODEL_NONE);
	assert_true(model.m2p[in[0]] == pfn_x(page));
	assert_model_clean();
}

/* Rule 46: what is refused before anything is looked at. */
static void exchange_arguments(void **state)
{
	xen_pfn_t in = frame_of(unit_page()), out = 0;
	const struct xen_memory_exchange good = exchange_of(&in, &out, 1);
	struct xen_memory_exchange x = good;

	(void)state;
	x.in.extent_order = x.out.extent_order = 10;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EPERM);
	x = good;
	x.out.nr_extents = 2;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	x = good;
	x.nr_exchanged = 2;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	x = good;
	x.out.domid = GUEST_DOMID;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
	x = good;
	x.in.domid = x.out.domid = FOREIGN_DOMID;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EPERM);
	x.in.domid = x.out.domid = 999;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_ESRCH);
	x = good;
	x.in.extent_start.p = NULL;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, &x), -XEN_EFAULT);
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange, NULL), -XEN_EFAULT);
	x = good;
	assert_int_equal(pvmm_hc_memory_op(XENMEM_exchange | 1 << 6, &x), -XEN_EINVAL);
	assert_model_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(decrease_frees),	   UNIT_TEST(decrease_of_a_used_frame),
		UNIT_TEST(decrease_stops),	   UNIT_TEST(reservations_without_an_error),
		UNIT_TEST(populate_gives_a_frame), UNIT_TEST(limits),
		UNIT_TEST(exchange_works),	   UNIT_TEST(exchange_is_strict),
		UNIT_TEST(exchange_gives_back),	   UNIT_TEST(exchange_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
