/* SPDX-License-Identifier: MIT */
/*
 * Owns each vCPU's queue of page-table operations.
 *
 * Two arrays hold the operations by kind; calls[] says which slices of them go to Xen in which
 * order. Neighbours of one kind extend the slice, so a batch that makes a hundred pages read-only
 * and pins one is two hypercalls in one multicall. Flushes are not queued but collected, and become
 * a hypercall of their own behind everything else.
 *
 * Invariant: sum of calls[i].nr of a kind == nr_updates or nr_exts; nothing is queued while depth
 * is 0; failure.err is 0 until Xen refuses something, and from then on nothing but flushes is
 * queued or sent until the outermost end.
 */
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/stats.h>
#include <pvmm/vcpu.h>

#define BATCH_EXTS  64
#define BATCH_CALLS 32

/* More single addresses than this are one flush of everything; the same measurement. */
#define FLUSH_VAS 16

struct batch_call {
	enum pvmm_batch_kind kind;
	bool is_flush;
	unsigned int first; /* index in the array of its kind */
	unsigned int nr;
	unsigned int done; /* Xen's count of operations applied */
};

struct batch {
	unsigned int depth;
	unsigned int nr_updates, nr_exts, nr_calls;
	unsigned int nr_before; /* operations since the outermost begin that are no longer queued */
	bool first_has_va;	/* updates[0] is the L1 entry of va, in the loaded tables */
	pvmm_va_t va;
	struct batch_call calls[BATCH_CALLS];
	struct multicall_entry multi[BATCH_CALLS];
	struct mmu_update updates[PVMM_BATCH_UPDATES];
	struct mmuext_op exts[BATCH_EXTS];
	uintptr_t update_callers[PVMM_BATCH_UPDATES];
	uintptr_t ext_callers[BATCH_EXTS];

	bool flush_all;
	unsigned int nr_flush_vas;
	uintptr_t flush_caller; /* who asked last */
	pvmm_va_t flush_vas[FLUSH_VAS];

	struct pvmm_batch_failure failure;
	pvmm_batch_refusal_fn *on_refusal;
	void *on_refusal_ctx;
	struct pvmm_batch_stats stats;
};

/* The boot vCPU needs one before there is memory; the others bring theirs. */
static struct batch boot_batch;
static struct batch *batches[PVMM_MAX_VCPUS] = {&boot_batch};

size_t pvmm_batch_bytes(void)
{
	return sizeof(struct batch);
}

void pvmm_batch_give(unsigned int vcpu, void *storage)
{
	batches[vcpu] = storage;
}

static struct batch *this_batch(void)
{
	return batches[pvmm_this_vcpu()];
}

/* --- what was not applied --- */

/* The report of the nth operation of a call. */
static struct pvmm_batch_failure failure_at(const struct batch *b, const struct batch_call *call,
					    unsigned int nth, int err)
{
	struct pvmm_batch_failure f = {
		.err = err,
		.kind = call->kind,
		.index = b->nr_before + nth,
		.applied = call->done,
	};

	for (const struct batch_call *before = b->calls; before != call; before++)
		f.index += before->nr;
	if (call->kind == PVMM_BATCH_MMU_UPDATE) {
		f.op.update = b->updates[call->first + nth];
		f.caller = b->update_callers[call->first + nth];
	} else {
		f.op.ext = b->exts[call->first + nth];
		f.caller = b->ext_callers[call->first + nth];
	}
	return f;
}

PVMM_NORETURN static void refused_impossible(const struct pvmm_batch_failure *f)
{
	char what[128];

	pvmm_batch_describe(f, what, sizeof(what));
	pvmm_panic(
		"Xen refused what cannot be refused: %s; operation %u of the batch, queued by %pS",
		what, f->index, (void *)f->caller);
}

/* A hypercall stopped at an operation: notes it, and tells the owner of it and of those behind. */
static void note_failure(struct batch *b, const struct batch_call *call, int err)
{
	struct pvmm_batch_failure f = failure_at(b, call, call->done, err);

	b->stats.refused++;
	if (call->is_flush)
		refused_impossible(&f);
	if (!b->failure.err)
		b->failure = f;
	if (!b->on_refusal)
		return;
	for (unsigned int i = call->done; i < call->nr; i++) {
		f = failure_at(b, call, i, err);
		b->on_refusal(&f, i == call->done, b->on_refusal_ctx);
	}
}

/* --- sending --- */

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

/*
 * Whether all there is to send is the entry of one address and at most its flush: what
 * update_va_mapping is made for.
 */
