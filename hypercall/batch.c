/* SPDX-License-Identifier: MIT */
/*
 * Owns each vCPU's queue of page-table operations.
 *
 * Two arrays hold the operations by kind; calls[] says which slices of them go to Xen in which
 * order. Neighbours of one kind extend the slice, so a batch that makes a hundred pages read-only
 * and pins one is two hypercalls in one multicall.
 *
 * Invariant: sum of calls[i].nr of a kind == nr_updates or nr_exts; nothing is queued while depth
 * is 0; failure.err is 0 until Xen refuses something, and from then on nothing is queued or sent
 * until the outermost end.
 */
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/vcpu.h>

/*
 * A fork of a small process makes some 10 tables and a large pinned tree some hundreds: 512 updates
 * (8 KiB) hold all but the largest in one trap. Pins, flushes and base pointers come in ones.
 */
#define BATCH_UPDATES 512
#define BATCH_EXTS    64
#define BATCH_CALLS   32

struct batch_call {
	enum pvmm_batch_kind kind;
	unsigned int first; /* index in the array of its kind */
	unsigned int nr;
	unsigned int done; /* Xen's count of operations applied */
};

struct batch {
	unsigned int depth;
	unsigned int nr_updates, nr_exts, nr_calls;
	unsigned int sent; /* operations sent since the outermost begin */
	struct batch_call calls[BATCH_CALLS];
	struct multicall_entry multi[BATCH_CALLS];
	struct mmu_update updates[BATCH_UPDATES];
	struct mmuext_op exts[BATCH_EXTS];
	uintptr_t update_callers[BATCH_UPDATES];
	uintptr_t ext_callers[BATCH_EXTS];
	struct pvmm_batch_failure failure;
	struct pvmm_batch_stats stats;
};

static struct batch batches[PVMM_MAX_VCPUS];

static struct batch *this_batch(void)
{
	return &batches[pvmm_this_vcpu()];
}

/* Fills in the report for the operation at which a refused hypercall stopped. */
static void note_failure(struct batch *b, const struct batch_call *call, int err)
{
	struct pvmm_batch_failure *f = &b->failure;
	unsigned int at = call->first + call->done;
	unsigned int index = b->sent;

	b->stats.refused++;
	if (f->err)
		return;

	for (const struct batch_call *c = b->calls; c != call; c++)
		index += c->nr;

	f->err = err;
	f->kind = call->kind;
	f->index = index + call->done;
	f->applied = call->done;
	if (call->kind == PVMM_BATCH_MMU_UPDATE) {
		f->caller = b->update_callers[at];
		f->op.update = b->updates[at];
	} else {
		f->caller = b->ext_callers[at];
		f->op.ext = b->exts[at];
	}
}

/* One hypercall for one slice: no multicall around it. */
static void send_single(struct batch *b, struct batch_call *call)
{
	int err;

	if (call->kind == PVMM_BATCH_MMU_UPDATE)
		err = pvmm_hc_mmu_update(&b->updates[call->first], call->nr, &call->done);
	else
		err = pvmm_hc_mmuext_op(&b->exts[call->first], call->nr, &call->done);
	if (err)
		note_failure(b, call, err);
}

static void send_multi(struct batch *b)
{
	int err;

	for (unsigned int i = 0; i < b->nr_calls; i++) {
		struct batch_call *call = &b->calls[i];
		bool is_update = call->kind == PVMM_BATCH_MMU_UPDATE;

		b->multi[i] = (struct multicall_entry){
			.op = is_update ? __HYPERVISOR_mmu_update : __HYPERVISOR_mmuext_op,
			.args = {is_update ? pvmm_arg(&b->updates[call->first])
					   : pvmm_arg(&b->exts[call->first]),
				 call->nr, pvmm_arg(&call->done), PVMM_SELF},
		};
	}

	err = pvmm_hc_multicall(b->multi, b->nr_calls);
	if (err)
		pvmm_panic("multicall of %u entries at 0x%lx refused: %s (%d)", b->nr_calls,
			   (unsigned long)pvmm_arg(b->multi), pvmm_errno_name(err), err);

	/* Only result may be read back: a debug hypervisor poisons the rest of each entry. */
	for (unsigned int i = 0; i < b->nr_calls; i++) {
		err = (int)b->multi[i].result;
		if (err)
			note_failure(b, &b->calls[i], err);
	}
}

