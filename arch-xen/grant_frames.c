/* SPDX-License-Identifier: MIT */
/*
 * Owns the frames of the grant table: which version it is, how many frames it has, and where they
 * are mapped. The frames are Xen's: they are in no p2m, and no machine frame number of theirs is
 * kept but in the page tables, from which they go before the domain is saved.
 *
 * Invariant: the first nr pages of the area map the table's frames, those from max on its status
 * frames (version 2), and nothing of it is mapped while the table is suspended. A growth that has
 * failed may leave further frames mapped, which the next one uses.
 *
 * Called by one vCPU at a time: grant.c's lock for growing, or with all others parked.
 */
#include <pvmm/batch.h>
#include <pvmm/cmdline.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/paging.h>
#include <pvmm/vmap.h>
#include "arch.h"
#include "grant.h"

#define STATUS_PER_FRAME (PVMM_PAGE_SIZE / sizeof(grant_status_t))

struct grant_frames grant_frames;

static unsigned int wanted_version; /* 0: what suits the machine */
static void *area;		    /* max frames, and behind them the status frames */

const char *parse_grants(const char *value)
{
	if (pvmm_text_equal(value, "v1"))
		wanted_version = 1;
	else if (pvmm_text_equal(value, "v2"))
		wanted_version = 2;
	else
		return "is no version of grants";
	return NULL;
}

/* --- the version --- */

static int set_version(unsigned int version)
{
	struct gnttab_set_version op = {.version = version};
	int err = pvmm_hc_grant_table_op(GNTTABOP_set_version, &op, 1);

	/* A Xen that knows no versions has the first. */
	return version == 1 && err == -XEN_ENOSYS ? 0 : err;
}

/* An entry of version 1 has 32 bits for the frame's number. */
static bool frames_need_v2(void)
{
	return pvmm_hc_memory_op(XENMEM_maximum_ram_page, NULL) > (long)UINT32_MAX;
}

static int choose_version(void)
{
	unsigned int version = wanted_version;
	int err;

	if (!version)
		version = frames_need_v2() ? 2 : 1;
	err = set_version(version);
	if (err && version == 2) {
		pvmm_log(PVMM_WARN, "grants: Xen refuses version 2: %s (%d); it is version 1",
			 pvmm_errno_name(err), err);
		version = 1;
		err = set_version(version);
	}
	if (!err)
		grant_frames.version = version;
	return err;
}

/* --- the frames --- */

static unsigned int status_frames(unsigned int nr)
{
	unsigned int refs = nr * grant_refs_per_frame(grant_frames.version);

	return grant_frames.version == 1 ? 0 : (refs + STATUS_PER_FRAME - 1) / STATUS_PER_FRAME;
}

/* What the entries of a part of the area are to be. */
struct fill {
	const void *start;
	const xen_pfn_t *frames; /* NULL: nothing */
	uint64_t prot;
};

static int fill_entry(pvmm_va_t va, pvmm_pte_t *entry, void *ctx)
{
	const struct fill *f = ctx;
	mfn_t mfn;

	if (!f->frames) {
		*entry = 0;
		return 0;
	}
	mfn = _mfn(f->frames[(va - (uintptr_t)f->start) >> PVMM_PAGE_SHIFT]);
	/* One that stands already stays as Xen has adjusted it. */
	if (!pvmm_pte_present(*entry) || !mfn_eq(pvmm_pte_mfn(*entry), mfn))
		*entry = pvmm_pte(mfn, f->prot);
	return 0;
}

static int fill(const void *start, unsigned int nr, const xen_pfn_t *frames, uint64_t prot)
{
	struct fill f = {start, frames, prot};

	return nr ? pvmm_vmap_apply(start, nr, fill_entry, &f, NULL) : 0;
}

static void *status_area(void)
{
	return (char *)area + ((uint64_t)grant_frames.max << PVMM_PAGE_SHIFT);
}

static int map_table(unsigned int nr)
{
	xen_pfn_t frames[GRANT_FRAMES_MAX];
	struct gnttab_setup_table op = {.dom = DOMID_SELF, .nr_frames = nr};
	int err;

	op.frame_list.p = frames;
	err = pvmm_hc_grant_table_op(GNTTABOP_setup_table, &op, 1);
	if (!err)
		err = grant_status_error(op.status);
	return err ? err : fill(area, nr, frames, PVMM_PROT_RW);
}

static int map_status(unsigned int nr)
{
	uint64_t frames[GRANT_FRAMES_MAX];
	struct gnttab_get_status_frames op = {.dom = DOMID_SELF, .nr_frames = nr};
	int err;

	if (!nr)
		return 0;
	op.frame_list.p = frames;
	err = pvmm_hc_grant_table_op(GNTTABOP_get_status_frames, &op, 1);
	if (!err)
		err = grant_status_error(op.status);
	return err ? err : fill(status_area(), nr, frames, PVMM_PROT_RO);
}

static int map_frames(unsigned int nr)
{
	int err = map_table(nr);

	return err ? err : map_status(status_frames(nr));
}

int grant_frames_init(void)
{
	const struct pvmm_vmap_how how = {.name = "grant table"};
	struct gnttab_query_size size = {.dom = DOMID_SELF};
	int err = pvmm_hc_grant_table_op(GNTTABOP_query_size, &size, 1);

	grant_frames = (struct grant_frames){0};
	if (!err)
		err = grant_status_error(size.status);
	if (!err)
		err = choose_version();
	if (err)
		return err;
	grant_frames.max =
		size.max_nr_frames < GRANT_FRAMES_MAX ? size.max_nr_frames : GRANT_FRAMES_MAX;
	err = pvmm_vmap_reserve(grant_frames.max + status_frames(grant_frames.max), &how, &area);
	if (err) {
		grant_frames.version = 0;
		return err;
	}
	grant_frames.shared = area;
	grant_frames.status = status_area();
	return 0;
}

void grant_frames_end(void)
{
	int err = pvmm_vunmap(area);

	if (err)
		pvmm_panic("the grant table's area is not whole: %s", pvmm_errno_name(err));
	grant_frames = (struct grant_frames){0};
}

int grant_frames_grow(unsigned int to_frames)
{
	int err;

	if (to_frames > grant_frames.max)
		return -XEN_ENOSPC;
	err = map_frames(to_frames);
	if (!err)
		__atomic_store_n(&grant_frames.nr, to_frames, __ATOMIC_RELEASE);
	return err;
}

/* --- suspend --- */

int grants_suspend(void)
{
	int err;

	if (!grant_maps_nothing())
		return -XEN_EBUSY;
	if (!grant_frames.nr)
		return 0;
	err = fill(area, grant_frames.max + status_frames(grant_frames.max), NULL, 0);
	if (err)
		grants_resume(true);
	return err;
}

void grants_resume(bool was_cancelled)
{
	int err = 0;

	if (!grant_frames.nr)
		return;
	/* The new domain's table is as the toolstack has made it: small, and of version 1. */
	if (!was_cancelled)
		err = set_version(grant_frames.version);
	if (!err)
		err = map_frames(grant_frames.nr);
	if (err)
		pvmm_panic("the grant table cannot be set up again: %u frames, version %u: %s (%d)",
			   grant_frames.nr, grant_frames.version, pvmm_errno_name(err), err);
}
