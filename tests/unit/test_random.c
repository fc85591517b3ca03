/* SPDX-License-Identifier: MIT */
/*
 * Random operations on several address spaces and vCPUs, valid, not valid and refused by Xen,
 * against a plain record of what must be: what is mapped where, which space each vCPU runs on. The
 * audits run as it goes, and in the end nothing is lost. DESIGN: "Being tested".
 *
 *	RANDOM_OPERATIONS=10000000 RANDOM_SEED=7 build/hosted/tests/unit/test_random
 */
#include "tests/unit/unit.h"

enum {
	SPACES = 6,
	KERNEL = SPACES, /* the kernel's own, with places in the vmap region */
	VCPUS = 4,
	SINGLES = 20,
	BLOCK_ORDER = 3,
	PAGES = SINGLES + (1 << BLOCK_ORDER),
	TABLES = PAGES, /* from this "page" on: the root of a space */
	PLACES = 40,
	MACHINE_PAGES = 640,
	STEPS_PER_MACHINE = 10000,
	STEPS_PER_AUDIT = 200,
};

struct record {
	bool exists;
	int page[PLACES]; /* index in pages[], or TABLES and more; -1: not mapped */
	bool rw[PLACES];
};

static struct pvmm_space spaces[SPACES];
static struct record records[SPACES + 1];
static struct pvmm_page *pages[PAGES], *block;
static int loaded[VCPUS]; /* index of the space; KERNEL */
static unsigned int vcpu;
static uint64_t seed;

/* How often the rarer things came about: a run without them shows nothing. */
static struct {
	uint64_t refused, strays, busy;
} seen;

static unsigned int any(unsigned int nr)
{
	return unit_random(&seed) % nr;
}

static struct pvmm_space *space_at(unsigned int s)
{
	return s == KERNEL ? &pvmm_kernel_space : &spaces[s];
}

/* Places near each other and in tables of their own, at all levels. */
static pvmm_va_t place(unsigned int s, unsigned int i)
{
	pvmm_va_t near = (i % 8) * PVMM_PAGE_SIZE + (i / 8 % 3) * (1ULL << 21);

	if (s == KERNEL)
		return PVMM_VMAP_BASE + near + (i / 24) * (1ULL << 30);
	return UNIT_VA + near + (i / 24) * (1ULL << 45);
}

static bool is_loaded(unsigned int s)
{
	for (unsigned int i = 0; i < VCPUS; i++)
		if (loaded[i] == (int)s)
			return true;
	return false;
}

/* Whether some space maps the root of this one. */
static bool root_is_mapped(unsigned int s)
{
	for (unsigned int i = 0; i <= SPACES; i++)
		for (unsigned int at = 0; records[i].exists && at < PLACES; at++)
			if (records[i].page[at] == (int)(TABLES + s))
				return true;
	return false;
}

static struct pvmm_page *page_at(int page)
{
	return page < TABLES ? pages[page] : pvmm_page(spaces[page - TABLES].root);
}

/* --- refusals by Xen --- */

static int refusal;

/* Now and then the nth single operation from here on is refused; what may refuse is the caller's.
 */
static void maybe_refuse(unsigned int op, unsigned int nr)
{
	static const int errors[] = {-XEN_EINVAL, -XEN_EBUSY, -XEN_ENOMEM};

	if (any(8))
		return;
	refusal = errors[any(3)];
	model_fail_operation(op, 1 + any(nr), refusal);
}

/* What is to be expected if Xen was asked and has refused. */
static int unless_refused(int expected)
{
	int err = refusal;

	refusal = 0;
	if (!model_fail_fired() || !err)
		return expected;
	seen.refused++;
	return err;
}

/* --- the operations --- */

static void do_switch_vcpu(unsigned int to)
{
	vcpu = to;
	model_set_vcpu(vcpu);
}

/* R29: through the TLB, what the record says; nothing is remembered that is no longer so. */
static void do_access(unsigned int s, unsigned int at, bool write)
{
	int page = records[s].page[at];
	bool allowed = page >= 0 && (!write || records[s].rw[at]);

	assert_int_equal(model_access(place(s, at), write), allowed ? MODEL_DONE : MODEL_FAULT);
}

/*
 * Lets a vCPU that runs on the space remember the place, and perhaps another one go on from here.
 * Returns the one that remembers, or -1.
 */
static int remember(unsigned int s, unsigned int at)
{
	unsigned int who = any(VCPUS);

	if (any(4) || (s != KERNEL && loaded[who] != (int)s))
		return -1;
	do_switch_vcpu(who);
	do_access(s, at, any(2));
	if (any(2))
		do_switch_vcpu(any(VCPUS));
	return (int)who;
}

/* The one that remembered has forgotten what is no longer so. */
static void recall(int who, unsigned int s, unsigned int at)
{
	if (who < 0)
		return;
	do_switch_vcpu((unsigned int)who);
	do_access(s, at, false);
	do_access(s, at, true);
}

static void clear_record(struct record *r)
{
	r->exists = true;
	for (unsigned int i = 0; i < PLACES; i++)
		r->page[i] = -1;
}

