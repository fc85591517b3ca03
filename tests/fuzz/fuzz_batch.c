/* SPDX-License-Identifier: MIT */
/*
 * The batch (include/pvmm/batch.h) alone, against a Xen that only takes notes and refuses what the
 * input says. R12, R43, R46, XEN-RULES 28 and 36:
 *
 *	what arrives is what was queued, in its order
 *	every operation is applied, or refused, or behind a refused one, and its owner is told which
 *	the refusal is reported with the right operation, index, count and caller
 *	after a refusal nothing is sent but flushes, and every flush asked for is sent
 */
#include <stdarg.h>
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/symbol.h>
#include <pvmm/vcpu.h>
#include "tests/fuzz/fuzz.h"

enum { MAX_QUEUED = 4096, MAX_FLUSHES = 1024, VCPUS = 2 };

enum fate { WAITING, APPLIED, REFUSED, BEHIND };

/* Which function queues; each call site is a caller of its own. */
enum site { UPDATE_0, UPDATE_1, EXT_0, EXT_1, MAPPING_0, MAPPING_1, SITES };

struct op {
	enum pvmm_batch_kind kind;
	uint64_t a, b; /* ptr and val; cmd and argument */
	uint64_t va;   /* of a mapping */
	uintptr_t caller;
	enum fate fate;
};

/* One vCPU's batch, as it must be. */
static struct side {
	struct op ops[MAX_QUEUED];
	unsigned int nr_ops, nr_sent;  /* sent: those before have met their fate */
	uint64_t flushes[MAX_FLUSHES]; /* asked for: addresses, or ALL */
	bool flushed[MAX_FLUSHES];
	unsigned int nr_flushes;
	unsigned int depth, told; /* told: refusals heard of, by position */
	bool listens;
	int err;
	unsigned int applied_before;
	bool refused_trap; /* a trap with a refusal is over */
} sides[VCPUS];

#define ALL UINT64_MAX

static unsigned int vcpu;
static struct fuzz_input input;
static unsigned int refuse_every; /* 0: never */
static unsigned int refuse_count;
static uintptr_t callers[SITES];

unsigned int pvmm_this_vcpu(void)
{
	return vcpu;
}

void pvmm_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

const char *pvmm_symbol_lookup(uintptr_t addr, uintptr_t *offset)
{
	(void)addr, (void)offset;
	return NULL;
}

/* --- Xen's side --- */

static void flush(struct side *s, uint64_t what)
{
	for (unsigned int i = 0; i < s->nr_flushes; i++)
		if (what == ALL || s->flushes[i] == what)
			s->flushed[i] = true;
}

/* Takes the operation that is due; false if it is refused. */
static bool take_due(struct side *s, enum pvmm_batch_kind kind, uint64_t a, uint64_t b,
		     unsigned int applied_before)
{
	static const int errors[] = {-XEN_EINVAL, -XEN_EBUSY, -XEN_EPERM, -XEN_ENOMEM};
	struct op *op = &s->ops[s->nr_sent];

	fuzz_must(s->nr_sent < s->nr_ops && !s->refused_trap);
	fuzz_must(op->kind == kind && op->a == a && op->b == b);
	s->nr_sent++;
	if (!refuse_every || ++refuse_count % refuse_every) {
		op->fate = APPLIED;
		return true;
	}
	op->fate = REFUSED;
	if (!s->err) {
		s->err = errors[refuse_count % PVMM_ARRAY_SIZE(errors)];
		s->applied_before = applied_before;
	}
	return false;
}

static long take_list(unsigned int op, const uint64_t *a)
{
	const struct mmu_update *updates = (const struct mmu_update *)(uintptr_t)a[0];
	const struct mmuext_op *exts = (const struct mmuext_op *)(uintptr_t)a[0];
	unsigned int *done = (unsigned int *)(uintptr_t)a[2], i;
	struct side *s = &sides[vcpu];
	bool good = true;

	fuzz_must(op == __HYPERVISOR_mmu_update || op == __HYPERVISOR_mmuext_op);
	fuzz_must(a[1] && a[1] < MAX_QUEUED && a[3] == DOMID_SELF);
	for (i = 0; i < a[1] && good; i++) {
		if (op == __HYPERVISOR_mmu_update)
			good = take_due(s, PVMM_BATCH_MMU_UPDATE, updates[i].ptr, updates[i].val,
					i);
		else if (exts[i].cmd == MMUEXT_TLB_FLUSH_ALL)
			flush(s, ALL);
		else if (exts[i].cmd == MMUEXT_INVLPG_ALL)
			flush(s, exts[i].arg1.linear_addr);
		else
			good = take_due(s, PVMM_BATCH_MMUEXT, exts[i].cmd, exts[i].arg1.mfn, i);
	}
	*done = good ? i : i - 1;
	for (; i < a[1]; i++)
		s->ops[s->nr_sent++].fate = BEHIND;
	return good ? 0 : s->err;
}