static bool is_va_mapping(const struct batch *b)
{
	const struct batch_call *last = &b->calls[b->nr_calls - 1];

	if (!b->first_has_va || b->nr_updates != 1 || b->nr_exts > 1)
		return false;
	return !b->nr_exts || (last->is_flush && b->exts[0].cmd == MMUEXT_INVLPG_ALL &&
			       b->exts[0].arg1.linear_addr == b->va);
}

static void send_va_mapping(struct batch *b)
{
	uint64_t flush = b->nr_exts ? UVMF_INVLPG | UVMF_ALL : UVMF_NONE;
	int err = pvmm_hc_update_va_mapping(b->va, b->updates[0].val, flush);

	if (!err)
		return;
	note_failure(b, &b->calls[0], err);
	/* Its flush was not made either, and an earlier part of the batch may need that. */
	if (b->nr_exts)
		send_single(b, &b->calls[1]);
}

static void send(struct batch *b)
{
	if (!b->nr_calls)
		return;

	b->stats.traps++;
	b->stats.mmu_updates += b->nr_updates;
	b->stats.mmuext_ops += b->nr_exts;
	b->stats.merged += b->nr_updates + b->nr_exts - b->nr_calls;

	if (is_va_mapping(b))
		send_va_mapping(b);
	else if (b->nr_calls == 1)
		send_single(b, &b->calls[0]);
	else
		send_multi(b);

	b->nr_before += b->nr_updates + b->nr_exts;
	b->nr_updates = b->nr_exts = b->nr_calls = 0;
	b->first_has_va = false;
}

/* --- queueing --- */

static void require_open(const struct batch *b, const void *caller)
{
	if (!b->depth)
		pvmm_panic("page-table operation queued outside a batch, by %pS", caller);
}

static bool is_full(const struct batch *b, bool joins)
{
	/* One call stays free for the flushes. */
	return b->nr_updates == PVMM_BATCH_UPDATES || b->nr_exts == BATCH_EXTS ||
	       (!joins && b->nr_calls == BATCH_CALLS - 1);
}

/* Counts one more operation of this kind into a slice, a new one if it cannot join the last. */
static void extend_calls(struct batch *b, enum pvmm_batch_kind kind)
{
	struct batch_call *last = b->nr_calls ? &b->calls[b->nr_calls - 1] : NULL;

	if (last && last->kind == kind && !last->is_flush) {
		last->nr++;
		return;
	}
	b->calls[b->nr_calls++] = (struct batch_call){
		.kind = kind,
		.first = kind == PVMM_BATCH_MMU_UPDATE ? b->nr_updates : b->nr_exts,
		.nr = 1,
	};
}

/*
 * Makes room for one operation of this kind and counts it in. False after a refusal: the operation
 * is dropped, and its owner told.
 */
static bool make_room(struct batch *b, struct pvmm_batch_failure *op)
{
	const struct batch_call *last = b->nr_calls ? &b->calls[b->nr_calls - 1] : NULL;

	require_open(b, (void *)op->caller);
	if (!b->failure.err && is_full(b, last && last->kind == op->kind))
		send(b);
	if (b->failure.err) {
		op->err = b->failure.err;
		op->index = b->nr_before++;
		if (b->on_refusal)
			b->on_refusal(op, false, b->on_refusal_ctx);
		return false;
	}
	extend_calls(b, op->kind);
	return true;
}

static void queue_update(uint64_t entry_maddr, pvmm_pte_t pte, void *caller)
{
	struct pvmm_batch_failure op = {
		.kind = PVMM_BATCH_MMU_UPDATE,
		.caller = (uintptr_t)caller,
		.op.update = {.ptr = entry_maddr | MMU_NORMAL_PT_UPDATE, .val = pte},
	};
	struct batch *b = this_batch();

	if (!make_room(b, &op))
		return;
	b->update_callers[b->nr_updates] = op.caller;
	b->updates[b->nr_updates++] = op.op.update;
}

void pvmm_batch_mmu_update(uint64_t entry_maddr, pvmm_pte_t pte)
{
	queue_update(entry_maddr, pte, __builtin_return_address(0));
}

void pvmm_batch_va_mapping(pvmm_va_t va, uint64_t entry_maddr, pvmm_pte_t pte, bool flush)
{
	struct batch *b = this_batch();

	queue_update(entry_maddr, pte, __builtin_return_address(0));
	if (b->nr_updates == 1) {
		b->first_has_va = true;
		b->va = va;
	}
	if (flush)
		pvmm_batch_flush_va(va);
}

