/* SPDX-License-Identifier: MIT */
/*
 * The grant table against the model, in both versions: what is given, ended, ended later, mapped
 * and copied; and R41: a page that a peer may map is not freed, and reports name the grant.
 *
 * A fault here looks like a grant that ends under a peer's mapping, a page that comes back to the
 * allocator meanwhile, a reference that is handed out twice, or a count that does not return.
 */
#include <pvmm/check.h>
#include <pvmm/grant.h>
#include <pvmm/holder.h>
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>
#include "arch-xen/arch.h"
#include "arch-xen/grant.h"
#include "tests/unit/unit.h"

#define PEER	 MODEL_FOREIGN_DOMID
#define SELF	 1
#define READONLY (GNTMAP_host_map | GNTMAP_readonly)
#define WRITABLE GNTMAP_host_map

static int boot(const char *version, const struct model_options *options)
{
	unit_reboot(options);
	assert_null(parse_grants(version));
	assert_int_equal(pvmm_grants_start(), 0);
	return 0;
}

static int boot_v1(void **state)
{
	(void)state;
	return boot("v1", &(struct model_options){0});
}

static int boot_v2(void **state)
{
	(void)state;
	return boot("v2", &(struct model_options){0});
}

static struct pvmm_page *new_page(void)
{
	return pvmm_page(unit_page());
}

static pvmm_grant_t give(struct pvmm_page *page, unsigned int flags)
{
	pvmm_grant_t ref;

	assert_int_equal(pvmm_grant_give(&page, 1, PEER, flags, &ref), 0);
	return ref;
}

static struct pvmm_grant_info query(pvmm_grant_t ref)
{
	struct pvmm_grant_info info;

	assert_int_equal(pvmm_grant_query(ref, &info), 0);
	return info;
}

/* --- giving and ending --- */

static void a_grant_is_mapped_and_ends(void **state)
{
	uint64_t pages = pvmm_free_pages();
	struct pvmm_page *page = new_page();
	pvmm_grant_t ref = give(page, 0);
	struct pvmm_grant_info info;
	uint32_t ro, rw;

	(void)state;
	assert_true(ref >= GNTTAB_NR_RESERVED_ENTRIES);
	assert_int_equal(page->refs, 2);
	info = query(ref);
	assert_true(pfn_eq(info.pfn, pvmm_page_pfn(page)) && info.domid == PEER);
	assert_false(info.is_readonly || info.is_ending || info.is_mapped_to_read);

	assert_int_equal(model_foreign_map(ref, READONLY, &ro), GNTST_okay);
	assert_true(query(ref).is_mapped_to_read && !query(ref).is_mapped_to_write);
	assert_int_equal(pvmm_grant_end(ref), -XEN_EBUSY);
	assert_int_equal(model_foreign_map(ref, WRITABLE, &rw), GNTST_okay);
	assert_true(query(ref).is_mapped_to_write);
	assert_int_equal(pvmm_grant_end(ref), -XEN_EBUSY);
	assert_int_equal(pvmm_grant_renew(ref), -XEN_EBUSY);
	assert_int_equal(model_foreign_unmap(rw), GNTST_okay);
	assert_int_equal(pvmm_grant_end(ref), -XEN_EBUSY);
	assert_int_equal(model_foreign_unmap(ro), GNTST_okay);
	/* A failed end has changed nothing: the peer may come back. */
	assert_int_equal(model_foreign_map(ref, WRITABLE, &rw), GNTST_okay);
	assert_int_equal(model_foreign_unmap(rw), GNTST_okay);

	assert_int_equal(pvmm_grant_end(ref), 0);
	assert_int_equal(pvmm_grant_end(ref), -XEN_ENOENT);
	assert_int_equal(pvmm_grant_query(ref, &info), -XEN_ENOENT);
	assert_int_not_equal(model_foreign_map(ref, READONLY, &ro), GNTST_okay);
	assert_int_equal(page->refs, 1);
	pvmm_page_free(page, 0);
	assert_int_equal(pvmm_free_pages(), pages);
	assert_clean();
}

