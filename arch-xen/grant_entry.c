/* SPDX-License-Identifier: MIT */
/*
 * Owns what is written into an entry of the grant table and in which order: Xen reads and writes it
 * at the same time (the rules at the head of xen/grant_table.h). Called under grant.c's lock, which
 * keeps the domain's own vCPUs apart; nothing keeps Xen away.
 *
 * Version 1: Xen marks the use in the entry's own flags, so that they change by compare-and-swap.
 * Version 2: Xen marks it in a word of the status frames, which the domain only reads; either side
 * writes its own word, then looks at the other's.
 */
#include "grant.h"

#define IN_USE (GTF_reading | GTF_writing)

static struct grant_entry_v1 *entry_v1(pvmm_grant_t ref)
{
	return (struct grant_entry_v1 *)grant_frames.shared + ref;
}

static union grant_entry_v2 *entry_v2(pvmm_grant_t ref)
{
	return (union grant_entry_v2 *)grant_frames.shared + ref;
}

/* The word that says who may do what: the last to be written, the first to be taken back. */
static uint16_t *flags_of(pvmm_grant_t ref)
{
	return grant_frames.version == 1 ? &entry_v1(ref)->flags : &entry_v2(ref)->hdr.flags;
}

void grant_entry_give(pvmm_grant_t ref, unsigned int domid, mfn_t mfn, bool readonly)
{
	uint16_t flags = (uint16_t)(GTF_permit_access | (readonly ? GTF_readonly : 0));

	if (grant_frames.version == 1) {
		entry_v1(ref)->domid = (domid_t)domid;
		entry_v1(ref)->frame = (uint32_t)mfn_x(mfn);
	} else {
		entry_v2(ref)->hdr.domid = (domid_t)domid;
		entry_v2(ref)->full_page.frame = mfn_x(mfn);
	}
	__atomic_store_n(flags_of(ref), flags, __ATOMIC_RELEASE);
}

uint16_t grant_entry_use(pvmm_grant_t ref)
{
	const uint16_t *word =
		grant_frames.version == 1 ? flags_of(ref) : &grant_frames.status[ref];

	return __atomic_load_n(word, __ATOMIC_ACQUIRE) & IN_USE;
}

static bool end_v1(pvmm_grant_t ref)
{
	uint16_t *word = flags_of(ref), flags = __atomic_load_n(word, __ATOMIC_ACQUIRE);

	do {
		if (flags & IN_USE)
			return false;
	} while (!__atomic_compare_exchange_n(word, &flags, 0, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_ACQUIRE));
	return true;
}

/*
 * Xen writes the status and then looks at the flags again; we the other way round. With a barrier
 * between both steps on both sides, one of the two sees the other.
 */
static bool end_v2(pvmm_grant_t ref)
{
	__atomic_store_n(flags_of(ref), 0, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !grant_entry_use(ref);
}

bool grant_entry_end_for_good(pvmm_grant_t ref)
{
	return grant_frames.version == 1 ? end_v1(ref) : end_v2(ref);
}

bool grant_entry_end(pvmm_grant_t ref)
{
	uint16_t flags = __atomic_load_n(flags_of(ref), __ATOMIC_RELAXED);

	if (grant_entry_end_for_good(ref))
		return true;
	if (grant_frames.version == 2)
		__atomic_store_n(flags_of(ref), flags, __ATOMIC_SEQ_CST);
	return false;
}
