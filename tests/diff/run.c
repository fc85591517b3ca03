/* SPDX-License-Identifier: MIT */
/*
 * Runs sequences one after the other and says what came of each in a line. Counts what happened, so
 * that it can be seen that the sequences are worth something.
 */
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/xen.h>
#include "sequence.h"

#define ALL_OPS UINT64_MAX

/* An arena that cannot be put back is left behind; that many times a run goes on with a new one. */
#define ARENAS_MAX 40u

#define ERRORS 128u

struct range {
	uint64_t first, count, mask;
};

static struct {
	uint64_t operations, accepted, refused[ERRORS], guarded;
	uint64_t pins[4], loads, user_roots, owned[DIFF_KINDS];
	uint64_t sequences, with_l4;
} count;

static struct diff_op ops[DIFF_OPS];
static unsigned int lost_arenas;

/* A number up to a character that ends it; false if there is none, or it does not fit. */
static bool parse(const char **at, unsigned int base, uint64_t *value)
{
	const char *start = *at;

	for (*value = 0;; (*at)++) {
		unsigned int c = (unsigned char)**at, digit = c - '0';

		if (base == 16 && c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		if (digit >= base)
			break;
		if (*value > (UINT64_MAX - digit) / base)
			return false;
		*value = *value * base + digit;
	}
	return *at != start;
}

static bool parse_range(const char **at, struct range *r)
{
	r->mask = ALL_OPS;
	if (!parse(at, 10, &r->first) || *(*at)++ != ':' || !parse(at, 10, &r->count))
		return false;
	if (**at == ':') {
		(*at)++;
		if (!parse(at, 16, &r->mask))
			return false;
	}
	if (**at == ',')
		return *++*at;
	return !**at;
}

const char *diff_check(const char *what)
{
	struct range r;

	do
		if (!parse_range(&what, &r))
			return "is not FIRST:COUNT[:MASK][,...]";
	while (*what);
	return NULL;
}

static void count_error(int64_t ret)
{
	count.operations++;
	if (ret == DIFF_GUARDED)
		count.guarded++;
	else if (ret >= 0)
		count.accepted++;
	else
		count.refused[-ret < (int64_t)ERRORS ? -ret : 0]++;
}

static void count_ext(const struct diff_item *item, bool *l4)
{
	if (item->cmd <= MMUEXT_PIN_L4_TABLE) {
		count.pins[item->cmd]++;
		*l4 |= item->cmd == MMUEXT_PIN_L4_TABLE;
	} else if (item->cmd == MMUEXT_NEW_USER_BASEPTR && item->page != FRAME_NONE) {
		count.user_roots++;
		*l4 = true;
	}
}

/* Of the operations behind DIFF_HUGE: pages exchanged, given up, mapped by a grant, and so on. */
static void count_owned(const struct diff_op *op, const struct diff_result *r)
{
	switch (op->kind) {
	case DIFF_EXCHANGE:
		for (unsigned int i = 0; i < op->nr; i++)
			count.owned[op->kind] += (uint64_t)r->item[i] & 1;
		break;
	case DIFF_BALLOON:
	case DIFF_INCREASE:
		count.owned[op->kind] +=
			(uint64_t)(r->ret > 0 && r->ret != DIFF_GUARDED ? r->ret : 0);
		break;
	case DIFF_GRANT:
		count.owned[op->kind] += !r->ret && !r->item[0];
		break;
	case DIFF_GDT:
	case DIFF_DESCRIPTOR:
		count.owned[op->kind] += !r->ret;
		break;
	default:
		break;
	}
}

/* l4: whether a page of the arena became a valid root. */
static void count_result(const struct diff_op *op, const struct diff_result *r, bool *l4)
{
	uint32_t done = r->done == DIFF_NOT_DONE ? 0 : r->done;

	if (op->kind == DIFF_STORE || op->kind == DIFF_KERNEL_HALF)
		return;
	if (op->kind == DIFF_MULTICALL) {
		for (unsigned int i = 0; i < op->nr; i++) {
			count_error((int32_t)r->item[i]);
			if (op->item[i].kind == DIFF_EXT && !(int32_t)r->item[i])
				count_ext(&op->item[i], l4);
		}
		return;
	}
	count_error(r->ret);
	count_owned(op, r);
	if (op->kind == DIFF_UPDATE || op->kind == DIFF_EXT) {
		count.operations += done;
		count.accepted += done;
	}
	for (unsigned int i = 0; op->kind == DIFF_EXT && i < done && i < op->nr; i++)
		count_ext(&op->item[i], l4);
	if (op->kind == DIFF_LOAD && !r->ret && op->item[0].page < DIFF_PAGES) {
		count.loads++;
		*l4 = true;
	}
}

static uint64_t hash_result(uint64_t hash, const struct diff_result *r)
{
	hash = diff_hash(diff_hash(hash, (uint64_t)(int64_t)r->ret), r->done);
	for (unsigned int i = 0; i < DIFF_ITEMS; i++)
		hash = diff_hash(hash, (uint64_t)r->item[i]);
	return hash;
}

static uint64_t hash_state(uint64_t hash, const struct diff_state *s)
{
	for (unsigned int i = 0; i < DIFF_WINDOW; i++)
		hash = diff_hash(hash, s->window[i]);
	for (unsigned int i = 0; i < DIFF_PAGES; i++) {
		hash = diff_hash(diff_hash(hash, s->content[i]), s->direct[i]);
		hash = diff_hash(hash, (uint64_t)(int64_t)s->writable[i]);
		for (unsigned int level = 0; level < PVMM_ARRAY_SIZE(s->pin[i]); level++)
			hash = diff_hash(hash, (uint64_t)(int64_t)s->pin[i][level]);
		hash = diff_hash(hash, (uint64_t)(int64_t)diff_arena.unpin[i]);
		hash = diff_hash(hash, (uint64_t)(int64_t)diff_arena.gone[i]);
	}
	return hash;
}

static void say_op(unsigned int nr, const struct diff_op *op, const struct diff_result *r)
{
	char text[256], line[320];

	for (unsigned int i = 0; i < op->nr; i++) {
		diff_describe(op, i, text, sizeof(text));
		pvmm_snprintf(line, sizeof(line), "%2u.%u %s", nr, i, text);
		diff_arena.machine->say(line);
	}
	diff_describe_result(op, r, text, sizeof(text));
	pvmm_snprintf(line, sizeof(line), "%2u -> %s", nr, text);
	diff_arena.machine->say(line);
}

/* False if the arena could not be put back and there is no other. */
static bool clean(void)
{
	unsigned int page;
	char line[160];
	int err;
	const char *what = diff_arena_clean(&page, &err);

	if (!what)
		return true;
	pvmm_snprintf(line, sizeof(line), "diff: page %u cannot be %s afterwards: %d", page, what,
		      err);
	diff_arena.machine->say(line);
	return ++lost_arenas < ARENAS_MAX && diff_arena_create(diff_arena.machine);
}

static void say_lost(uint64_t seed, unsigned int nr)
{
	char line[96];

	pvmm_snprintf(line, sizeof(line), "diff lost: sequence %llu leaves %u frames in use",
		      (unsigned long long)seed, nr);
	diff_arena.machine->say(line);
}

static bool run_one(uint64_t seed, uint64_t mask, bool words)
{
	unsigned int lost = diff_arena.lost_frames;
	struct diff_result result;
	struct diff_state state;
	bool cleaned, l4 = false;
	uint64_t hash = 0;
	char line[96];

	diff_generate(seed, ops);
	for (unsigned int i = 0; i < DIFF_OPS; i++) {
		if (!(mask >> i & 1))
			continue;
		result = diff_execute(&ops[i]);
		hash = hash_result(hash, &result);
		count_result(&ops[i], &result, &l4);
		if (words)
			say_op(i, &ops[i], &result);
	}
	if (words)
		diff_describe_contents(diff_arena.machine->say);
	diff_look(&state);
	cleaned = clean();
	if (diff_arena.lost_frames != lost)
		say_lost(seed, diff_arena.lost_frames - lost);
	if (words)
		diff_describe_state(&state, diff_arena.machine->say);
	count.sequences++;
	count.with_l4 += l4;
	pvmm_snprintf(line, sizeof(line), "diff %llu %llx %016llx", (unsigned long long)seed,
		      (unsigned long long)mask, (unsigned long long)hash_state(hash, &state));
	diff_arena.machine->say(line);
	return cleaned;
}

static void say_counts(void)
{
	const struct {
		const char *name;
		uint64_t value;
	} list[] = {
		{"sequences", count.sequences},
		{"with a valid L4", count.with_l4},
		{"operations", count.operations},
		{"accepted", count.accepted},
		{"not done", count.guarded},
		{"pinned L1", count.pins[0]},
		{"pinned L2", count.pins[1]},
		{"pinned L3", count.pins[2]},
		{"pinned L4", count.pins[3]},
		{"roots loaded", count.loads},
		{"user roots", count.user_roots},
		{"pages exchanged", count.owned[DIFF_EXCHANGE]},
		{"pages given up", count.owned[DIFF_BALLOON]},
		{"grants (un)mapped", count.owned[DIFF_GRANT]},
		{"GDTs set", count.owned[DIFF_GDT]},
		{"descriptors set", count.owned[DIFF_DESCRIPTOR]},
	};
	char line[96];

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(list); i++) {
		pvmm_snprintf(line, sizeof(line), "diff count: %s %llu", list[i].name,
			      (unsigned long long)list[i].value);
		diff_arena.machine->say(line);
	}
	for (unsigned int e = 0; e < ERRORS; e++) {
		if (!count.refused[e])
			continue;
		pvmm_snprintf(line, sizeof(line), "diff count: refused -%s %llu",
			      pvmm_errno_name((int)e), (unsigned long long)count.refused[e]);
		diff_arena.machine->say(line);
	}
}

bool diff_run(const char *what, bool words, const struct diff_machine *machine)
{
	bool going = diff_arena_create(machine);
	struct range r;

	while (going && *what && parse_range(&what, &r))
		for (uint64_t i = 0; going && i < r.count; i++)
			going = run_one(r.first + i, r.mask, words);
	if (going)
		say_counts();
	else
		machine->say("diff: cannot go on");
	return going && !lost_arenas;
}
