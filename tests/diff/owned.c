/* SPDX-License-Identifier: MIT */
/*
 * Carries out what changes which frames the domain has. A page of the arena whose frame goes gets
 * another one, empty, and is the same page to the operations behind.
 *
 * Invariant: no frame that has left the domain is in any entry of the arena, where it would be
 * somebody else's by now, or nobody's: what it is then is the machine's business. So a frame may
 * only go once all that speaks of it is taken away; or else it is kept, by its view (arena.c).
 */
#include <pvmm/xen.h>
#include "sequence.h"

/* More than a plain domU may have in one piece. */
#define ORDER_TOO_LARGE 10u

/* What hypercalls read. */
static xen_pfn_t frames_in[DIFF_ITEMS], frames_out[DIFF_ITEMS];

static long owned_frames(void)
{
	struct xen_memory_domain self = {.domid = DOMID_SELF};

	return pvmm_hc_memory_op(XENMEM_current_reservation, &self);
}

/* --- what speaks of a frame --- */

static bool unmap_if(pvmm_va_t va, unsigned int page)
{
	if (pvmm_pte_present(diff_lookup(va)) &&
	    mfn_x(pvmm_pte_mfn(diff_lookup(va))) == diff_mfn(page))
		return !pvmm_hc_update_va_mapping(va, 0, UVMF_INVLPG);
	return true;
}

static bool clear_entry(unsigned int page, unsigned int slot)
{
	struct mmu_update u = {.ptr = (diff_mfn(page) << PVMM_PAGE_SHIFT) +
				      slot * sizeof(uint64_t)};
	unsigned int done;

	return !pvmm_hc_mmu_update(&u, 1, &done);
}

/* A root's own entry for itself, and the like, goes with the page. */
static bool clear_entries_of(unsigned int page)
{
	for (unsigned int in = 0; in < DIFF_PAGES; in++) {
		const uint64_t *words = diff_view(in);

		for (unsigned int slot = 0; in != page && slot < PVMM_PT_ENTRIES; slot++)
			if ((words[slot] & PVMM_PTE_FRAME_MASK) >> PVMM_PAGE_SHIFT ==
				    diff_mfn(page) &&
			    !clear_entry(in, slot))
				return false;
	}
	return true;
}

/* Takes all mappings and entries away but the page's view; false where one stays. */
static bool forget(unsigned int page)
{
	for (unsigned int i = 0; i < DIFF_WINDOW; i++)
		if (!unmap_if(diff_window_va(i), page))
			return false;
	for (unsigned int i = 0; i < DIFF_PAGES; i++)
		if (!unmap_if((uintptr_t)pvmm_page_virt(diff_arena.page[i]), page))
			return false;
	return clear_entries_of(page);
}

static void set_frame(unsigned int page, uint64_t mfn)
{
	diff_arena.mfn[page] = mfn;
	diff_arena.given_up[page] = false;
}

/* A new frame for a page whose own is gone: 1, or what else populate_physmap returned. */
int diff_new_frame(unsigned int page)
{
	xen_pfn_t extent = pfn_x(pvmm_page_pfn(diff_arena.page[page]));
	struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
	long got;

	r.extent_start.p = &extent;
	got = pvmm_hc_memory_op(XENMEM_populate_physmap, &r);
	if (got != 1)
		return (int)got;
	set_frame(page, extent);
	(void)diff_view_map(page);
	diff_blank(page);
	return 1;
}

/* The same for one that is there, if nothing refers to it; its view is gone already. */
bool diff_exchange_frame(unsigned int page)
{
	xen_pfn_t in = diff_mfn(page), out = pfn_x(pvmm_page_pfn(diff_arena.page[page]));
	struct xen_memory_exchange x = {
		.in = {.nr_extents = 1, .domid = DOMID_SELF},
		.out = {.nr_extents = 1, .domid = DOMID_SELF},
	};

	x.in.extent_start.p = &in;
	x.out.extent_start.p = &out;
	if (pvmm_hc_memory_op(XENMEM_exchange, &x))
		return false;
	set_frame(page, out);
	(void)diff_view_map(page);
	diff_blank(page);
	return true;
}

/* Takes the view away; false if the page's frame went with it, and it has another one by now. */
static bool lift_view(unsigned int page)
{
	(void)diff_view_unmap(page);
	if (!diff_arena.given_up[page])
		return true;
	if (!diff_view_map(page)) {
		(void)diff_new_frame(page);
		return false;
	}
	(void)diff_view_unmap(page);
	return true;
}

