/* SPDX-License-Identifier: MIT */
/*
 * Everything that can be refused is refused, in turn: each allocation, each hypercall, each single
 * operation. After each, the books and the model agree and nothing is lost. R9, R27, R43; DESIGN's
 * promise that a failure is undone, reported, or a panic.
 */
#include "tests/unit/unit.h"

#define MIB2 (1ULL << 21)

static struct pvmm_space space, second;

static struct pvmm_page *user_page(void)
{
	return pvmm_page(unit_page_of(PVMM_PAGE_USER));
}

static void map_new(struct pvmm_space *s, pvmm_va_t va)
{
	struct pvmm_page *page = user_page();

	assert_int_equal(pvmm_space_map(s, va, page, PVMM_PROT_RW), 0);
	pvmm_page_put(page);
}

/* --- memory runs out --- */

/* Leaves exactly nr pages free; they are single ones. */
static void drain_to(uint64_t nr)
{
	while (pvmm_free_pages() > nr)
		assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
}

/*
 * Calls op with 0, 1, 2, ... free pages until it succeeds; before that it must say -ENOMEM and have
 * taken nothing. Returns with how many it succeeded.
 */
static uint64_t with_little_memory(int (*op)(void))
{
	for (uint64_t nr = 0;; nr++) {
		int err;

		unit_reboot(&(struct model_options){0});
		assert_int_equal(pvmm_space_create(&space, "little"), 0);
		map_new(&space, UNIT_VA);
		assert_int_equal(pvmm_space_create(&second, "pinned"), 0);
		map_new(&second, UNIT_VA);
		assert_int_equal(pvmm_space_activate(&second), 0);
		pvmm_page(space.root)->private = pfn_x(pvmm_page_pfn(user_page()));
		drain_to(nr);
		assert_clean();

		err = op();
		assert_clean();
		if (!err)
			return nr;
		assert_int_equal(err, -XEN_ENOMEM);
		assert_int_equal(unit_free_pages(), nr);
		assert_true(nr < 16);
	}
}

/* The page that with_little_memory keeps for the operation to map. */
static struct pvmm_page *spare(void)
{
	return pvmm_page(_pfn(pvmm_page(space.root)->private));
}

static int op_create(void)
{
	static struct pvmm_space new;

	return pvmm_space_create(&new, "new");
}

static int op_map_building(void)
{
	return pvmm_space_map(&space, 1ULL << 45, spare(), PVMM_PROT_RW);
}

static int op_map_building_near(void)
{
	return pvmm_space_map(&space, UNIT_VA + 4096, spare(), PVMM_PROT_RW);
}

static int op_map_loaded(void)
{
	return pvmm_space_map(&second, 1ULL << 45, spare(), PVMM_PROT_RW);
}

static int op_map_kernel(void)
{
	return pvmm_space_map(&pvmm_kernel_space, PVMM_VMAP_BASE, spare(), PVMM_PROT_RW);
}

static int op_teardown(void)
{
	int err = pvmm_space_unmap(&second, UNIT_VA);

	if (!err)
		err = pvmm_space_activate(&pvmm_kernel_space);
	if (!err)
		err = pvmm_space_destroy(&second);
	return err ? err : pvmm_space_destroy(&space);
}

static int op_pin(void)
{
	int err = pvmm_space_pin(&space);

	if (!err)
		err = pvmm_space_activate(&space);
	return err;
}

/* Each allocation of each operation fails in turn; how many there are is known. */
static void memory_runs_out(void **state)
{
	(void)state;
	assert_int_equal(with_little_memory(op_create), 2);
	assert_int_equal(with_little_memory(op_map_building), 3);
	assert_int_equal(with_little_memory(op_map_building_near), 0);
	assert_int_equal(with_little_memory(op_map_loaded), 3);
	assert_int_equal(with_little_memory(op_map_kernel), 2);
}

/* R9, R27: unmapping, unpinning, destroying, pinning and loading need no memory at all. */
static void teardown_needs_no_memory(void **state)
{
	(void)state;
	assert_int_equal(with_little_memory(op_teardown), 0);
	assert_int_equal(with_little_memory(op_pin), 0);
}

/* --- hypercalls are refused --- */

