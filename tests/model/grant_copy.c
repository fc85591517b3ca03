/* SPDX-License-Identifier: MIT */
/*
 * Owns GNTTABOP_copy: bytes from a page of the domain to one that was granted to it, or back. Rule
 * 50 of docs/xen-rules.md. Holds nothing when it returns.
 */
#include <string.h>
#include <pvmm/xen.h>
#include "tests/model/state.h"

/* One side of a copy, and what is held of it. */
struct side {
	const struct gnttab_copy_ptr *ptr;
	bool is_grant, is_dest, has_grant, has_ref, has_type;
	uint64_t mfn;
	uint16_t start, len_bytes; /* the part of the page that may be touched */
};

static int domain_exists(domid_t dom)
{
	return dom == DOMID_SELF || dom == 0 || dom == GUEST_DOMID || dom == FOREIGN_DOMID
		       ? GNTST_okay
		       : GNTST_bad_domain;
}

static void let_go(struct side *s)
{
	if (s->has_type)
		frame_put_type(s->mfn, NO_MFN);
	if (s->has_ref)
		frame_put(s->mfn);
	if (s->has_grant)
		grant_copy_end(s->ptr->domid, s->ptr->u.ref, !s->is_dest);
}

static int claim(struct side *s)
{
	bool is_own;
	int status;

	s->len_bytes = PVMM_PAGE_SIZE;
	s->mfn = s->ptr->u.gmfn;
	if (s->is_grant) {
		status = grant_copy_begin(s->ptr->domid, s->ptr->u.ref, !s->is_dest, &s->mfn,
					  &s->start, &s->len_bytes);
		if (status)
			return status;
		s->has_grant = true;
	}
	is_own = frame_exists(s->mfn) && frame_at(s->mfn)->s.owner == MODEL_GUEST;
	if (!is_own)
		return s->is_grant ? GNTST_okay : GNTST_bad_page;
	s->has_ref = frame_get(s->mfn);
	if (!s->is_dest)
		return GNTST_okay;
	s->has_type = !frame_get_type(s->mfn, MODEL_WRITABLE);
	return s->has_type ? GNTST_okay : GNTST_general_error;
}

static bool part_allows(const struct side *s, uint32_t len_bytes)
{
	return s->ptr->offset >= s->start &&
	       (uint32_t)s->ptr->offset + len_bytes <= (uint32_t)s->start + s->len_bytes;
}

static int copy_bytes(const struct gnttab_copy *op, const struct side *from, const struct side *to)
{
	if ((uint32_t)op->source.offset + op->len > PVMM_PAGE_SIZE ||
	    (uint32_t)op->dest.offset + op->len > PVMM_PAGE_SIZE)
		return GNTST_bad_copy_arg;
	if (!part_allows(from, op->len) || !part_allows(to, op->len))
		return GNTST_general_error;
	memmove((uint8_t *)frame_entries(to->mfn) + op->dest.offset,
		(uint8_t *)frame_entries(from->mfn) + op->source.offset, op->len);
	return GNTST_okay;
}

static int copy_one(const struct gnttab_copy *op)
{
	struct side from = {.ptr = &op->source, .is_grant = op->flags & GNTCOPY_source_gref};
	struct side to = {
		.ptr = &op->dest, .is_grant = op->flags & GNTCOPY_dest_gref, .is_dest = true};
	int status = GNTST_okay;

	/* Of frames that were not granted, only the domain's own can be named. */
	if ((!from.is_grant && op->source.domid != DOMID_SELF) ||
	    (!to.is_grant && op->dest.domid != DOMID_SELF))
		return GNTST_permission_denied;
	if (domain_exists(op->source.domid) || domain_exists(op->dest.domid))
		return GNTST_bad_domain;
	status = claim(&from);
	if (!status)
		status = claim(&to);
	if (!status)
		status = copy_bytes(op, &from, &to);
	let_go(&from);
	let_go(&to);
	return status;
}

/* One that fails does not keep the others back. */
long grants_copy(struct gnttab_copy *ops, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (!guest_readable(&ops[i], sizeof(ops[i])))
			return -XEN_EFAULT;
		ops[i].status = (int16_t)copy_one(&ops[i]);
	}
	return 0;
}
