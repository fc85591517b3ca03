/* SPDX-License-Identifier: MIT */
/*
 * Owns what each vCPU's processor remembers of the tables: the TLB (address to L1 entry) and the
 * paging-structure caches (address prefix to upper entry). R25, R29.
 *
 * An access fills them as hardware does, and only a flush empties them. A remembered translation
 * that the tables no longer contain is no fault by itself: whoever tears a mapping down flushes a
 * moment later. It is one
 *
 *	when it is used after what is behind it changed hands: the page or table was freed, became
 *	another type of page, or is a table in another place now
 *	when the address translates to another frame by now
 *	without any use, if it leads to a table that changed hands: processors walk speculatively
 *	without any use, if it lets a page be written that is a page table
 *
 * Invariant: a line is valid exactly while its epoch is its cache's. Under the model's lock.
 */
#include <stdio.h>
#include <pvmm/alloc.h>
#include <pvmm/p2m.h>
#include "tests/model/state.h"

enum { TLB_SETS = 128, UPPER_SETS = 16, WAYS = 8 };

struct line {
	uint64_t epoch;
	uint64_t va;	/* the first that the entry translates */
	pvmm_pte_t pte; /* RW only if all entries above allow it */
	uint64_t hands; /* of the frame that the entry leads to, when it was read */
	unsigned int level;
};

struct cache {
	uint64_t epoch;
	unsigned int next_victim;
};

static struct vcpu_tlb {
	struct cache leaf, upper;
	struct line leaves[TLB_SETS][WAYS];
	struct line uppers[UPPER_SETS][WAYS];
} tlbs[PVMM_MAX_VCPUS];

static struct model_stale last;
static unsigned int nr_stale; /* caught, not forgiven */

static unsigned long long ull(uint64_t v)
{
	return v;
}

/* --- lines --- */

static struct line *set_of(struct vcpu_tlb *t, uint64_t va, unsigned int level)
{
	uint64_t n = (va / pvmm_level_bytes(level) + level) * 0x9e3779b97f4a7c15ULL >> 40;

	return level == 1 ? t->leaves[n % TLB_SETS] : t->uppers[n % UPPER_SETS];
}

static struct cache *cache_of(struct vcpu_tlb *t, unsigned int level)
{
	return level == 1 ? &t->leaf : &t->upper;
}

static struct line *find(struct vcpu_tlb *t, uint64_t va, unsigned int level)
{
	struct line *set = set_of(t, va, level);

	va &= ~(pvmm_level_bytes(level) - 1);
	for (unsigned int i = 0; i < WAYS; i++)
		if (set[i].epoch == cache_of(t, level)->epoch && set[i].va == va &&
		    set[i].level == level)
			return &set[i];
	return NULL;
}

static uint64_t hands_of(pvmm_pte_t pte)
{
	uint64_t mfn = entry_mfn(pte);

	return frame_exists(mfn) ? __atomic_load_n(&frame_at(mfn)->hands, __ATOMIC_RELAXED) : 0;
}

static struct line *fill(struct vcpu_tlb *t, uint64_t va, unsigned int level, pvmm_pte_t pte)
{
	struct line *set = set_of(t, va, level), *line = find(t, va, level);
	struct cache *cache = cache_of(t, level);

	for (unsigned int i = 0; i < WAYS && !line; i++)
		if (set[i].epoch != cache->epoch)
			line = &set[i];
	if (!line)
		line = &set[cache->next_victim++ % WAYS];
	*line = (struct line){cache->epoch, va & ~(pvmm_level_bytes(level) - 1), pte, hands_of(pte),
			      level};
	return line;
}

/* --- flushing --- */

void tlb_reset(void)
{
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++) {
		tlbs[i].leaf.epoch++;
		tlbs[i].upper.epoch++;
	}
	nr_stale = 0;
	last = (struct model_stale){0};
}

uint64_t tlb_this_vcpu(void)
{
	return 1ULL << model.this_vcpu;
}

void tlb_flush(uint64_t vcpus)
{
	model.flush_epoch++;
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++) {
		if (!(vcpus & (1ULL << i)))
			continue;
		tlbs[i].leaf.epoch++;
		tlbs[i].upper.epoch++;
		model.vcpus[i].flushed = model.flush_epoch;
	}
}