static void do_create(unsigned int s)
{
	if (records[s].exists)
		return;
	assert_int_equal(pvmm_space_create(&spaces[s], "random"), 0);
	clear_record(&records[s]);
}

static void do_destroy(unsigned int s)
{
	bool busy = is_loaded(s) || root_is_mapped(s);

	seen.busy += busy;
	assert_int_equal(pvmm_space_destroy(&spaces[s]), busy ? -XEN_EBUSY : 0);
	records[s].exists = busy;
}

static void do_map(unsigned int s, unsigned int at, int page, bool rw)
{
	int expected = rw && page >= TABLES ? -XEN_EBUSY : 0, err;

	if (!expected && records[s].page[at] >= 0)
		expected = -XEN_EEXIST;
	maybe_refuse(__HYPERVISOR_mmu_update, 4);
	err = pvmm_space_map(space_at(s), place(s, at), page_at(page),
			     rw ? PVMM_PROT_RW : PVMM_PROT_RO);
	expected = unless_refused(expected);
	assert_int_equal(err, expected);
	if (expected)
		return;
	records[s].page[at] = page;
	records[s].rw[at] = rw;
}

static void do_unmap(unsigned int s, unsigned int at)
{
	int expected = records[s].page[at] < 0 ? -XEN_ENOENT : 0, err;
	int who = remember(s, at);

	maybe_refuse(__HYPERVISOR_mmu_update, 1);
	err = pvmm_space_unmap(space_at(s), place(s, at));
	expected = unless_refused(expected);
	assert_int_equal(err, expected);
	if (!expected)
		records[s].page[at] = -1;
	recall(who, s, at);
}

static void do_protect(unsigned int s, unsigned int at, bool rw)
{
	int page = records[s].page[at], expected = 0, err, who = remember(s, at);

	if (page < 0)
		expected = -XEN_ENOENT;
	else if (rw && page >= TABLES)
		expected = -XEN_EBUSY;
	maybe_refuse(__HYPERVISOR_mmu_update, 1);
	err = pvmm_space_protect(space_at(s), place(s, at), rw ? PVMM_PROT_RW : PVMM_PROT_RO);
	expected = unless_refused(expected);
	assert_int_equal(err, expected);
	if (!expected)
		records[s].rw[at] = rw;
	recall(who, s, at);
}

static void do_pin(unsigned int s)
{
	int err;

	maybe_refuse(any(2) ? __HYPERVISOR_mmu_update : __HYPERVISOR_mmuext_op, 3);
	err = pvmm_space_pin(&spaces[s]);
	assert_int_equal(err, unless_refused(0));
}

/* A mapping that the manager knows nothing of: the pin is refused, and works when it is gone. */
static void do_pin_with_stray(unsigned int s)
{
	pvmm_va_t va = place(KERNEL, any(8));
	pfn_t root = spaces[s].root;

	if (spaces[s].state != PVMM_SPACE_BUILDING ||
	    pvmm_pt_walk(pvmm_kernel_space.root, va).stopped_at != 1 ||
	    pvmm_pt_lookup(pvmm_kernel_space.root, va))
		return;
	assert_int_equal(pvmm_hc_update_va_mapping(va, unit_pte(root, PVMM_PROT_RW), UVMF_NONE), 0);
	model_access(va, true);
	/* With a live mapping, read-only or not, the manager looks for itself before Xen is asked.
	 */
	assert_int_equal(pvmm_space_pin(&spaces[s]), root_is_mapped(s) ? -XEN_EBUSY : -XEN_EINVAL);
	assert_int_equal(spaces[s].state, PVMM_SPACE_BUILDING);
	assert_int_equal(pvmm_stray_last().first.va, va);
	model_output_clear();
	assert_int_equal(pvmm_hc_update_va_mapping(va, 0, UVMF_INVLPG | UVMF_ALL), 0);
	assert_int_equal(pvmm_space_pin(&spaces[s]), 0);
	seen.strays++;
}

static void do_unpin(unsigned int s)
{
	int expected = spaces[s].state != PVMM_SPACE_PINNED ? -XEN_EINVAL
		       : is_loaded(s)			    ? -XEN_EBUSY
							    : 0;

	assert_int_equal(pvmm_space_unpin(&spaces[s]), expected);
}

static void do_activate(unsigned int s)
{
	int err;

	maybe_refuse(__HYPERVISOR_mmuext_op, 2);
	err = pvmm_space_activate(space_at(s));
	assert_int_equal(err, unless_refused(0));
	if (!err)
		loaded[vcpu] = (int)s;
}

static void do_access_directmap(uint64_t pfn, bool write)
{
	bool allowed = !write || !(pvmm_page(_pfn(pfn))->flags & PVMM_PAGE_READONLY);

	assert_int_equal(model_access((uintptr_t)pvmm_pfn_to_virt(_pfn(pfn)), write),
			 allowed ? MODEL_DONE : MODEL_FAULT);
}

