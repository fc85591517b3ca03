/* SPDX-License-Identifier: MIT */
/*
 * Address spaces, page tables and the allocator on the model: operations with any arguments,
 * strays, refusals by Xen, several vCPUs, accesses through their TLBs. However it went: both audits
 * are clean at the end, and when all is given back nothing is missing. DESIGN, "Promises"; R25,
 * R29.
 */
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/stray.h>
#include <pvmm/trap.h>
#include "tests/fuzz/fuzz.h"
#include "tests/model/model.h"

enum { SPACES = 3, VCPUS = 2, PAGES = 6, BLOCK_ORDER = 1, BLOCKS = 4, MACHINE_PAGES = 128 };

static struct fuzz_input input;
static struct pvmm_space spaces[SPACES];
static bool exists[SPACES];
static struct pvmm_page *pages[PAGES];
static struct {
	struct pvmm_page *page;
	unsigned int order;
} blocks[BLOCKS];
static unsigned int vcpu;
static bool refusing;
static uint64_t free_at_boot;
static uint32_t kernel_tables_at_boot;

#define USER_VA 0x20000000ULL

static struct pvmm_space *any_space(uint8_t which)
{
	which %= SPACES + 1;
	if (which == SPACES)
		return &pvmm_kernel_space;
	if (!exists[which])
		exists[which] = !pvmm_space_create(&spaces[which], "fuzz");
	return exists[which] ? &spaces[which] : &pvmm_kernel_space;
}

/* Near, far, in the vmap region, and what is not allowed. */
static pvmm_va_t any_va(const struct pvmm_space *space, uint8_t which)
{
	static const uint64_t wild[] = {
		0,
		1,
		PVMM_USER_END,
		PVMM_USER_END - PVMM_PAGE_SIZE,
		PVMM_DIRECTMAP_BASE,
		PVMM_VMAP_BASE - PVMM_PAGE_SIZE,
		PVMM_VMAP_BASE + PVMM_VMAP_BYTES,
		0xffff800000000000ULL,
		0x0000800000000000ULL,
		UINT64_MAX,
	};
	uint64_t base = space == &pvmm_kernel_space ? PVMM_VMAP_BASE : USER_VA;

	if (which >= 248)
		return wild[fuzz_byte(&input) % PVMM_ARRAY_SIZE(wild)];
	if (which >= 240)
		base = base == USER_VA ? PVMM_VMAP_BASE : USER_VA;
	base += (which & 7) * PVMM_PAGE_SIZE + (which >> 3 & 3) * (1ULL << 21);
	if (base < PVMM_USER_END)
		base += (which >> 5 & 3) * (1ULL << 39);
	return base;
}

static struct pvmm_page *any_page(uint8_t which)
{
	if (which < 200)
		return pages[which % PAGES];
	if (which < 232 && exists[which % SPACES])
		return pvmm_page(spaces[which % SPACES].root);
	if (which < 248 && blocks[which % BLOCKS].page)
		return blocks[which % BLOCKS].page + (which & 1);
	return pages[0];
}

static uint64_t any_prot(uint8_t which)
{
	static const uint64_t prots[] = {PVMM_PROT_RW, PVMM_PROT_RO, PVMM_PROT_RX,
					 PVMM_PROT_RW | PVMM_PROT_USER};

	return which < 240 ? prots[which % PVMM_ARRAY_SIZE(prots)] : fuzz_bytes(&input, 8);
}

static void destroy(uint8_t which)
{
	which %= SPACES;
	if (exists[which] && !pvmm_space_destroy(&spaces[which]))
		exists[which] = false;
}

/* The next operations of this kind are refused from the nth on, once. */
static void refuse(uint8_t what)
{
	static const unsigned int ops[] = {__HYPERVISOR_mmu_update, __HYPERVISOR_mmuext_op,
					   __HYPERVISOR_update_va_mapping, MODEL_ANY_CALL};
	unsigned int nth = 1 + (what >> 4);
	int err = what & 1 ? -XEN_EINVAL : -XEN_EBUSY;

	refusing = true;
	if (what & 2)
		model_fail_operation(ops[what >> 2 & 1], nth, err);
	else
		model_fail_call(ops[what >> 2 & 3], nth, err);
}

