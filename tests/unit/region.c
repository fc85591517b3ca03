/* SPDX-License-Identifier: MIT */
/* See region.h. Owns the two spaces. */
#include "tests/unit/region.h"

struct pvmm_space space, copy;
uint64_t free_before;

volatile uint64_t *word(pvmm_va_t va)
{
	return (volatile uint64_t *)(uintptr_t)va;
}

/* A loaded space with one region of this many pages at UNIT_VA. */
void start(uint64_t nr_pages)
{
	free_before = pvmm_free_pages();
	assert_int_equal(pvmm_fault_around(1), 0);
	assert_int_equal(pvmm_space_create(&space, "original"), 0);
	assert_int_equal(pvmm_space_region(&space, UNIT_VA, nr_pages, PVMM_PROT_RW), 0);
	assert_int_equal(pvmm_space_activate(&space), 0);
}

/* As a processor does: the access, and the fault as often as it comes. */
void touch(struct pvmm_space *s, pvmm_va_t va, bool write)
{
	uint64_t code = write ? WRITE : READ;

	assert_ptr_equal(pvmm_space_current(), s);
	if (write ? model_write_faults(word(va)) : model_read_faults(word(va)))
		assert_int_equal(pvmm_space_fault(s, va, code), 0);
	assert_false(write ? model_write_faults(word(va)) : model_read_faults(word(va)));
}

void put(struct pvmm_space *s, pvmm_va_t va, uint64_t value)
{
	touch(s, va, true);
	*word(va) = value;
}

uint64_t get(struct pvmm_space *s, pvmm_va_t va)
{
	touch(s, va, false);
	return *word(va);
}

void finish(void)
{
	assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
	assert_int_equal(pvmm_space_destroy(&space), 0);
	assert_clean();
	pvmm_table_cache_shrink();
	assert_clean();
	assert_int_equal(pvmm_free_pages(), free_before);
}

struct pvmm_page *page_at(struct pvmm_space *s, pvmm_va_t va)
{
	return pvmm_page(pvmm_mfn_to_pfn(pvmm_pte_mfn(pvmm_pt_lookup(s->root, va))));
}
