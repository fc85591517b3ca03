/* SPDX-License-Identifier: MIT */
/*
 * Owns how many frames the domain has, and which: memory_op's reservations and exchange. Rules 42,
 * 45 and 46 of docs/xen-rules.md.
 *
 * Extents are taken one after the other; the first that cannot be had ends the call, and what it
 * returns is how many were done. Nothing is ever preempted here, but a call may say where it goes
 * on.
 */
#include <pvmm/xen.h>
#include "tests/model/state.h"

/* The number of the operation; above it, with which extent to begin. */
#define CMD_BITS 6
#define CMD_MASK ((1u << CMD_BITS) - 1)

/* Larger extents are not for a plain domU. */
#define ORDER_MAX 9u

/* A reservation's frames or pages, as far as the domain lets them be read. */
static bool extent_read(const xen_pfn_t *list, uint64_t i, uint64_t *value)
{
	if (!guest_readable(&list[i], sizeof(list[i])))
		return false;
	*value = list[i];
	return true;
}

static bool list_ok(const xen_pfn_t *list, uint64_t nr)
{
	return guest_range_ok(list, nr * sizeof(*list));
}

/* --- frames come and go --- */

/* The domain gives a frame up. While somebody still refers to it, it stays the domain's. */
static bool remove_page(uint64_t mfn)
{
	if (!frame_get(mfn))
		return false;
	if (frame_at(mfn)->s.allocated) {
		frame_at(mfn)->s.allocated = false;
		frame_put(mfn);
	}
	frame_put(mfn);
	return true;
}

/* 2^order frames for the domain, as far as it may have more: the first, or NO_MFN. */
static uint64_t add_pages(unsigned int order)
{
	uint64_t nr = 1ULL << order, mfn;

	if (model.owned > model.options.max_pages || nr > model.options.max_pages - model.owned)
		return NO_MFN;
	mfn = frames_take(order);
	if (mfn == NO_MFN)
		return NO_MFN;
	for (uint64_t i = 0; i < nr; i++)
		frame_give(mfn + i);
	model.owned += nr;
	return mfn;
}

static bool decrease(const struct xen_memory_reservation *r, uint64_t i)
{
	uint64_t mfn;

	if (!extent_read(r->extent_start.p, i, &mfn))
		return false;
	for (uint64_t k = 0; k < 1ULL << r->extent_order; k++)
		if (!remove_page(mfn + k))
			return false;
	return true;
}

/* No page number comes with it, so the m2p has none for it. */
static bool increase(const struct xen_memory_reservation *r, uint64_t i)
{
	uint64_t mfn = add_pages(r->extent_order);

	if (mfn == NO_MFN)
		return false;
	if (!r->extent_start.p)
		return true;
	if (!guest_readable(&r->extent_start.p[i], sizeof(mfn)))
		return false;
	r->extent_start.p[i] = mfn;
	return true;
}

static bool populate(const struct xen_memory_reservation *r, uint64_t i)
{
	uint64_t pfn, mfn;

	if (!extent_read(r->extent_start.p, i, &pfn) || (r->mem_flags & XENMEMF_populate_on_demand))
		return false;
	mfn = add_pages(r->extent_order);
	if (mfn == NO_MFN)
		return false;
	for (uint64_t k = 0; k < 1ULL << r->extent_order; k++)
		frame_named(mfn + k, pfn + k);
	r->extent_start.p[i] = mfn;
	return true;
}

/* Returns how many extents are done; an error has no other sign than that they are too few. */
static long reservation(unsigned int op, uint64_t start, const struct xen_memory_reservation *arg)
{
	struct xen_memory_reservation r;
	uint64_t i;

	if (!guest_readable(arg, sizeof(*arg)))
		return (long)start;
	r = *arg;
	if (r.nr_extents > UINT32_MAX >> CMD_BITS || any_domain_of(r.domid) ||
	    r.extent_order > ORDER_MAX)
		return (long)start;
	if (!list_ok(r.extent_start.p, r.nr_extents) &&
	    !(op == XENMEM_increase_reservation && !r.extent_start.p))
		return (long)start;

	for (i = start; i < r.nr_extents; i++) {
		bool done = op == XENMEM_decrease_reservation	? decrease(&r, i)
			    : op == XENMEM_increase_reservation ? increase(&r, i)
								: populate(&r, i);

		if (!done)
			break;
	}
	return (long)i;
}

/* --- exchange --- */

/* The chunk that is being exchanged: frames that are nobody's, taken from the domain or new. */
struct chunk {
	uint64_t in[1u << ORDER_MAX], out[1u << ORDER_MAX];
	unsigned int nr_in, nr_out;
};

/*
 * Takes a frame out of the domain, which is possible only if nothing but the domain's having it
 * refers to it: no mapping, no pin, no table above it.
 */
static bool steal(uint64_t mfn)
{
	const struct model_frame *s;

	if (!frame_exists(mfn))
		return false;
	s = &frame_at(mfn)->s;
	if (s->owner != MODEL_GUEST || s->special || !s->allocated || s->refs != 1)
		return false;
	frame_at(mfn)->s = (struct model_frame){.owner = MODEL_XEN};
	return true;
}

static int steal_chunk(struct chunk *c, const struct xen_memory_reservation *in, uint64_t first,
		       uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t mfn;

		if (!extent_read(in->extent_start.p, first + i, &mfn))
			return -XEN_EFAULT;
		for (uint64_t k = 0; k < 1ULL << in->extent_order; k++) {
			if (!steal(mfn + k))
				return -XEN_EINVAL;
			c->in[c->nr_in++] = mfn + k;
		}
	}
	return 0;
}