static void send(struct batch *b)
{
	if (!b->nr_calls)
		return;

	b->stats.traps++;
	b->stats.mmu_updates += b->nr_updates;
	b->stats.mmuext_ops += b->nr_exts;

	if (b->nr_calls == 1)
		send_single(b, &b->calls[0]);
	else
		send_multi(b);

	b->sent += b->nr_updates + b->nr_exts;
	b->nr_updates = b->nr_exts = b->nr_calls = 0;
}

/* Makes room for one operation of this kind and counts it into a slice; NULL after a refusal. */
static struct batch *queue_slot(enum pvmm_batch_kind kind, void *caller)
{
	struct batch *b = this_batch();
	struct batch_call *last;
	bool joins;

	if (!b->depth)
		pvmm_panic("page-table operation queued outside a batch, by %pS", caller);
	if (b->failure.err)
		return NULL;

	last = b->nr_calls ? &b->calls[b->nr_calls - 1] : NULL;
	joins = last && last->kind == kind;
	if (b->nr_updates == BATCH_UPDATES || b->nr_exts == BATCH_EXTS ||
	    (!joins && b->nr_calls == BATCH_CALLS)) {
		send(b);
		if (b->failure.err)
			return NULL;
		joins = false;
	}

	if (joins) {
		last->nr++;
	} else {
		b->calls[b->nr_calls++] = (struct batch_call){
			.kind = kind,
			.first = kind == PVMM_BATCH_MMU_UPDATE ? b->nr_updates : b->nr_exts,
			.nr = 1,
		};
	}
	return b;
}

void pvmm_batch_begin(void)
{
	struct batch *b = this_batch();

	if (b->depth++)
		return;
	b->sent = 0;
	b->failure = (struct pvmm_batch_failure){0};
}

void pvmm_batch_mmu_update(uint64_t entry_maddr, pvmm_pte_t pte)
{
	void *caller = __builtin_return_address(0);
	struct batch *b = queue_slot(PVMM_BATCH_MMU_UPDATE, caller);

	if (!b)
		return;
	b->update_callers[b->nr_updates] = (uintptr_t)caller;
	b->updates[b->nr_updates++] = (struct mmu_update){
		.ptr = entry_maddr | MMU_NORMAL_PT_UPDATE,
		.val = pte,
	};
}

void pvmm_batch_mmuext(const struct mmuext_op *op)
{
	void *caller = __builtin_return_address(0);
	struct batch *b = queue_slot(PVMM_BATCH_MMUEXT, caller);

	if (!b)
		return;
	b->ext_callers[b->nr_exts] = (uintptr_t)caller;
	b->exts[b->nr_exts++] = *op;
}

int pvmm_batch_end(struct pvmm_batch_failure *failure)
{
	struct batch *b = this_batch();
	char what[128];

	if (!b->depth)
		pvmm_panic("batch ended that was not begun, by %pS", __builtin_return_address(0));
	if (--b->depth)
		return 0;

	send(b);
	if (!b->failure.err)
		return 0;

	if (!failure) {
		pvmm_batch_describe(&b->failure, what, sizeof(what));
		pvmm_panic(
			"Xen refused what cannot be refused: %s; operation %u of the batch, queued by %pS",
			what, b->failure.index, (void *)b->failure.caller);
	}
	*failure = b->failure;
	return failure->err;
}

struct pvmm_batch_stats pvmm_batch_stats(void)
{
	return this_batch()->stats;
}
