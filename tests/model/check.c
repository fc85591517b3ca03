/* SPDX-License-Identifier: MIT */
/*
 * Audits the model: works out every count from the tables alone, sharing nothing with the code that
 * keeps the counts but the shape of an entry, and compares.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/model/state.h"

struct expected {
	uint64_t refs, type_count;
	int64_t linear;
};

static unsigned int problems;
static struct expected *expected; /* by page of the memory file */

static struct expected *expect(uint64_t mfn)
{
	return &expected[frame_at(mfn)->store];
}

static void problem(uint64_t mfn, const char *what, uint64_t is, uint64_t should)
{
	const struct frame *f = frame_at(mfn);

	problems++;
	if (problems <= 20)
		fprintf(stderr,
			"model: mfn 0x%llx (type %d, count %llu, refs %llu%s%s): %s is 0x%llx, should be 0x%llx\n",
			(unsigned long long)mfn, f->s.type, (unsigned long long)f->s.type_count,
			(unsigned long long)f->s.refs, f->s.pinned ? ", pinned" : "",
			f->s.validated ? ", validated" : "", what, (unsigned long long)is,
			(unsigned long long)should);
}

/* Adds what one entry of a validated table holds. */
static void count_entry(uint64_t table, unsigned int level, uint64_t pte)
{
	uint64_t mfn = (pte & PVMM_PTE_FRAME_MASK) >> PVMM_PAGE_SHIFT;
	const struct frame *f;

	if (!(pte & PVMM_PTE_PRESENT) || (level > 1 && mfn == table))
		return;
	f = mfn < model.nr_mfns ? frame_at(mfn) : NULL;
	if (level == 1 && (!f || f->s.owner == MODEL_IO || f->s.owner == MODEL_HOLE))
		return;
	if (!f || f->s.owner != MODEL_GUEST) {
		problem(table, "an entry to a frame of others", pte, 0);
		return;
	}

	expect(mfn)->refs++;
	if (level == 1) {
		expect(mfn)->type_count += (pte & PVMM_PTE_RW) != 0;
		if ((pte & PVMM_PTE_RW) && f->s.type != MODEL_WRITABLE)
			problem(mfn, "type of a page mapped writable", f->s.type, MODEL_WRITABLE);
		return;
	}
	expect(mfn)->type_count++;
	if (f->s.type == (enum model_type)level) {
		expect(table)->linear++;
		expect(mfn)->linear--;
	} else if (f->s.type != (enum model_type)(level - 1)) {
		problem(mfn, "type of a table in use", f->s.type, level - 1);
	}
}

static void count_root(uint64_t mfn)
{
	if (mfn == NO_MFN)
		return;
	expect(mfn)->refs++;
	expect(mfn)->type_count++;
	if (frame_at(mfn)->s.type != MODEL_L4)
		problem(mfn, "type of a loaded root", frame_at(mfn)->s.type, MODEL_L4);
}

static void compare(uint64_t mfn)
{
	const struct expected *e = expect(mfn);
	const struct model_frame *s = &frame_at(mfn)->s;
	bool in_use = s->type_count > 0;

	if (s->refs != e->refs)
		problem(mfn, "general count", s->refs, e->refs);
	if (s->type_count != e->type_count)
		problem(mfn, "type count", s->type_count, e->type_count);
	if (type_is_table(s->type) && s->validated != in_use)
		problem(mfn, "validated", s->validated, in_use);
	if (in_use && s->linear != e->linear)
		problem(mfn, "linear count", (uint64_t)s->linear, (uint64_t)e->linear);
	if (s->pinned && !(type_is_table(s->type) && in_use))
		problem(mfn, "pinned", 1, 0);
}

/* Only what is memory in the memory file can be the domain's. */
static unsigned int check_counts(void)
{
	expected = calloc(model.nr_store, sizeof(*expected));
	if (!expected)
		abort();
	problems = 0;
	for (uint64_t i = 0; i < model.nr_store; i++) {
		uint64_t mfn = model.mfn_of_store[i];
		const struct model_frame *s = &frame_at(mfn)->s;

		if (s->owner != MODEL_GUEST)
			continue;
		expect(mfn)->refs += 1 + s->pinned;
		expect(mfn)->type_count += s->pinned;
		if (!s->validated || !s->type_count || !type_is_table(s->type))
			continue;
		for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++)
			if (s->type != MODEL_L4 || slot < XEN_SLOT_FIRST || slot > XEN_SLOT_LAST)
				count_entry(mfn, s->type, frame_entries(mfn)[slot]);
	}
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++) {
		count_root(model.vcpus[i].root);
		count_root(model.vcpus[i].user_root);
	}
	for (uint64_t i = 0; i < model.nr_store; i++)
		if (frame_at(model.mfn_of_store[i])->s.owner == MODEL_GUEST)
			compare(model.mfn_of_store[i]);
	free(expected);
	return problems;
}

unsigned int model_check(void)
{
	unsigned int found;

	model_lock();
	found = check_counts() + mirror_check() + tlb_check();
	model_unlock();
	return found;
}