/* Behind the manager's back: a page table's page mapped writable for a while, in the vmap region.
 */
static void pin_with_stray(uint8_t which)
{
	pvmm_va_t va = PVMM_VMAP_BASE + (which >> 4) * PVMM_PAGE_SIZE;
	struct pvmm_space *space = any_space(which);
	int err;

	if (pvmm_pt_walk(pvmm_kernel_space.root, va).stopped_at != 1 ||
	    pvmm_pt_lookup(pvmm_kernel_space.root, va))
		return;
	model_fail_fired();
	if (pvmm_hc_update_va_mapping(va, pvmm_pte(pvmm_pfn_to_mfn(space->root), PVMM_PROT_RW),
				      UVMF_NONE))
		return;
	model_access(va, true);
	/* A root that has a live mapping is looked at before Xen is asked. */
	err = pvmm_space_pin(space);
	fuzz_must(err == -XEN_EINVAL || err == -XEN_EBUSY);
	fuzz_must(!pvmm_hc_update_va_mapping(va, 0, UVMF_INVLPG | UVMF_ALL));
}

static void block(uint8_t what)
{
	unsigned int i = what % BLOCKS;

	if (!blocks[i].page) {
		blocks[i].order = what >> 4;
		blocks[i].page = pvmm_page_alloc(blocks[i].order, PVMM_PAGE_KERNEL);
		return;
	}
	for (uint64_t k = 0; k < 1ULL << blocks[i].order; k++)
		if (blocks[i].page[k].refs != 1)
			return;
	pvmm_page_free(blocks[i].page, blocks[i].order);
	blocks[i].page = NULL;
}

/* User memory that comes and goes by itself. */
static void step_region(uint8_t what, struct pvmm_space *space, uint8_t a)
{
	pvmm_va_t va = any_va(space, fuzz_byte(&input));
	uint64_t nr = 1 + a % 20, prot = any_prot(fuzz_byte(&input));
	unsigned int to = fuzz_byte(&input) % SPACES;

	switch (what) {
	case 0:
	case 1:
		pvmm_space_region(space, va, nr, prot);
		break;
	case 2:
		pvmm_space_fault(space, va, a & (PVMM_PF_WRITE | PVMM_PF_FETCH));
		break;
	case 3:
		pvmm_space_populate(space, va, nr);
		break;
	case 4:
		pvmm_space_unmap_range(space, va, a & 1 ? nr : 512);
		break;
	case 5:
		pvmm_space_protect_range(space, va, nr, prot);
		break;
	case 6:
		if (!exists[to])
			exists[to] = !pvmm_space_clone(&spaces[to], space, "copy");
		break;
	default:
		if (a & 1)
			pvmm_space_clear(space);
		else
			pvmm_table_cache_shrink();
	}
}

static void step(void)
{
	uint8_t what = fuzz_byte(&input), a = fuzz_byte(&input);
	struct pvmm_space *space = any_space(a);
	struct pvmm_mapping found[2];
	pvmm_va_t va;
	uint8_t b;

	if (what % 24 >= 16) {
		step_region(what % 24 - 16, space, a);
		return;
	}
	switch (what % 24) {
	case 0:
	case 1:
	case 2:
	case 3:
		b = fuzz_byte(&input);
		pvmm_space_map(space, any_va(space, fuzz_byte(&input)), any_page(b),
			       any_prot(fuzz_byte(&input)));
		break;
	case 4:
	case 5:
		va = any_va(space, fuzz_byte(&input));
		model_access(va, what & 16);
		pvmm_space_unmap(space, va);
		model_access(va, what & 16);
		break;
	case 6:
		b = fuzz_byte(&input);
		pvmm_space_protect(space, any_va(space, fuzz_byte(&input)), any_prot(b));
		break;
	case 7:
		pvmm_space_pin(space);
		break;
	case 8:
		pvmm_space_unpin(space);
		break;
	case 9:
	case 10:
		pvmm_space_activate(space);
		break;
	case 11:
		destroy(a);
		break;
	case 12:
		vcpu = a % VCPUS;
		model_set_vcpu(vcpu);
		break;
	case 13:
		b = fuzz_byte(&input);
		for (unsigned int i = 0; i < 1 + (a >> 6); i++)
			fuzz_must(model_access(any_va(space, b), a & 1) != MODEL_SPURIOUS);
		pvmm_find_mappings(pvmm_page_pfn(any_page(b)), a & 1, found, 2);
		break;
	case 14:
		if (a & 1)
			refuse(a);
		else
			pin_with_stray(a >> 1);
		break;
	default:
		block(a);
	}
}