/* Prepares the pages whose frames are to go: of each, whether its view is taken away. */
static void prepare(const struct diff_op *op, bool prepared[DIFF_ITEMS])
{
	for (unsigned int i = 0; i < op->nr; i++) {
		const struct diff_item *item = &op->item[i];

		prepared[i] = item->page < DIFF_PAGES && item->prepare == PREPARE_ALL &&
			      forget(item->page);
	}
	/* Not before all are prepared: that looks through the views. */
	for (unsigned int i = 0; i < op->nr; i++) {
		for (unsigned int k = 0; k < i; k++)
			prepared[i] &= op->item[k].page != op->item[i].page;
		if (prepared[i])
			prepared[i] = lift_view(op->item[i].page);
	}
}

/* --- the operations --- */

static void spoil(struct xen_memory_exchange *x, unsigned int how)
{
	switch (how) {
	case EXCHANGE_ORDER:
		x->in.extent_order = x->out.extent_order = ORDER_TOO_LARGE;
		break;
	case EXCHANGE_SIZE:
		x->out.extent_order = 1;
		break;
	case EXCHANGE_DONE:
		x->nr_exchanged = x->in.nr_extents + 1;
		break;
	case EXCHANGE_LIST:
		x->in.extent_start.p = (void *)0x0000900000000000ULL;
		break;
	default:
		break;
	}
}

void diff_exchange(const struct diff_op *op, struct diff_result *r)
{
	struct xen_memory_exchange x = {
		.in = {.nr_extents = op->nr, .domid = (domid_t)op->foreign},
		.out = {.nr_extents = op->nr, .domid = (domid_t)op->foreign},
	};
	bool prepared[DIFF_ITEMS];

	prepare(op, prepared);
	for (unsigned int i = 0; i < op->nr; i++) {
		unsigned int page = op->item[i].page;

		frames_in[i] = diff_mfn(page);
		frames_out[i] = page < DIFF_PAGES ? pfn_x(pvmm_page_pfn(diff_arena.page[page])) : 0;
	}
	x.in.extent_start.p = frames_in;
	x.out.extent_start.p = frames_out;
	spoil(&x, op->item[0].number);
	r->ret = (int)pvmm_hc_memory_op(XENMEM_exchange, &x);
	r->done = (uint32_t)x.nr_exchanged;

	for (unsigned int i = 0; i < op->nr; i++) {
		bool exchanged = i < r->done && op->item[0].number != EXCHANGE_DONE;

		r->item[i] = exchanged + 2 * prepared[i];
		if (exchanged)
			set_frame(op->item[i].page, frames_out[i]);
		if (prepared[i])
			(void)diff_view_map(op->item[i].page);
		if (exchanged)
			diff_blank(op->item[i].page);
	}
}

void diff_balloon(const struct diff_op *op, struct diff_result *r)
{
	struct xen_memory_reservation res = {.nr_extents = op->nr, .domid = (domid_t)op->foreign};
	long before;
	bool prepared[DIFF_ITEMS], gone[DIFF_ITEMS] = {false};

	prepare(op, prepared);
	for (unsigned int i = 0; i < op->nr; i++)
		frames_in[i] = diff_mfn(op->item[i].page);
	res.extent_start.p = frames_in;
	if (op->item[0].number == EXCHANGE_ORDER)
		res.extent_order = ORDER_TOO_LARGE;
	before = owned_frames();
	r->ret = (int)pvmm_hc_memory_op(XENMEM_decrease_reservation, &res);
	r->done = (uint32_t)(before - owned_frames());

	for (unsigned int i = 0; i < op->nr; i++) {
		unsigned int page = op->item[i].page;

		if (page >= DIFF_PAGES)
			continue;
		if ((int)i < r->ret)
			diff_arena.given_up[page] = true;
		/* Still the domain's, as long as something refers to it? */
		gone[i] = prepared[i] && !diff_view_map(page);
	}
	/* Not before all are asked for: a new frame may be another's old one. */
	for (unsigned int i = 0; i < op->nr; i++)
		if (gone[i])
			r->item[i] = diff_new_frame(op->item[i].page);
}

void diff_increase(const struct diff_op *op, struct diff_result *r)
{
	struct xen_memory_reservation res = {.nr_extents = 1, .domid = (domid_t)op->foreign};

	frames_out[0] = 0;
	res.extent_start.p = frames_out;
	if (op->item[0].number == EXCHANGE_ORDER)
		res.extent_order = ORDER_TOO_LARGE;
	r->ret = (int)pvmm_hc_memory_op(XENMEM_increase_reservation, &res);
	if (r->ret == 1)
		r->item[0] = pvmm_hc_memory_op(XENMEM_decrease_reservation, &res);
}
