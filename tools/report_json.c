/* SPDX-License-Identifier: MIT */
/* The JSON of report.h: one object a frame. docs/tools.md lists the members. */
#include "report.h"

static void add_frame_number(struct json *j, const char *key, uint64_t frame)
{
	if (frame == TOOL_NO_FRAME)
		json_null(j, key);
	else
		json_hex(j, key, frame);
}

static void add_stack(const struct report *report, struct json *j, const char *key, uint32_t number)
{
	struct inspect_stack stack;
	char name[256];

	json_array(j, key);
	if (!inspect_stack(&report->naming->inspect, number, &stack))
		for (unsigned int i = 0; i < stack.nr; i++) {
			naming_code(report->naming, stack.callers[i], name, sizeof(name));
			json_string(j, NULL, name);
		}
	json_end_array(j);
}

static void add_area(const struct report *report, struct json *j, const struct inspect_area *a)
{
	json_object(j, "area");
	json_hex(j, "va", a->va);
	json_number(j, "pages", a->nr_pages);
	json_string(j, "name", a->name);
	json_string(j, "state", a->state);
	json_number(j, "made_ns", a->made_ns);
	json_number(j, "given_up_ns", a->given_up_ns);
	add_stack(report, j, "mapped_by", a->maker);
	add_stack(report, j, "given_up_by", a->giver_up);
	json_end_object(j);
}

static void add_address(const struct report *report, struct json *j, const struct finding *f,
			const struct address *a, uint64_t pfn)
{
	struct place place;

	json_object(j, NULL);
	json_hex(j, "va", a->va);
	json_number(j, "roots", a->nr_roots);
	json_bool(j, "loaded", a->is_loaded);
	json_bool(j, "readonly_above", a->is_readonly_above);
	if (f->domid == report->reader->dom->info.domid) {
		naming_place(report->naming, a->va, pfn, &place);
		json_string(j, "region", place.region);
		json_string(j, "place", place.text);
		json_bool(j, "own_place", place.is_own_place);
		if (place.has_area)
			add_area(report, j, &place.area);
	}
	json_array(j, "path");
	for (unsigned int level = TOP_LEVEL; level >= f->level; level--) {
		if (!a->table[level])
			continue;
		json_object(j, NULL);
		json_number(j, "level", level);
		json_hex(j, "mfn", a->table[level]);
		json_number(j, "slot", a->slot[level]);
		json_end_object(j);
	}
	json_end_array(j);
	json_end_object(j);
}

static void add_entry(const struct report *report, struct json *j, const struct finding *f,
		      uint64_t pfn)
{
	json_bool(j, "writable", f->entry & ENTRY_RW);
	json_bool(j, "user", f->is_user);
	if (f->holder == HOLDER_ENTRY)
		json_string(j, "attribute", entry_attribute(f->entry));
	json_hex(j, "entry", f->entry);
	json_hex(j, "table_mfn", f->table);
	add_frame_number(j, "table_pfn", f->table_pfn);
	json_number(j, "level", f->level);
	json_number(j, "slot", f->slot);
	json_string(j, "table_state", table_state_name(f->state));
	json_bool(j, "changed", f->changed);
	json_array(j, "addresses");
	for (unsigned int i = 0; i < f->nr_addresses; i++)
		add_address(report, j, f, &f->at[i], pfn);
	json_end_array(j);
	json_bool(j, "more_addresses", f->has_more_addresses);
}

static void add_finding(const struct report *report, struct json *j, const struct finding *f,
			uint64_t pfn)
{
	json_object(j, NULL);
	json_string(j, "holder", holder_name(f->holder));
	json_number(j, "domain", f->domid);
	if (f->holder <= HOLDER_LINEAR)
		add_entry(report, j, f, pfn);
	else if (f->holder != HOLDER_GRANT)
		json_number(j, "vcpu", f->vcpu);
	if (f->holder == HOLDER_GRANT) {
		json_number(j, "to", f->grant.domid);
		json_number(j, "reference", f->grant.ref);
		json_bool(j, "readonly", f->grant.is_readonly);
		json_bool(j, "mapped", f->grant.is_mapped);
		json_bool(j, "mapped_writable", f->grant.is_mapped_writable);
	}
	json_end_object(j);
}

static void add_records(const struct report *report, struct json *j, uint64_t pfn)
{
	struct inspect_page page;

	if (!report->naming->inspect.is_known || pfn == TOOL_NO_FRAME ||
	    inspect_page(&report->naming->inspect, pfn, &page))
		return;
	json_object(j, "guest");
	json_string(j, "kind", inspect_kind_name(page.kind));
	json_number(j, "live", page.live);
	json_number(j, "stale", page.stale);
	add_stack(report, j, "allocated_by", page.allocated);
	add_stack(report, j, "freed_by", page.freed);
	json_end_object(j);
}

void report_json(const struct report *report, struct json *j, uint64_t mfn)
{
	const struct table *t = reader_table(report->reader, mfn);
	uint64_t pfn = reader_pfn(report->reader, mfn);
	const struct finding *f;
	size_t nr;

	json_object(j, NULL);
	json_hex(j, "mfn", mfn);
	add_frame_number(j, "pfn", pfn);
	json_number(j, "table_level", t ? t->level : 0);
	json_bool(j, "pinned", t && t->is_pinned);
	json_bool(j, "validated", t && t->is_typed);
	add_records(report, j, pfn);
	json_array(j, "holders");
	f = report_findings(report->result, mfn, &nr);
	for (size_t i = 0; i < nr; i++)
		add_finding(report, j, &f[i], pfn);
	json_end_array(j);
	json_end_object(j);
}
