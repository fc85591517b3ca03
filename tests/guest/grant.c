/* SPDX-License-Identifier: MIT */
/*
 * Grants on real Xen, with this domain as its own peer: it may map what it grants to its own
 * number. A device's mapping (GNTMAP_device_map) holds a page without an entry in any table, as a
 * backend in another domain does. R41; tests/xl/grants.t has the peers in dom0 and in another domU.
 */
#include <pvmm/alloc.h>
#include <pvmm/check.h>
#include <pvmm/cmdline.h>
#include <pvmm/grant.h>
#include <pvmm/holder.h>
#include <pvmm/hypercall.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/stats.h>
#include <pvmm/stray.h>
#include <pvmm/vcpu.h>
#include <pvmm/xenstore.h>
#include <xen/grant_table.h>
#include "suites.h"
#include "together.h"

#define NO_GRANT UINT32_MAX

static unsigned int own_domid(void)
{
	uint64_t domid = 0;
	char text[16];

	CHECK_EQUAL(pvmm_store_read(PVMM_STORE_NO_TX, "domid", text, sizeof(text), NULL), 0);
	CHECK(pvmm_parse_number(text, &domid));
	return (unsigned int)domid;
}

static pvmm_grant_t give(struct pvmm_page *page, unsigned int flags)
{
	pvmm_grant_t ref = NO_GRANT;

	CHECK_EQUAL(pvmm_grant_give(&page, 1, own_domid(), flags, &ref), 0);
	return ref;
}

/* The backend that maps where nobody can look. */
static uint32_t hold(pvmm_grant_t ref, uint32_t flags)
{
	struct gnttab_map_grant_ref op = {
		.flags = GNTMAP_device_map | flags,
		.ref = ref,
		.dom = (domid_t)own_domid(),
	};

	CHECK_EQUAL(pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0);
	CHECK_EQUAL(op.status, GNTST_okay);
	return op.handle;
}

static void let_go(uint32_t handle, const struct pvmm_page *page)
{
	struct gnttab_unmap_grant_ref op = {
		.handle = handle,
		.dev_bus_addr = pvmm_mfn_to_maddr(pvmm_pfn_to_mfn(pvmm_page_pfn(page))),
	};

	CHECK_EQUAL(pvmm_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1), 0);
	CHECK_EQUAL(op.status, GNTST_okay);
}

static struct pvmm_grant_info query(pvmm_grant_t ref)
{
	struct pvmm_grant_info info = {0};

	CHECK_EQUAL(pvmm_grant_query(ref, &info), 0);
	return info;
}

static void what_is_mapped_does_not_end(void)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	pvmm_grant_t ref = give(page, 0);
	uint32_t ro, rw;

	CHECK(!query(ref).is_mapped_to_read);
	ro = hold(ref, GNTMAP_readonly);
	CHECK(query(ref).is_mapped_to_read && !query(ref).is_mapped_to_write);
	CHECK_EQUAL(pvmm_grant_end(ref), -XEN_EBUSY);
	rw = hold(ref, 0);
	CHECK(query(ref).is_mapped_to_write);
	CHECK_EQUAL(pvmm_grant_end(ref), -XEN_EBUSY);
	let_go(ro, page);
	CHECK_EQUAL(pvmm_grant_end(ref), -XEN_EBUSY);
	let_go(rw, page);
	CHECK_EQUAL(pvmm_grant_end(ref), 0);
	CHECK_EQUAL(pvmm_grant_end(ref), -XEN_ENOENT);
	CHECK_EQUAL(page->refs, 1);
	pvmm_page_free(page, 0);
}

static void a_readonly_grant_is_readonly(void)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	struct pvmm_foreign_grant own = {.domid = (uint16_t)own_domid()};
	struct pvmm_grant_mapping m = {.grants = &own, .nr = 1, .name = "own"};

	own.ref = give(page, PVMM_GRANT_READONLY);
	CHECK_EQUAL(pvmm_grant_map(&m, 0), -XEN_EACCES);
	if (CHECK_EQUAL(pvmm_grant_map(&m, PVMM_GRANT_READONLY), 0)) {
		*(volatile uint64_t *)pvmm_page_virt(page) = 4711;
		CHECK_EQUAL(*(volatile uint64_t *)m.addr, 4711);
		CHECK_EQUAL(pvmm_audit(), 0);
		CHECK_EQUAL(pvmm_grant_unmap(&m), 0);
	}
	CHECK_EQUAL(pvmm_grant_end(own.ref), 0);
	pvmm_purge();
	pvmm_page_free(page, 0);
}

enum { MANY = 70 };

