/* SPDX-License-Identifier: MIT */
/*
 * Says what the search found: a verdict line that one can grep for, then where, who and what was
 * done. Decides nothing and changes nothing.
 */
#include <pvmm/clock.h>
#include <pvmm/holder.h>
#include <pvmm/kmap.h>
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/vcpu.h>
#include <pvmm/vmap.h>
#include "check.h"

#define ULL(v) ((unsigned long long)(v))

const char *report_action_name(enum pvmm_check_action action)
{
	static const char *const names[] = {
		[PVMM_ACTION_REPORT] = "report",
		[PVMM_ACTION_FIX] = "fix",
		[PVMM_ACTION_QUARANTINE] = "quarantine",
		[PVMM_ACTION_PANIC] = "panic",
	};

	return names[action];
}

const char *report_how_name(enum pvmm_check_how how)
{
	static const char *const names[PVMM_CHECK_HOWS] = {
		[PVMM_CHECK_BY_PIN] = "pin",	       [PVMM_CHECK_BY_FREE] = "free",
		[PVMM_CHECK_BY_ALLOC] = "alloc",       [PVMM_CHECK_BY_SWEEP] = "sweep",
		[PVMM_CHECK_BY_CALL] = "call",	       [PVMM_CHECK_BY_BALLOON] = "balloon",
		[PVMM_CHECK_BY_EXCHANGE] = "exchange",
	};

	return names[how];
}

void report_refusal(const struct pvmm_batch_failure *failure, const char *fmt, ...)
{
	char text[160], what[128];
	va_list ap;

	va_start(ap, fmt);
	pvmm_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pvmm_batch_describe(failure, what, sizeof(what));
	pvmm_log(PVMM_WARN, "%s: %s", text, what);
}

/* --- places --- */

const char *report_place(const struct sighting *s)
{
	pvmm_va_t va = s->m.va;

	if (!space_is_kernel(s->m.space))
		return "user";
	if (va - PVMM_DIRECTMAP_BASE < PVMM_DIRECTMAP_BYTES)
		return "directmap";
	if (va - PVMM_VMAP_BASE < PVMM_VMAP_BYTES)
		return "vmap";
	if (va - PVMM_KMAP_BASE < PVMM_KMAP_BYTES)
		return "kmap";
	return va >= PVMM_KERNEL_BASE ? "image" : "records";
}

/* "1.204s", since Xen booted */
static void print_time(const char *what, uint64_t ns)
{
	pvmm_print("%s %llu.%03llus", what, ULL(ns / 1000000000), ULL(ns / 1000000 % 1000));
}

/* An area of the vmap region: whose, since when, who made it and who gave it up. */
static void print_area(pvmm_va_t va)
{
	struct pvmm_vmap_info info;

	if (!pvmm_vmap_find(va, &info)) {
		pvmm_print("vmap region, where no area is\n");
		return;
	}
	pvmm_print("vmap area 0x%llx+0x%llx \"%s\", %s%s", ULL(info.va),
		   ULL(info.nr_pages << PVMM_PAGE_SHIFT), info.name,
		   pvmm_vmap_state_name(info.state), info.is_guard ? ", behind its end" : "");
	print_time(", made at", info.made_ns);
	if (info.given_up_ns)
		print_time(", given up at", info.given_up_ns);
	print_time(", now", pvmm_clock_ns());
	pvmm_print("\n");
	pvmm_owner_print_stack("  mapped by  ", pvmm_owner_stack(info.maker));
	if (info.given_up_ns)
		pvmm_owner_print_stack("  given up by ", pvmm_owner_stack(info.giver_up));
}

static void print_slot(pvmm_va_t va)
{
	unsigned int slot = (unsigned int)((va - PVMM_KMAP_BASE) >> PVMM_PAGE_SHIFT);

	if (slot < PVMM_MAX_VCPUS * PVMM_KMAP_LOCAL_SLOTS)
		pvmm_print("kmap region, short-lived slot %u of vCPU %u\n",
			   slot % PVMM_KMAP_LOCAL_SLOTS, slot / PVMM_KMAP_LOCAL_SLOTS);
	else
		pvmm_print("kmap region, slot %u\n", slot);
}

void report_print_place(const struct sighting *s)
{
	const struct pvmm_mapping *m = &s->m;

	pvmm_print("             in the ");
	if (!space_is_kernel(m->space))
		pvmm_print("user half of address space \"%s\" (%s, %s)\n", s->space_name,
			   s->pinned ? "pinned" : "not pinned",
			   s->loaded ? "loaded" : "not loaded");
	else if (m->va - PVMM_DIRECTMAP_BASE < PVMM_DIRECTMAP_BYTES)
		pvmm_print("direct map, in the place of pfn 0x%llx\n",
			   ULL((m->va - PVMM_DIRECTMAP_BASE) >> PVMM_PAGE_SHIFT));
	else if (m->va - PVMM_VMAP_BASE < PVMM_VMAP_BYTES)
		print_area(m->va);
	else if (m->va - PVMM_KMAP_BASE < PVMM_KMAP_BYTES)
		print_slot(m->va);
	else if (m->va >= PVMM_KERNEL_BASE)
		pvmm_print("kernel image, %pS\n", (void *)(uintptr_t)m->va);
	else
		pvmm_print("the manager's own records\n");
}

