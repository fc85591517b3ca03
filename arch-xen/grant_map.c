/* SPDX-License-Identifier: MIT */
/*
 * Owns the pages of other domains that are mapped here, and copies between theirs and ours.
 *
 * Xen makes and clears the entries itself, in an area that vmap has reserved for it: an entry that
 * went another way would leave the other domain's grant in use for good (docs/xen-rules.md, 48).
 *
 * Invariant: a mapping is in the list exactly while one of its grants is mapped.
 */
#include <pvmm/batch.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/spinlock.h>
#include <pvmm/vmap.h>
#include "grant.h"

/* Operations of one hypercall: 40 bytes each, on the stack. */
#define GROUP 32u

/* Guards the list. No lock is taken inside it. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
static struct pvmm_grant_mapping *mappings;
static unsigned int nr_mapped;

void grant_maps_init(void)
{
	mappings = NULL;
	nr_mapped = 0;
}

int grant_status_error(int status)
{
	static const int errors[] = {
		[-GNTST_general_error] = -XEN_EACCES, [-GNTST_bad_domain] = -XEN_ESRCH,
		[-GNTST_bad_gntref] = -XEN_ENOENT,    [-GNTST_permission_denied] = -XEN_EPERM,
		[-GNTST_bad_page] = -XEN_EINVAL,      [-GNTST_bad_copy_arg] = -XEN_EINVAL,
		[-GNTST_eagain] = -XEN_EAGAIN,	      [-GNTST_no_space] = -XEN_ENOSPC,
	};

	if (!status)
		return 0;
	if (status > 0 || (unsigned int)-status >= PVMM_ARRAY_SIZE(errors) || !errors[-status])
		return -XEN_EIO;
	return errors[-status];
}

/* --- the list --- */

static void list_add(struct pvmm_grant_mapping *m)
{
	pvmm_spin_lock(&lock);
	m->next = mappings;
	mappings = m;
	nr_mapped += m->nr;
	pvmm_spin_unlock(&lock);
}

static void list_del(struct pvmm_grant_mapping *m)
{
	struct pvmm_grant_mapping **at = &mappings;

	pvmm_spin_lock(&lock);
	while (*at && *at != m)
		at = &(*at)->next;
	if (*at) {
		*at = m->next;
		nr_mapped -= m->nr;
	}
	pvmm_spin_unlock(&lock);
}

unsigned int grant_nr_mapped(void)
{
	return __atomic_load_n(&nr_mapped, __ATOMIC_RELAXED);
}

/* One mapping in words; *n counts from 0. */
static bool describe(unsigned int n, char *buf, size_t len_bytes)
{
	const struct pvmm_grant_mapping *m;

	pvmm_spin_lock(&lock);
	for (m = mappings; m && n; m = m->next)
		n--;
	if (m)
		pvmm_snprintf(buf, len_bytes,
			      "\"%s\" maps %u pages of domain %u at 0x%llx, the first ref %u, %s",
			      m->name, m->nr, m->grants[0].domid,
			      (unsigned long long)(uintptr_t)m->addr, m->grants[0].ref,
			      m->flags & PVMM_GRANT_READONLY ? "read-only" : "writable");
	pvmm_spin_unlock(&lock);
	return m;
}

bool grant_maps_nothing(void)
{
	char text[160];

	if (!describe(0, text, sizeof(text)))
		return true;
	pvmm_log(PVMM_WARN, "grants of other domains are still mapped: %s", text);
	return false;
}

void grant_print_mappings(void)
{
	char text[160];

	for (unsigned int n = 0; describe(n, text, sizeof(text)); n++)
		pvmm_print("grant mapping: %s\n", text);
}

/* --- mapping --- */

static uint64_t addr_of(const struct pvmm_grant_mapping *m, unsigned int i)
{
	return (uintptr_t)m->addr + ((uint64_t)i << PVMM_PAGE_SHIFT);
}

/* Asks for a group; the first error, of whatever kind. Those that went well are marked. */
static int map_group(const struct pvmm_grant_mapping *m, unsigned int from, unsigned int nr)
{
	uint32_t flags = GNTMAP_host_map | (m->flags & PVMM_GRANT_READONLY ? GNTMAP_readonly : 0);
	struct gnttab_map_grant_ref ops[GROUP];
	int err, first_error;

	for (unsigned int i = 0; i < nr; i++)
		ops[i] = (struct gnttab_map_grant_ref){
			.host_addr = addr_of(m, from + i),
			.flags = flags,
			.ref = m->grants[from + i].ref,
			.dom = m->grants[from + i].domid,
			.status = GNTST_general_error,
		};
	first_error = pvmm_hc_grant_table_op(GNTTABOP_map_grant_ref, ops, nr);
	for (unsigned int i = 0; i < nr; i++) {
		struct pvmm_foreign_grant *g = &m->grants[from + i];

		err = grant_status_error(ops[i].status);
		g->is_mapped = !err;
		g->handle = ops[i].handle;
		if (err && !first_error)
			first_error = err;
	}
	return first_error;
}