static void set_up(const struct model_options *options)
{
	model_boot_with(MACHINE_PAGES, 1, options);
	free_at_boot = pvmm_free_pages();
	kernel_tables_at_boot = pvmm_kernel_space.nr_tables;
	memset(exists, 0, sizeof(exists));
	memset(blocks, 0, sizeof(blocks));
	refusing = false;
	model_vcpu_up(1);
	vcpu = 0;
	for (unsigned int i = 0; i < PAGES; i++)
		pages[i] = pvmm_page_alloc(0, PVMM_PAGE_USER);
}

static void audit(void)
{
	unsigned int problems = model_check();

	model_output_clear();
	problems += pvmm_audit();
	if (problems)
		fputs(model_output(), stderr);
	fuzz_must(!problems);
}

/* What maps tables goes first, so that their spaces can go; then all. */
static void give_back(void)
{
	for (unsigned int i = 0; i < VCPUS; i++) {
		model_set_vcpu(i);
		fuzz_must(!pvmm_space_activate(&pvmm_kernel_space));
	}
	for (unsigned int s = 0; s <= SPACES; s++) {
		struct pvmm_space *space = s == SPACES ? &pvmm_kernel_space : &spaces[s];

		for (unsigned int which = 0; which < 128 && (s == SPACES || exists[s]); which++)
			pvmm_space_unmap(space, any_va(space, (uint8_t)which));
		if (s < SPACES && exists[s])
			pvmm_space_unmap(space, PVMM_USER_END - PVMM_PAGE_SIZE);
	}
	for (unsigned int s = 0; s < SPACES; s++)
		fuzz_must(!exists[s] || !pvmm_space_destroy(&spaces[s]));
	for (unsigned int i = 0; i < BLOCKS; i++)
		if (blocks[i].page)
			pvmm_page_free(blocks[i].page, blocks[i].order);
	for (unsigned int i = 0; i < PAGES; i++)
		pvmm_page_put(pages[i]);
	pvmm_table_cache_shrink();
	fuzz_must(pvmm_free_pages() + pvmm_kernel_space.nr_tables - kernel_tables_at_boot ==
		  free_at_boot);
}

static void run(void *ctx)
{
	(void)ctx;
	while (fuzz_more(&input))
		step();
	model_fail_fired();
	audit();
	give_back();
	audit();
}

static void close_batch(void *ctx)
{
	struct pvmm_batch_failure failure;

	(void)ctx;
	pvmm_batch_end(&failure);
}

static void is_closed(void *ctx)
{
	(void)ctx;
	pvmm_batch_assert_closed("fuzzing");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model_options options = {0};
	char text[512];
	uint8_t how;

	input = (struct fuzz_input){data, data + size};
	how = fuzz_byte(&input);
	options.release = how & 1;
	options.no_linear = how & 2;
	options.no_upper_flush = how & 4;
	set_up(&options);
	if (model_catch(run, NULL, text, sizeof(text))) {
		/* Only what the caller had called impossible, and only if it was made to happen. */
		if (!refusing || !strstr(text, "refused")) {
			fprintf(stderr, "panic: %s\n", text);
			abort();
		}
		for (int i = 0; i < 4 && model_catch(is_closed, NULL, text, sizeof(text)); i++)
			model_catch(close_batch, NULL, text, sizeof(text));
	}
	model_shutdown();
	return 0;
}
