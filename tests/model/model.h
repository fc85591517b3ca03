/* SPDX-License-Identifier: MIT */
/*
 * The model of Xen's PV MMU, as a test sees it. Behind pvmm_hypercall() it keeps every machine
 * frame's type and counts by docs/XEN-RULES.md; frames are backed by a memory file and mapped for
 * real at the addresses that the loaded tables say, so that a write through a read-only mapping
 * faults.
 *
 *	model_boot(2048, 1);		a fresh machine and domain, pvmm_mm_init() done
 *	...
 *	assert_int_equal(model_check(), 0);
 *	model_shutdown();
 *
 * One machine at a time. vCPUs may be threads: see model_threads.
 */
#ifndef MODEL_H
#define MODEL_H

#include <pvmm/hypercall.h>
#include <pvmm/page.h>
#include <pvmm/paging.h>
#include <xen/grant_table.h>

/* What a frame is used as; the numbers are Xen's (rule 1). */
enum model_type {
	MODEL_NONE,
	MODEL_L1,
	MODEL_L2,
	MODEL_L3,
	MODEL_L4,
	MODEL_SEG_DESC,
	MODEL_SHARED,
	MODEL_WRITABLE,
};

enum model_owner {
	MODEL_HOLE,    /* the machine has no such frame */
	MODEL_FREE,    /* nobody's */
	MODEL_GUEST,   /* the domain under test */
	MODEL_FOREIGN, /* another domain's */
	MODEL_XEN,     /* the hypervisor's */
	MODEL_IO,      /* not memory */
};

struct model_frame {
	enum model_owner owner;
	enum model_type type;
	uint64_t type_count;
	uint64_t refs; /* Xen's general count */
	bool pinned, validated;
	bool special;	 /* the domain's, but shared with Xen */
	bool allocated;	 /* the domain has not given it up: one of the references (rule 42) */
	bool pae_xen_l2; /* an L2 table that is the last of a PAE root (rule 18) */
	int linear;	 /* same-level entries in it (positive) or to it (negative); rule 14 */
};

/* What the boot set up differs from Xen's defaults in; zeroed means none of it. */
struct model_options {
	bool release;	/* the release hypervisor: poisons nothing, allows bit 62 in L1 entries */
	bool has_iomem; /* iomem=[...] in the domain's configuration: rules 11 and 12 */
	bool no_l1tf;	/* processor without L1TF: non-present entries may hold addresses */
	bool no_linear; /* hypervisor booted with pv-linear-pt=no */
	bool no_upper_flush; /* hypervisor from before XSA-286: without rule 30 */
	bool no_grant_v2;    /* hypervisor booted with gnttab=max-ver:1 */
	bool pae;	     /* a 32-bit domain: rules 15 to 18, 21 and 44; with model_boot_bare */
	uint64_t
		max_pages; /* the most the domain may own; 0: 1 MiB more than at boot, as xl does */
	uint64_t free_frames; /* the machine's that are nobody's; 0: a few */
};

/* --- the machine --- */

/*
 * Plays the domain builder and arch-xen's boot: a domain of nr_pages (at most 32768), every pfn at
 * a machine frame chosen by the seed, a pinned and loaded root, direct map, p2m, page database and
 * owner records mapped; then pvmm_mm_init(), pvmm_owner_init() and pvmm_mm_add_free().
 */
void model_boot(uint64_t nr_pages, uint64_t seed);
void model_boot_with(uint64_t nr_pages, uint64_t seed, const struct model_options *options);

/*
 * The machine and the domain alone: no tables, no root, no memory manager. Tables are written by
 * model_bytes and handed over by hypercalls.
 */
void model_boot_bare(uint64_t nr_pages, uint64_t seed, const struct model_options *options);
void model_shutdown(void);

/* Brings another vCPU up, on the kernel's root; the thread then runs as the one set. */
void model_vcpu_up(unsigned int vcpu);
void model_set_vcpu(unsigned int vcpu);

/*
 * Says that several threads are vCPUs from now on, each by its own model_set_vcpu. They share one
 * process, so only the kernel's half stays mapped; a user address is tried with model_access.
 */
void model_threads(bool on);

/*
 * The vCPUs' event ports for locks (arch-xen/spinlock.h): whether they have any, and what happens to
 * one that is about to sleep. Counts, from here on, how often one slept and one was woken.
 */
void model_lock_ports(bool are_there, void (*on_wait)(void));
unsigned int model_lock_waits(void);
unsigned int model_lock_raises(void);

/*
 * Audits the model: every count and type of every frame is worked out again from the tables and
 * compared, and so are the host's mappings. Prints each problem, returns how many.
 */
unsigned int model_check(void);

/* --- what processors remember (tlb.c) --- */

enum model_access {
	MODEL_DONE,	/* the tables allow it */
	MODEL_FAULT,	/* they do not */
	MODEL_SPURIOUS, /* they do, but the TLB remembers that they did not */
	MODEL_STALE,	/* they do not, but the TLB or a paging-structure cache remembers it */
};

