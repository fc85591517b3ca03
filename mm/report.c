/* SPDX-License-Identifier: MIT */
/*
 * Says what the search found: a verdict line that one can grep for, then where, who and what was
 * done. Decides nothing and changes nothing.
 */
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include "mm.h"

/* The report's second column, and where its lines are broken. */
#define INDENT	     15
#define LINE_COLUMNS 110

/* What the address belongs to, in words. */
static void describe_place(const struct pvmm_mapping *m, char *buf, size_t len_bytes)
{
	if (m->space != &pvmm_kernel_space) {
		pvmm_snprintf(buf, len_bytes, "user half of address space \"%s\" (%s, %s)",
			      m->space->name,
			      m->space->state == PVMM_SPACE_PINNED ? "pinned" : "not pinned",
			      m->space->nr_loaded ? "loaded" : "not loaded");
	} else if (m->va - PVMM_DIRECTMAP_BASE < PVMM_DIRECTMAP_BYTES) {
		uint64_t at = (m->va - PVMM_DIRECTMAP_BASE) >> PVMM_PAGE_SHIFT;

		pvmm_snprintf(buf, len_bytes,
			      at == pfn_x(m->pfn) ? "direct map, at its own place"
						  : "direct map, in the place of pfn 0x%llx",
			      (unsigned long long)at);
	} else if (m->va - PVMM_VMAP_BASE < PVMM_VMAP_BYTES) {
		pvmm_snprintf(buf, len_bytes, "vmap region");
	} else if (m->va >= PVMM_KERNEL_BASE) {
		pvmm_snprintf(buf, len_bytes, "kernel image, %pS", (void *)(uintptr_t)m->va);
	} else {
		pvmm_snprintf(buf, len_bytes, "the manager's own records");
	}
}

/* A stack on as many lines as it takes, the label before the first. */
static void print_stack_of(const char *label, const struct pvmm_owner_stack *stack)
{
	int column = pvmm_snprintf(NULL, 0, "%s", label);
	char name[96];

	pvmm_print("%s", label);
	for (uint32_t i = 0; stack && i < stack->nr; i++) {
		int len = pvmm_snprintf(name, sizeof(name), "%s%pS", i ? " < " : "",
					(void *)stack->callers[i]);

		if (i && column + len > LINE_COLUMNS) {
			pvmm_print("\n%*s", INDENT, "");
			column = INDENT;
		}
		pvmm_print("%s", name);
		column += len;
	}
	pvmm_print(stack ? "\n" : "(not known)\n");
}

static void print_history(pfn_t pfn)
{
	print_stack_of("  page       allocated by ", pvmm_owner_allocated(pfn));
	print_stack_of("             last freed by ", pvmm_owner_freed(pfn));
}

static void print_verdict(const struct pvmm_space *space, const struct pvmm_batch_failure *failure,
			  const struct pvmm_mapping *m)
{
	unsigned long long pfn = pfn_x(m->pfn), mfn = mfn_x(pvmm_pfn_to_mfn(m->pfn));
	const struct pvmm_page *page = pvmm_page(m->pfn);
	const char *kind = pvmm_page_kind_name(page->kind), *err = pvmm_errno_name(failure->err);

	if (page->flags & PVMM_PAGE_SUSPECT)
		pvmm_print(
			"pvmm: stray writable mapping: pfn 0x%llx (mfn 0x%llx) cannot become an %s: Xen says -%s (%d)\n",
			pfn, mfn, kind, err, failure->err);
	else
		pvmm_print(
			"pvmm: writable mapping of a page table: pfn 0x%llx (mfn 0x%llx) is an %s, so address space \"%s\" cannot be pinned: Xen says -%s (%d)\n",
			pfn, mfn, kind, space->name, err, failure->err);
}

static void print_mapping(const struct pvmm_mapping *m)
{
	char place[96];

	describe_place(m, place, sizeof(place));
	pvmm_print("  still mapped writable at 0x%llx, L1 table pfn 0x%llx slot %u\n"
		   "             in the %s\n",
		   (unsigned long long)m->va, (unsigned long long)pfn_x(m->table), m->slot, place);
}

void report_refused_pin(const struct pvmm_space *space, const struct pvmm_batch_failure *failure,
			const struct pvmm_mapping *found, unsigned int nr_found,
			unsigned int nr_shown)
{
	char what[160];

	pvmm_batch_describe(failure, what, sizeof(what));

	if (!nr_found)
		pvmm_print(
			"pvmm: pin refused, and no table known here maps the pages writable: address space \"%s\": Xen says -%s (%d)\n"
			"  it can be  a grant that a backend still maps, a mapping by another domain, a table that no root leads to\n",
			space->name, pvmm_errno_name(failure->err), failure->err);

	for (unsigned int i = 0; i < nr_shown; i++) {
		bool new_page = i == 0 || !pfn_eq(found[i].pfn, found[i - 1].pfn);

		if (new_page)
			print_verdict(space, failure, &found[i]);
		print_mapping(&found[i]);
		if (new_page)
			print_history(found[i].pfn);
	}
	if (nr_found > nr_shown)
		pvmm_print("  and        %u more mappings\n", nr_found - nr_shown);

	pvmm_print(
		"  refused    %s\n"
		"             operation %u of the batch, queued by %pS\n"
		"  action     undone: what was to be handed to Xen is writable again, nothing is lost\n",
		what, failure->index, (void *)failure->caller);
}
