/* SPDX-License-Identifier: MIT */
/*
 * A differential sequence: DIFF_OPS operations on Xen's PV MMU, made from a seed, run by the
 * reference guest on real Xen and by a hosted program on the model. The same sources make, run and
 * describe it in both, so that whatever differs is Xen's or the model's doing.
 *
 * Operations speak of frames by a symbol, of addresses by what they map: what they do depends
 * neither on machine frame numbers nor on the layout of virtual memory.
 */
#ifndef DIFF_SEQUENCE_H
#define DIFF_SEQUENCE_H

#include <pvmm/hypercall.h>
#include <pvmm/page.h>
#include <pvmm/paging.h>

#define DIFF_OPS    64u
#define DIFF_ITEMS  8u	/* of one operation */
#define DIFF_PAGES  21u /* the arena: pages of the domain that the operations play with */
#define DIFF_WINDOW 16u /* virtual addresses that they may map */
#define DIFF_GRANTS 4u	/* and those where granted pages may stay mapped */

/* Root slots that are Xen's (rule 15). */
#define DIFF_XEN_FIRST 256u
#define DIFF_XEN_LAST  271u

/* A frame: below DIFF_PAGES, the arena's page of that number. */
enum diff_frame {
	FRAME_KERNEL_ROOT = DIFF_PAGES,
	FRAME_FOREIGN,	 /* dom0's */
	FRAME_XEN,	 /* what Xen has put in the kernel root's slot 256 */
	FRAME_IO,	 /* no memory */
	FRAME_OUTSIDE,	 /* above the end of the machine's memory */
	FRAME_ONES,	 /* all bits of an entry's frame set */
	FRAME_NONE,	 /* the entry has no frame bits; as an argument, frame 0 */
	FRAME_KERNEL_L3, /* only read: what a kernel slot of a root is to hold */
	FRAME_OTHER,	 /* only read: Xen's own */
};

enum diff_kind {
	DIFF_STORE,	  /* plain stores into pages that are writable in the direct map */
	DIFF_KERNEL_HALF, /* the same, of what a root needs to be loaded */
	DIFF_UPDATE,	  /* mmu_update */
	DIFF_EXT,	  /* mmuext_op */
	DIFF_MAP,	  /* update_va_mapping */
	DIFF_LOAD, /* NEW_BASEPTR of a page that has the kernel's half; FRAME_KERNEL_ROOT: back */
	DIFF_MULTICALL, /* each item a DIFF_UPDATE, DIFF_EXT, DIFF_MAP or what is no such call */
	DIFF_MANY,	/* count updates of one page */
	DIFF_HUGE,	/* mmu_update or mmuext_op with a count larger than any array */
	DIFF_EXCHANGE,	/* memory_op: other frames for the items' pages */
	DIFF_BALLOON,	/* memory_op: the items' frames given up, and others had instead */
	DIFF_INCREASE,	/* memory_op: a frame more, and given up at once */
	DIFF_GRANT,	/* grants a page to ourselves and maps it, or unmaps what is mapped there */
	DIFF_GDT,	/* set_gdt: the items' pages */
	DIFF_DESCRIPTOR, /* update_descriptor: flags */
	DIFF_KINDS,
};

/* What update_va_mapping is told to change, and how. */
enum diff_place {
	PLACE_WINDOW,	  /* number: which address */
	PLACE_DIRECT_MAP, /* number: of which page */
	PLACE_LOW,	  /* number: 2 bits a level; mapped if a loaded root of the arena does */
	PLACE_XEN,	  /* an address of Xen's */
	PLACE_WILD,	  /* no canonical address */
};

/* Of a page whose frame is to go: whether all that maps it is taken away before. */
enum diff_prepare { PREPARE_NOT, PREPARE_ALL };

/* What is wrong with an exchange (item 0's number). */
enum diff_exchange { EXCHANGE_GOOD, EXCHANGE_ORDER, EXCHANGE_SIZE, EXCHANGE_DONE, EXCHANGE_LIST };

/* How a page is granted and mapped. Those at once are unmapped at once. */
enum diff_grant {
	GRANT_PLACE,   /* number: which of the places for it */
	GRANT_DEVICE,  /* the same, and for a device */
	GRANT_WINDOW,  /* at once, number: which address */
	GRANT_ENTRY,   /* at once, into a slot of the frame, by machine address */
	GRANT_NO_RW,   /* at once, in the window; the grant is read-only */
	GRANT_NOT_US,  /* the grant is another domain's */
	GRANT_NO_DOM,  /* by a domain that does not exist */
	GRANT_NO_REF,  /* a grant behind the table's end */
	GRANT_NO_FLAG, /* mapped for nobody */
	GRANT_NOWHERE, /* at no address */
};

/* How a flush says on which vCPUs. */
enum diff_mask { MASK_LOCAL, MASK_ALL, MASK_GOOD, MASK_BAD };

struct diff_item {
	uint8_t kind;	 /* in a multicall: of the call */
	uint8_t cmd;	 /* mmu_update's low bits, mmuext_op's command, or which wrong call */
	uint8_t page;	 /* a frame: the update's target, the extended operation's argument */
	uint8_t frame;	 /* the entry's, the pfn's of an M2P update, or the second argument */
	uint16_t slot;	 /* of the update's target */
	uint16_t number; /* see enum diff_place; of an LDT the entries */
	uint8_t place, flush, mask;
	uint8_t prepare; /* enum diff_prepare */
	uint64_t flags;	 /* the entry without its frame */
};