static void a_readonly_grant_is_readonly(void **state)
{
	struct pvmm_page *page = new_page();
	pvmm_grant_t ref = give(page, PVMM_GRANT_READONLY);
	uint32_t handle;

	(void)state;
	assert_int_equal(model_foreign_map(ref, WRITABLE, &handle), GNTST_general_error);
	assert_int_equal(model_foreign_map(ref, READONLY, &handle), GNTST_okay);
	assert_int_equal(model_foreign_unmap(handle), GNTST_okay);
	assert_int_equal(pvmm_grant_end(ref), 0);
	assert_clean();
}

static void what_may_not_be_given(void **state)
{
	struct pvmm_page *page = new_page(), *table = pvmm_page(pvmm_kernel_space.root);
	struct pvmm_page *two[2] = {page, table};
	pvmm_grant_t refs[2] = {0};

	(void)state;
	assert_int_equal(pvmm_grant_give(&table, 1, PEER, 0, refs), -XEN_EINVAL);
	assert_int_equal(pvmm_grant_give(two, 2, PEER, 0, refs), -XEN_EINVAL);
	assert_int_equal(page->refs, 1);
	assert_int_equal(pvmm_grant_give(&page, 1, DOMID_SELF, 0, refs), -XEN_EINVAL);
	assert_int_equal(pvmm_grant_give(&page, 1, PEER, 2, refs), -XEN_EINVAL);
	assert_int_equal(pvmm_grant_end(0), -XEN_ENOENT);
	assert_int_equal(pvmm_grant_end(7), -XEN_ENOENT);
	assert_int_equal(pvmm_grant_end(UINT32_MAX), -XEN_ENOENT);
	assert_int_equal(pvmm_grant_end_later(100), -XEN_ENOENT);
	assert_int_equal(pvmm_grant_renew(100), -XEN_ENOENT);
	pvmm_page_free(page, 0);
	assert_int_equal(pvmm_grant_give(&page, 1, PEER, 0, refs), -XEN_EINVAL);
	assert_clean();
}

/* The table grows to its maximum and not beyond; every reference is another one. */
static void the_table_grows(void **state)
{
	struct pvmm_grant_stats s = pvmm_grant_stats();
	unsigned int per_frame = grant_refs_per_frame(s.version);
	unsigned int max = s.max_frames * per_frame - GNTTAB_NR_RESERVED_ENTRIES;
	struct pvmm_page *page = new_page(), *many[100];
	static pvmm_grant_t refs[GRANT_FRAMES_MAX * 512];
	static uint8_t seen[GRANT_FRAMES_MAX * 512];
	unsigned int nr = 0;

	(void)state;
	memset(seen, 0, sizeof(seen));
	assert_int_equal(s.nr_frames, 1);
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(many); i++)
		many[i] = page;
	for (; nr + 100 <= max; nr += 100)
		assert_int_equal(pvmm_grant_give(many, 100, PEER, 0, &refs[nr]), 0);
	assert_int_equal(pvmm_grant_give(many, 100, PEER, 0, &refs[nr]), -XEN_ENOSPC);
	assert_int_equal(pvmm_grant_give(many, max - nr, PEER, 0, &refs[nr]), 0);
	assert_int_equal(pvmm_grant_give(many, 1, PEER, 0, &refs[max]), -XEN_ENOSPC);
	assert_int_equal(page->refs, max + 1);
	s = pvmm_grant_stats();
	assert_int_equal(s.nr_given, max);
	assert_int_equal(s.nr_frames, s.max_frames);
	for (unsigned int i = 0; i < max; i++) {
		assert_true(refs[i] >= GNTTAB_NR_RESERVED_ENTRIES && !seen[refs[i]]);
		seen[refs[i]] = 1;
		assert_int_equal(pvmm_grant_end(refs[i]), 0);
	}
	assert_int_equal(pvmm_grant_stats().nr_given, 0);
	assert_int_equal(page->refs, 1);
	assert_clean();
}

/* Version 2 is asked for and not there: said, and version 1 it is. */
static void no_version_2(void **state)
{
	(void)state;
	boot("v2", &(struct model_options){.no_grant_v2 = true});
	assert_int_equal(pvmm_grant_stats().version, 1);
	assert_said("Xen refuses version 2: ENOSYS");
	assert_int_equal(pvmm_grant_end(give(new_page(), 0)), 0);
	assert_non_null(parse_grants("v3"));
	assert_clean();
}