/* The first error; those that are gone are marked. */
static int unmap_group(const struct pvmm_grant_mapping *m, unsigned int from, unsigned int nr)
{
	struct gnttab_unmap_grant_ref ops[GROUP];
	unsigned int which[GROUP], nr_ops = 0;
	int first_error = 0, err;

	for (unsigned int i = from; i < from + nr; i++) {
		if (!m->grants[i].is_mapped)
			continue;
		which[nr_ops] = i;
		ops[nr_ops++] = (struct gnttab_unmap_grant_ref){
			.host_addr = addr_of(m, i),
			.handle = m->grants[i].handle,
			.status = GNTST_general_error,
		};
	}
	if (nr_ops)
		first_error = pvmm_hc_grant_table_op(GNTTABOP_unmap_grant_ref, ops, nr_ops);
	for (unsigned int i = 0; i < nr_ops; i++) {
		err = grant_status_error(ops[i].status);
		m->grants[which[i]].is_mapped = err;
		if (err && !first_error)
			first_error = err;
	}
	return first_error;
}

static int in_groups(const struct pvmm_grant_mapping *m,
		     int (*fn)(const struct pvmm_grant_mapping *m, unsigned int from,
			       unsigned int nr))
{
	int first_error = 0, err;

	for (unsigned int i = 0; i < m->nr; i += GROUP) {
		err = fn(m, i, m->nr - i < GROUP ? m->nr - i : GROUP);
		if (err && !first_error)
			first_error = err;
	}
	return first_error;
}

/* The area's end; what is mapped of it is nothing. */
static void give_area_up(const struct pvmm_grant_mapping *m)
{
	int err = pvmm_vmap_follow(m->addr, m->nr);

	if (!err)
		err = pvmm_vunmap(m->addr);
	if (err)
		pvmm_panic(
			"the area of \"%s\" at 0x%llx, whose grants are unmapped, is not whole: %s",
			m->name, (unsigned long long)(uintptr_t)m->addr, pvmm_errno_name(err));
}

/* Takes back what of a mapping there is. That Xen has made it means that it can be unmade. */
static void undo_map(struct pvmm_grant_mapping *m)
{
	int err = in_groups(m, unmap_group);

	if (err)
		pvmm_panic("grants of \"%s\" that were mapped cannot be unmapped: %s (%d)", m->name,
			   pvmm_errno_name(err), err);
	list_del(m);
	give_area_up(m);
}

int pvmm_grant_map(struct pvmm_grant_mapping *m, unsigned int flags)
{
	const struct pvmm_vmap_how how = {.name = m->name, .policy = PVMM_VMAP_LAZY};
	int err;

	if (!m->nr || (flags & ~PVMM_GRANT_READONLY))
		return -XEN_EINVAL;
	pvmm_batch_assert_closed("the mapping of grants");
	err = pvmm_vmap_reserve(m->nr, &how, &m->addr);
	if (err)
		return err;
	err = pvmm_vmap_prepare(m->addr, m->nr);
	if (err) {
		give_area_up(m);
		return err;
	}
	m->flags = flags;
	for (unsigned int i = 0; i < m->nr; i++)
		m->grants[i].is_mapped = false;
	list_add(m);
	err = in_groups(m, map_group);
	if (!err)
		err = pvmm_vmap_follow(m->addr, m->nr);
	if (err)
		undo_map(m);
	return err;
}

int pvmm_grant_unmap(struct pvmm_grant_mapping *m)
{
	int err;

	pvmm_batch_assert_closed("the unmapping of grants");
	err = in_groups(m, unmap_group);
	if (err) {
		pvmm_log(PVMM_WARN, "grants of \"%s\" at 0x%llx cannot be unmapped: %s (%d)",
			 m->name, (unsigned long long)(uintptr_t)m->addr, pvmm_errno_name(err),
			 err);
		return err;
	}
	list_del(m);
	give_area_up(m);
	return 0;
}

/* --- copying --- */

static struct gnttab_copy copy_op(const struct pvmm_grant_copy *c)
{
	const struct gnttab_copy_ptr grant = {
		.u.ref = c->ref, .domid = c->domid, .offset = c->grant_offset};
	const struct gnttab_copy_ptr own = {
		.u.gmfn = mfn_x(pvmm_pfn_to_mfn(pvmm_page_pfn(c->page))),
		.domid = DOMID_SELF,
		.offset = c->page_offset,
	};

	return (struct gnttab_copy){
		.source = c->to_grant ? own : grant,
		.dest = c->to_grant ? grant : own,
		.len = c->len_bytes,
		.flags = c->to_grant ? GNTCOPY_dest_gref : GNTCOPY_source_gref,
		.status = GNTST_general_error,
	};
}

static int copy_group(const struct pvmm_grant_copy *copies, unsigned int nr)
{
	struct gnttab_copy ops[GROUP];
	int err;

	for (unsigned int i = 0; i < nr; i++)
		ops[i] = copy_op(&copies[i]);
	err = pvmm_hc_grant_table_op(GNTTABOP_copy, ops, nr);
	for (unsigned int i = 0; i < nr && !err; i++)
		err = grant_status_error(ops[i].status);
	return err;
}

int pvmm_grant_copy(const struct pvmm_grant_copy *copies, unsigned int nr)
{
	int first_error = 0, err;

	for (unsigned int i = 0; i < nr; i += GROUP) {
		err = copy_group(copies + i, nr - i < GROUP ? nr - i : GROUP);
		if (!first_error)
			first_error = err;
	}
	return first_error;
}
