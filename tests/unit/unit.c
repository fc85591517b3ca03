/* SPDX-License-Identifier: MIT */
/* See unit.h. Owns whether a machine is up. */
#include "tests/unit/unit.h"

static bool up;

void unit_reboot(const struct model_options *options)
{
	if (up)
		model_shutdown();
	model_boot_with(UNIT_PAGES, 1, options);
	up = true;
}

int unit_boot(void **state)
{
	(void)state;
	unit_reboot(&(struct model_options){0});
	return 0;
}

int unit_shutdown(void **state)
{
	(void)state;
	if (up)
		model_shutdown();
	up = false;
	return 0;
}

void unit_assert_clean(const char *file, int line)
{
	unsigned int problems = model_check();

	model_output_clear();
	problems += pvmm_audit();
	if (!problems)
		return;
	fputs(model_output(), stderr);
	print_error("%u problems found by the audits\n", problems);
	_fail(file, line);
}

pfn_t unit_page_of(enum pvmm_page_kind kind)
{
	struct pvmm_page *page = pvmm_page_alloc(0, kind);

	assert_non_null(page);
	memset(pvmm_page_virt(page), 0, PVMM_PAGE_SIZE);
	return pvmm_page_pfn(page);
}

pfn_t unit_page(void)
{
	return unit_page_of(PVMM_PAGE_KERNEL);
}

int unit_set(pfn_t table, unsigned int slot, pvmm_pte_t pte)
{
	struct mmu_update update = {.ptr = pvmm_pt_entry_maddr(table, slot), .val = pte};
	unsigned int done;

	return pvmm_hc_mmu_update(&update, 1, &done);
}

uint64_t unit_free_pages(void)
{
	return pvmm_free_pages() + pvmm_table_cache_stats().nr_pages;
}

int unit_ext(unsigned int cmd, mfn_t mfn)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn_x(mfn)};
	unsigned int done;

	return pvmm_hc_mmuext_op(&op, 1, &done);
}

int unit_ext_pfn(unsigned int cmd, pfn_t pfn)
{
	return unit_ext(cmd, pvmm_pfn_to_mfn(pfn));
}

pvmm_pte_t unit_pte(pfn_t pfn, uint64_t prot)
{
	return pvmm_pte(pvmm_pfn_to_mfn(pfn), prot);
}

static void set_directmap(pfn_t pfn, uint64_t prot)
{
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(pfn);

	assert_int_equal(pvmm_hc_update_va_mapping(va, unit_pte(pfn, prot), UVMF_NONE), 0);
}

void unit_readonly(pfn_t pfn)
{
	set_directmap(pfn, PVMM_PROT_RO);
}

void unit_writable(pfn_t pfn)
{
	set_directmap(pfn, PVMM_PROT_RW);
}

pfn_t unit_table(void)
{
	pfn_t pfn = unit_page();

	unit_readonly(pfn);
	return pfn;
}

pfn_t unit_root(void)
{
	pfn_t pfn = unit_table();

	for (unsigned int slot = PVMM_KERNEL_SLOT_FIRST; slot <= PVMM_KERNEL_SLOT_LAST; slot++)
		unit_poke(pfn, slot, pvmm_pt_entries(pvmm_kernel_space.root)[slot]);
	return pfn;
}

void unit_poke(pfn_t table, unsigned int slot, pvmm_pte_t pte)
{
	((pvmm_pte_t *)model_bytes(pvmm_pfn_to_mfn(table)))[slot] = pte;
}

pvmm_pte_t unit_peek(pfn_t table, unsigned int slot)
{
	return ((pvmm_pte_t *)model_bytes(pvmm_pfn_to_mfn(table)))[slot];
}

uint64_t unit_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

/* --- refusals --- */

void unit_refuse(const struct unit_refusal *refusal)
{
	if (refusal->single)
		model_fail_operation(refusal->op, refusal->nth, refusal->err);
	else
		model_fail_call(refusal->op, refusal->nth, refusal->err);
}

/* A prime, so that it is not always the same operation of a loop. */
#define SPARSE 97u

unsigned int unit_refuse_each(struct unit_refusal refusal, int (*run)(void *ctx),
			      unsigned int sparse_from, const char *excuse)
{
	unsigned int broken = 0;
	char text[512];

	for (refusal.nth = 1;;
	     refusal.nth += sparse_from && refusal.nth > sparse_from ? SPARSE : 1) {
		int end = model_run(run, &refusal, text, sizeof(text));

		if (end == UNIT_NOT_REACHED) {
			assert_int_equal(broken, 0);
			return refusal.nth - 1;
		}
		if (end == UNIT_CLEAN ||
		    (end == MODEL_PANICKED &&
		     (strstr(text, "refused") || (excuse && strstr(text, excuse)))))
			continue;
		broken++;
		fprintf(stderr, "hypercall %u, %s %u refused with %d: ended with %d %s\n",
			refusal.op, refusal.single ? "operation" : "call", refusal.nth, refusal.err,
			end, text);
	}
}