static void print_mapping(const struct sighting *s)
{
	pvmm_print("  still mapped %sat 0x%llx, L1 table pfn 0x%llx slot %u\n",
		   pvmm_pte_writable(s->m.entry) ? "writable " : "", ULL(s->m.va),
		   ULL(pfn_x(s->m.table)), s->m.slot);
	report_print_place(s);
}

/* --- verdicts: one line each --- */

static void print_verdict_of_pin(const struct finding *f, pfn_t pfn)
{
	const char *kind = pvmm_page_kind_name((enum pvmm_page_kind)pvmm_page(pfn)->kind);
	unsigned long long mfn = mfn_x(pvmm_pfn_to_mfn(pfn));
	const char *err = pvmm_errno_name(f->err);

	if (f->kind == FOUND_CONFLICT)
		pvmm_print(
			"pvmm: writable mapping of a page table: pfn 0x%llx (mfn 0x%llx) is an %s, so address space \"%s\" cannot be pinned: Xen says -%s (%d)\n",
			ULL(pfn_x(pfn)), mfn, kind, f->space->name, err, f->err);
	else if (f->kind == FOUND_LIVE)
		pvmm_print(
			"pvmm: live mapping: pfn 0x%llx (mfn 0x%llx) cannot become an %s: it counts %u live mappings\n",
			ULL(pfn_x(pfn)), mfn, kind, pvmm_page(pfn)->live);
	else
		pvmm_print(
			"pvmm: stray writable mapping: pfn 0x%llx (mfn 0x%llx) cannot become an %s: Xen says -%s (%d)\n",
			ULL(pfn_x(pfn)), mfn, kind, err, f->err);
}

static void print_verdict_of_probe(const struct finding *f)
{
	static const char *const when[PVMM_CHECK_HOWS] = {
		[PVMM_CHECK_BY_FREE] = "was freed",
		[PVMM_CHECK_BY_ALLOC] = "was to be allocated",
		[PVMM_CHECK_BY_SWEEP] = "is free",
		[PVMM_CHECK_BY_CALL] = "is free",
	};
	unsigned long long pfn = pfn_x(f->pfn), mfn = mfn_x(pvmm_pfn_to_mfn(f->pfn));

	if (f->kind == FOUND_PLACE)
		pvmm_print(
			"pvmm: broken direct map: pfn 0x%llx (mfn 0x%llx) %s, and its place in the direct map is not its own and writable\n",
			pfn, mfn, when[f->how]);
	else
		pvmm_print(
			"pvmm: stray writable mapping: pfn 0x%llx (mfn 0x%llx) %s, and %s mapped writable: Xen says -%s (%d)\n",
			pfn, mfn, when[f->how], f->kind == FOUND_GONE ? "was still" : "is",
			pvmm_errno_name(f->err), f->err);
}

static void print_verdict_of_leaving(const struct finding *f)
{
	unsigned long long pfn = pfn_x(f->pfn), mfn = mfn_x(pvmm_pfn_to_mfn(f->pfn));

	if (f->live)
		pvmm_print(
			"pvmm: page held: pfn 0x%llx (mfn 0x%llx) cannot leave the domain: it counts %u live mappings\n",
			pfn, mfn, f->live);
	else if (f->how == PVMM_CHECK_BY_EXCHANGE)
		pvmm_print(
			"pvmm: page held: pfn 0x%llx (mfn 0x%llx) cannot leave the domain: Xen says -%s (%d)\n",
			pfn, mfn, pvmm_errno_name(f->err), f->err);
	else
		pvmm_print(
			"pvmm: page held: pfn 0x%llx (mfn 0x%llx) was given away, and Xen still counts it as this domain's\n",
			pfn, mfn);
}

static void print_verdict(const struct finding *f, pfn_t pfn)
{
	if (f->kind == FOUND_HELD)
		print_verdict_of_leaving(f);
	else if (f->how != PVMM_CHECK_BY_PIN)
		print_verdict_of_probe(f);
	else if (pfn_valid(pfn))
		print_verdict_of_pin(f, pfn);
	else
		pvmm_print("pvmm: pin refused, %s: address space \"%s\": Xen says -%s (%d)\n",
			   f->kind == FOUND_UNSEARCHED
				   ? "and not searched for (check=off)"
				   : "and no table known here maps the pages writable",
			   f->space->name, pvmm_errno_name(f->err), f->err);
}

/* Who outside this kernel holds the page, a line each; false if nobody that is known. */
static bool print_holds(pfn_t pfn)
{
	char text[PVMM_HOLD_BYTES];
	unsigned int n = 0;

	for (; pfn_valid(pfn) && pvmm_page_describe_hold(pfn, n, text, sizeof(text)); n++)
		pvmm_print("  held by    %s\n", text);
	return n;
}

