/* SPDX-License-Identifier: MIT */
/*
 * See report.h. What comes from the domain is escaped: its name here, names of areas and functions
 * where they are read.
 */
#include <string.h>
#include "report.h"

#define ULL(v) ((unsigned long long)(v))

/* Where the lines of a report go on, and where they are broken: as in the guest's own reports. */
#define INDENT	     15
#define LINE_COLUMNS 110

const struct finding *report_findings(const struct search_result *result, uint64_t mfn, size_t *nr)
{
	size_t low = 0, high = result->nr, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (result->findings[middle].mfn < mfn)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < result->nr && result->findings[end].mfn == mfn;)
		end++;
	*nr = end - low;
	return *nr ? &result->findings[low] : NULL;
}

bool report_is_incomplete(const struct report *report)
{
	const struct reader_notes *n = &report->reader->notes;

	return report->result->is_full || report->result->unread_tables ||
	       report->result->changed_tables || n->missing || n->gave_up;
}

/* --- the frame --- */

static void print_frame(FILE *out, uint64_t mfn, uint64_t pfn)
{
	fprintf(out, "mfn 0x%llx", ULL(mfn));
	if (pfn != TOOL_NO_FRAME)
		fprintf(out, " (pfn 0x%llx)", ULL(pfn));
}

static const char *table_words(const struct table *t)
{
	if (!t->is_typed)
		return "by the guest's records; Xen has not validated it";
	if (t->is_pinned)
		return t->is_loaded ? "pinned, a vCPU's root" : "pinned";
	return t->is_loaded ? "a vCPU's root" : "not pinned for itself";
}

static void print_stack(const struct report *report, FILE *out, const char *label, uint32_t number)
{
	struct inspect_stack stack;
	int column = (int)strlen(label);
	char name[256];

	fputs(label, out);
	if (inspect_stack(&report->naming->inspect, number, &stack) || !stack.nr) {
		fputs("(not known)\n", out);
		return;
	}
	for (unsigned int i = 0; i < stack.nr; i++) {
		int len;

		naming_code(report->naming, stack.callers[i], name, sizeof(name));
		len = (int)strlen(name) + (i ? 3 : 0);
		if (i && column + len > LINE_COLUMNS) {
			fprintf(out, "\n%*s", INDENT, "");
			column = INDENT;
		}
		fputs(i ? " < " : "", out);
		fputs(name, out);
		column += len;
	}
	fputs("\n", out);
}

/* What a kernel of this library knows of the page. */
static void print_records(const struct report *report, FILE *out, uint64_t pfn)
{
	struct inspect_page page;

	if (!report->naming->inspect.is_known || inspect_page(&report->naming->inspect, pfn, &page))
		return;
	fprintf(out, "  guest says %s, %u live and %u stale mappings besides the direct map's\n",
		inspect_kind_name(page.kind), page.live, page.stale);
	print_stack(report, out, "             allocated by ", page.allocated);
	print_stack(report, out, "             last freed by ", page.freed);
}

/* --- findings in words --- */

static void print_path(FILE *out, const struct finding *f, const struct address *a)
{
	fprintf(out, "             through");
	for (unsigned int level = TOP_LEVEL; level > f->level; level--)
		if (a->table[level])
			fprintf(out, " L%u mfn 0x%llx slot %u%s", level, ULL(a->table[level]),
				a->slot[level], level > f->level + 1 ? "," : "");
	fprintf(out, "; %u root%s lead%s there%s\n", a->nr_roots, a->nr_roots == 1 ? "" : "s",
		a->nr_roots == 1 ? "s" : "", a->is_loaded ? ", a loaded one among them" : "");
}

static void print_place(const struct report *report, FILE *out, const struct finding *f,
			const struct address *a, uint64_t pfn)
{
	struct place place;

	naming_place(report->naming, a->va, pfn, &place);
	fprintf(out, "             in the %s\n", place.text);
	if (place.has_area) {
		print_stack(report, out, "  mapped by  ", place.area.maker);
		if (place.area.given_up_ns)
			print_stack(report, out, "  given up by ", place.area.giver_up);
	}
	if (report->shows_paths)
		print_path(out, f, a);
}

