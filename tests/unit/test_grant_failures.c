/* SPDX-License-Identifier: MIT */
/*
 * Everything that the grant table asks for is refused in turn: each allocation, each hypercall.
 * After each the books and the model agree, nothing is lost, and no grant or mapping is left
 * behind.
 */
#include <pvmm/grant.h>
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>
#include "arch-xen/arch.h"
#include "arch-xen/grant.h"
#include "tests/unit/unit.h"

#define PEER MODEL_FOREIGN_DOMID

enum { MANY = 600, THEIRS = 40 }; /* more than the first frame has; more than a hypercall takes */

static struct pvmm_page *page, *same[MANY];
static pvmm_grant_t refs[MANY];
static struct pvmm_foreign_grant theirs[THEIRS];

static void make_peers(void)
{
	page = pvmm_page(unit_page());
	for (unsigned int i = 0; i < MANY; i++)
		same[i] = page;
	for (unsigned int i = 0; i < THEIRS; i++) {
		theirs[i] = (struct pvmm_foreign_grant){.domid = PEER, .ref = i};
		model_foreign_grant(i, false);
	}
}

static void boot(const char *version)
{
	unit_reboot(&(struct model_options){0});
	assert_null(parse_grants(version));
	assert_int_equal(pvmm_grants_start(), 0);
	make_peers();
}

static uint64_t accounted(void)
{
	return pvmm_free_pages() + pvmm_kernel_space.nr_tables + pvmm_grant_stats().nr_record_pages;
}

/* --- memory runs out --- */

/* What gave it up for lack of memory has taken nothing but tables, which stay. */
static void with_little_memory(int (*op)(void), void (*undo)(void))
{
	uint64_t before;
	int err = -XEN_ENOMEM;

	for (uint64_t nr = 0; err; nr++) {
		boot("v2");
		while (pvmm_free_pages() > nr)
			assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
		before = accounted();
		err = op();
		assert_clean();
		if (err) {
			assert_int_equal(err, -XEN_ENOMEM);
			assert_int_equal(page->refs, 1);
		} else {
			undo();
		}
		pvmm_purge();
		assert_int_equal(accounted(), before);
		assert_int_equal(pvmm_grant_stats().nr_given, 0);
		assert_int_equal(pvmm_grant_stats().nr_mapped, 0);
		assert_clean();
		assert_true(nr < 64);
	}
}

static int op_give(void)
{
	return pvmm_grant_give(same, MANY, PEER, 0, refs);
}

static void undo_give(void)
{
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(pvmm_grant_end(refs[i]), 0);
}

static struct pvmm_grant_mapping mapping;

static int op_map(void)
{
	mapping = (struct pvmm_grant_mapping){.grants = theirs, .nr = THEIRS, .name = "theirs"};
	return pvmm_grant_map(&mapping, 0);
}

static void undo_map(void)
{
	assert_int_equal(pvmm_grant_unmap(&mapping), 0);
}

static void memory_runs_out(void **state)
{
	(void)state;
	with_little_memory(op_give, undo_give);
	with_little_memory(op_map, undo_map);
}

/* Before there is anything. */
static void the_start_without_memory(void **state)
{
	uint64_t before;
	int err = -XEN_ENOMEM;

	(void)state;
	for (uint64_t nr = 0; err; nr++) {
		unit_reboot(&(struct model_options){0});
		while (pvmm_free_pages() > nr)
			assert_non_null(pvmm_page_alloc(0, PVMM_PAGE_KERNEL));
		before = pvmm_free_pages() + pvmm_kernel_space.nr_tables;
		err = pvmm_grants_start();
		assert_clean();
		if (!err)
			return;
		assert_int_equal(err, -XEN_ENOMEM);
		pvmm_purge();
		assert_int_equal(pvmm_free_pages() + pvmm_kernel_space.nr_tables, before);
		page = NULL;
		assert_int_equal(pvmm_grant_give(&page, 1, PEER, 0, refs), -XEN_ENODEV);
		assert_true(nr < 64);
	}
}

/* --- hypercalls are refused --- */

/* What is given and mapped is ended and unmapped, errors taken as they come and tried again. */
static void scenario(void)
{
	struct pvmm_grant_copy copy = {.domid = PEER, .ref = 3, .len_bytes = 100, .page = page};
	uint32_t handle;

	if (!op_give())
		for (unsigned int i = 0; i < MANY; i++)
			(void)pvmm_grant_end(refs[i]);
	if (!op_map() && pvmm_grant_unmap(&mapping))
		(void)pvmm_grant_unmap(&mapping);
	(void)pvmm_grant_copy(&copy, 1);
	if (!pvmm_grant_give(same, 1, PEER, 0, refs)) {
		if (!grants_suspend())
			grants_resume(true);
		if (!model_foreign_map(refs[0], GNTMAP_host_map, &handle)) {
			(void)pvmm_grant_end_later(refs[0]);
			(void)pvmm_grant_retry();
			(void)model_foreign_unmap(handle);
			(void)pvmm_grant_retry();
		} else {
			(void)pvmm_grant_end(refs[0]);
		}
	}
	pvmm_purge();
}

/* In a process of its own. */
static int run_injected(void *ctx)
{
	const struct unit_refusal *refusal = ctx;
	uint64_t before = accounted();
	unsigned int problems;
	bool fired;

	unit_refuse(refusal);
	scenario();
	fired = model_fail_fired();
	model_output_clear();
	problems = model_check() + pvmm_audit();
	if (problems || accounted() != before || page->refs != 1 || pvmm_grant_stats().nr_given ||
	    pvmm_grant_stats().nr_ending || pvmm_grant_stats().nr_mapped) {
		fprintf(stderr, "%u problems, %lld pages lost, refs %u\n%s", problems,
			(long long)(before - accounted()), page->refs, model_output());
		return UNIT_BROKEN;
	}
	return fired ? UNIT_CLEAN : UNIT_NOT_REACHED;
}

/* What cannot be undone or set up again is a panic that says so, and nothing else is. */
static unsigned int fail_each(int err)
{
	return unit_refuse_each((struct unit_refusal){.op = MODEL_ANY_CALL, .err = err},
				run_injected, 0, "cannot be set up again");
}

static void every_hypercall_fails(void **state)
{
	static const char *const versions[] = {"v1", "v2"};
	unsigned int nr;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		boot(versions[i]);
		nr = fail_each(-XEN_EINVAL);
		assert_true(nr >= 10);
		assert_int_equal(fail_each(-XEN_EFAULT), nr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(memory_runs_out),
		UNIT_TEST(the_start_without_memory),
		UNIT_TEST(every_hypercall_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