/* --- R41 --- */

static void a_page_that_is_granted_is_not_freed(void **state)
{
	uint64_t pages = pvmm_free_pages();
	struct pvmm_page *page = new_page();
	pvmm_grant_t ref = give(page, 0);
	char wanted[80];
	uint32_t handle;

	(void)state;
	assert_int_equal(model_foreign_map(ref, WRITABLE, &handle), GNTST_okay);
	model_output_clear();
	pvmm_page_free(page, 0);
	assert_said("page freed that others hold");
	snprintf(wanted, sizeof(wanted), "grant ref %u to domain %u, mapped writable", ref, PEER);
	assert_said(wanted);
	assert_int_equal(page->kind, PVMM_PAGE_GRANTED);
	assert_int_equal(pvmm_free_pages(), pages - 1);
	assert_clean();

	assert_int_equal(pvmm_grant_end(ref), -XEN_EBUSY);
	assert_int_equal(model_foreign_unmap(handle), GNTST_okay);
	assert_int_equal(pvmm_grant_end(ref), 0);
	assert_int_equal(pvmm_free_pages(), pages);
	assert_clean();
}

/* Of a block that is freed, the pages that nobody holds are free at once. */
static void a_block_with_a_granted_page(void **state)
{
	uint64_t pages = pvmm_free_pages();
	struct pvmm_page *block = pvmm_page_alloc(2, PVMM_PAGE_KERNEL), *page = block + 2;
	pvmm_grant_t refs[2];
	struct pvmm_page *twice[2] = {page, page};

	(void)state;
	assert_int_equal(pvmm_grant_give(twice, 2, PEER, 0, refs), 0);
	assert_int_equal(pvmm_page_holds(pvmm_page_pfn(page)), 2);
	pvmm_page_free(block, 2);
	assert_int_equal(pvmm_free_pages(), pages - 1);
	assert_int_equal(pvmm_grant_end(refs[0]), 0);
	assert_int_equal(pvmm_free_pages(), pages - 1);
	assert_int_equal(pvmm_grant_end(refs[1]), 0);
	assert_int_equal(pvmm_free_pages(), pages);
	assert_clean();
}

static void free_it(void *page)
{
	pvmm_page_free(page, 0);
}

/* A grant excuses its own reference, and no other. */
static void other_references_are_a_panic_still(void **state)
{
	struct pvmm_page *page = new_page();

	(void)state;
	give(page, 0);
	pvmm_page_get(page);
	assert_true(model_panics(free_it, page, "has other references"));
}

/* A page whose reference was lost becomes a table while the peer maps it: the report says who. */
static void a_refused_pin_names_the_grant(void **state)
{
	static struct pvmm_space space;
	struct pvmm_page *user = pvmm_page(unit_page_of(PVMM_PAGE_USER)), *table;
	uint8_t kind;
	char wanted[80];
	uint32_t handle;
	pvmm_grant_t ref;

	(void)state;
	assert_int_equal(pvmm_space_create(&space, "victim"), 0);
	assert_int_equal(pvmm_space_map(&space, 0x400000, user, PVMM_PROT_RW), 0);
	table = pvmm_page(pvmm_pt_walk(space.root, 0x400000).step[1].table);
	kind = table->kind;
	table->kind = PVMM_PAGE_KERNEL;
	ref = give(table, 0);
	table->kind = kind;
	assert_int_equal(model_foreign_map(ref, WRITABLE, &handle), GNTST_okay);
	model_output_clear();
	assert_int_equal(pvmm_space_pin(&space), -XEN_EINVAL);
	assert_said("stray writable mapping: pfn");
	snprintf(wanted, sizeof(wanted), "held by    grant ref %u to domain %u, mapped writable",
		 ref, PEER);
	assert_said(wanted);
	assert_null(strstr(model_output(), "no table known here"));
	assert_int_equal(model_foreign_unmap(handle), GNTST_okay);
	assert_int_equal(pvmm_grant_end(ref), 0);
	assert_int_equal(pvmm_space_pin(&space), 0);
	assert_int_equal(pvmm_space_destroy(&space), 0);
	assert_clean();
}