static int new_chunk(struct chunk *c, unsigned int order, uint64_t nr)
{
	while (nr--) {
		uint64_t mfn = frames_take(order);

		if (mfn == NO_MFN)
			return -XEN_ENOMEM;
		c->out[c->nr_out++] = mfn;
	}
	return 0;
}

static void undo_chunk(const struct chunk *c, unsigned int out_order)
{
	for (unsigned int i = 0; i < c->nr_in; i++)
		frame_give(c->in[i]);
	for (unsigned int i = 0; i < c->nr_out; i++)
		for (uint64_t k = 0; k < 1ULL << out_order; k++)
			frame_free(c->out[i] + k);
}

/* Cannot fail: a list that cannot be read leaves the new frame the domain's, without a name. */
static int finish_chunk(const struct chunk *c, const struct xen_memory_reservation *out,
			uint64_t first)
{
	int err = 0;

	for (unsigned int i = 0; i < c->nr_in; i++)
		frame_free(c->in[i]);
	for (unsigned int i = 0; i < c->nr_out; i++) {
		uint64_t pfn;

		for (uint64_t k = 0; k < 1ULL << out->extent_order; k++)
			frame_give(c->out[i] + k);
		if (!extent_read(out->extent_start.p, first + i, &pfn)) {
			err = -XEN_EFAULT;
			continue;
		}
		for (uint64_t k = 0; k < 1ULL << out->extent_order; k++)
			frame_named(c->out[i] + k, pfn + k);
		out->extent_start.p[first + i] = c->out[i];
	}
	return err;
}

static int exchange_check(const struct xen_memory_exchange *x)
{
	const struct xen_memory_reservation *in = &x->in, *out = &x->out;

	if (in->extent_order > ORDER_MAX || out->extent_order > ORDER_MAX)
		return -XEN_EPERM;
	if (x->nr_exchanged > in->nr_extents || in->domid != out->domid ||
	    UINT64_MAX >> in->extent_order < in->nr_extents ||
	    UINT64_MAX >> out->extent_order < out->nr_extents ||
	    in->nr_extents << in->extent_order != out->nr_extents << out->extent_order)
		return -XEN_EINVAL;
	return 0;
}

/* A chunk is an extent of the larger size, in or out. */
static int exchange_chunks(struct xen_memory_exchange *x)
{
	const struct xen_memory_reservation *in = &x->in, *out = &x->out;
	unsigned int in_order = 0, out_order = 0;
	uint64_t i;
	int err;

	if (in->extent_order <= out->extent_order)
		in_order = out->extent_order - in->extent_order;
	else
		out_order = in->extent_order - out->extent_order;

	for (i = x->nr_exchanged >> in_order; i < in->nr_extents >> in_order; i++) {
		static struct chunk c;

		x->nr_exchanged = i << in_order;
		c.nr_in = c.nr_out = 0;
		err = steal_chunk(&c, in, i << in_order, 1ULL << in_order);
		if (!err)
			err = new_chunk(&c, out->extent_order, 1ULL << out_order);
		if (err) {
			undo_chunk(&c, out->extent_order);
			return err;
		}
		err = finish_chunk(&c, out, i << out_order);
		if (err)
			return err;
	}
	x->nr_exchanged = in->nr_extents;
	return 0;
}

static int exchange(struct xen_memory_exchange *arg)
{
	struct xen_memory_exchange x;
	int err;

	if (!guest_readable(arg, sizeof(*arg)))
		return -XEN_EFAULT;
	x = *arg;
	err = exchange_check(&x);
	if (!err && x.nr_exchanged == x.in.nr_extents)
		return 0;
	if (!err && (!list_ok(x.in.extent_start.p, x.in.nr_extents) ||
		     !list_ok(x.out.extent_start.p, x.out.nr_extents)))
		err = -XEN_EFAULT;
	if (!err)
		err = any_domain_of(x.in.domid);
	if (!err)
		err = exchange_chunks(&x);
	arg->nr_exchanged = x.nr_exchanged;
	return err;
}

/* --- what there is --- */

static long statistics(unsigned int op, const struct xen_memory_domain *arg)
{
	int err;

	if (!guest_readable(arg, sizeof(*arg)))
		return -XEN_EFAULT;
	err = any_domain_of(arg->domid);
	if (err)
		return err;
	switch (op) {
	case XENMEM_current_reservation:
		return (long)model.owned;
	case XENMEM_maximum_reservation:
		return (long)model.options.max_pages;
	default:
		return (long)model.nr_pages - 1;
	}
}

long memory_op(uint64_t cmd, void *arg)
{
	unsigned int op = cmd & CMD_MASK;
	uint64_t start = cmd >> CMD_BITS;

	switch (op) {
	case XENMEM_increase_reservation:
	case XENMEM_decrease_reservation:
	case XENMEM_populate_physmap:
		return reservation(op, start, arg);
	case XENMEM_exchange:
		return start ? -XEN_EINVAL : exchange(arg);
	case XENMEM_maximum_ram_page:
		return start ? -XEN_EINVAL : (long)model.nr_mfns;
	case XENMEM_current_reservation:
	case XENMEM_maximum_reservation:
	case XENMEM_maximum_gpfn:
		return start ? -XEN_EINVAL : statistics(op, arg);
	default:
		return -XEN_ENOSYS;
	}
}
