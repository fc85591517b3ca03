/* SPDX-License-Identifier: MIT */
/*
 * Owns the question to Xen: "would you take this page as a page table?" (docs/xen-rules.md, 23).
 *
 * For many pages at once: all read-only in the direct map, each pinned as an empty L1 table and
 * unpinned, all writable again. In this order Xen flushes TLBs twice, at the first pin and at the
 * first page that is made writable: a flush counts for every page whose type was dropped before it
 * (rule 6). Page by page it would be twice for each.
 *
 * Invariant: before and after, the pages are writable in the direct map and no table for Xen. A pin
 * is followed by its unpin, so what was asked before a refusal is undone already, and what comes
 * after it was not asked.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include "check.h"

/*
 * Looks whether the page's place in the direct map is its own and can be written, since another
 * page's contents would be lost otherwise; then zeroes it: Xen looks at what is in a table.
 */
static void prepare(struct probe *p)
{
	pfn_t pfn = pvmm_page_pfn(p->page);
	pvmm_va_t va = (uintptr_t)pvmm_pfn_to_virt(pfn);
	struct pvmm_walk w = pvmm_pt_walk(pvmm_kernel_space.root, va);
	uint64_t *words = pvmm_pfn_to_virt(pfn);

	p->err = 0;
	p->answer = PROBE_PLACE;
	if (w.stopped_at != 1 || !pvmm_pte_writable(w.step[1].entry) ||
	    !mfn_eq(pvmm_pte_mfn(w.step[1].entry), pvmm_pfn_to_mfn(pfn)))
		return;
	p->answer = PROBE_ASKING;
	p->maddr = pvmm_pt_entry_maddr(w.step[1].table, w.step[1].slot);
	for (unsigned int i = 0; i < PVMM_PAGE_SIZE / sizeof(*words); i++)
		words[i] = 0;
}

static mfn_t mfn_of(const struct probe *p)
{
	return pvmm_pfn_to_mfn(pvmm_page_pfn(p->page));
}

static void queue_access(const struct probe *probes, unsigned int nr, uint64_t prot)
{
	for (unsigned int i = 0; i < nr; i++)
		if (probes[i].answer == PROBE_ASKING)
			pvmm_batch_mmu_update(probes[i].maddr, pvmm_pte(mfn_of(&probes[i]), prot));
}

static void queue_op(mfn_t mfn, unsigned int cmd)
{
	pvmm_batch_mmuext(&(struct mmuext_op){.cmd = cmd, .arg1.mfn = mfn_x(mfn)});
}

static int ask(const struct probe *probes, unsigned int nr, struct pvmm_batch_failure *failure)
{
	pvmm_batch_begin();
	queue_access(probes, nr, PVMM_PROT_RO);
	for (unsigned int i = 0; i < nr; i++) {
		if (probes[i].answer != PROBE_ASKING)
			continue;
		queue_op(mfn_of(&probes[i]), MMUEXT_PIN_L1_TABLE);
		queue_op(mfn_of(&probes[i]), MMUEXT_UNPIN_TABLE);
	}
	queue_access(probes, nr, PVMM_PROT_RW);
	return pvmm_batch_end(failure);
}

/*
 * After a refusal: everything writable again, which nothing can forbid. A page whose type has not
 * changed was not flushed by Xen.
 */
static void undo(const struct probe *probes, unsigned int nr,
		 const struct pvmm_batch_failure *failure)
{
	pvmm_batch_begin();
	if (failure->kind == PVMM_BATCH_MMUEXT && failure->op.ext.cmd == MMUEXT_UNPIN_TABLE)
		pvmm_batch_mmuext(&failure->op.ext);
	queue_access(probes, nr, PVMM_PROT_RW);
	pvmm_batch_flush_all();
	pvmm_batch_end(NULL);
}

/* What a refusal says of the pages: those before it were taken, the rest was not asked about. */
static void answer(struct probe *probes, unsigned int nr, const struct pvmm_batch_failure *failure)
{
	bool is_pin =
		failure->kind == PVMM_BATCH_MMUEXT && failure->op.ext.cmd == MMUEXT_PIN_L1_TABLE;

	for (unsigned int i = 0; i < nr; i++) {
		struct probe *p = &probes[i];

		if (p->answer != PROBE_ASKING)
			continue;
		if (!is_pin) {
			p->answer = PROBE_ERROR;
			p->err = failure->err;
		} else if (failure->op.ext.arg1.mfn != mfn_x(mfn_of(p))) {
			p->answer = PROBE_CLEAN;
		} else {
			/* Any other error says nothing of the page (docs/xen-rules.md, 20). */
			p->answer = failure->err == -XEN_EINVAL ? PROBE_REFUSED : PROBE_ERROR;
			p->err = failure->err;
			return;
		}
	}
}

static bool any_left(const struct probe *probes, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (probes[i].answer == PROBE_ASKING)
			return true;
	return false;
}

void probe_pages(struct probe *probes, unsigned int nr)
{
	struct pvmm_batch_failure failure;

	pvmm_batch_assert_closed("a probe");
	for (unsigned int i = 0; i < nr; i++)
		prepare(&probes[i]);

	while (any_left(probes, nr)) {
		if (!ask(probes, nr, &failure)) {
			for (unsigned int i = 0; i < nr; i++)
				if (probes[i].answer == PROBE_ASKING)
					probes[i].answer = PROBE_CLEAN;
			return;
		}
		undo(probes, nr, &failure);
		answer(probes, nr, &failure);
	}
}

enum probe_answer probe_page(struct pvmm_page *page, int *err)
{
	struct probe p = {.page = page};

	probe_pages(&p, 1);
	*err = p.err;
	return p.answer;
}
