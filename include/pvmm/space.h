/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: a root table with the kernel's half shared and a user half of its own. On x86_64
 * there is a second root for user mode, with the user half alone, since a 64-bit PV kernel runs at
 * the privilege of its user code; Xen loads the one or the other when it changes between them.
 *
 *	building ── pin ──► pinned ── activate ──► loaded
 *	    ▲                 │ ▲                     │
 *	    └───── unpin ─────┘ └── another activate ─┘
 *
 * While building, its tables are ordinary writable memory and mapping costs no hypercall. pin makes
 * all its tables read-only and pins the root, in one batch. When Xen refuses, the space is building
 * again exactly as before, and a report of who still maps one of its tables writable is printed.
 *
 * Each function takes the space's lock; none may be called from an event handler. Errors are
 * -XEN_EINVAL (an argument, or Xen's refusal), -XEN_ENOMEM, -XEN_EBUSY, -XEN_EEXIST, -XEN_ENOENT.
 */
#ifndef PVMM_SPACE_H
#define PVMM_SPACE_H

#include <pvmm/pagetable.h>
#include <pvmm/spinlock.h>

enum pvmm_space_state { PVMM_SPACE_BUILDING, PVMM_SPACE_PINNED };

#define PVMM_SPACE_NAME_BYTES 24

/* The caller's storage; its fields are the manager's. */
struct pvmm_space {
	struct pvmm_spinlock lock; /* guards the tables of the user half and what is below */
	enum pvmm_space_state state;
	bool was_building; /* pinned for the time of a suspend */
	pfn_t root;	   /* the kernel's half and the user half */
	pfn_t user_root; /* the user half alone; PVMM_INVALID_PFN where user mode has no own root */
	uint32_t nr_tables;
	uint32_t nr_pages;  /* mapped user pages */
	uint32_t nr_loaded; /* vCPUs that run on it; not counted for the kernel's */
	struct region *regions;
	struct pvmm_space *next, *prev;
	char name[PVMM_SPACE_NAME_BYTES];
};

struct region;

/* The kernel's own: its root is what the other roots copy their upper half from. Always pinned. */
extern PVMM_API struct pvmm_space pvmm_kernel_space;

/* Makes an empty space; the name is for reports. */
PVMM_API int pvmm_space_create(struct pvmm_space *space, const char *name);

/*
 * Maps a page at a user address (in pvmm_kernel_space: an address of the vmap region). Takes a
 * reference on the page and counts a live mapping. prot: PVMM_PROT_*. A page that is a page table
 * may only be mapped read-only: -XEN_EBUSY.
 */
PVMM_API int pvmm_space_map(struct pvmm_space *space, pvmm_va_t va, struct pvmm_page *page,
			    uint64_t prot);

/* Removes the mapping, flushes it on all vCPUs, then drops its reference. */
PVMM_API int pvmm_space_unmap(struct pvmm_space *space, pvmm_va_t va);

/*
 * Declares a region: private pages of the space that appear, zeroed, when they are touched
 * (pvmm_space_fault). prot is what they allow. -XEN_EEXIST if it overlaps another one.
 */
PVMM_API int pvmm_space_region(struct pvmm_space *space, pvmm_va_t start, uint64_t nr_pages,
			       uint64_t prot);

/*
 * Resolves a page fault at a user address, error_code as the trap gave it: a page that appears, or
 * a copy of one that is shared. 0: the access can be repeated. -XEN_EFAULT: no region allows it.
 * -XEN_ENOMEM. At most two traps.
 */
PVMM_API int pvmm_space_fault(struct pvmm_space *space, pvmm_va_t va, uint64_t error_code);

/* How many pages a fault fills at once: a power of two up to 64. -XEN_EINVAL for anything else. */
PVMM_API int pvmm_fault_around(unsigned int nr_pages);

/*
 * Fills a range that is all regions now, one trap for each 2 MiB of it. On -XEN_ENOMEM what fitted
 * is filled.
 */
PVMM_API int pvmm_space_populate(struct pvmm_space *space, pvmm_va_t start, uint64_t nr_pages);

/*
 * Unmaps everything in a range, regions and single mappings, and gives tables back that nothing
 * else is in. The one thing it may need memory for is a region that goes on at both sides of the
 * range: -XEN_ENOMEM, and nothing has changed. A whole region, or an end of one, always goes.
 */
PVMM_API int pvmm_space_unmap_range(struct pvmm_space *space, pvmm_va_t start, uint64_t nr_pages);

/*
 * Changes what a range of regions allows, and flushes. -XEN_ENOENT if it is not all regions;
 * -XEN_ENOMEM, with no right changed.
 */
PVMM_API int pvmm_space_protect_range(struct pvmm_space *space, pvmm_va_t start, uint64_t nr_pages,
				      uint64_t prot);

/* Unmaps all of the user half, in one trap, also of the space that this vCPU runs on. */
PVMM_API int pvmm_space_clear(struct pvmm_space *space);

/*
 * Makes copy a space with the same user half. Pages of regions are shared until one of the two
 * writes; what pvmm_space_map has mapped is shared for good. The copy is pinned; one trap.
 */
PVMM_API int pvmm_space_clone(struct pvmm_space *copy, struct pvmm_space *space, const char *name);

/* Changes what the mapping allows, and flushes it on all vCPUs. */
PVMM_API int pvmm_space_protect(struct pvmm_space *space, pvmm_va_t va, uint64_t prot);

PVMM_API int pvmm_space_pin(struct pvmm_space *space);

/* -XEN_EBUSY while a vCPU runs on it. */
PVMM_API int pvmm_space_unpin(struct pvmm_space *space);

/* Runs this vCPU on the space, pinned first if it is not; &pvmm_kernel_space leaves user space. */
PVMM_API int pvmm_space_activate(struct pvmm_space *space);

/* The space this vCPU runs on. */
PVMM_API struct pvmm_space *pvmm_space_current(void);

/*
 * Unpins, unmaps and frees everything. -XEN_EBUSY while a vCPU runs on it, or while one of its
 * tables is mapped somewhere.
 */
PVMM_API int pvmm_space_destroy(struct pvmm_space *space);

/* Calls visit for the kernel's space and every other, the space list locked. Non-zero stops. */
typedef int pvmm_space_visit_fn(struct pvmm_space *space, void *ctx);
PVMM_API int pvmm_space_for_each(pvmm_space_visit_fn *visit, void *ctx);

#endif
