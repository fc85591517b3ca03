/* SPDX-License-Identifier: MIT */
/*
 * Random operations on several address spaces and two vCPUs, valid and not, against a plain record
 * of what must be: what is mapped where, which state each space is in. The audits run as it goes,
 * and in the end nothing is lost. DESIGN: "Being tested".
 */
#include "tests/unit/unit.h"

enum { SPACES = 4, PAGES = 24, PLACES = 40, STEPS = 4000 };

struct record {
	bool exists;
	int page[PLACES]; /* index in pages[], -1: not mapped */
	bool rw[PLACES];
};

static struct pvmm_space spaces[SPACES];
static struct record records[SPACES];
static struct pvmm_page *pages[PAGES];
static int loaded[2]; /* by vCPU: index of the space, -1: the kernel's */
static unsigned int vcpu;

/* Places near each other and in tables of their own, at all levels. */
static pvmm_va_t place(unsigned int i)
{
	return UNIT_VA + (i % 8) * PVMM_PAGE_SIZE + (i / 8 % 3) * (1ULL << 21) +
	       (i / 24) * (1ULL << 45);
}

static bool is_loaded(int s)
{
	return loaded[0] == s || loaded[1] == s;
}

static void do_create(unsigned int s)
{
	if (records[s].exists)
		return;
	assert_int_equal(pvmm_space_create(&spaces[s], "random"), 0);
	records[s].exists = true;
	for (unsigned int i = 0; i < PLACES; i++)
		records[s].page[i] = -1;
}

static void do_destroy(unsigned int s)
{
	bool busy = is_loaded((int)s);

	assert_int_equal(pvmm_space_destroy(&spaces[s]), busy ? -XEN_EBUSY : 0);
	records[s].exists = busy;
}

static void do_map(unsigned int s, unsigned int at, unsigned int page, bool rw)
{
	int expected = records[s].page[at] < 0 ? 0 : -XEN_EEXIST;

	assert_int_equal(pvmm_space_map(&spaces[s], place(at), pages[page],
					rw ? PVMM_PROT_RW : PVMM_PROT_RO),
			 expected);
	if (expected)
		return;
	records[s].page[at] = (int)page;
	records[s].rw[at] = rw;
}

static void do_unmap(unsigned int s, unsigned int at)
{
	int expected = records[s].page[at] < 0 ? -XEN_ENOENT : 0;

	assert_int_equal(pvmm_space_unmap(&spaces[s], place(at)), expected);
	records[s].page[at] = -1;
}

static void do_protect(unsigned int s, unsigned int at, bool rw)
{
	int expected = records[s].page[at] < 0 ? -XEN_ENOENT : 0;

	assert_int_equal(pvmm_space_protect(&spaces[s], place(at),
					    rw ? PVMM_PROT_RW : PVMM_PROT_RO),
			 expected);
	if (!expected)
		records[s].rw[at] = rw;
}

static void do_unpin(unsigned int s)
{
	int expected = spaces[s].state != PVMM_SPACE_PINNED ? -XEN_EINVAL
		       : is_loaded((int)s)		    ? -XEN_EBUSY
							    : 0;

	assert_int_equal(pvmm_space_unpin(&spaces[s]), expected);
}

static void do_activate(int s)
{
	assert_int_equal(pvmm_space_activate(s < 0 ? &pvmm_kernel_space : &spaces[s]), 0);
	loaded[vcpu] = s;
}

static void do_switch_vcpu(void)
{
	vcpu = !vcpu;
	model_set_vcpu(vcpu);
}

/* What the space that runs shows is what the record says, felt through the addresses. */
static void look(void)
{
	int s = loaded[vcpu];

	for (unsigned int i = 0; s >= 0 && i < PLACES; i++) {
		uint64_t *at = (uint64_t *)(uintptr_t)place(i);
		int page = records[s].page[i];

		assert_int_equal(model_read_faults(at), page < 0);
		if (page < 0)
			continue;
		assert_int_equal(*at, page);
		assert_int_equal(model_write_faults(at), !records[s].rw[i]);
	}
}

static void step(uint64_t *seed)
{
	unsigned int s = unit_random(seed) % SPACES, at = unit_random(seed) % PLACES;
	unsigned int page = unit_random(seed) % PAGES, what = unit_random(seed) % 100;
	bool rw = unit_random(seed) & 1;

	if (!records[s].exists || what < 2)
		do_create(s);
	else if (what < 45)
		do_map(s, at, page, rw);
	else if (what < 65)
		do_unmap(s, at);
	else if (what < 78)
		do_protect(s, at, rw);
	else if (what < 82)
		assert_int_equal(pvmm_space_pin(&spaces[s]), 0);
	else if (what < 86)
		do_unpin(s);
	else if (what < 92)
		do_activate((int)s);
	else if (what < 95)
		do_activate(-1);
	else if (what < 97)
		do_switch_vcpu();
	else
		do_destroy(s);
}

static void run(uint64_t seed)
{
	uint64_t free = pvmm_free_pages();

	memset(records, 0, sizeof(records));
	model_vcpu_up(1);
	vcpu = 0;
	loaded[0] = loaded[1] = -1;
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i] = pvmm_page(unit_page_of(PVMM_PAGE_USER));
		*(uint64_t *)pvmm_page_virt(pages[i]) = i;
	}
	for (unsigned int i = 0; i < STEPS; i++) {
		step(&seed);
		if (i % 100 == 0) {
			look();
			assert_clean();
		}
	}

	for (unsigned int i = 0; i < 2; i++) {
		do_activate(-1);
		do_switch_vcpu();
	}
	for (unsigned int s = 0; s < SPACES; s++)
		if (records[s].exists)
			do_destroy(s);
	for (unsigned int i = 0; i < PAGES; i++) {
		assert_int_equal(pages[i]->live, 0);
		assert_int_equal(pages[i]->refs, 1);
		pvmm_page_put(pages[i]);
	}
	assert_int_equal(pvmm_free_pages(), free);
	assert_clean();
}

static void random_operations(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		unit_reboot(&(struct model_options){.release = seed & 1});
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