/* --- ending later --- */

static void an_end_that_waits(void **state)
{
	uint64_t pages = pvmm_free_pages();
	struct pvmm_page *page = new_page(), *other = new_page();
	pvmm_grant_t ref = give(page, 0), second = give(other, 0);
	uint32_t handle, again;

	(void)state;
	assert_int_equal(model_foreign_map(ref, WRITABLE, &handle), GNTST_okay);
	assert_int_equal(pvmm_grant_end_later(ref), 0);
	assert_int_equal(pvmm_grant_end_later(second), 0);
	assert_int_equal(other->refs, 1);
	assert_int_equal(pvmm_grant_end(ref), -XEN_ENOENT);
	assert_int_equal(pvmm_grant_end_later(ref), -XEN_ENOENT);
	assert_true(query(ref).is_ending);
	pvmm_page_put(page);
	pvmm_page_put(other);
	assert_int_equal(pvmm_free_pages(), pages - 1);
	assert_int_equal(pvmm_grant_retry(), 1);
	assert_int_equal(pvmm_grant_retry(), 1);
	assert_int_equal(pvmm_grant_stats().nr_ending, 1);
	pvmm_grants_print();
	assert_said("mapped writable, ended");

	assert_int_equal(model_foreign_unmap(handle), GNTST_okay);
	/* In version 2 nobody can map it anew. */
	if (pvmm_grant_stats().version == 2)
		assert_int_equal(model_foreign_map(ref, WRITABLE, &again), GNTST_general_error);
	assert_int_equal(pvmm_grant_retry(), 0);
	assert_int_equal(pvmm_free_pages(), pages);
	assert_clean();
}

/* Many that wait, of which some are let go of between one try and the next. */
static void many_ends_that_wait(void **state)
{
	struct pvmm_page *pages[50];
	pvmm_grant_t refs[50];
	uint32_t handles[50];

	(void)state;
	for (unsigned int i = 0; i < 50; i++)
		pages[i] = new_page();
	assert_int_equal(pvmm_grant_give(pages, 50, PEER, 0, refs), 0);
	for (unsigned int i = 0; i < 50; i++) {
		assert_int_equal(model_foreign_map(refs[i], READONLY, &handles[i]), GNTST_okay);
		assert_int_equal(pvmm_grant_end_later(refs[i]), 0);
	}
	for (unsigned int left = 50; left; left--) {
		assert_int_equal(pvmm_grant_retry(), left);
		assert_int_equal(model_foreign_unmap(handles[left * 7 % 50]), GNTST_okay);
	}
	assert_int_equal(pvmm_grant_retry(), 0);
	for (unsigned int i = 0; i < 50; i++)
		assert_int_equal(pages[i]->refs, 1);
	assert_clean();
}

/* --- pages of others --- */

/* More than a small area of vmap's has, and more than there are grants: some are mapped twice. */
enum { THEIRS = 100 };

static struct pvmm_foreign_grant theirs[THEIRS];

static struct pvmm_grant_mapping their_grants(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int ref = i % MODEL_FOREIGN_GRANTS;

		theirs[i] = (struct pvmm_foreign_grant){.domid = PEER, .ref = ref};
		memset(model_bytes(model_foreign_grant(ref, false)), (int)(ref + 1),
		       PVMM_PAGE_SIZE);
	}
	return (struct pvmm_grant_mapping){.grants = theirs, .nr = nr, .name = "theirs"};
}

