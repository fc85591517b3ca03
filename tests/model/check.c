/* SPDX-License-Identifier: MIT */
/*
 * Audits the model: works out every count from the tables, the vCPUs and the grants alone, sharing
 * nothing with the code that keeps the counts but the shape of an entry, and compares.
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
	if (level == 1 && f->s.owner == MODEL_FOREIGN) {
		expect(mfn)->refs++; /* compared with the grants of the frame */
		return;
	}
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
	enum model_type type = model.options.pae ? MODEL_L3 : MODEL_L4;

	if (mfn == NO_MFN)
		return;
	expect(mfn)->refs++;
	expect(mfn)->type_count++;
	if (frame_at(mfn)->s.type != type)
		problem(mfn, "type of a loaded root", frame_at(mfn)->s.type, type);
}

/* What holds both references of a page without a page table: descriptor tables, others' grants. */
static void count_user(uint64_t mfn, enum model_type type)
{
	if (!mfn)
		return;
	expect(mfn)->refs++;
	if (type == MODEL_NONE)
		return;
	expect(mfn)->type_count++;
	if (frame_at(mfn)->s.type != type)
		problem(mfn, "type of a page in use", frame_at(mfn)->s.type, type);
}

static void count_grant(uint64_t mfn, bool writable)
{
	count_user(mfn, writable ? MODEL_WRITABLE : MODEL_NONE);
}

static void count_vcpu(const struct vcpu *v)
{
	count_root(v->root);
	count_root(v->user_root);
	for (unsigned int i = 0; i < GDT_PAGES; i++)
		count_user(v->gdt[i], MODEL_SEG_DESC);
	for (unsigned int i = 0; i < LDT_PAGES; i++)
		count_user(v->ldt[i], MODEL_SEG_DESC);
}

/* What holds references of the frame beside other frames' entries. */
static void count_frame(uint64_t mfn)
{
	const struct frame *f = frame_at(mfn);

	expect(mfn)->refs += f->s.allocated + f->s.pinned + f->leaked;
	expect(mfn)->type_count += f->s.pinned + f->xen_heap + f->leaked;
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

/* Another domain's frames are mapped as it has granted them, and no other way. */
static void compare_foreign(uint64_t mfn)
{
	if (expect(mfn)->refs != grants_foreign_entries(mfn))
		problem(mfn, "entries for another domain's frame", expect(mfn)->refs,
			grants_foreign_entries(mfn));
}

static void check_owned(void)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < model.nr_store; i++) {
		const struct frame *f = frame_at(model.mfn_of_store[i]);

		nr += f->s.owner == MODEL_GUEST && !f->xen_heap;
	}
	if (nr == model.owned)
		return;
	problems++;
	fprintf(stderr, "model: the domain has %llu frames, counted are %llu\n",
		(unsigned long long)nr, (unsigned long long)model.owned);
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
		count_frame(mfn);
		if (!s->validated || !s->type_count || !type_is_table(s->type))
			continue;
		for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++)
			if (slot_is_guests(mfn, s->type, slot))
				count_entry(mfn, s->type, frame_entries(mfn)[slot]);
	}
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++)
		count_vcpu(&model.vcpus[i]);
	grants_each(count_grant);
	for (uint64_t i = 0; i < model.nr_store; i++)
		if (frame_at(model.mfn_of_store[i])->s.owner == MODEL_GUEST)
			compare(model.mfn_of_store[i]);
		else if (frame_at(model.mfn_of_store[i])->s.owner == MODEL_FOREIGN)
			compare_foreign(model.mfn_of_store[i]);
	free(expected);
	check_owned();
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
