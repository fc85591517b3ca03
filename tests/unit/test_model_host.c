/* SPDX-License-Identifier: MIT */
/*
 * The model's own machinery: pages are mapped for real where the tables say, with the rights the
 * tables say; its audit sees what it should; what a test asks of the host can be trusted.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/model/state.h"
#include "tests/unit/unit.h"

/* The seed moves the frames; no pfn is an mfn; both tables lead back. */
static void frames_are_permuted(void **state)
{
	uint64_t first[64], same = 0;

	(void)state;
	for (uint64_t i = 0; i < UNIT_PAGES; i++) {
		mfn_t mfn = pvmm_pfn_to_mfn(_pfn(i));

		assert_true(mfn_x(mfn) >= UNIT_PAGES);
		assert_int_equal(pfn_x(pvmm_mfn_to_pfn(mfn)), i);
		if (i < 64)
			first[i] = mfn_x(mfn);
	}
	model_shutdown();
	model_boot(UNIT_PAGES, 2);
	for (uint64_t i = 0; i < 64; i++)
		same += first[i] == mfn_x(pvmm_pfn_to_mfn(_pfn(i)));
	assert_true(same < 4);
	assert_clean();
}

/* Domains of odd sizes boot, and nothing is left of the one before. */
static void boots_in_any_size(void **state)
{
	const uint64_t sizes[] = {600, 1000, 1023, 4096, 5003};

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(sizes); i++) {
		model_shutdown();
		model_boot(sizes[i], i + 1);
		assert_int_equal(pvmm_max_pfn(), sizes[i]);
		assert_clean();
	}
}

/* Rule 2, felt: a page that the tables map read-only cannot be written, whoever tries. */
static void directmap_follows_its_entries(void **state)
{
	pfn_t page = unit_page();
	uint64_t *virt = pvmm_pfn_to_virt(page);

	(void)state;
	*virt = 0x1234;
	assert_int_equal(*(uint64_t *)model_bytes(pvmm_pfn_to_mfn(page)), 0x1234);
	assert_false(model_write_faults(virt));
	unit_readonly(page);
	assert_true(model_write_faults(virt));
	assert_false(model_read_faults(virt));
	unit_writable(page);
	assert_false(model_write_faults(virt));
	assert_int_equal(*virt, 0x1234);

	/* The kernel's own tables are read-only from the start. */
	assert_true(model_write_faults(pvmm_pt_entries(pvmm_kernel_space.root)));
	assert_int_equal(pvmm_hc_update_va_mapping((uintptr_t)virt, 0, UVMF_INVLPG), 0);
	assert_true(model_read_faults(virt));
	unit_writable(page);
	assert_int_equal(*virt, 0x1234);
}

/* An entry in any loaded table is a mapping; upper entries without RW take the right away. */
static void loaded_tables_are_mapped(void **state)
{
	pfn_t root = unit_root(), l3 = unit_table(), l2 = unit_table(), l1 = unit_table();
	pfn_t data = unit_page();
	uint64_t va = UNIT_VA + 5 * PVMM_PAGE_SIZE;
	uint64_t *at = (uint64_t *)(uintptr_t)va;
	mfn_t kernel = model_root();

	(void)state;
	*(uint64_t *)pvmm_pfn_to_virt(data) = 0xabcd;
	unit_poke(root, pvmm_pt_slot(va, 4), unit_pte(l3, PVMM_PROT_TABLE));
	unit_poke(l3, pvmm_pt_slot(va, 3), unit_pte(l2, PVMM_PROT_TABLE));
	unit_poke(l2, pvmm_pt_slot(va, 2), unit_pte(l1, PVMM_PROT_TABLE));
	unit_poke(l1, pvmm_pt_slot(va, 1), unit_pte(data, PVMM_PROT_RW));
	assert_true(model_read_faults(at));
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, root), 0);
	assert_int_equal(*at, 0xabcd);
	assert_false(model_write_faults(at));

	assert_int_equal(unit_set(l1, pvmm_pt_slot(va, 1), unit_pte(data, PVMM_PROT_RO)), 0);
	assert_true(model_write_faults(at));
	assert_int_equal(unit_set(l1, pvmm_pt_slot(va, 1), unit_pte(data, PVMM_PROT_RW)), 0);
	assert_int_equal(
		unit_set(l2, pvmm_pt_slot(va, 2), unit_pte(l1, PVMM_PROT_TABLE & ~PVMM_PTE_RW)), 0);
	assert_true(model_write_faults(at));
	assert_int_equal(*at, 0xabcd);
	assert_model_clean();

	/* Mapped a second time through the same L1: both follow a change. */
	assert_int_equal(unit_set(l2, pvmm_pt_slot(va, 2) + 1, unit_pte(l1, PVMM_PROT_TABLE)), 0);
	assert_int_equal(*(uint64_t *)(uintptr_t)(va + (1 << 21)), 0xabcd);
	assert_int_equal(unit_set(l1, pvmm_pt_slot(va, 1), 0), 0);
	assert_true(model_read_faults(at));
	assert_true(model_read_faults((void *)(uintptr_t)(va + (1 << 21))));

	assert_int_equal(unit_ext(MMUEXT_NEW_BASEPTR, kernel), 0);
	assert_true(model_read_faults(at));
	assert_model_clean();
}

