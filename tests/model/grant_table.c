/* SPDX-License-Identifier: MIT */
/*
 * Owns the hypercall about grants: which operation, how many, and the table's size. Rule 47 of
 * docs/xen-rules.md; what a grant is, grant.c knows.
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

long grant_table_op(uint32_t cmd, void *ops, uint32_t nr)
{
	struct gnttab_setup_table *setup = ops;

	if (nr > INT32_MAX)
		return -XEN_EINVAL;
	switch (cmd) {
	case GNTTABOP_map_grant_ref:
		return guest_range_ok(ops, nr * sizeof(struct gnttab_map_grant_ref))
			       ? grants_map(ops, nr)
			       : -XEN_EFAULT;
	case GNTTABOP_unmap_grant_ref:
		return guest_range_ok(ops, nr * sizeof(struct gnttab_unmap_grant_ref))
			       ? grants_unmap(ops, nr)
			       : -XEN_EFAULT;
	case GNTTABOP_setup_table:
		if (nr != 1)
			return -XEN_EINVAL;
		if (!guest_readable(ops, sizeof(*setup)) ||
		    (setup->nr_frames &&
		     !guest_range_ok(setup->frame_list.p, setup->nr_frames * sizeof(uint64_t))))
			return -XEN_EFAULT;
		setup_table(setup);
		return 0;
	case GNTTABOP_query_size:
		if (nr != 1)
			return -XEN_EINVAL;
		if (!guest_readable(ops, sizeof(struct gnttab_query_size)))
			return -XEN_EFAULT;
		query_size(ops);
		return 0;
	default:
		return -XEN_ENOSYS;
	}
}
