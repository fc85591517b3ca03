/* SPDX-License-Identifier: MIT */
/* What the files of the grant table tell each other. */
#ifndef PVMM_ARCH_GRANT_H
#define PVMM_ARCH_GRANT_H

#include <pvmm/grant.h>
#include <pvmm/xen.h>
#include <xen/grant_table.h>

/*
 * Frames that are used at most: what xl allows a domain unless told otherwise. 32,768 grants in
 * version 1.
 */
#define GRANT_FRAMES_MAX 64u

/* --- grant_frames.c: the table's frames --- */

/* The table as it is mapped. Grows under grant.c's lock for growing; NULL while suspended. */
struct grant_frames {
	unsigned int version; /* 0: there is none */
	unsigned int nr, max;
	void *shared;		/* nr frames of entries */
	grant_status_t *status; /* version 2 */
};

extern struct grant_frames grant_frames;

static inline unsigned int grant_refs_per_frame(unsigned int version)
{
	return PVMM_PAGE_SIZE /
	       (version == 1 ? sizeof(struct grant_entry_v1) : sizeof(union grant_entry_v2));
}

/* Chooses the version and reserves the addresses; no frame is mapped yet. */
int grant_frames_init(void);

/* Takes that back, with what is mapped: the table is not used after all. */
void grant_frames_end(void);

/* Has the table so many frames, mapped. All or nothing, but that Xen's own table does not shrink.
 */
int grant_frames_grow(unsigned int to_frames);

/* --- grant_entry.c: one entry, in both versions --- */

void grant_entry_give(pvmm_grant_t ref, unsigned int domid, mfn_t mfn, bool readonly);

/* Ends it; false if a peer maps it, and then it is as it was. */
bool grant_entry_end(pvmm_grant_t ref);

/* The same for good: where Xen allows it, no new mapping is made from here on. */
bool grant_entry_end_for_good(pvmm_grant_t ref);

/* GTF_reading, GTF_writing: what the peer does. */
uint16_t grant_entry_use(pvmm_grant_t ref);

/* --- grant_map.c --- */

/* 0, or the error that Xen's GNTST_* stands for. */
int grant_status_error(int status);

/* False, with a line that names it, if a grant of another domain is mapped. */
bool grant_maps_nothing(void);
unsigned int grant_nr_mapped(void);
void grant_print_mappings(void);
void grant_maps_init(void);

/* --- for options.c: in grant_frames.c --- */

/* grants=v1|v2; what is wrong with the value, or NULL. */
const char *parse_grants(const char *value);

#endif