/* INVLPG drops one translation, and all of the paging-structure caches (SDM 4.10.4.1). */
void tlb_flush_va(uint64_t vcpus, uint64_t va)
{
	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++) {
		struct line *line;

		if (!(vcpus & (1ULL << i)))
			continue;
		line = find(&tlbs[i], va, 1);
		if (line)
			line->epoch = 0;
		tlbs[i].upper.epoch++;
	}
}

/* The vCPUs that may remember something from before this epoch (rule 6). */
uint64_t tlb_unflushed_since(uint64_t epoch)
{
	uint64_t vcpus = 0;

	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++)
		if (model.vcpus[i].up && model.vcpus[i].flushed <= epoch)
			vcpus |= 1ULL << i;
	return vcpus;
}

/* --- using --- */

static pvmm_pte_t narrowed(pvmm_pte_t pte, pvmm_pte_t above)
{
	return above & PVMM_PTE_RW ? pte : pte & ~PVMM_PTE_RW;
}

/* What the tables say: the entry of this level for va, or 0. */
static pvmm_pte_t by_tables(unsigned int vcpu, uint64_t va, unsigned int to_level)
{
	uint64_t mfn = model.vcpus[vcpu].root;
	pvmm_pte_t pte = PVMM_PTE_RW;

	if (mfn == NO_MFN)
		return 0;
	for (unsigned int level = 4; level >= to_level; level--) {
		pte = narrowed(frame_entries(mfn)[pvmm_pt_slot(va, level)], pte);
		if (!pvmm_pte_present(pte))
			return 0;
		mfn = entry_mfn(pte);
	}
	return pte;
}

static bool lets(pvmm_pte_t pte, bool write)
{
	return pvmm_pte_present(pte) && (!write || (pte & PVMM_PTE_RW));
}

static void caught(unsigned int vcpu, const struct line *line, pvmm_pte_t is, const char *why)
{
	nr_stale++;
	last = (struct model_stale){line->va, line->level, vcpu, line->pte, is, why};
	if (nr_stale > 20)
		return;
	fprintf(stderr,
		"model: stale L%u entry of vCPU %u for 0x%llx: remembers 0x%llx, the tables say 0x%llx: %s\n",
		line->level, vcpu, ull(line->va), ull(line->pte), ull(is), why);
}

/* Whether a line that is being used is one that the tables still contain. */
static enum model_access judge(unsigned int vcpu, const struct line *line, bool write)
{
	pvmm_pte_t is = by_tables(vcpu, line->va, line->level);
	bool same = pvmm_pte_present(is) && entry_mfn(is) == entry_mfn(line->pte);

	if (same && lets(is, write))
		return MODEL_DONE;
	if (pvmm_pte_present(is) && !same && line->level == 1)
		caught(vcpu, line, is, "used after the address was reused");
	else if (hands_of(line->pte) != line->hands)
		caught(vcpu, line, is,
		       line->level == 1 ? "used after the page changed hands"
					: "walked through after the table changed hands");
	return MODEL_STALE;
}

/* Reads the tables from where the caches leave off, and remembers what it reads. */
static enum model_access walk(struct vcpu_tlb *t, unsigned int vcpu, uint64_t va, bool write)
{
	enum model_access result = MODEL_DONE;
	uint64_t mfn = model.vcpus[vcpu].root;
	pvmm_pte_t pte = PVMM_PTE_RW;
	unsigned int level = 4;

	for (unsigned int from = 2; from <= 4; from++) {
		const struct line *line = find(t, va, from);

		if (!line)
			continue;
		result = judge(vcpu, line, false);
		pte = line->pte;
		mfn = entry_mfn(pte);
		level = from - 1;
		break;
	}
	for (; level >= 1; level--) {
		if (!frame_exists(mfn) || frame_at(mfn)->store == NO_STORE)
			return MODEL_FAULT;
		pte = narrowed(frame_entries(mfn)[pvmm_pt_slot(va, level)], pte);
		if (!pvmm_pte_present(pte))
			return result == MODEL_STALE ? result : MODEL_FAULT;
		fill(t, va, level, pte);
		mfn = entry_mfn(pte);
	}
	if (!lets(pte, write))
		return MODEL_FAULT;
	return result;
}

