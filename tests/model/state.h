/* SPDX-License-Identifier: MIT */
/* What the model's files tell each other and no test. */
#ifndef MODEL_STATE_H
#define MODEL_STATE_H

#include "tests/model/model.h"
#include <pvmm/vcpu.h>

/* "No frame": a base pointer that is not set, a parent that is not there. */
#define NO_MFN UINT64_MAX

/* The domain's number, and that of another domain that exists. */
#define GUEST_DOMID   1
#define FOREIGN_DOMID MODEL_FOREIGN_DOMID

/* Pages of descriptors: the GDT's last two of 16 are Xen's. */
#define GDT_PAGES FIRST_RESERVED_GDT_PAGE
#define LDT_PAGES 16u

/* The most frames that a grant table may have: what xl gives a domain. */
#define GRANT_FRAMES_MAX 32u

/* The status frames that they need in version 2. */
#define GRANT_STATUS_MAX (GRANT_FRAMES_MAX * 256u / 2048u)

/* Xen's own L4 slots (rule 15). */
#define XEN_SLOT_FIRST 256u
#define XEN_SLOT_LAST  271u

/* A PAE domain's addresses end where Xen's m2p starts, and the slots of its last L2 with them. */
#define PAE_ROOT_ENTRIES 4u
#define PAE_XEN_VA	 0xf5800000u
#define PAE_L2_SLOT_XEN	 ((PAE_XEN_VA >> 21) & 511)

struct frame {
	struct model_frame s;
	uint32_t store;	    /* page of the memory file; NO_STORE for what is not memory */
	uint64_t stamp;	    /* flush epoch at the last drop of its type (rule 6) */
	uint64_t seen;	    /* mirror epoch: part of the mirrored tree */
	uint64_t mirror_va; /* an L1 table's first address there */
	uint32_t mirror_uses;
	bool mirror_rw;	 /* all entries on the way to it allow writing */
	bool xen_heap;	 /* Xen's own, shared with the domain writable: a type reference for good */
	uint32_t leaked; /* references of both kinds that Xen took and forgot (rule 18) */
	uint64_t hands;	 /* how often it was freed, validated or retyped (tlb.c) */
};

#define NO_STORE UINT32_MAX

struct vcpu {
	bool up;
	uint64_t root, user_root; /* mfns */
	uint64_t flushed;	  /* flush epoch of its last full flush */
	/* Descriptor pages, each holding its references; mfn 0 for none (descriptor.c). */
	uint64_t gdt[GDT_PAGES], ldt[LDT_PAGES];
	uint64_t ldt_base;
	unsigned int ldt_entries;
};

struct model {
	struct model_options options;
	uint64_t nr_pages; /* of the domain at boot */
	uint64_t nr_pfns;  /* that it could have: mfn_of_pfn has so many */
	uint64_t nr_mfns;
	struct frame *frames;
	uint64_t *mfn_of_store; /* back from the page of the memory file */
	uint64_t *mfn_of_pfn;	/* the frame that was last given to the domain for a pfn */
	uint64_t owned;		/* frames of the domain (Xen's tot_pages) */
	uint64_t nr_store;
	uint64_t *m2p;		   /* the model's own, writable view */
	const uint64_t *guest_m2p; /* what the domain reads; with holes */
	uint64_t special_pfn;
	struct vcpu vcpus[PVMM_MAX_VCPUS];
	unsigned int this_vcpu; /* of whoever holds the lock */
	uint64_t kernel_root;	/* mfn of the root that the boot loaded */
	bool threads;		/* vCPUs are threads: only the kernel's half is mapped */
	uint64_t flush_epoch;	/* counts flushes */
	struct model_counters count;
};

extern struct model model;

/* --- frames.c --- */

void frames_create(uint64_t nr_pages, uint64_t seed);
void frames_destroy(void);
int frames_memfd(void);
uint64_t *frame_entries(uint64_t mfn);
uint64_t frame_of_xen(unsigned int i);
uint64_t frame_of_grant_table(unsigned int i);
uint64_t frame_of_grant_status(unsigned int i);
void frame_share(uint64_t mfn);
uint64_t frames_take(unsigned int order);
void frame_give(uint64_t mfn);
void frame_free(uint64_t mfn);
void frame_named(uint64_t mfn, uint64_t pfn);
bool frames_in_m2p(const uint64_t *addr);
bool frames_m2p_hole(const uint64_t *addr);
void frames_save(void);
void frames_restore(void);

static inline struct frame *frame_at(uint64_t mfn)
{
	return &model.frames[mfn];
}

static inline bool frame_exists(uint64_t mfn)
{
	return mfn < model.nr_mfns && model.frames[mfn].s.owner != MODEL_HOLE;
}

/* --- entries.c --- */

bool slot_is_guests(uint64_t table, unsigned int level, unsigned int slot);
bool va_is_guests(uint64_t va);
uint64_t entry_mfn(pvmm_pte_t pte);
bool entry_flags_allowed(pvmm_pte_t pte, unsigned int level);
bool entry_changed(pvmm_pte_t a, pvmm_pte_t b);
pvmm_pte_t entry_adjusted(pvmm_pte_t pte, unsigned int level);
void entry_check_l1tf(pvmm_pte_t pte);
/* 0, an error, or (level 1, positive) flags to flip. */
int entry_get(pvmm_pte_t pte, unsigned int level, uint64_t parent, bool from_io);
void entry_put(pvmm_pte_t pte, unsigned int level, uint64_t parent);
pvmm_pte_t entry_restored(pvmm_pte_t pte, unsigned int level);
pvmm_pte_t entry_of_grant(uint64_t mfn, uint64_t flags);

