/* SPDX-License-Identifier: MIT */
/*
 * The seam between the tools and Xen: a PV domain as dom0 can see it. Everything above it works on
 * a struct dom and does not know whether Xen is behind it (dom_xen.c) or an image in memory (the
 * hosted tests, the fuzzer).
 *
 * Nothing here writes to the domain. What read() delivers is a copy, taken once: a domain that
 * changes its memory meanwhile changes nothing that has been judged. Frame numbers are machine
 * frames (mfn) unless a name says pfn. Functions return 0 or -errno.
 */
#ifndef TOOLS_DOM_H
#define TOOLS_DOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_PAGE_SIZE	   4096u
#define TOOL_PAGE_SHIFT	   12u
#define TOOL_NO_FRAME	   (~0ULL)
#define TOOL_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Frames in one call of types(), read() and m2p(): Xen takes no more types at a time. */
#define DOM_BATCH 1024u

/* What Xen says of a frame: a level of page table, or one of these; and whether it is pinned. */
enum {
	FRAME_PLAIN = 0, /* the domain's, and no page table */
	FRAME_L1 = 1,
	FRAME_L2 = 2,
	FRAME_L3 = 3,
	FRAME_L4 = 4,
	FRAME_BROKEN = 0x0d,  /* the domain's, and out of use: a memory error */
	FRAME_NOT_ITS = 0x0f, /* not the domain's, or Xen's own */
	FRAME_TYPE = 0x0f,
	FRAME_PINNED = 0x80,
};

/* Where struct arch_shared_info lies in the shared info page, by the domain's width. */
#define SHARED_INFO_ARCH_64 3088u
#define SHARED_INFO_ARCH_32 2316u

struct dom_info {
	uint32_t domid;
	char name[64]; /* from the xenstore; "" if it has none */
	bool is_hvm, is_paused, is_dying, is_shutdown;
	bool is_self; /* the domain that this program runs in */
	unsigned int shutdown_reason;
	unsigned int width; /* of its words, in bytes: 8, or 4 for PAE */
	unsigned int nr_vcpus;
	uint64_t nr_pages, max_pages;
	uint64_t shared_info; /* TOOL_NO_FRAME if it has none */
	uint64_t max_mfn;     /* of the machine: all frames are below it */
};

#define DOM_GDT_FRAMES 16u

struct dom_vcpu {
	uint64_t root, user_root; /* TOOL_NO_FRAME for none */
	uint64_t gdt[DOM_GDT_FRAMES];
	unsigned int nr_gdt;
	uint64_t ldt_va;
	unsigned int ldt_entries;
};

struct dom_grant {
	uint32_t ref;
	uint16_t domid; /* to whom */
	bool is_readonly, is_mapped, is_mapped_writable, is_transfer;
	uint64_t mfn;
};

struct dom {
	struct dom_info info;
	void *ctx;
	/* Looks at info again: is it still there? -ESRCH when not. */
	int (*refresh)(struct dom *dom);
	/* -ENODATA for a vCPU that was never brought up. */
	int (*vcpu)(struct dom *dom, unsigned int id, struct dom_vcpu *vcpu);
	int (*types)(struct dom *dom, const uint64_t *mfns, unsigned int nr, uint8_t *types);
	/* Copies pages; ok[i] says which came. */
	int (*read)(struct dom *dom, const uint64_t *mfns, unsigned int nr, void *pages, bool *ok);
	/* The pfns that Xen has on record; TOOL_NO_FRAME for none. */
	int (*m2p)(struct dom *dom, const uint64_t *mfns, unsigned int nr, uint64_t *pfns);
	/* The grant entries in use; the caller frees them. */
	int (*grants)(struct dom *dom, struct dom_grant **grants, size_t *nr);
	int (*pause)(struct dom *dom);
	int (*unpause)(struct dom *dom);
	void (*close)(struct dom *dom);
};

#endif