/* What the space that runs shows is what the record says, felt through the addresses. */
static void look(void)
{
	unsigned int s = (unsigned int)loaded[vcpu];

	for (unsigned int i = 0; i < PLACES; i++) {
		uint64_t *at = (uint64_t *)(uintptr_t)place(s, i);
		int page = records[s].page[i];

		assert_int_equal(model_read_faults(at), page < 0);
		if (page < 0)
			continue;
		if (page < TABLES)
			assert_int_equal(*at, page);
		assert_int_equal(model_write_faults(at), !records[s].rw[i]);
	}
}

/* --- running --- */

static void step_in(unsigned int s, unsigned int what)
{
	unsigned int at = any(PLACES), other = any(SPACES);
	bool rw = any(2);

	if (what < 38)
		do_map(s, at, (int)any(PAGES), rw);
	else if (what < 42 && records[other].exists)
		do_map(s, at, (int)(TABLES + other), !any(4));
	else if (what < 62)
		do_unmap(s, at);
	else if (what < 74)
		do_protect(s, at, rw);
	else if (what < 77)
		do_activate(s);
	else if (s == KERNEL)
		do_access(s, at, rw);
	else if (what < 80)
		do_pin(s);
	else if (what < 82)
		do_pin_with_stray(s);
	else if (what < 86)
		do_unpin(s);
	else if (what < 92)
		do_activate(s);
	else
		do_destroy(s);
}

static void step(void)
{
	unsigned int s = any(SPACES + 1), what = any(100);

	if (what < 6)
		do_access_directmap(any(MACHINE_PAGES), any(2));
	else if (what < 12)
		do_access((unsigned int)loaded[vcpu], any(PLACES), any(2));
	else if (what < 14)
		do_switch_vcpu(any(VCPUS));
	else if (!records[s].exists)
		do_create(s);
	else
		step_in(s, any(100));
}

static void set_up(void)
{
	memset(records, 0, sizeof(records));
	clear_record(&records[KERNEL]);
	vcpu = 0;
	for (unsigned int i = 0; i < VCPUS; i++) {
		if (i)
			model_vcpu_up(i);
		loaded[i] = KERNEL;
	}
	block = pvmm_page_alloc(BLOCK_ORDER, PVMM_PAGE_USER);
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i] =
			i < SINGLES ? pvmm_page(unit_page_of(PVMM_PAGE_USER)) : &block[i - SINGLES];
		*(uint64_t *)pvmm_page_virt(pages[i]) = i;
	}
}

static void tear_down(void)
{
	for (unsigned int i = 0; i < VCPUS; i++) {
		do_switch_vcpu(i);
		assert_int_equal(pvmm_space_activate(&pvmm_kernel_space), 0);
		loaded[i] = KERNEL;
	}
	/* First what maps tables, and all of the kernel's; the rest goes with its space. */
	for (unsigned int s = 0; s <= SPACES; s++)
		for (unsigned int at = 0; records[s].exists && at < PLACES; at++) {
			if (records[s].page[at] < (s == KERNEL ? 0 : TABLES))
				continue;
			assert_int_equal(pvmm_space_unmap(space_at(s), place(s, at)), 0);
			records[s].page[at] = -1;
		}
	for (unsigned int s = 0; s < SPACES; s++)
		if (records[s].exists)
			do_destroy(s);
	for (unsigned int i = 0; i < PAGES; i++) {
		assert_int_equal(pages[i]->live, 0);
		assert_int_equal(pages[i]->refs, 1);
		if (i < SINGLES)
			pvmm_page_put(pages[i]);
	}
	pvmm_page_free(block, BLOCK_ORDER);
}

static void run(uint64_t nr_steps)
{
	uint64_t free = unit_free_pages();
	uint32_t kernel_tables = pvmm_kernel_space.nr_tables;

	set_up();
	for (uint64_t i = 0; i < nr_steps; i++) {
		step();
		if (i % STEPS_PER_AUDIT == 0) {
			look();
			assert_clean();
		}
	}
	tear_down();
	assert_int_equal(unit_free_pages() + pvmm_kernel_space.nr_tables - kernel_tables, free);
	assert_clean();
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void random_operations(void **state)
{
	uint64_t left = number_from("RANDOM_OPERATIONS", 50000);
	uint64_t first = number_from("RANDOM_SEED", 1), all = left;

	(void)state;
	for (uint64_t i = first; left; i++) {
		uint64_t nr = left < STEPS_PER_MACHINE ? left : STEPS_PER_MACHINE;
		const struct model_options options = {.release = i & 1, .no_linear = !(i % 3)};

		model_shutdown();
		model_boot_with(MACHINE_PAGES, i, &options);
		seed = i * 0x9e3779b97f4a7c15ULL | 1;
		run(nr);
		left -= nr;
	}
	print_message("# %llu operations, seeds from %llu: %llu refused by Xen, %llu strays found, "
		      "%llu spaces too busy to destroy\n",
		      (unsigned long long)all, (unsigned long long)first,
		      (unsigned long long)seen.refused, (unsigned long long)seen.strays,
		      (unsigned long long)seen.busy);
	assert_true(all < 50000 || (seen.refused && seen.strays && seen.busy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