/* Where the search found nothing: what else can hold a page. */
static void print_unseen(const struct finding *f)
{
	pvmm_pte_t entry;

	if (f->kind == FOUND_GONE)
		pvmm_print(
			"  gone       Xen takes it now: the mapping was removed after the page was freed\n");
	else if (f->kind == FOUND_UNEXPLAINED)
		pvmm_print("  held by    asked about one by one, Xen takes each of the tables\n");
	else if ((f->kind == FOUND_STRAY || f->kind == FOUND_HELD) && !print_holds(f->pfn))
		pvmm_print(
			"  held by    no table known here; it can be a grant that a backend still maps, a mapping by another domain, a table that no root leads to\n");
	if (f->kind != FOUND_PLACE)
		return;
	entry = pvmm_pt_lookup(pvmm_kernel_space.root, (uintptr_t)pvmm_pfn_to_virt(f->pfn));
	pvmm_print("  its entry  0x%llx at 0x%llx\n", ULL(entry),
		   ULL((uintptr_t)pvmm_pfn_to_virt(f->pfn)));
}

static void print_known(pfn_t pfn)
{
	const struct pvmm_page *page = pvmm_page(pfn);

	pvmm_owner_print(pfn, "  page       ");
	if (!page->live && !page->stale)
		pvmm_print("  ledger     knows of no mapping of the page\n");
	else
		pvmm_print("  ledger     knows of %u live and %u stale mappings of the page\n",
			   page->live, page->stale);
}

static void print_refused(const struct pvmm_batch_failure *failure)
{
	char what[160];

	pvmm_batch_describe(failure, what, sizeof(what));
	pvmm_print("  refused    %s\n"
		   "             operation %u of the batch, queued by %pS\n",
		   what, failure->index, (void *)failure->caller);
}

void report_finding(const struct finding *f)
{
	if (!(check_config.report & PVMM_REPORT_TEXT))
		return;
	if (!f->nr_found) {
		print_verdict(f, f->pfn);
		print_unseen(f);
		if (pfn_valid(f->pfn))
			print_known(f->pfn);
	}
	for (unsigned int i = 0; i < f->nr_shown; i++) {
		const struct pvmm_mapping *m = &f->found[i].m;
		bool new_page = i == 0 || !pfn_eq(m->pfn, f->found[i - 1].m.pfn);

		if (new_page)
			print_verdict(f, m->pfn);
		print_mapping(&f->found[i]);
		if (new_page) {
			print_known(m->pfn);
			(void)print_holds(m->pfn);
		}
	}
	if (f->nr_found > f->nr_shown)
		pvmm_print("  and        %u more mappings\n", f->nr_found - f->nr_shown);
	if (f->failure)
		print_refused(f->failure);
}

static void print_action_on_pin(const struct finding *f)
{
	if (pfn_valid(f->replacement))
		pvmm_print(
			"  action     pfn 0x%llx is in quarantine, pfn 0x%llx has taken its place; the pin is tried again\n",
			ULL(pfn_x(f->pfn)), ULL(pfn_x(f->replacement)));
	else if (f->done)
		pvmm_print("  action     %u mappings removed, pin tried again: done\n",
			   f->nr_removed);
	else if (f->kind == FOUND_LIVE)
		pvmm_print("  action     none: Xen was not asked, nothing has changed\n");
	else
		pvmm_print(
			"  action     %sundone: what was to be handed to Xen is writable again, nothing is lost\n",
			f->nr_removed ? "mappings removed, but Xen still refuses; " : "");
}

static void print_action_on_page(const struct finding *f)
{
	if (f->kind == FOUND_GONE || f->action == PVMM_ACTION_REPORT)
		pvmm_print("  action     none, the page stays free\n");
	else if (f->action == PVMM_ACTION_FIX && f->done)
		pvmm_print("  action     %u mappings repaired, asked again: clean\n",
			   f->nr_removed);
	else
		pvmm_print("  action     the page is in quarantine\n");
}

static void print_action_on_leaving(const struct finding *f)
{
	if (f->done)
		pvmm_print("  action     %u mappings removed: it has left\n", f->nr_removed);
	else if (f->how == PVMM_CHECK_BY_EXCHANGE)
		pvmm_print("  action     %sundone: the page is where it was, nothing is lost\n",
			   f->nr_removed ? "mappings removed, but Xen still refuses; " : "");
	else
		pvmm_print("  action     none: Xen frees it with its last mapping\n");
}

void report_action(const struct finding *f)
{
	if (check_config.report & PVMM_REPORT_JSON)
		report_json(f);
	if (!(check_config.report & PVMM_REPORT_TEXT))
		return;
	if (f->kind == FOUND_HELD)
		print_action_on_leaving(f);
	else if (f->how == PVMM_CHECK_BY_PIN)
		print_action_on_pin(f);
	else
		print_action_on_page(f);
}