/* Everything a space can be asked for, errors taken as they come. */
static void scenario(void)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_USER);
	pvmm_va_t vmap = PVMM_VMAP_BASE + 5 * MIB2;

	if (pvmm_space_create(&space, "scenario"))
		return;
	for (unsigned int i = 0; i < 3; i++)
		pvmm_space_map(&space, UNIT_VA + i * MIB2, page, PVMM_PROT_RW);
	pvmm_space_pin(&space);
	pvmm_space_map(&space, UNIT_VA + 4096, page, PVMM_PROT_RO);
	pvmm_space_map(&space, 1ULL << 45, page, PVMM_PROT_RW);
	pvmm_space_activate(&space);
	pvmm_space_protect(&space, UNIT_VA + 4096, PVMM_PROT_RW);
	pvmm_space_unmap(&space, UNIT_VA + 4096);
	pvmm_space_map(&pvmm_kernel_space, vmap, page, PVMM_PROT_RW);
	pvmm_space_protect(&pvmm_kernel_space, vmap, PVMM_PROT_RO);
	pvmm_space_unmap(&pvmm_kernel_space, vmap);
	pvmm_space_activate(&pvmm_kernel_space);
	pvmm_space_unpin(&space);
	pvmm_space_pin(&space);
	pvmm_page_put(page);
}

/* What a failure may leave over is taken away without failures. */
static void clear_up(void)
{
	pvmm_space_activate(&pvmm_kernel_space);
	pvmm_space_unmap(&pvmm_kernel_space, PVMM_VMAP_BASE + 5 * MIB2);
	if (pfn_valid(space.root))
		pvmm_space_destroy(&space);
}

/* In a process of its own. */
static int run_injected(void *ctx)
{
	const struct unit_refusal *refusal = ctx;
	uint64_t free = unit_free_pages(), lost;
	unsigned int problems;
	bool fired;

	space.root = PVMM_INVALID_PFN;
	unit_refuse(refusal);
	scenario();
	fired = model_fail_fired();
	model_output_clear();
	problems = model_check() + pvmm_audit();
	if (!problems) {
		clear_up();
		problems = model_check() + pvmm_audit();
	}
	/* The kernel's own new tables stay: two for the vmap region. */
	lost = free - unit_free_pages();
	if (problems || lost > 2) {
		fprintf(stderr, "%u problems, %llu pages lost\n%s", problems,
			(unsigned long long)lost, model_output());
		return UNIT_BROKEN;
	}
	return fired ? UNIT_CLEAN : UNIT_NOT_REACHED;
}

static unsigned int fail_each(unsigned int op, bool single, int err)
{
	return unit_refuse_each((struct unit_refusal){.op = op, .single = single, .err = err},
				run_injected, 0, NULL);
}

/* R43, "nothing half-applied unnoticed": every hypercall fails, whole. */
static void every_hypercall_fails(void **state)
{
	const int errors[] = {-XEN_EINVAL, -XEN_EBUSY, -XEN_ENOMEM};

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(errors); i++)
		assert_true(fail_each(MODEL_ANY_CALL, false, errors[i]) >= 15);
	/* Single addresses in the loaded tables go by a call of their own. */
	assert_true(fail_each(__HYPERVISOR_mmu_update, false, -XEN_EFAULT) +
			    fail_each(__HYPERVISOR_update_va_mapping, false, -XEN_EFAULT) >=
		    10);
	assert_true(fail_each(__HYPERVISOR_update_va_mapping, false, -XEN_EINVAL) >= 4);
	assert_true(fail_each(__HYPERVISOR_mmuext_op, false, -XEN_EFAULT) >= 5);
}

/* The same for every single update and extended operation, with those before it applied. */
static void every_operation_fails(void **state)
{
	(void)state;
	assert_true(fail_each(__HYPERVISOR_mmu_update, true, -XEN_EINVAL) >= 30);
	assert_true(fail_each(__HYPERVISOR_mmu_update, true, -XEN_EBUSY) >= 30);
	assert_true(fail_each(__HYPERVISOR_mmuext_op, true, -XEN_EINVAL) >= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(memory_runs_out),
		UNIT_TEST(teardown_needs_no_memory),
		UNIT_TEST(every_hypercall_fails),
		UNIT_TEST(every_operation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