/* More than one hypercall's worth of them, and more than one small area. */
static void many_are_mapped_at_once(void)
{
	static struct pvmm_foreign_grant own[MANY];
	static struct pvmm_page *pages[MANY];
	static pvmm_grant_t refs[MANY];
	struct pvmm_grant_mapping m = {.grants = own, .nr = MANY, .name = "many"};
	volatile uint64_t *words;
	uint64_t traps;

	for (unsigned int i = 0; i < MANY; i++) {
		pages[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		*(volatile uint64_t *)pvmm_page_virt(pages[i]) = i;
	}
	CHECK_EQUAL(pvmm_grant_give(pages, MANY, own_domid(), 0, refs), 0);
	for (unsigned int i = 0; i < MANY; i++)
		own[i] =
			(struct pvmm_foreign_grant){.domid = (uint16_t)own_domid(), .ref = refs[i]};
	traps = pvmm_hypercall_count(__HYPERVISOR_grant_table_op);
	if (CHECK_EQUAL(pvmm_grant_map(&m, 0), 0)) {
		CHECK_EQUAL(pvmm_hypercall_count(__HYPERVISOR_grant_table_op) - traps, 3);
		words = m.addr;
		for (unsigned int i = 0; i < MANY; i++) {
			CHECK_EQUAL(words[i * PVMM_PT_ENTRIES], i);
			words[i * PVMM_PT_ENTRIES] = i + 1;
			CHECK_EQUAL(*(volatile uint64_t *)pvmm_page_virt(pages[i]), i + 1);
		}
		CHECK_EQUAL(pages[3]->live, 1);
		CHECK_EQUAL(pvmm_audit(), 0);
		CHECK_EQUAL(pvmm_grant_stats().nr_mapped, MANY);
		CHECK_EQUAL(pvmm_grant_unmap(&m), 0);
	}
	/* One that is not granted: none is mapped. */
	own[50].ref = 7;
	CHECK_EQUAL(pvmm_grant_map(&m, 0), -XEN_EACCES);
	for (unsigned int i = 0; i < MANY; i++) {
		CHECK_EQUAL(pvmm_grant_end(refs[i]), 0);
		CHECK_EQUAL(pages[i]->live, 0);
	}
	pvmm_purge();
	for (unsigned int i = 0; i < MANY; i++)
		pvmm_page_free(pages[i], 0);
}

/* A copy of a process, while a grant is mapped in the kernel's half. */
static void address_spaces_do_not_mind(void)
{
	static struct pvmm_space space, copy;
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	struct pvmm_page *user = pvmm_page_alloc(0, PVMM_PAGE_USER);
	struct pvmm_foreign_grant own = {.domid = (uint16_t)own_domid(), .ref = give(page, 0)};
	struct pvmm_grant_mapping m = {.grants = &own, .nr = 1, .name = "own"};
	uint64_t reports = pvmm_stray_last().reports;

	CHECK_EQUAL(pvmm_space_create(&space, "granting"), 0);
	CHECK_EQUAL(pvmm_space_map(&space, 0x400000, user, PVMM_PROT_RW), 0);
	CHECK_EQUAL(pvmm_space_activate(&space), 0);
	CHECK_EQUAL(pvmm_grant_map(&m, 0), 0);
	*(volatile uint64_t *)m.addr = 1;
	CHECK_EQUAL(pvmm_space_clone(&copy, &space, "copy"), 0);
	CHECK_EQUAL(pvmm_space_activate(&copy), 0);
	*(volatile uint64_t *)m.addr = 2;
	CHECK_EQUAL(*(volatile uint64_t *)pvmm_page_virt(page), 2);
	CHECK_EQUAL(pvmm_check_free(), 0);
	CHECK_EQUAL(pvmm_space_activate(&pvmm_kernel_space), 0);
	CHECK_EQUAL(pvmm_space_destroy(&copy), 0);
	CHECK_EQUAL(pvmm_space_destroy(&space), 0);
	CHECK_EQUAL(pvmm_grant_unmap(&m), 0);
	CHECK_EQUAL(pvmm_grant_end(own.ref), 0);
	CHECK_EQUAL(pvmm_stray_last().reports, reports);
	pvmm_purge();
	pvmm_page_put(user);
	pvmm_page_free(page, 0);
}

static void bytes_are_copied(void)
{
	struct pvmm_page *ours = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	struct pvmm_page *granted = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	volatile uint64_t *from = pvmm_page_virt(granted), *to = pvmm_page_virt(ours);
	struct pvmm_grant_copy c = {
		.domid = (uint16_t)own_domid(),
		.ref = give(granted, 0),
		.grant_offset = 8,
		.page_offset = 16,
		.len_bytes = 8,
		.page = ours,
	};

	from[1] = 77;
	to[2] = to[3] = 0;
	CHECK_EQUAL(pvmm_grant_copy(&c, 1), 0);
	CHECK_EQUAL(to[2], 77);
	CHECK_EQUAL(to[3], 0);
	to[2] = 78;
	c.to_grant = true;
	CHECK_EQUAL(pvmm_grant_copy(&c, 1), 0);
	CHECK_EQUAL(from[1], 78);
	c.grant_offset = 4092;
	CHECK_EQUAL(pvmm_grant_copy(&c, 1), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_grant_end(c.ref), 0);
	c.grant_offset = 8;
	CHECK_EQUAL(pvmm_grant_copy(&c, 1), -XEN_EACCES);
	pvmm_page_free(ours, 0);
	pvmm_page_free(granted, 0);
}

static void a_freed_page_is_kept(void)
{
	struct pvmm_page *block = pvmm_page_alloc(2, PVMM_PAGE_KERNEL), *page = block + 1;
	uint64_t pages = pvmm_free_pages();
	pvmm_grant_t ref = give(page, 0);
	uint32_t handle = hold(ref, 0);

	pvmm_page_free(block, 2);
	pvmm_check_flush();
	CHECK_EQUAL(pvmm_free_pages(), pages + 3);
	CHECK_EQUAL(page->kind, PVMM_PAGE_GRANTED);
	CHECK_EQUAL(pvmm_grant_end_later(ref), 0);
	CHECK(query(ref).is_ending);
	CHECK_EQUAL(pvmm_grant_retry(), 1);
	CHECK_EQUAL(pvmm_page_holds(pvmm_page_pfn(page)), 1);
	let_go(handle, page);
	CHECK_EQUAL(pvmm_grant_retry(), 0);
	CHECK_EQUAL(pvmm_free_pages(), pages + 4);
}

/* All references that the table has, in as many frames as it may have. */
static void the_table_grows_to_its_end(void)
{
	enum { AT_ONCE = 64 };
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL), *same[AT_ONCE];
	pvmm_grant_t refs[AT_ONCE];
	unsigned int nr = 0, ended = 0;
	int err;

	for (unsigned int i = 0; i < AT_ONCE; i++)
		same[i] = page;
	while (!(err = pvmm_grant_give(same, AT_ONCE, own_domid(), 0, refs)))
		nr += AT_ONCE;
	CHECK(err == -XEN_ENOSPC || err == -XEN_ENOMEM);
	pvmm_print("# %u grants in %u frames of version %u\n", nr, pvmm_grant_stats().nr_frames,
		   pvmm_grant_stats().version);
	CHECK(nr > 4096);
	CHECK_EQUAL(pvmm_grant_stats().nr_given, nr);
	/* A few of those that there are were not given. */
	for (pvmm_grant_t ref = 8; ref < nr + 2 * AT_ONCE; ref++)
		if (!pvmm_grant_end(ref))
			ended++;
	CHECK_EQUAL(ended, nr);
	CHECK_EQUAL(page->refs, 1);
	pvmm_page_free(page, 0);
}