static void pages_of_others_are_mapped(void **state)
{
	struct pvmm_grant_mapping m = their_grants(THEIRS);
	const uint8_t *bytes;

	(void)state;
	assert_int_equal(pvmm_grant_map(&m, 0), 0);
	bytes = m.addr;
	for (unsigned int i = 0; i < m.nr; i++) {
		assert_int_equal(bytes[i * PVMM_PAGE_SIZE], i % MODEL_FOREIGN_GRANTS + 1);
		assert_true(model_foreign_grant_used(i % MODEL_FOREIGN_GRANTS));
	}
	((uint8_t *)m.addr)[5] = 99;
	assert_int_equal(((uint8_t *)model_bytes(model_foreign_grant(0, false)))[5], 99);
	assert_null(pvmm_vmap_page(m.addr));
	assert_int_equal(pvmm_grant_stats().nr_mapped, THEIRS);
	assert_clean();
	pvmm_check_free();
	pvmm_purge();
	assert_clean();

	assert_int_equal(grants_suspend(), -XEN_EBUSY);
	assert_said("\"theirs\" maps 100 pages of domain 2");
	assert_int_equal(pvmm_grant_unmap(&m), 0);
	for (unsigned int i = 0; i < MODEL_FOREIGN_GRANTS; i++)
		assert_false(model_foreign_grant_used(i));
	assert_int_equal(pvmm_grant_stats().nr_mapped, 0);
	pvmm_purge();
	assert_clean();
}

static void a_readonly_mapping(void **state)
{
	struct pvmm_grant_mapping m = their_grants(1);

	(void)state;
	model_foreign_grant(0, true);
	assert_int_equal(pvmm_grant_map(&m, 0), -XEN_EACCES);
	assert_int_equal(pvmm_grant_map(&m, PVMM_GRANT_READONLY), 0);
	assert_false(model_read_faults(m.addr));
	assert_true(model_write_faults(m.addr));
	assert_int_equal(pvmm_grant_unmap(&m), 0);
	assert_clean();
}

/* One of many is not granted: none is mapped. */
static void all_or_none(void **state)
{
	struct pvmm_grant_mapping m = their_grants(39);
	uint64_t areas = pvmm_vmap_stats().live_areas;

	(void)state;
	theirs[36].ref = 39;
	assert_int_equal(pvmm_grant_map(&m, 0), -XEN_EACCES);
	theirs[36].domid = 77;
	assert_int_equal(pvmm_grant_map(&m, 0), -XEN_ESRCH);
	theirs[36] = (struct pvmm_foreign_grant){.domid = PEER, .ref = 999999};
	assert_int_equal(pvmm_grant_map(&m, 0), -XEN_ENOENT);
	m.nr = 0;
	assert_int_equal(pvmm_grant_map(&m, 0), -XEN_EINVAL);
	for (unsigned int i = 0; i < 39; i++)
		assert_false(model_foreign_grant_used(i));
	assert_int_equal(pvmm_vmap_stats().live_areas, areas);
	assert_int_equal(pvmm_grant_stats().nr_mapped, 0);
	assert_clean();
}

/* The domain's own page, mapped as a peer would: the ledger counts it as any other mapping. */
static void own_grants_are_counted(void **state)
{
	struct pvmm_page *page = new_page();
	struct pvmm_foreign_grant own = {.domid = SELF};
	struct pvmm_grant_mapping m = {.grants = &own, .nr = 1, .name = "own"};

	(void)state;
	assert_int_equal(pvmm_grant_give(&page, 1, SELF, 0, &own.ref), 0);
	assert_int_equal(pvmm_grant_map(&m, 0), 0);
	*(uint64_t *)m.addr = 4711;
	assert_true(*(uint64_t *)pvmm_page_virt(page) == 4711);
	assert_int_equal(page->live, 1);
	assert_int_equal(page->refs, 3);
	assert_int_equal(pvmm_grant_end(own.ref), -XEN_EBUSY);
	assert_clean();
	assert_int_equal(pvmm_grant_unmap(&m), 0);
	assert_int_equal(pvmm_grant_end(own.ref), 0);
	assert_int_equal(page->live, 0);
	assert_int_equal(page->refs, 1);
	pvmm_purge();
	assert_clean();
}