struct diff_op {
	uint8_t kind;
	uint8_t nr;	  /* items */
	uint16_t count;	  /* of DIFF_MANY */
	uint32_t foreign; /* the hypercall's argument for whose */
	struct diff_item item[DIFF_ITEMS];
};

/* What came of an operation. Of a store, item has whether it was done. */
#define DIFF_NOT_DONE 0x5a5a5a5au /* done where the call did not say */
#define DIFF_GUARDED  0x7fff	  /* ret where it would have endangered the kernel */
struct diff_result {
	int32_t ret;
	uint32_t done;
	int64_t item[DIFF_ITEMS];
};

/* What became of the pages and addresses, each written so that both sides can be compared. */
struct diff_state {
	uint64_t content[DIFF_PAGES]; /* hashed, with symbols for frames */
	uint64_t direct[DIFF_PAGES];  /* direct-map entries, with symbols for frames */
	uint64_t window[DIFF_WINDOW];
	int32_t writable[DIFF_PAGES]; /* answers to the questions that find out a page's type */
	int32_t pin[DIFF_PAGES][4];   /* by level, from 1 */
};

/* What is special about the machine; given by who runs the sequences. */
struct diff_machine {
	mfn_t foreign, io, outside;
	void (*say)(const char *line);
};

/* --- generate.c --- */
void diff_generate(uint64_t seed, struct diff_op ops[DIFF_OPS]);
bool diff_slot_is_kernels(unsigned int slot);

/* --- arena.c --- */
extern struct diff_arena {
	struct pvmm_page *page[DIFF_PAGES];
	struct pvmm_page *anchor; /* its mapping keeps the window's L1 table */
	const struct diff_machine *machine;
	uint64_t kernel_half[PVMM_PT_ENTRIES]; /* what a root's kernel slots hold */
	int root;			       /* the arena's page that is loaded, or -1 */
	bool stale;			       /* an entry was changed and perhaps not flushed */
	int32_t unpin[DIFF_PAGES];	       /* what the last cleaning was told */
	uint64_t mfn[DIFF_PAGES];	       /* the pages' frames */
	bool given_up[DIFF_PAGES];	       /* its frame is the domain's as long as it is used */
	int32_t gone[DIFF_PAGES];	       /* what the last cleaning was told of such a one */
	unsigned int lost_frames;	       /* that something refers to when nothing should */
} diff_arena;

bool diff_arena_create(const struct diff_machine *machine);
bool diff_view_map(unsigned int page);
int diff_view_unmap(unsigned int page);
void diff_blank(unsigned int page);
uint64_t diff_mfn(unsigned int frame);
unsigned int diff_symbol(mfn_t mfn);
uint64_t diff_entry(unsigned int frame, uint64_t flags);
pvmm_pte_t diff_symbolic(pvmm_pte_t entry);
pvmm_va_t diff_window_va(unsigned int number);
pvmm_pte_t diff_lookup(pvmm_va_t va);
uint64_t *diff_writable(unsigned int page);
const uint64_t *diff_view(unsigned int page);
bool diff_hazard(unsigned int page);
bool diff_has_kernel_half(unsigned int page);
int diff_ext(unsigned int cmd, uint64_t mfn);
/* Puts everything back; 0, or what did not go, for a message. */
const char *diff_arena_clean(unsigned int *page, int *err);

/* --- owned.c --- */
void diff_exchange(const struct diff_op *op, struct diff_result *r);
void diff_balloon(const struct diff_op *op, struct diff_result *r);
void diff_increase(const struct diff_op *op, struct diff_result *r);
int diff_new_frame(unsigned int page);
bool diff_exchange_frame(unsigned int page);

/* --- grants.c --- */
bool diff_grants_create(pvmm_va_t va);
void diff_grant(const struct diff_item *item, struct diff_result *r);
/* Takes back what is mapped; 0 or a status. */
int diff_grants_clean(void);

/* --- execute.c --- */
pvmm_va_t diff_va_of(const struct diff_item *item);
struct diff_result diff_execute(const struct diff_op *op);

/* --- state.c --- */
void diff_look(struct diff_state *state);
uint64_t diff_hash(uint64_t hash, uint64_t value);

/* --- words.c --- */
void diff_describe(const struct diff_op *op, unsigned int item, char *buf, size_t len_bytes);
void diff_describe_result(const struct diff_op *op, const struct diff_result *result, char *buf,
			  size_t len_bytes);
void diff_describe_contents(void (*say)(const char *line));
void diff_describe_state(const struct diff_state *state, void (*say)(const char *line));

/* --- run.c --- */

/*
 * Runs "FIRST:COUNT" or "SEED:1:MASK" (hexadecimal, a bit for each operation to be done), and more
 * of them behind commas. One line for each sequence, "diff SEED MASK HASH", and with words a line
 * for each operation before it. False if the text is wrong, or something could not be put back.
 */
bool diff_run(const char *what, bool words, const struct diff_machine *machine);

/* NULL if the text is right, else what is wrong with it. */
const char *diff_check(const char *what);

#endif
