/* SPDX-License-Identifier: MIT */
/*
 * Each hypercall of each operation on address spaces, and of a vCPU's way up, is refused in turn,
 * on real Xen: the operation returns the error, the books and the tables agree, nothing is lost,
 * and the same operation then works. (DESIGN's promise; R9, R43. Only what can be undone: a refused
 * unpin is a panic.)
 *
 * Needs the image built with INJECT=1; tests/xl/inject.t boots that one.
 */
#include <pvmm/alloc.h>
#include <pvmm/hypercall.h>
#include <pvmm/inject.h>
#include <pvmm/stray.h>
#include "suites.h"
#include "thread.h"

#define USER_VA	  0x0000000000400000ULL
#define FAR_VA	  0x0000700000000000ULL
#define KERNEL_VA (PVMM_VMAP_BASE + 0x50000000ULL)

static struct pvmm_space space;
static struct pvmm_page *page;

static int do_pin(void)
{
	return pvmm_space_pin(&space);
}

static int do_activate(void)
{
	return pvmm_space_activate(&space);
}

static int do_map(void)
{
	return pvmm_space_map(&space, USER_VA + PVMM_PAGE_SIZE, page, PVMM_PROT_RW);
}

static int do_map_with_new_tables(void)
{
	return pvmm_space_map(&space, FAR_VA, page, PVMM_PROT_RW);
}

static int do_map_in_the_kernel(void)
{
	return pvmm_space_map(&pvmm_kernel_space, KERNEL_VA, page, PVMM_PROT_RW);
}

static int do_unmap_in_the_kernel(void)
{
	return pvmm_space_unmap(&pvmm_kernel_space, KERNEL_VA);
}

static int do_protect(void)
{
	return pvmm_space_protect(&space, USER_VA, PVMM_PROT_RO);
}

static int do_unmap(void)
{
	return pvmm_space_unmap(&space, USER_VA);
}

/*
 * Refuses the first, the second, ... hypercall of this kind that op makes, until there is none left
 * to refuse: then op has succeeded. Returns how many were refused.
 */
static unsigned int refuse_each(int (*op)(void), unsigned int kind, int err)
{
	for (unsigned int nth = 1; nth < 100; nth++) {
		uint64_t free;
		bool fired;
		int got;

		pvmm_table_cache_shrink();
		free = pvmm_free_pages();

		pvmm_inject_arm(kind, nth, err);
		got = op();
		fired = pvmm_inject_fired();
		pvmm_inject_arm(0, 0, 0);
		if (!fired) {
			CHECK_EQUAL(got, 0);
			return nth - 1;
		}
		CHECK_EQUAL(got, err);
		pvmm_table_cache_shrink();
		CHECK_EQUAL(pvmm_free_pages(), free);
		CHECK_EQUAL(pvmm_audit(), 0);
	}
	CHECK(false);
	return 0;
}

static bool set_up(void)
{
	if (!CHECK(pvmm_inject_arm))
		return false;
	page = pvmm_page_alloc(0, PVMM_PAGE_USER);
	return CHECK(page) && CHECK_EQUAL(pvmm_space_create(&space, "refused"), 0) &&
	       CHECK_EQUAL(pvmm_space_map(&space, USER_VA, page, PVMM_PROT_RW), 0);
}

static void tear_down(void)
{
	CHECK_EQUAL(pvmm_space_activate(&pvmm_kernel_space), 0);
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
	pvmm_page_put(page);
}

static void every_update_can_be_refused(void)
{
	const unsigned int kind = __HYPERVISOR_mmu_update;

	if (!set_up())
		return;
	CHECK_EQUAL(refuse_each(do_pin, kind, -XEN_EINVAL), 1);
	CHECK_EQUAL(refuse_each(do_map, kind, -XEN_EBUSY), 1);
	CHECK_EQUAL(refuse_each(do_map_with_new_tables, kind, -XEN_EINVAL), 1);
	CHECK_EQUAL(refuse_each(do_map_in_the_kernel, kind, -XEN_EBUSY), 1);
	CHECK_EQUAL(refuse_each(do_protect, kind, -XEN_EINVAL), 1);
	CHECK_EQUAL(refuse_each(do_unmap, kind, -XEN_EINVAL), 1);
	CHECK_EQUAL(pvmm_space_unmap(&pvmm_kernel_space, KERNEL_VA), 0);
	tear_down();
}