static long take_va_mapping(const uint64_t *a)
{
	struct side *s = &sides[vcpu];
	const struct op *op = &s->ops[s->nr_sent];

	fuzz_must(op->va == a[0]);
	if (!take_due(s, PVMM_BATCH_MMU_UPDATE, op->a, a[1], 0))
		return s->err;
	fuzz_must(a[2] == UVMF_NONE || a[2] == (UVMF_INVLPG | UVMF_ALL));
	if (a[2])
		flush(s, a[0]);
	return 0;
}

static long take(unsigned int op, const uint64_t *a)
{
	return op == __HYPERVISOR_update_va_mapping ? take_va_mapping(a) : take_list(op, a);
}

long pvmm_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
		    unsigned int op)
{
	const uint64_t args[] = {a1, a2, a3, a4, a5};
	struct multicall_entry *calls = (struct multicall_entry *)(uintptr_t)a1;
	struct side *s = &sides[vcpu];
	long err = 0;

	if (op != __HYPERVISOR_multicall)
		err = take(op, args);
	for (uint64_t i = 0; op == __HYPERVISOR_multicall && i < a2; i++) {
		struct multicall_entry call = calls[i];

		call.result = (xen_ulong_t)take((unsigned int)call.op, call.args);
		memset(&calls[i], 0xaa, sizeof(calls[i])); /* rule 41 */
		calls[i].result = call.result;
	}
	s->refused_trap = s->err != 0;
	return err;
}

/* --- the guest's side --- */

/* Every operation that is not applied, once and in order. */
static void on_refusal(const struct pvmm_batch_failure *f, bool tried, void *ctx)
{
	struct side *s = ctx;
	struct op *op;

	while (s->told < s->nr_ops && s->ops[s->told].fate == APPLIED)
		s->told++;
	op = &s->ops[s->told];
	fuzz_must(s->told < s->nr_ops && f->index == s->told);
	/* The one for which room was being made. */
	if (op->fate == WAITING && s->err && s->told == s->nr_ops - 1)
		op->fate = BEHIND;
	fuzz_must(op->fate == (tried ? REFUSED : BEHIND));
	fuzz_must(f->kind == op->kind && f->caller == op->caller && f->err);
	s->told++;
}

/* Two functions, so that callers can be told apart; the compiler must not make one of them. */
#define QUEUE(n)                                                                              \
	__attribute__((noinline)) static void queue_##n(enum site site, const struct op *op,  \
							bool flushes)                         \
	{                                                                                     \
		const struct mmuext_op ext = {.cmd = (unsigned int)op->a, .arg1.mfn = op->b}; \
                                                                                              \
		__asm__ volatile("" ::"i"(n));                                                \
		if (site <= UPDATE_1)                                                         \
			pvmm_batch_mmu_update(op->a, op->b);                                  \
		else if (site <= EXT_1)                                                       \
			pvmm_batch_mmuext(&ext);                                              \
		else                                                                          \
			pvmm_batch_va_mapping(op->va, op->a, op->b, flushes);                 \
		__asm__ volatile("" ::"i"(n));                                                \
	}

QUEUE(0)
QUEUE(1)

static void ask_flush(uint64_t what)
{
	struct side *s = &sides[vcpu];

	s->flushed[s->nr_flushes] = false;
	s->flushes[s->nr_flushes++] = what;
}

static void queue(enum site site, struct op op, bool flushes)
{
	struct side *s = &sides[vcpu];

	if (s->nr_ops == MAX_QUEUED || s->nr_flushes == MAX_FLUSHES)
		return;
	op.caller = callers[site];
	op.kind = site == EXT_0 || site == EXT_1 ? PVMM_BATCH_MMUEXT : PVMM_BATCH_MMU_UPDATE;
	op.fate = s->err ? BEHIND : WAITING;
	s->ops[s->nr_ops++] = op;
	if (flushes && site >= MAPPING_0)
		ask_flush(op.va);
	(site & 1 ? queue_1 : queue_0)(site, &op, flushes);
	/* Making room may have met with a refusal. */
	if (s->err && s->ops[s->nr_ops - 1].fate == WAITING)
		s->ops[s->nr_ops - 1].fate = BEHIND;
}

static void check_read(uint64_t ptr)
{
	const struct side *s = &sides[vcpu];
	uint64_t expected = 0x5709ed;

	for (unsigned int i = s->nr_sent; !s->err && i < s->nr_ops; i++)
		if (s->ops[i].kind == PVMM_BATCH_MMU_UPDATE && s->ops[i].a == ptr)
			expected = s->ops[i].b;
	fuzz_must(pvmm_batch_read(ptr, 0x5709ed) == expected);
}

static void check_failure(const struct side *s, const struct pvmm_batch_failure *f)
{
	const struct op *op = &s->ops[f->index];
	char text[128];

	fuzz_must(f->err == s->err && f->applied == s->applied_before);
	fuzz_must(f->index < s->nr_ops && f->kind == op->kind && op->fate == REFUSED);
	fuzz_must(f->caller == op->caller);
	for (unsigned int i = 0; i < f->index; i++)
		fuzz_must(s->ops[i].fate == APPLIED);
	if (f->kind == PVMM_BATCH_MMU_UPDATE)
		fuzz_must(f->op.update.ptr == op->a && f->op.update.val == op->b);
	else
		fuzz_must(f->op.ext.cmd == op->a && f->op.ext.arg1.mfn == op->b);
	pvmm_batch_describe(f, text, sizeof(text));
	fuzz_must(text[0] && strlen(text) < sizeof(text));
}

