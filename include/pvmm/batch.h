/* SPDX-License-Identifier: MIT */
/*
 * The batch: page-table updates, extended MMU operations and TLB flushes, queued on the vCPU that
 * runs and sent in one trap.
 *
 *	pvmm_batch_begin();
 *	pvmm_batch_mmu_update(...);
 *	pvmm_batch_mmuext(...);
 *	pvmm_batch_flush_va(...);
 *	err = pvmm_batch_end(&failure);
 *
 * begin and end nest; only the outermost end sends (and a queue that is full).
 *
 * Order. Operations are applied in the order in which they were queued; only flushes come last,
 * each address once, many of them as one flush of everything. So what needs a flush to have happened
 * belongs behind the end. Neighbours of one kind share a hypercall, several hypercalls a multicall:
 * upper-level updates stay together, for each hypercall that has one costs a flush of all TLBs
 * (docs/xen-rules.md, 30). Updates to one table are cheapest one after the other, and callers queue
 * them so; docs/design.md says why the batch does not sort them.
 *
 * Refusal. A refusal ends the batch: what is queued behind it is dropped, except that Xen itself
 * goes on with the later hypercalls of a multicall that is on its way, and that flushes are sent in
 * any case, because what was applied may need them. Whoever must know the fate of each operation has
 * pvmm_batch_on_refusal; an owner that undoes the whole batch uses operations that are harmless
 * where nothing was done.
 *
 * No lock is needed: the batch belongs to its vCPU. The caller must not be moved to another vCPU
 * between begin and end, and event handlers do not use the batch.
 */
#ifndef PVMM_BATCH_H
#define PVMM_BATCH_H

#include <pvmm/hypercall.h>
#include <pvmm/paging.h>

/*
 * Updates that one trap takes at most. "make bench" measures what an update costs in batches of
 * each size: it falls until some hundred share a trap and is flat from there (docs/design.md). So
 * many that a purge of 128 areas of 16 pages is one trap.
 */
#define PVMM_BATCH_UPDATES 2048

enum pvmm_batch_kind { PVMM_BATCH_MMU_UPDATE, PVMM_BATCH_MMUEXT };

/* An operation that was not applied: enough for a report that needs no debugger. */
struct pvmm_batch_failure {
	int err;		   /* Xen's answer, negative */
	enum pvmm_batch_kind kind; /* which union member of op */
	unsigned int index;	   /* of the operation, counted from the outermost begin */
	unsigned int applied;	   /* operations of its hypercall that Xen had done before it */
	uintptr_t caller;	   /* the code that queued it */
	union {
		struct mmu_update update;
		struct mmuext_op ext;
	} op;
};

/*
 * Gives a vCPU other than the boot vCPU its batch, before it runs: pvmm_batch_bytes() of zeroed
 * memory, which stays the batch's.
 */
PVMM_API size_t pvmm_batch_bytes(void);
PVMM_API void pvmm_batch_give(unsigned int vcpu, void *storage);

PVMM_API void pvmm_batch_begin(void);

/*
 * Queues "store pte in the table entry at this machine address" (MMU_NORMAL_PT_UPDATE). Inside a
 * batch only; sends what is queued when the queue is full.
 */
PVMM_API void pvmm_batch_mmu_update(uint64_t entry_maddr, pvmm_pte_t pte);

/*
 * The same for the L1 entry that maps va in the tables that this vCPU runs on, with a flush of va
 * if asked for. Alone in its batch it is one update_va_mapping, which costs less than half.
 */
PVMM_API void pvmm_batch_va_mapping(pvmm_va_t va, uint64_t entry_maddr, pvmm_pte_t pte, bool flush);

/* Queues a pin, unpin, base pointer change or any other operation (xen/xen.h, struct mmuext_op). */
PVMM_API void pvmm_batch_mmuext(const struct mmuext_op *op);

/*
 * Asks for a flush of one address, or of everything, in the TLBs of all vCPUs, at the outermost
 * end. It cannot fail; Xen skips vCPUs that do not run.
 */
PVMM_API void pvmm_batch_flush_va(pvmm_va_t va);
PVMM_API void pvmm_batch_flush_all(void);

/*
 * What the entry at this machine address will be when the queue has been sent: the value queued
 * last, or the stored one given. For reading a table inside a batch.
 */
PVMM_API pvmm_pte_t pvmm_batch_read(uint64_t entry_maddr, pvmm_pte_t stored);

/*
 * For the batch that is open: fn is called for every operation that is not applied, in order.
 * tried: Xen refused it; otherwise it was behind a refused one (err is that one's). fn must not use
 * the batch, beyond keeping books.
 */
typedef void pvmm_batch_refusal_fn(const struct pvmm_batch_failure *op, bool tried, void *ctx);
PVMM_API void pvmm_batch_on_refusal(pvmm_batch_refusal_fn *fn, void *ctx);

/*
 * Closes the innermost begin. The outermost end sends what is queued and returns 0, or the error of
 * the first operation refused since its begin and, in *failure, which one it was. A caller that
 * passes NULL says that a refusal is impossible; one that happens is a panic with the report.
 * An inner end returns 0: its operations are still queued.
 */
PVMM_API int pvmm_batch_end(struct pvmm_batch_failure *failure);

/* Whether this vCPU has a batch open: what is queued now takes effect later. */
PVMM_API bool pvmm_batch_is_open(void);

/*
 * Panics, naming where, if this vCPU has a batch open: for points that one must not be open across
 * (a return to user mode, sleeping, another address space).
 */
PVMM_API void pvmm_batch_assert_closed(const char *where);

/* One line that says what Xen refused, for reports: "pin L4 of mfn 0x7b60b: -EINVAL (-22)". */
PVMM_API void pvmm_batch_describe(const struct pvmm_batch_failure *failure, char *buf,
				  size_t len_bytes);

/* "EINVAL" for -22 or 22; "unknown error" for what Xen's errno.h does not list. */
PVMM_API const char *pvmm_errno_name(int err);

/* -22 for "EINVAL"; 0 for what is not listed there. */
PVMM_API int pvmm_errno_of_name(const char *name);

#endif