static void print_entry(const struct report *report, FILE *out, const struct finding *f,
			uint64_t pfn)
{
	bool is_foreign = f->domid != report->reader->dom->info.domid;

	fprintf(out, "  mapped %s ", finding_is_writable(f) ? "writable" : "read-only");
	if (is_foreign)
		fprintf(out, "by domain %u ", f->domid);
	if (f->nr_addresses)
		fprintf(out, "at 0x%llx, ", ULL(f->at[0].va));
	else
		fputs("at no address, since no root leads to it, ", out);
	if (f->table_pfn != TOOL_NO_FRAME)
		fprintf(out, "L1 table pfn 0x%llx slot %u", ULL(f->table_pfn), f->slot);
	else
		fprintf(out, "L1 table mfn 0x%llx slot %u", ULL(f->table), f->slot);
	fprintf(out, ", %s, %s, table %s%s\n", entry_attribute(f->entry),
		f->is_user ? "user" : "kernel", table_state_name(f->state),
		f->changed ? ", CHANGED WHILE READING" : "");
	for (unsigned int i = 0; i < f->nr_addresses; i++) {
		if (i)
			fprintf(out, "             and at 0x%llx\n", ULL(f->at[i].va));
		if (!is_foreign)
			print_place(report, out, f, &f->at[i], pfn);
	}
	if (f->has_more_addresses)
		fputs("             and at more addresses\n", out);
}

static void print_table_use(FILE *out, const struct finding *f)
{
	if (f->holder == HOLDER_LINEAR)
		fprintf(out, "  linear     entry of an L%u table of its own level, ", f->level);
	else
		fprintf(out, "  used       as a table by an L%u table, ", f->level);
	print_frame(out, f->table, f->table_pfn);
	fprintf(out, " slot %u, table %s%s\n", f->slot, table_state_name(f->state),
		f->changed ? ", CHANGED WHILE READING" : "");
}

static void print_grant(FILE *out, const struct dom_grant *g)
{
	fprintf(out, "  granted    to domain %u, reference %u, %s, %s\n", g->domid, g->ref,
		g->is_transfer	 ? "for transfer"
		: g->is_readonly ? "read-only"
				 : "writable",
		!g->is_mapped		? "not mapped, as far as the entry says"
		: g->is_mapped_writable ? "mapped there writable"
					: "mapped there read-only");
}

static void print_finding(const struct report *report, FILE *out, const struct finding *f,
			  uint64_t pfn)
{
	switch (f->holder) {
	case HOLDER_ENTRY:
		print_entry(report, out, f, pfn);
		return;
	case HOLDER_TABLE:
	case HOLDER_LINEAR:
		print_table_use(out, f);
		return;
	case HOLDER_ROOT:
		fprintf(out, "  loaded     as root of vCPU %u\n", f->vcpu);
		return;
	case HOLDER_USER_ROOT:
		fprintf(out, "  loaded     as user-mode root of vCPU %u\n", f->vcpu);
		return;
	case HOLDER_GDT:
		fprintf(out, "  segments   in the GDT of vCPU %u\n", f->vcpu);
		return;
	case HOLDER_LDT:
		fprintf(out, "  segments   in the LDT of vCPU %u\n", f->vcpu);
		return;
	default:
		print_grant(out, &f->grant);
		return;
	}
}

void report_text(const struct report *report, FILE *out, uint64_t mfn)
{
	const struct table *t = reader_table(report->reader, mfn);
	uint64_t pfn = reader_pfn(report->reader, mfn), nr_mappings = 0, nr_writable = 0;
	const struct finding *f;
	size_t nr;

	print_frame(out, mfn, pfn);
	if (t)
		fprintf(out, ": L%u table, %s\n", t->level, table_words(t));
	else
		fputs(": no page table\n", out);
	if (pfn != TOOL_NO_FRAME)
		print_records(report, out, pfn);
	f = report_findings(report->result, mfn, &nr);
	for (size_t i = 0; i < nr; i++) {
		print_finding(report, out, &f[i], pfn);
		nr_mappings += f[i].holder == HOLDER_ENTRY;
		nr_writable += finding_is_writable(&f[i]);
	}
	fprintf(out, "  in all     %llu mapping%s, %llu writable; %llu other holder%s\n",
		ULL(nr_mappings), nr_mappings == 1 ? "" : "s", ULL(nr_writable),
		ULL(nr - nr_mappings), nr - nr_mappings == 1 ? "" : "s");
}