static void begin(void)
{
	struct side *s = &sides[vcpu];

	if (s->depth == 8)
		return;
	pvmm_batch_begin();
	if (s->depth++)
		return;
	s->listens = fuzz_byte(&input) & 1;
	if (s->listens)
		pvmm_batch_on_refusal(on_refusal, s);
}

static void end(void)
{
	struct side *s = &sides[vcpu];
	struct pvmm_batch_failure failure = {0};
	int err = pvmm_batch_end(&failure);
	bool applied = false;

	if (--s->depth) {
		fuzz_must(!err);
		return;
	}
	fuzz_must(err == s->err);
	if (err)
		check_failure(s, &failure);
	for (unsigned int i = 0; i < s->nr_ops; i++) {
		fuzz_must(s->ops[i].fate == APPLIED || (err && s->ops[i].fate != WAITING));
		applied |= s->ops[i].fate == APPLIED;
	}
	/* Where nothing has changed there is nothing to flush. */
	for (unsigned int i = 0; i < s->nr_flushes; i++)
		fuzz_must(s->flushed[i] || (err && !applied));
	while (s->told < s->nr_ops && s->ops[s->told].fate == APPLIED)
		s->told++;
	fuzz_must(!err || !s->listens || s->told == s->nr_ops);
	s->nr_ops = s->nr_sent = s->nr_flushes = s->told = 0;
	s->err = 0;
	s->refused_trap = false;
}

static void flush_some(uint8_t arg, unsigned int nr)
{
	struct side *s = &sides[vcpu];

	for (unsigned int i = 0; i < nr && s->nr_flushes < MAX_FLUSHES; i++) {
		uint64_t va = 0x1000ULL * (arg + i);

		ask_flush(arg % 16 ? va : ALL);
		if (arg % 16)
			pvmm_batch_flush_va(va + i % 3);
		else
			pvmm_batch_flush_all();
	}
}

/* The extended operations but the flushes of all, which are the batch's own. */
static uint64_t ext_cmd(uint8_t arg)
{
	unsigned int cmd = arg % 24;

	return cmd == MMUEXT_TLB_FLUSH_ALL || cmd == MMUEXT_INVLPG_ALL ? MMUEXT_CLEAR_PAGE : cmd;
}

static void queue_some(uint8_t what, uint8_t arg, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct op update = {.a = 0x10000ULL * what + 8 * (i % 64), .b = arg + i};
		struct op ext = {.a = ext_cmd(arg), .b = 0x1000ULL * what + i};

		update.va = 0x1000ULL * (arg + i);
		if (what < 112)
			queue(UPDATE_0 + (what & 1), update, false);
		else if (what < 144)
			queue(MAPPING_0 + (what & 1), update, what & 2);
		else
			queue(EXT_0 + (what & 1), ext, false);
		if (arg & 1)
			check_read(update.a);
	}
}

static void step(void)
{
	static const uint8_t nr_of[] = {1, 1, 2, 20, 70, 130, 255};
	uint8_t what = fuzz_byte(&input), arg;
	unsigned int nr;

	if (what >= 248) {
		vcpu = !vcpu;
	} else if (!sides[vcpu].depth || what < 16) {
		begin();
	} else if (what < 48) {
		end();
	} else {
		arg = fuzz_byte(&input);
		nr = nr_of[arg % PVMM_ARRAY_SIZE(nr_of)];
		if (what >= 216)
			flush_some(arg, nr);
		else
			queue_some(what, arg, nr);
	}
}

static void forget(struct side *s)
{
	*s = (struct side){0};
}

/* Which addresses the callers report: each is refused once. */
static void learn_callers(void)
{
	for (unsigned int site = 0; site < SITES; site++) {
		struct pvmm_batch_failure failure = {0};

		refuse_every = 1;
		pvmm_batch_begin();
		queue((enum site)site, (struct op){.a = 16, .b = 1}, false);
		fuzz_must(pvmm_batch_end(&failure));
		callers[site] = failure.caller;
		for (unsigned int k = 0; k < site; k++)
			fuzz_must(callers[k] != callers[site]);
		forget(&sides[0]);
	}
}

/* Every vCPU but the first brings its batch, as at bring-up. */
static void give_batches(void)
{
	for (unsigned int i = 1; i < VCPUS; i++) {
		void *storage = calloc(1, pvmm_batch_bytes());

		fuzz_must(storage);
		pvmm_batch_give(i, storage);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct fuzz_input){data, data + size};
	vcpu = 0;
	if (!callers[0]) {
		give_batches();
		learn_callers();
	}
	refuse_every = fuzz_byte(&input) * 4u;
	refuse_count = fuzz_byte(&input) * 4u;
	while (fuzz_more(&input))
		step();
	for (vcpu = 0; vcpu < VCPUS; vcpu++)
		while (sides[vcpu].depth)
			end();
	return 0;
}
