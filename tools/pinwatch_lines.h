/* SPDX-License-Identifier: MIT */
/*
 * What a line of the hypervisor's console says of the PV MMU: the wordings of Xen 4.14 to 4.20, of
 * debug builds (all of them) and release builds (the few that are left).
 *
 * Only lines that Xen itself began are looked at: what a guest writes on that console comes with
 * its "(d1)" in front. A line is untrusted all the same, and everything in the result is a number.
 */
#ifndef TOOLS_PINWATCH_LINES_H
#define TOOLS_PINWATCH_LINES_H

#include <stdbool.h>
#include <stdint.h>

enum line_kind {
	LINE_OTHER,	   /* nothing that is known here */
	LINE_BAD_TYPE,	   /* the frame is of another type than it would have to be: the culprit */
	LINE_PIN,	   /* a pin was refused */
	LINE_BASEPTR,	   /* a root was refused */
	LINE_USER_BASEPTR, /* ... for user mode */
	LINE_ENTRY,	   /* an L1 entry was refused */
	LINE_VALIDATE,	   /* a table was not valid */
	LINE_PROMOTE,	   /* ... because of this slot */
	LINE_NO_WRITABLE,  /* no writable mapping of it, because it is something else */
	LINE_FLAGS,	   /* an entry has bits that are not the guest's to set */
	LINE_LINEAR, /* follows a bad type one level below; about linear tables if it comes alone */
	LINE_FOREIGN,  /* the page is another domain's */
	LINE_MMIO,     /* a mapping of memory of devices */
	LINE_XEN_AREA, /* an entry in the part of a table that is Xen's */
	LINE_XEN_PAGE, /* a caching attribute of a page of Xen's */
	LINE_GET_PAGE, /* a frame that the domain does not own, or that is going */
	LINE_STEAL,    /* a page that is still held was to be exchanged or given away */
	LINE_ALREADY_PINNED,
	LINE_NOT_PINNED,     /* an unpin of what was not pinned */
	LINE_NOT_OURS,	     /* an unpin of what is not a page of the domain's */
	LINE_OVERFLOW,	     /* more uses than Xen can count */
	LINE_SHARED_L3,	     /* PAE: the top L2 has more than one user */
	LINE_GRANT_ENTRY,    /* a mapping of a grant, overwritten instead of unmapped */
	LINE_GRANT_MAP,	     /* an entry that a grant operation did not find as it should be */
	LINE_UPDATE,	     /* an update of a page that the domain does not own */
	LINE_COPY,	     /* clearing or copying a page */
	LINE_DESCRIPTORS,    /* a descriptor table */
	LINE_EMULATION,	     /* a write to a page table that Xen did not carry out */
	LINE_L1TF,	     /* a non-present entry that a processor could be led astray by */
	LINE_NO_USER_TABLES, /* to user mode with no user root: what is left of a refused pin of one
			      */
	LINE_CRASH,	     /* Xen has crashed the domain */
	LINE_SUPPRESSED,     /* Xen printed less than it had to say */
	LINE_KINDS,
};

/* No domain, vCPU, frame, ... in the line. */
#define LINE_NONE (~0ULL)

struct line {
	enum line_kind kind;
	uint64_t domid, vcpu; /* who was running */
	/* What the line is about, LINE_NONE where it does not say. */
	uint64_t mfn, pfn;
	uint64_t saw, wanted; /* type words: see type_word.h */
	uint64_t entry, slot, level, flags, owner;
	uint64_t count; /* of suppressed messages */
	int64_t error;	/* 0 if none was printed */
};

/*
 * text: one line, without its newline, any bytes. True if it is of a known kind; line is filled in
 * either way.
 */
bool line_parse(struct line *line, const char *text);

/* A short name for scripts ("bad-type"), and what it means, for people. */
const char *line_kind_name(enum line_kind kind);
const char *line_kind_meaning(enum line_kind kind);

/* Whether the line is a refusal, and not the end of a domain or a word about the console. */
bool line_is_refusal(const struct line *line);

#endif