/* --- types.c --- */

bool frame_get(uint64_t mfn);
void frame_put(uint64_t mfn);
int frame_get_type(uint64_t mfn, enum model_type type);
int frame_get_pae_xen_l2(uint64_t mfn);
void frame_put_type(uint64_t mfn, uint64_t parent);
int frame_get_and_type(uint64_t mfn, enum model_type type);
void frame_put_and_type(uint64_t mfn, uint64_t parent);
bool frame_lockable(uint64_t mfn);
void fill_m2p_slot(uint64_t mfn);

static inline bool type_is_table(enum model_type type)
{
	return type >= MODEL_L1 && type <= MODEL_L4;
}

/* --- mmu_update.c, mmuext.c, hypercall.c --- */

int mmu_update(const struct mmu_update *req, uint32_t nr, uint32_t *done, uint32_t dom);
int mmu_update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags);
int mmuext_op(const struct mmuext_op *op, uint32_t nr, uint32_t *done, uint32_t dom);
bool find_l1(uint64_t va, uint64_t *mfn, unsigned int *slot);
pvmm_pte_t *lock_l1(uint64_t mfn, unsigned int slot);
void unlock_l1(uint64_t mfn);
int load_root(uint64_t mfn);
bool flush_mask_readable(const void *mask);
bool guest_range_ok(const void *p, uint64_t len_bytes);
bool guest_readable(const void *p, uint64_t len_bytes);
bool fail_operation(unsigned int op, int *err);

/* The hypercall's argument for "whose"; an error, or 0 and whether it is DOMID_IO. */
int domain_of(uint32_t dom, bool io_allowed, bool *is_io);

/* Whose reservation or grant table is meant: 0 for the domain's own, also by its number. */
int any_domain_of(uint32_t dom);

/* --- memory_op.c --- */

long memory_op(uint64_t cmd, void *arg);

/* --- grant.c --- */

void grants_reset(void);
bool grants_in_use(void);
long grants_map(struct gnttab_map_grant_ref *ops, uint32_t nr);
long grants_unmap(struct gnttab_unmap_grant_ref *ops, uint32_t nr);
int grant_copy_begin(uint32_t dom, uint32_t ref, bool is_readonly, uint64_t *mfn, uint16_t *offset,
		     uint16_t *len_bytes);
void grant_copy_end(uint32_t dom, uint32_t ref, bool is_readonly);
/* For the audit: calls for each mapping of a frame that no page table of the domain holds. */
void grants_each(void (*fn)(uint64_t mfn, bool writable));
/* ... entries of the domain's tables that another domain's grants of this frame account for. */
unsigned int grants_foreign_entries(uint64_t mfn);

/* --- grant_shared.c --- */

void grant_shared_reset(void);
unsigned int grants_version(void);
unsigned int grants_frames(void);
unsigned int grants_status_frames(void);
uint32_t grants_nr(void);
void grants_grow(unsigned int to_frames);
int grants_set_version(uint32_t to);
/* Xen marks the entry as used, or returns a GNTST_*. */
int grant_mark(uint32_t ref, uint32_t domid, bool in_use, bool readonly, bool maps);
void grant_unmark(uint32_t ref, uint16_t gone);
uint64_t grant_mfn(uint32_t ref);
/* Whether it grants a part of the page only, and which. */
bool grant_part(uint32_t ref, uint16_t *offset, uint16_t *len_bytes);

/* --- grant_copy.c --- */

long grants_copy(struct gnttab_copy *ops, uint32_t nr);

/* --- grant_table.c --- */

long grant_table_op(uint32_t cmd, void *ops, uint32_t nr);

/* --- descriptor.c --- */

bool descriptors_valid(uint64_t mfn);
int set_gdt(const uint64_t *frames, uint32_t nr_entries);
int set_ldt(uint64_t va, uint32_t nr_entries);
void drop_ldt(struct vcpu *v);
int update_descriptor(uint64_t maddr, uint64_t descriptor);

/* --- tlb.c --- */

#define ALL_VCPUS UINT64_MAX

void tlb_reset(void);
/* vcpus: a bit each. */
void tlb_flush(uint64_t vcpus);
void tlb_flush_va(uint64_t vcpus, uint64_t va);
uint64_t tlb_this_vcpu(void);
uint64_t tlb_unflushed_since(uint64_t epoch);
void tlb_used(uint64_t va, bool write);
unsigned int tlb_check(void);

/* What a translation led to before is not what it leads to now. */
static inline void tlb_changed_hands(struct frame *f)
{
	__atomic_fetch_add(&f->hands, 1, __ATOMIC_RELAXED);
}

/* --- vcpu.c --- */

/* The model's one lock: all of struct model, and the host's mappings. Not recursive. */
void model_lock(void);
void model_unlock(void);
void vcpu_reset(void);

/* --- mirror.c --- */

void mirror_start(void);
void mirror_stop(void);
void mirror_entry_changed(uint64_t mfn, unsigned int level, unsigned int slot);
void mirror_root_changed(void);
void mirror_all_changed(void);
void mirror_flush(void);
unsigned int mirror_check(void);

/* --- host.c --- */

void host_reset(void);
/* Whether the process can read there; without a fault, so under any lock. */
#define HOST_READ_MAX 64u
bool host_readable(const void *p, size_t len_bytes);

/* Xen destroys the domain for what it did: a panic for whoever expects one. */
void model_domain_crashed(const char *why, uint64_t value);

#endif
