/* SPDX-License-Identifier: MIT */
/*
 * Owns the frames of the domain's grant table, which the domain and Xen share: their number, their
 * version, and what Xen reads and marks in an entry. Rules 47 and 49 of docs/xen-rules.md.
 *
 * Invariant: nr_status is what nr_frames need in version 2, and 0 in version 1.
 */
#include <string.h>
#include <pvmm/xen.h>
#include "tests/model/state.h"

#define STATUS_PER_FRAME (PVMM_PAGE_SIZE / sizeof(grant_status_t))
#define RESERVED	 GNTTAB_NR_RESERVED_ENTRIES

static unsigned int version, nr_frames, nr_status;

void grant_shared_reset(void)
{
	version = 1;
	nr_frames = 1;
	nr_status = 0;
}

unsigned int grants_version(void)
{
	return version;
}

unsigned int grants_frames(void)
{
	return nr_frames;
}

unsigned int grants_status_frames(void)
{
	return nr_status;
}

static unsigned int per_frame(unsigned int of_version)
{
	return PVMM_PAGE_SIZE /
	       (of_version == 1 ? sizeof(struct grant_entry_v1) : sizeof(union grant_entry_v2));
}

uint32_t grants_nr(void)
{
	return nr_frames * per_frame(version);
}

static void *entry_at(uint32_t ref)
{
	unsigned int n = per_frame(version);
	uint8_t *frame = (void *)frame_entries(frame_of_grant_table(ref / n));

	return frame + ref % n * (PVMM_PAGE_SIZE / n);
}

static struct grant_entry_v1 *entry_v1(uint32_t ref)
{
	return entry_at(ref);
}

static union grant_entry_v2 *entry_v2(uint32_t ref)
{
	return entry_at(ref);
}

/* Both versions begin alike. */
static struct grant_entry_header *header(uint32_t ref)
{
	return entry_at(ref);
}

/* Where Xen marks that the grant is in use. */
static uint16_t *marks(uint32_t ref)
{
	grant_status_t *frame;

	if (version == 1)
		return &header(ref)->flags;
	frame = (void *)frame_entries(frame_of_grant_status(ref / STATUS_PER_FRAME));
	return &frame[ref % STATUS_PER_FRAME];
}

/* --- one entry --- */

int grant_mark(uint32_t ref, uint32_t domid, bool in_use, bool readonly, bool maps)
{
	uint16_t mask = (uint16_t)(GTF_type_mask | (maps ? GTF_sub_page : 0));
	struct grant_entry_header h = *header(ref);

	if (!in_use && ((h.flags & mask) != GTF_permit_access || h.domid != domid))
		return GNTST_general_error;
	if (!readonly && (h.flags & GTF_readonly))
		return GNTST_general_error;
	__atomic_fetch_or(marks(ref), GTF_reading | (readonly ? 0 : GTF_writing), __ATOMIC_SEQ_CST);
	return GNTST_okay;
}

void grant_unmark(uint32_t ref, uint16_t gone)
{
	__atomic_fetch_and(marks(ref), (uint16_t)~gone, __ATOMIC_SEQ_CST);
}

uint64_t grant_mfn(uint32_t ref)
{
	return version == 1 ? entry_v1(ref)->frame : entry_v2(ref)->full_page.frame;
}

bool grant_part(uint32_t ref, uint16_t *offset, uint16_t *len_bytes)
{
	*offset = 0;
	*len_bytes = PVMM_PAGE_SIZE;
	if (version == 1 || !(header(ref)->flags & GTF_sub_page))
		return false;
	*offset = entry_v2(ref)->sub_page.page_off;
	*len_bytes = entry_v2(ref)->sub_page.length;
	return true;
}

/* --- the table --- */

static unsigned int status_for(unsigned int frames)
{
	return (frames * per_frame(2) + STATUS_PER_FRAME - 1) / STATUS_PER_FRAME;
}

static void share(uint64_t mfn)
{
	memset(frame_entries(mfn), 0, PVMM_PAGE_SIZE);
	frame_share(mfn);
}

static void grow_status(unsigned int to)
{
	for (; nr_status < to; nr_status++)
		share(frame_of_grant_status(nr_status));
}

void grants_grow(unsigned int to_frames)
{
	for (; nr_frames < to_frames; nr_frames++)
		share(frame_of_grant_table(nr_frames));
	if (version == 2)
		grow_status(status_for(nr_frames));
}

/* One that the domain maps still cannot be taken back. */
static int drop_status(void)
{
	for (unsigned int i = 0; i < nr_status; i++)
		if (frame_at(frame_of_grant_status(i))->s.refs != 1)
			return -XEN_EBUSY;
	for (; nr_status; nr_status--) {
		struct frame *f = frame_at(frame_of_grant_status(nr_status - 1));

		f->xen_heap = false;
		f->s = (struct model_frame){.owner = MODEL_XEN, .refs = 1};
	}
	return 0;
}

/* The reserved entries, as they are in version 1. -XEN_ERANGE: a frame that does not fit. */
static int save_reserved(struct grant_entry_v1 *saved)
{
	for (uint32_t ref = 0; ref < RESERVED; ref++) {
		uint16_t flags = header(ref)->flags;

		saved[ref] = (struct grant_entry_v1){0};
		if (version == 1) {
			saved[ref] = *entry_v1(ref);
		} else if ((flags & GTF_type_mask) == GTF_permit_access) {
			if (grant_mfn(ref) >> 32)
				return -XEN_ERANGE;
			saved[ref].flags = (uint16_t)(flags | *marks(ref));
			saved[ref].domid = header(ref)->domid;
			saved[ref].frame = (uint32_t)grant_mfn(ref);
		} else if ((flags & GTF_type_mask) == GTF_transitive) {
			return -XEN_ERANGE;
		}
	}
	return 0;
}

static void restore_reserved(const struct grant_entry_v1 *saved)
{
	const uint16_t use = GTF_reading | GTF_writing;

	for (uint32_t ref = 0; ref < RESERVED; ref++) {
		if (version == 1) {
			*entry_v1(ref) = saved[ref];
			continue;
		}
		*marks(ref) = saved[ref].flags & use;
		entry_v2(ref)->hdr.flags = (uint16_t)(saved[ref].flags & ~use);
		entry_v2(ref)->hdr.domid = saved[ref].domid;
		entry_v2(ref)->full_page.frame = saved[ref].frame;
	}
}

/* The caller has seen to it that none but the reserved ones are in use. */
int grants_set_version(uint32_t to)
{
	struct grant_entry_v1 saved[RESERVED];
	int err;

	if (version == 1)
		grow_status(status_for(nr_frames));
	err = save_reserved(saved);
	if (!err && to == 1)
		err = drop_status();
	if (err)
		return err;
	for (unsigned int i = 0; i < nr_frames; i++)
		memset(frame_entries(frame_of_grant_table(i)), 0, PVMM_PAGE_SIZE);
	version = to;
	restore_reserved(saved);
	return 0;
}
