/* SPDX-License-Identifier: MIT */
/*
 * Owns the hypercall about grants: which operation, how many, the table's size and version. Rules
 * 47 and 49 of docs/xen-rules.md; what a grant is, grant.c knows.
 */
#include <pvmm/xen.h>
#include "tests/model/state.h"

static void setup_table(struct gnttab_setup_table *op)
{
	int err = any_domain_of(op->dom);

	if (err) {
		op->status = err == -XEN_ESRCH ? GNTST_bad_domain : GNTST_permission_denied;
		return;
	}
	if (op->nr_frames > GRANT_FRAMES_MAX) {
		op->status = GNTST_general_error;
		return;
	}
	grants_grow(op->nr_frames);
	op->status = GNTST_okay;
	for (unsigned int i = 0; i < op->nr_frames; i++) {
		if (guest_readable(&op->frame_list.p[i], sizeof(op->frame_list.p[i])))
			op->frame_list.p[i] = frame_of_grant_table(i);
		else
			op->status = GNTST_bad_virt_addr;
	}
}

static void query_size(struct gnttab_query_size *op)
{
	int err = any_domain_of(op->dom);

	if (err) {
		op->status = err == -XEN_ESRCH ? GNTST_bad_domain : GNTST_permission_denied;
		return;
	}
	op->nr_frames = grants_frames();
	op->max_nr_frames = GRANT_FRAMES_MAX;
	op->status = GNTST_okay;
}

static int set_version(struct gnttab_set_version *op)
{
	int err = 0;

	if (op->version != 1 && op->version != 2)
		err = -XEN_EINVAL;
	else if (op->version == 2 && model.options.no_grant_v2)
		err = -XEN_ENOSYS;
	else if (op->version != grants_version())
		err = grants_in_use() ? -XEN_EBUSY : grants_set_version(op->version);
	op->version = grants_version();
	return err;
}

static int get_version(struct gnttab_get_version *op)
{
	int err = any_domain_of(op->dom);

	if (!err)
		op->version = grants_version();
	return err;
}

static void status_frames(struct gnttab_get_status_frames *op)
{
	int err = any_domain_of(op->dom);

	if (err) {
		op->status = err == -XEN_ESRCH ? GNTST_bad_domain : GNTST_permission_denied;
		return;
	}
	op->status = op->nr_frames > grants_status_frames() ? GNTST_general_error : GNTST_okay;
	for (unsigned int i = 0; i < op->nr_frames && !op->status; i++) {
		if (guest_readable(&op->frame_list.p[i], sizeof(op->frame_list.p[i])))
			op->frame_list.p[i] = frame_of_grant_status(i);
		else
			op->status = GNTST_bad_virt_addr;
	}
}

/* Those that take an array. */
static long array_op(uint32_t cmd, void *ops, uint32_t nr)
{
	switch (cmd) {
	case GNTTABOP_map_grant_ref:
		return guest_range_ok(ops, nr * sizeof(struct gnttab_map_grant_ref))
			       ? grants_map(ops, nr)
			       : -XEN_EFAULT;
	case GNTTABOP_unmap_grant_ref:
		return guest_range_ok(ops, nr * sizeof(struct gnttab_unmap_grant_ref))
			       ? grants_unmap(ops, nr)
			       : -XEN_EFAULT;
	default:
		return guest_range_ok(ops, nr * sizeof(struct gnttab_copy)) ? grants_copy(ops, nr)
									    : -XEN_EFAULT;
	}
}

static bool list_ok(const void *list, uint32_t nr)
{
	return !nr || guest_range_ok(list, nr * sizeof(uint64_t));
}

/* Those that take one structure, which is readable. */
static long single_op(uint32_t cmd, void *op)
{
	struct gnttab_setup_table *setup = op;
	struct gnttab_get_status_frames *status = op;

	switch (cmd) {
	case GNTTABOP_setup_table:
		if (!list_ok(setup->frame_list.p, setup->nr_frames))
			return -XEN_EFAULT;
		setup_table(setup);
		return 0;
	case GNTTABOP_query_size:
		query_size(op);
		return 0;
	case GNTTABOP_get_status_frames:
		if (!list_ok(status->frame_list.p, status->nr_frames))
			return -XEN_EFAULT;
		status_frames(status);
		return 0;
	case GNTTABOP_set_version:
		return set_version(op);
	default:
		return get_version(op);
	}
}

long grant_table_op(uint32_t cmd, void *ops, uint32_t nr)
{
	static const size_t sizes[] = {
		[GNTTABOP_setup_table] = sizeof(struct gnttab_setup_table),
		[GNTTABOP_query_size] = sizeof(struct gnttab_query_size),
		[GNTTABOP_get_status_frames] = sizeof(struct gnttab_get_status_frames),
		[GNTTABOP_set_version] = sizeof(struct gnttab_set_version),
		[GNTTABOP_get_version] = sizeof(struct gnttab_get_version),
	};
	/* How many there are matters to those that say so. */
	bool counts = cmd != GNTTABOP_set_version && cmd != GNTTABOP_get_version;

	if (nr > INT32_MAX)
		return -XEN_EINVAL;
	if (cmd == GNTTABOP_map_grant_ref || cmd == GNTTABOP_unmap_grant_ref ||
	    cmd == GNTTABOP_copy)
		return array_op(cmd, ops, nr);
	if (cmd >= PVMM_ARRAY_SIZE(sizes) || !sizes[cmd])
		return -XEN_ENOSYS;
	if (counts && nr != 1)
		return -XEN_EINVAL;
	return guest_readable(ops, sizes[cmd]) ? single_op(cmd, ops) : -XEN_EFAULT;
}