/*
 * An access by this vCPU in kernel mode, through its TLB and paging-structure caches, which it
 * fills. model_read_faults and model_write_faults make one too. A stale one is counted as a problem
 * if what is behind it changed hands since: model_check() returns it with the others.
 */
enum model_access model_access(uint64_t va, bool write);

/* The last problem of this kind. */
struct model_stale {
	uint64_t va;
	unsigned int level; /* 1: the TLB; above: a paging-structure cache */
	unsigned int vcpu;
	pvmm_pte_t remembered, is; /* the entry then; in the tables now, or 0 */
	const char *why;
};

/* Forgives the stale uses caught so far, for who has provoked them; returns how many. */
unsigned int model_stale_forget(struct model_stale *stale);

/* --- what others do with the domain's pages --- */

/*
 * Another domain maps a page that was granted to it (flags: GNTMAP_host_map, GNTMAP_device_map,
 * GNTMAP_readonly), and gives the mapping back. Both return a GNTST_*.
 */
#define MODEL_FOREIGN_DOMID 2
int model_foreign_map(uint32_t ref, uint32_t flags, uint32_t *handle);
int model_foreign_unmap(uint32_t handle);

/*
 * The other domain grants one of its frames to this one, under a reference below
 * MODEL_FOREIGN_GRANTS; whether that is mapped or copied just now.
 */
#define MODEL_FOREIGN_GRANTS 40u
mfn_t model_foreign_grant(uint32_t ref, bool is_readonly);
bool model_foreign_grant_used(uint32_t ref);

/*
 * The processor loads this descriptor of the vCPU's LDT: whether Xen could show it the descriptor's
 * page, which then is a descriptor page until the LDT or the root changes (rule 19).
 */
bool model_ldt_used(unsigned int entry);

/* --- looking at it --- */

/* A frame's state; owner MODEL_HOLE where there is none. */
struct model_frame model_frame(mfn_t mfn);
struct model_frame model_frame_of(pfn_t pfn);

/* How many frames the domain may own from now on: what xl mem-set and mem-max change. */
void model_max_pages(uint64_t nr_pages);

/* The i-th frame of an owner; panics when there are fewer. */
mfn_t model_frame_owned(enum model_owner owner, unsigned int i);

/* The domain's page that Xen shares with it (rule 11, "special"). */
pfn_t model_special_pfn(void);

/* The bytes of a frame, whatever the tables say. */
void *model_bytes(mfn_t mfn);

/* The loaded roots of the vCPU that runs. */
mfn_t model_root(void);
mfn_t model_user_root(void);

/* What was called since the boot or model_counters_reset. */
struct model_counters {
	uint64_t traps;		/* outermost hypercalls */
	uint64_t calls[64];	/* by number, those inside multicalls too */
	uint64_t mmu_updates;	/* single updates that succeeded */
	uint64_t mmuext[32];	/* single operations that succeeded, by command */
	uint64_t upper_flushes; /* TLB flushes of rule 30 */
	uint64_t type_flushes;	/* TLB flushes of rule 6 */
	uint64_t validations;	/* tables validated */
};

struct model_counters model_counters(void);
void model_counters_reset(void);

/* --- making it fail --- */

#define MODEL_ANY_CALL UINT32_MAX

/* The nth (from 1) hypercall op after this, on its own or in a multicall, returns err. Once. */
void model_fail_call(unsigned int op, unsigned int nth, int err);

/* The same for the nth single operation of mmu_update or mmuext_op; those before it are applied. */
void model_fail_operation(unsigned int op, unsigned int nth, int err);

/* Whether it has happened; forgets it in any case. */
bool model_fail_fired(void);

/* --- the host's side --- */

/* Entries of the p2m that the toolstack has been told of (pvmm_p2m_publish). */
extern uint64_t model_published_pfns;

/* Whether an access faults. The write puts back what it has read. */
bool model_read_faults(const volatile void *addr);
bool model_write_faults(volatile void *addr);

/*
 * Runs fn in a process of its own: what it returned (0 to 63), or how else it ended, with the
 * panic's text. The machine is as before afterwards. No assertion may be made in fn.
 */
#define MODEL_PANICKED (-1)
#define MODEL_DIED     (-2)
int model_run(int (*fn)(void *ctx), void *ctx, char *text, size_t len_bytes);

/* Whether fn, run so, panics with a text that contains what is given. */
bool model_panics(void (*fn)(void *ctx), void *ctx, const char *text);

/*
 * Runs fn in this process: whether it panicked, and with which text. Faster, for fuzzing; after a
 * panic nothing is good for anything but a new boot. One thread.
 */
bool model_catch(void (*fn)(void *ctx), void *ctx, char *text, size_t len_bytes);

/* What was printed since the boot or model_output_clear. MODEL_VERBOSE=1 shows it as it comes. */
const char *model_output(void);
void model_output_clear(void);

/* The clock goes on by so much; by itself, a nanosecond each time that it is asked. */
void model_clock_pass(uint64_t ns);

#endif