/* Single addresses in the loaded tables go by another call. */
static void every_single_address_can_be_refused(void)
{
	const unsigned int kind = __HYPERVISOR_update_va_mapping;

	if (!set_up())
		return;
	CHECK_EQUAL(pvmm_space_activate(&space), 0);
	CHECK_EQUAL(pvmm_space_map(&pvmm_kernel_space, KERNEL_VA, page, PVMM_PROT_RW), 0);
	CHECK_EQUAL(refuse_each(do_unmap_in_the_kernel, kind, -XEN_EINVAL), 1);
	CHECK_EQUAL(refuse_each(do_map, kind, -XEN_EBUSY), 1);
	CHECK_EQUAL(refuse_each(do_protect, kind, -XEN_EINVAL), 1);
	CHECK_EQUAL(refuse_each(do_unmap, kind, -XEN_EINVAL), 1);
	tear_down();
}

static void every_operation_can_be_refused(void)
{
	const unsigned int kind = __HYPERVISOR_mmuext_op;

	if (!set_up())
		return;
	CHECK_EQUAL(refuse_each(do_pin, kind, -XEN_EINVAL), 1);
	CHECK_EQUAL(pvmm_space_unpin(&space), 0);
	/* The pin and the new base pointer. */
	CHECK_EQUAL(refuse_each(do_activate, kind, -XEN_EINVAL), 2);
	tear_down();
}

/* --- vCPUs --- */

/* What has been refused leaves the vCPU down, or did not matter. */
static void refuse_each_of_a_vcpu(unsigned int vcpu, unsigned int kind)
{
	bool fired = true;

	for (unsigned int nth = 1; fired && nth < 100; nth++) {
		uint64_t before = pages_accounted_for();
		int err;

		pvmm_inject_arm(kind, nth, -XEN_EPERM);
		err = thread_vcpu_up(vcpu);
		fired = pvmm_inject_fired();
		pvmm_inject_arm(0, 0, 0);
		CHECK_EQUAL(pvmm_vcpu_is_up(vcpu), !err);
		CHECK_EQUAL(pvmm_hc_vcpu_op(VCPUOP_is_up, vcpu, NULL), !err);
		CHECK(fired || !err);
		CHECK_EQUAL(pages_accounted_for(), before);
		CHECK_EQUAL(pvmm_audit(), 0);
		if (!err)
			CHECK_EQUAL(thread_vcpu_down(vcpu), 0);
	}
	CHECK(!fired);
}

/* For each kind of hypercall a vCPU of maxvcpus= that has never been up. */
static void every_step_of_a_vcpu_can_be_refused(void)
{
	const unsigned int kinds[] = {__HYPERVISOR_vcpu_op, __HYPERVISOR_event_channel_op,
				      __HYPERVISOR_mmu_update, __HYPERVISOR_update_va_mapping,
				      __HYPERVISOR_multicall};

	if (!CHECK(pvmm_inject_arm))
		return;
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(kinds); i++) {
		CHECK(!pvmm_vcpu_is_up(i + 1));
		refuse_each_of_a_vcpu(i + 1, kinds[i]);
	}
}

const struct suite suite_inject = {
	.name = "inject",
	.about = "refuses hypercalls (image built with INJECT=1); not part of \"all\"",
	.on_request = true,
	.tests =
		(const struct test[]){
			{"every update can be refused", every_update_can_be_refused},
			{"every single address can be refused",
			 every_single_address_can_be_refused},
			{"every extended operation can be refused", every_operation_can_be_refused},
			{"every step of a vCPU's way up can be refused",
			 every_step_of_a_vcpu_can_be_refused},
			{NULL, NULL},
		},
};