/* An address that the process uses itself is left alone. */
static void the_process_keeps_its_own(void **state)
{
	uint64_t *own = mmap((void *)(uintptr_t)(UNIT_VA + 0x100000), PVMM_PAGE_SIZE,
			     PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	struct pvmm_space space;

	(void)state;
	assert_ptr_not_equal(own, MAP_FAILED);
	*own = 42;
	assert_int_equal(pvmm_space_create(&space, "own"), 0);
	assert_int_equal(pvmm_space_map(&space, (uintptr_t)own,
					pvmm_page(unit_page_of(PVMM_PAGE_USER)), PVMM_PROT_RW),
			 0);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_int_equal(*own, 42);
	assert_int_equal(pvmm_space_unmap(&space, (uintptr_t)own), 0);
	assert_int_equal(*own, 42);
	assert_model_clean();
	munmap(own, PVMM_PAGE_SIZE);
}

/* Each vCPU has its root; the process shows the one that runs. */
static void vcpus_have_their_roots(void **state)
{
	struct pvmm_space space;

	(void)state;
	assert_int_equal(pvmm_space_create(&space, "v"), 0);
	assert_int_equal(pvmm_space_map(&space, UNIT_VA, pvmm_page(unit_page_of(PVMM_PAGE_USER)),
					PVMM_PROT_RW),
			 0);
	model_vcpu_up(3);
	assert_int_equal(pvmm_space_activate(&space), 0);
	assert_false(model_read_faults((void *)(uintptr_t)UNIT_VA));
	model_set_vcpu(3);
	assert_int_equal(pvmm_this_vcpu(), 3);
	assert_true(model_read_faults((void *)(uintptr_t)UNIT_VA));
	assert_model_clean();
	model_set_vcpu(0);
	assert_false(model_read_faults((void *)(uintptr_t)UNIT_VA));
	assert_model_clean();
}

/* Rules 1 to 3 by another way: the audit sees each count, type and mark that is wrong. */
static void audit_is_not_blind(void **state)
{
	uint64_t data = mfn_x(pvmm_pfn_to_mfn(unit_page()));
	uint64_t root = mfn_x(model_root());
	struct frame *f = frame_at(data), was = *f;
	int err = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

	(void)state;
	dup2(null, STDERR_FILENO); /* it says what it finds; here it is meant to */
	f->s.refs++;
	assert_int_not_equal(model_check(), 0);
	*f = was;
	f->s.type_count--;
	assert_int_not_equal(model_check(), 0);
	*f = was;
	f->s.type = MODEL_L2;
	assert_int_not_equal(model_check(), 0);
	*f = was;
	f->s.pinned = true;
	assert_int_not_equal(model_check(), 0);
	*f = was;
	f->s.owner = MODEL_FOREIGN;
	assert_int_not_equal(model_check(), 0);
	*f = was;
	frame_at(root)->s.validated = false;
	assert_int_not_equal(model_check(), 0);
	frame_at(root)->s.validated = true;
	frame_at(root)->s.linear = 1;
	assert_int_not_equal(model_check(), 0);
	frame_at(root)->s.linear = 0;
	dup2(err, STDERR_FILENO);
	close(err);
	close(null);
	assert_model_clean();
}

static void panic_politely(void *ctx)
{
	*(uint64_t *)pvmm_pfn_to_virt(*(pfn_t *)ctx) = 1;
	pvmm_panic("polite %s %d", "panic", 7);
}

static void do_nothing(void *ctx)
{
	(void)ctx;
}

/* A panic is told from no panic and from another one, and leaves no trace. */
static void panics_are_caught(void **state)
{
	pfn_t page = unit_page();
	int err = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

	(void)state;
	dup2(null, STDERR_FILENO);
	assert_true(model_panics(panic_politely, &page, "polite panic 7"));
	assert_false(model_panics(panic_politely, &page, "rude"));
	assert_false(model_panics(do_nothing, NULL, ""));
	dup2(err, STDERR_FILENO);
	close(err);
	close(null);
	assert_int_equal(*(uint64_t *)pvmm_pfn_to_virt(page), 0);
	assert_clean();
}

__attribute__((noinline)) static unsigned int trace_inner(uintptr_t *callers, unsigned int skip)
{
	return pvmm_stack_trace(callers, 4, skip);
}

__attribute__((noinline)) static unsigned int trace_outer(uintptr_t *callers, unsigned int skip)
{
	return trace_inner(callers, skip);
}

/* log.h: callers of the function that asks, innermost first; skip leaves some out. */
static void stack_traces(void **state)
{
	uintptr_t all[4] = {0}, skipped[4] = {0};

	(void)state;
	assert_true(trace_outer(all, 0) >= 2);
	assert_true(trace_outer(skipped, 1) >= 1);
	assert_in_range(all[1], (uintptr_t)stack_traces, (uintptr_t)stack_traces + 2000);
	assert_in_range(skipped[0], (uintptr_t)stack_traces, (uintptr_t)stack_traces + 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(frames_are_permuted),
		UNIT_TEST(boots_in_any_size),
		UNIT_TEST(directmap_follows_its_entries),
		UNIT_TEST(loaded_tables_are_mapped),
		UNIT_TEST(the_process_keeps_its_own),
		UNIT_TEST(vcpus_have_their_roots),
		UNIT_TEST(audit_is_not_blind),
		UNIT_TEST(panics_are_caught),
		UNIT_TEST(stack_traces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
