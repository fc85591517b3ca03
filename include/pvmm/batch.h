/* SPDX-License-Identifier: MIT */
/*
 * The batch: page-table updates and extended MMU operations, queued on the vCPU that runs and sent
 * in one trap.
 *
 *	pvmm_batch_begin();
 *	pvmm_batch_mmu_update(...);
 *	pvmm_batch_mmuext(...);
 *	err = pvmm_batch_end(&failure);
 *
 * begin and end nest; only the outermost end sends. Operations are applied in the order in which
 * they were queued; neighbours of one kind share a hypercall, several hypercalls a multicall.
 *
 * A refusal ends the batch: what was queued behind it is dropped, except that Xen itself goes on
 * with the later hypercalls of a multicall that was already sent. So an owner that undoes a failed
 * batch undoes all of it, with operations that are harmless where nothing was done.
 *
 * No lock is needed: the batch belongs to its vCPU. The caller must not be moved to another vCPU
 * between begin and end, and event handlers do not use the batch.
 */
#ifndef PVMM_BATCH_H
#define PVMM_BATCH_H

#include <pvmm/hypercall.h>
#include <pvmm/paging.h>

enum pvmm_batch_kind { PVMM_BATCH_MMU_UPDATE, PVMM_BATCH_MMUEXT };

/* The first operation that Xen refused: enough for a report that needs no debugger. */
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

PVMM_API void pvmm_batch_begin(void);

/*
 * Queues "store pte in the table entry at this machine address" (MMU_NORMAL_PT_UPDATE). Inside a
 * batch only; sends what is queued when the queue is full.
 */
PVMM_API void pvmm_batch_mmu_update(uint64_t entry_maddr, pvmm_pte_t pte);

/* Queues a pin, unpin, base pointer change or flush (xen/xen.h, struct mmuext_op). */
PVMM_API void pvmm_batch_mmuext(const struct mmuext_op *op);

/*
 * Closes the innermost begin. The outermost end sends what is queued and returns 0, or the error of
 * the first operation refused since its begin and, in *failure, which one it was. A caller that
 * passes NULL says that a refusal is impossible; one that happens is a panic with the report.
 * An inner end returns 0: its operations are still queued.
 */
PVMM_API int pvmm_batch_end(struct pvmm_batch_failure *failure);

/* One line that says what Xen refused, for reports: "pin L4 of mfn 0x7b60b: -EINVAL (-22)". */
PVMM_API void pvmm_batch_describe(const struct pvmm_batch_failure *failure, char *buf,
				  size_t len_bytes);

/* "EINVAL" for -22 or 22; "unknown error" for what Xen's errno.h does not list. */
PVMM_API const char *pvmm_errno_name(int err);

/* What this vCPU's batches have done since boot. */
struct pvmm_batch_stats {
	uint64_t traps;	      /* hypercalls made */
	uint64_t mmu_updates; /* operations by kind, applied or refused */
	uint64_t mmuext_ops;
	uint64_t refused;
};

PVMM_API struct pvmm_batch_stats pvmm_batch_stats(void);

#endif
