/* SPDX-License-Identifier: MIT */
/*
 * Grants: pages that another domain may map or copy, and pages of others that are mapped here
 * (xen/grant_table.h).
 *
 *	         give                    end: nobody maps it
 *	unused ───────► given ──────────────────────────────────► unused
 *	                  │ end later                                ▲
 *	                  └───────────► ending ──── retried ─────────┘
 *
 * A grant holds a reference of its page (pvmm/holder.h) until it has ended. So a page that a peer
 * may map is never free: whoever frees it gets a line that names the grant, and the page is the
 * table's until the peer lets go, however long that takes.
 *
 * Xen knows no way to take a page back from a peer: to end a grant that is mapped is -XEN_EBUSY.
 *
 * What is granted should be the kernel's memory, or mapped by pvmm_space_map. A page of a region is
 * copied when its process has forked and writes: the peer would then go on with the old one.
 *
 * No function may be called from an event handler, in an open batch, or with a lock of the memory
 * manager held; on any vCPU otherwise. Errors:
 *	-XEN_ENODEV	pvmm_grants_start has not been called, or has failed
 *	-XEN_EINVAL	an argument; -XEN_ENOENT: no such grant
 *	-XEN_EBUSY	a peer maps it
 *	-XEN_ENOSPC	the table is full and as large as it may be
 *	-XEN_ENOMEM	memory; -XEN_ERANGE: a frame that version 1 has no room for
 * and of the other domain's grants, from Xen's GNTST_*:
 *	-XEN_ESRCH	no such domain; -XEN_ENOENT: no such reference in its table
 *	-XEN_EACCES	not granted to this domain, or not for writing ("general error")
 *	-XEN_EPERM, -XEN_ENOSPC, -XEN_EAGAIN, -XEN_EIO: as Xen says
 */
#ifndef PVMM_GRANT_H
#define PVMM_GRANT_H

#include <pvmm/page.h>

/* A reference: the number by which a peer asks for the page. */
typedef uint32_t pvmm_grant_t;

#define PVMM_GRANT_READONLY 0x1 /* the peer may read only; of a mapping: made read-only */

/*
 * Sets the table up, in the version that grants= asks for. Once, by a kernel that uses grants,
 * before it gives any. Takes some ten pages for good.
 *
 * Version 1 is the default: a grant costs 8 bytes instead of 16 and a word in a status frame, so
 * that as many frames hold twice as many grants. Version 2 is for machines with memory above 16
 * TiB, where it is chosen by itself.
 */
PVMM_API int pvmm_grants_start(void);

/*
 * Grants nr pages to a domain, each with a reference of its own: all or none. They must be
 * allocated and no page tables. The table grows as needed.
 */
PVMM_API int pvmm_grant_give(struct pvmm_page *const *pages, unsigned int nr, unsigned int domid,
			     unsigned int flags, pvmm_grant_t *refs);

/* Ends one. -XEN_EBUSY: a peer maps it, and nothing has changed. */
PVMM_API int pvmm_grant_end(pvmm_grant_t ref);

/*
 * Ends one now or, if a peer maps it, as soon as that has let go: the reference is not the caller's
 * any more. -XEN_ENOENT, nothing else.
 */
PVMM_API int pvmm_grant_end_later(pvmm_grant_t ref);

/*
 * Tries those again; returns how many are still waiting. For a kernel's timer thread. One that
 * waits for PVMM_GRANT_PATIENCE_NS is said, once.
 */
#define PVMM_GRANT_PATIENCE_NS 5000000000ULL
PVMM_API unsigned int pvmm_grant_retry(void);

/*
 * Writes the grant anew. After the domain has been restored from a save, its table is new and
 * empty: nothing that was given is granted, and every pvmm_grant_end succeeds. Domains may have
 * other numbers by then, so it is the giver who knows whether that peer is to have the page.
 */
PVMM_API int pvmm_grant_renew(pvmm_grant_t ref);

struct pvmm_grant_info {
	pfn_t pfn;
	unsigned int domid;
	bool is_readonly;
	bool is_ending;				    /* pvmm_grant_end_later */
	bool is_mapped_to_read, is_mapped_to_write; /* by the peer, now */
	uint64_t since_ns;			    /* pvmm_clock_ns: given, or to be ended */
	uint32_t giver;				    /* a stack: pvmm_owner_stack */
};

/* Whether there is such a grant, and what of it. */
PVMM_API int pvmm_grant_query(pvmm_grant_t ref, struct pvmm_grant_info *info);

/* --- pages of other domains --- */

/* The caller's: domid and ref. The rest is the library's. */
struct pvmm_foreign_grant {
	uint16_t domid;
	pvmm_grant_t ref;
	uint32_t handle;
	bool is_mapped;
};

/*
 * Grants of others, mapped next to each other. The caller's storage, from a map that succeeds to an
 * unmap that does; it fills in grants, nr and name (a constant, for reports).
 */
struct pvmm_grant_mapping {
	struct pvmm_foreign_grant *grants;
	unsigned int nr;
	const char *name;
	void *addr; /* where they are */
	/* the library's */
	unsigned int flags;
	struct pvmm_grant_mapping *next;
};

/*
 * Maps them: all or none. What is read there was written by another domain, while one looks: it is
 * to be copied before it is checked.
 */
PVMM_API int pvmm_grant_map(struct pvmm_grant_mapping *mapping, unsigned int flags);

/*
 * Unmaps them; the only way to do so. After an error, which is Xen's and is said in a line, what is
 * left is still mapped, and it may be tried again.
 */
PVMM_API int pvmm_grant_unmap(struct pvmm_grant_mapping *mapping);

/* Bytes between a page of this domain and a grant of another one's, within a page each. */
struct pvmm_grant_copy {
	uint16_t domid;
	pvmm_grant_t ref;
	bool to_grant; /* otherwise from it */
	uint16_t grant_offset, page_offset, len_bytes;
	struct pvmm_page *page;
};

/*
 * Has Xen copy, in order: no mapping, no flush. All are tried; returns the first error. A grant
 * that Xen copies from or to cannot be ended meanwhile, as if it were mapped.
 */
PVMM_API int pvmm_grant_copy(const struct pvmm_grant_copy *copies, unsigned int nr);

/* --- looking --- */

struct pvmm_grant_stats {
	unsigned int version;		    /* 1 or 2; 0 before pvmm_grants_start */
	unsigned int nr_frames, max_frames; /* of the table */
	unsigned int nr_given, nr_ending;   /* now */
	unsigned int nr_mapped;		    /* pages of others */
	unsigned int nr_record_pages;	    /* what the table's growth has taken of the memory */
};

PVMM_API struct pvmm_grant_stats pvmm_grant_stats(void);

/* One line about the table, one for each grant, one for each mapping. */
PVMM_API void pvmm_grants_print(void);

#endif