/* --- the domain --- */

static uint64_t count_pinned(const struct reader *r)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < r->nr_tables; i++)
		nr += r->tables[i].is_pinned;
	return nr;
}

static const char *state_word(const struct dom_info *info)
{
	if (info->is_shutdown)
		return info->shutdown_reason == 3 ? "crashed" : "shut down";
	return info->is_paused ? "paused" : "running";
}

void report_domain_text(const struct report *report, FILE *out)
{
	const struct dom_info *info = &report->reader->dom->info;

	fprintf(out, "domain %u \"", info->domid);
	text_escaped(out, info->name);
	fprintf(out, "\": %s PV, %s, %llu pages, %llu page tables (%llu pinned)\n",
		report->reader->layout->name, state_word(info), ULL(info->nr_pages),
		ULL(report->reader->nr_tables), ULL(count_pinned(report->reader)));
}

void report_domain_json(const struct report *report, struct json *j)
{
	const struct dom_info *info = &report->reader->dom->info;

	json_object(j, "domain");
	json_number(j, "id", info->domid);
	json_string(j, "name", info->name);
	json_number(j, "bits", info->width == 4 ? 32 : 64);
	json_string(j, "state", state_word(info));
	json_string(j, "kernel", naming_kernel(report->naming));
	json_number(j, "pages", info->nr_pages);
	json_number(j, "tables", report->reader->nr_tables);
	json_number(j, "pinned", count_pinned(report->reader));
	json_end_object(j);
}

void report_notes_text(const struct report *report, FILE *out)
{
	const struct reader_notes *n = &report->reader->notes;
	const struct search_result *result = report->result;

	if (result->changed_tables)
		fprintf(out,
			"note: changed while reading: %llu tables; --pause gives the picture of one moment\n",
			ULL(result->changed_tables));
	if (result->is_full)
		fputs("note: there are more findings than are shown\n", out);
	if (result->unread_tables)
		fprintf(out, "note: %llu tables could not be read\n", ULL(result->unread_tables));
	if (n->missing)
		fprintf(out,
			"note: Xen counts %llu pages that neither the domain's p2m nor its tables lead to; --every-frame asks Xen about all\n",
			ULL(n->missing));
	if (n->gave_up)
		fputs("note: the tables lead to more frames than the domain can have; not all were asked about\n",
		      out);
	if (n->p2m_lies)
		fprintf(out, "note: Xen contradicts %llu entries of the domain's p2m\n",
			ULL(n->p2m_lies));
	if (n->p2m_cut)
		fputs("note: the domain's p2m is larger than it can be; its end was not read\n",
		      out);
	if (n->no_registers)
		fprintf(out, "note: the registers of %llu vCPUs could not be read\n",
			ULL(n->no_registers));
}

void report_notes_json(const struct report *report, struct json *j)
{
	const struct reader_notes *n = &report->reader->notes;

	json_object(j, "notes");
	json_number(j, "changed_tables", report->result->changed_tables);
	json_bool(j, "more_findings", report->result->is_full);
	json_number(j, "unread_tables", report->result->unread_tables);
	json_number(j, "missing_pages", n->missing);
	json_bool(j, "gave_up", n->gave_up);
	json_number(j, "p2m_lies", n->p2m_lies);
	json_bool(j, "p2m_absent", n->p2m_absent);
	json_bool(j, "p2m_cut", n->p2m_cut);
	json_number(j, "vcpus_unread", n->no_registers);
	json_end_object(j);
}