static void copies(void **state)
{
	struct pvmm_page *page = new_page();
	uint8_t *bytes = pvmm_page_virt(page), *their_bytes;
	struct pvmm_grant_copy c[40];

	(void)state;
	their_grants(2);
	their_bytes = model_bytes(model_foreign_grant(1, false));
	for (unsigned int i = 0; i < 40; i++)
		c[i] = (struct pvmm_grant_copy){
			.domid = PEER,
			.ref = 1,
			.grant_offset = 100,
			.page_offset = (uint16_t)(i * 16),
			.len_bytes = 8,
			.page = page,
		};
	assert_int_equal(pvmm_grant_copy(c, 40), 0);
	assert_true(bytes[0] == 2 && bytes[7] == 2 && bytes[8] == 0 && bytes[39 * 16] == 2);
	bytes[16] = 55;
	c[0].to_grant = true;
	c[0].page_offset = 16;
	assert_int_equal(pvmm_grant_copy(c, 1), 0);
	assert_int_equal(their_bytes[100], 55);
	/* The second fails, the others are done. */
	memset(bytes, 0, PVMM_PAGE_SIZE);
	c[0].to_grant = false;
	c[1].ref = 5;
	c[2].grant_offset = 4090;
	assert_int_equal(pvmm_grant_copy(c, 40), -XEN_EACCES);
	assert_true(bytes[16] == 55 && bytes[32] == 0 && bytes[39 * 16] == 55);
	assert_false(model_foreign_grant_used(1));
	assert_clean();
}

/* --- around a suspend --- */

static bool frame_is_mapped(void)
{
	return pvmm_pte_present(
		pvmm_pt_lookup(pvmm_kernel_space.root, (uintptr_t)grant_frames.shared));
}

static void a_suspend_that_is_cancelled(void **state)
{
	struct pvmm_page *page = new_page();
	pvmm_grant_t ref = give(page, 0);
	uint32_t handle;

	(void)state;
	assert_int_equal(grants_suspend(), 0);
	assert_false(frame_is_mapped());
	assert_clean();
	grants_resume(true);
	assert_true(frame_is_mapped());
	assert_int_equal(model_foreign_map(ref, WRITABLE, &handle), GNTST_okay);
	assert_int_equal(pvmm_grant_end(ref), -XEN_EBUSY);
	assert_int_equal(model_foreign_unmap(handle), GNTST_okay);
	assert_int_equal(pvmm_grant_end(ref), 0);
	assert_clean();
}

/* The new domain's table is empty and of version 1. */
static void a_restore(void **state)
{
	struct pvmm_page *page = new_page();
	pvmm_grant_t ref = give(page, 0), second = give(page, 0);
	struct gnttab_set_version version = {.version = 2};
	unsigned int used = pvmm_grant_stats().version;
	uint32_t handle;

	(void)state;
	assert_int_equal(grants_suspend(), 0);
	/* A change of the version and back empties the model's table. */
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_set_version, &version, 1), 0);
	version.version = 1;
	assert_int_equal(pvmm_hc_grant_table_op(GNTTABOP_set_version, &version, 1), 0);
	grants_resume(false);
	assert_int_equal(pvmm_grant_stats().version, used);
	assert_int_not_equal(model_foreign_map(ref, WRITABLE, &handle), GNTST_okay);
	assert_int_equal(pvmm_grant_end(second), 0);
	assert_int_equal(pvmm_grant_renew(ref), 0);
	assert_int_equal(model_foreign_map(ref, WRITABLE, &handle), GNTST_okay);
	assert_int_equal(model_foreign_unmap(handle), GNTST_okay);
	assert_int_equal(pvmm_grant_end(ref), 0);
	assert_int_equal(page->refs, 1);
	assert_clean();
}

#define BOTH(fn)                                              \
	{#fn " (v1)", fn, boot_v1, unit_shutdown, NULL},      \
	{                                                     \
#fn " (v2)", fn, boot_v2, unit_shutdown, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_grant_is_mapped_and_ends),
		BOTH(a_readonly_grant_is_readonly),
		BOTH(what_may_not_be_given),
		BOTH(the_table_grows),
		BOTH(a_page_that_is_granted_is_not_freed),
		BOTH(a_block_with_a_granted_page),
		BOTH(other_references_are_a_panic_still),
		BOTH(a_refused_pin_names_the_grant),
		BOTH(an_end_that_waits),
		BOTH(many_ends_that_wait),
		BOTH(pages_of_others_are_mapped),
		BOTH(a_readonly_mapping),
		BOTH(all_or_none),
		BOTH(own_grants_are_counted),
		BOTH(copies),
		BOTH(a_suspend_that_is_cancelled),
		BOTH(a_restore),
		UNIT_TEST(no_version_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