static unsigned int problems, domid;

/* Each page is held by its own grant alone: a reference that two have shows. */
static void give_and_end(void *ctx)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	struct pvmm_grant_info info;
	pvmm_grant_t refs[8];
	struct pvmm_page *same[8];
	bool good = page;

	(void)ctx;
	for (unsigned int i = 0; i < 8; i++)
		same[i] = page;
	for (unsigned int i = 0; good && i < 50; i++) {
		good = !pvmm_grant_give(same, 8, domid, 0, refs);
		for (unsigned int k = 0; good && k < 8; k++)
			good = !pvmm_grant_query(refs[k], &info) &&
			       pfn_eq(info.pfn, pvmm_page_pfn(page)) &&
			       !(k % 2 ? pvmm_grant_end(refs[k]) : pvmm_grant_end_later(refs[k]));
		pvmm_grant_retry();
	}
	if (!good || page->refs != 1)
		__atomic_fetch_add(&problems, 1, __ATOMIC_RELAXED);
	if (page)
		pvmm_page_free(page, 0);
}

static void all_vcpus_at_once(void)
{
	problems = 0;
	domid = own_domid();
	together(give_and_end, NULL);
	CHECK_EQUAL(problems, 0);
	CHECK_EQUAL(pvmm_grant_stats().nr_given, 0);
	CHECK_EQUAL(pvmm_grant_stats().nr_ending, 0);
}

const struct suite suite_grant = {
	.name = "grant",
	.about = "grants: given, held by a peer, ended; mapped and copied",
	.tests =
		(const struct test[]){
			{"what a peer maps does not end", what_is_mapped_does_not_end},
			{"a read-only grant is read-only", a_readonly_grant_is_readonly},
			{"many are mapped at once, or none", many_are_mapped_at_once},
			{"a mapped grant is nothing to address spaces and the checker",
			 address_spaces_do_not_mind},
			{"bytes are copied to and from a grant", bytes_are_copied},
			{"a page that is freed while a peer maps it is kept", a_freed_page_is_kept},
			{"all vCPUs give and end at once", all_vcpus_at_once},
			{"the table grows to its end", the_table_grows_to_its_end},
			{NULL, NULL},
		},
};