void pvmm_batch_mmuext(const struct mmuext_op *ext)
{
	struct pvmm_batch_failure op = {
		.kind = PVMM_BATCH_MMUEXT,
		.caller = (uintptr_t)__builtin_return_address(0),
		.op.ext = *ext,
	};
	struct batch *b = this_batch();

	if (!make_room(b, &op))
		return;
	b->ext_callers[b->nr_exts] = op.caller;
	b->exts[b->nr_exts++] = *ext;
}

pvmm_pte_t pvmm_batch_read(uint64_t entry_maddr, pvmm_pte_t stored)
{
	const struct batch *b = this_batch();

	for (unsigned int i = b->nr_updates; i > 0; i--)
		if (b->updates[i - 1].ptr == (entry_maddr | MMU_NORMAL_PT_UPDATE))
			return b->updates[i - 1].val;
	return stored;
}

/* --- flushes --- */

void pvmm_batch_flush_va(pvmm_va_t va)
{
	struct batch *b = this_batch();

	require_open(b, __builtin_return_address(0));
	va &= PVMM_PAGE_MASK;
	for (unsigned int i = 0; !b->flush_all && i < b->nr_flush_vas; i++)
		if (b->flush_vas[i] == va) {
			b->stats.flushes_saved++;
			return;
		}
	if (b->flush_all || b->nr_flush_vas == FLUSH_VAS) {
		b->stats.flushes_saved += b->flush_all;
		b->flush_all = true;
		return;
	}
	b->flush_vas[b->nr_flush_vas++] = va;
	b->flush_caller = (uintptr_t)__builtin_return_address(0);
}

void pvmm_batch_flush_all(void)
{
	struct batch *b = this_batch();

	require_open(b, __builtin_return_address(0));
	b->stats.flushes_saved += b->flush_all;
	b->flush_all = true;
	b->flush_caller = (uintptr_t)__builtin_return_address(0);
}

/* Turns the collected flushes into a call of their own: one that an earlier refusal cannot stop. */
static void queue_flushes(struct batch *b)
{
	unsigned int nr = b->flush_all ? 1 : b->nr_flush_vas;

	if (!nr)
		return;
	if (b->nr_exts + nr > BATCH_EXTS)
		send(b);

	b->calls[b->nr_calls++] = (struct batch_call){
		.kind = PVMM_BATCH_MMUEXT, .is_flush = true, .first = b->nr_exts, .nr = nr};
	for (unsigned int i = 0; i < nr; i++) {
		b->ext_callers[b->nr_exts] = b->flush_caller;
		b->exts[b->nr_exts++] = (struct mmuext_op){
			.cmd = b->flush_all ? MMUEXT_TLB_FLUSH_ALL : MMUEXT_INVLPG_ALL,
			.arg1.linear_addr = b->flush_all ? 0 : b->flush_vas[i],
		};
	}
	b->stats.flushes += nr;
	if (b->flush_all)
		b->stats.flushes_saved += b->nr_flush_vas;
	b->flush_all = false;
	b->nr_flush_vas = 0;
}

/* --- begin and end --- */

void pvmm_batch_begin(void)
{
	struct batch *b = this_batch();

	if (b->depth++)
		return;
	b->nr_before = 0;
	b->on_refusal = NULL;
	b->failure = (struct pvmm_batch_failure){0};
}

void pvmm_batch_on_refusal(pvmm_batch_refusal_fn *fn, void *ctx)
{
	struct batch *b = this_batch();

	require_open(b, __builtin_return_address(0));
	b->on_refusal = fn;
	b->on_refusal_ctx = ctx;
}

int pvmm_batch_end(struct pvmm_batch_failure *failure)
{
	struct batch *b = this_batch();

	if (!b->depth)
		pvmm_panic("batch ended that was not begun, by %pS", __builtin_return_address(0));
	if (b->depth > 1) {
		b->depth--;
		return 0;
	}

	queue_flushes(b);
	send(b);
	b->depth = 0;
	if (!b->failure.err)
		return 0;
	if (!failure)
		refused_impossible(&b->failure);
	*failure = b->failure;
	return failure->err;
}

bool pvmm_batch_is_open(void)
{
	return this_batch()->depth;
}

void pvmm_batch_assert_closed(const char *where)
{
	const struct batch *b = this_batch();

	if (b->depth)
		pvmm_panic("a batch is open (depth %u, %u operations queued) at %s, by %pS",
			   b->depth, b->nr_updates + b->nr_exts, where,
			   __builtin_return_address(0));
}

struct pvmm_batch_stats pvmm_batch_stats(void)
{
	return this_batch()->stats;
}