static enum model_access access_locked(uint64_t va, bool write)
{
	unsigned int vcpu = model.this_vcpu;
	struct vcpu_tlb *t = &tlbs[vcpu];
	struct line *line = find(t, va, 1);

	if (!va_is_guests(va) || model.vcpus[vcpu].root == NO_MFN)
		return MODEL_FAULT;
	if (!line)
		return walk(t, vcpu, va, write);
	if (lets(line->pte, write))
		return judge(vcpu, line, write);
	/* The fault makes the processor forget what led to it. */
	line->epoch = 0;
	t->upper.epoch++;
	return lets(by_tables(vcpu, va, 1), write) ? MODEL_SPURIOUS : MODEL_FAULT;
}

enum model_access model_access(uint64_t va, bool write)
{
	enum model_access result;

	model_lock();
	result = access_locked(va, write);
	model_unlock();
	return result;
}

/* A real access that the host has let through or refused: the same for the model's processor. */
void tlb_used(uint64_t va, bool write)
{
	if (model.frames)
		model_access(va, write);
}

/* --- what is wrong without a use --- */

static void check_upper(unsigned int vcpu, const struct line *line)
{
	pvmm_pte_t is = by_tables(vcpu, line->va, line->level);

	if (pvmm_pte_present(is) && entry_mfn(is) == entry_mfn(line->pte))
		return;
	if (hands_of(line->pte) != line->hands)
		caught(vcpu, line, is, "its table changed hands and may still be walked");
}

static void check_leaf(unsigned int vcpu, const struct line *line)
{
	pvmm_pte_t is = by_tables(vcpu, line->va, 1);
	uint64_t mfn = entry_mfn(line->pte);
	const struct frame *f = frame_exists(mfn) ? frame_at(mfn) : NULL;

	if (pvmm_pte_present(is) && entry_mfn(is) != mfn)
		caught(vcpu, line, is, "the address was reused");
	else if (f && (line->pte & PVMM_PTE_RW) && type_is_table(f->s.type) && f->s.type_count)
		caught(vcpu, line, is, "it lets a page table be written");
}

/* Returns how many lines are wrong as they stand, and how many uses have been. */
unsigned int tlb_check(void)
{
	unsigned int used = nr_stale, found;

	for (unsigned int i = 0; i < PVMM_MAX_VCPUS; i++) {
		struct vcpu_tlb *t = &tlbs[i];

		if (!model.vcpus[i].up)
			continue;
		for (unsigned int k = 0; k < TLB_SETS * WAYS; k++)
			if (t->leaves[k / WAYS][k % WAYS].epoch == t->leaf.epoch)
				check_leaf(i, &t->leaves[k / WAYS][k % WAYS]);
		for (unsigned int k = 0; k < UPPER_SETS * WAYS; k++)
			if (t->uppers[k / WAYS][k % WAYS].epoch == t->upper.epoch)
				check_upper(i, &t->uppers[k / WAYS][k % WAYS]);
	}
	found = nr_stale;
	nr_stale = used;
	return found;
}

unsigned int model_stale_forget(struct model_stale *stale)
{
	unsigned int nr;

	model_lock();
	nr = nr_stale;
	if (stale)
		*stale = last;
	nr_stale = 0;
	model_unlock();
	return nr;
}

/* --- pages that the manager frees --- */

void __real_pvmm_page_free(struct pvmm_page *page, unsigned int order) __attribute__((weak));
void __wrap_pvmm_page_free(struct pvmm_page *page, unsigned int order);

/*
 * In the place of pvmm_page_free (ld --wrap): whoever remembers a way to the page should have
 * forgotten it by now. A tail call, so that it leaves no frame in the stacks that are recorded.
 */
void __wrap_pvmm_page_free(struct pvmm_page *page, unsigned int order)
{
	uint64_t pfn = pfn_x(pvmm_page_pfn(page));

	for (uint64_t i = 0; order <= PVMM_MAX_ORDER && i < 1ULL << order; i++)
		if (pfn + i < model.nr_pfns)
			tlb_changed_hands(frame_at(model.mfn_of_pfn[pfn + i]));
#if __has_attribute(musttail)
	__attribute__((musttail)) return __real_pvmm_page_free(page, order);
#else
	__real_pvmm_page_free(page, order);
#endif
}
