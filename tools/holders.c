/* SPDX-License-Identifier: MIT */
/* What holds a frame besides entries: roots, descriptor tables, grants. */
#include <errno.h>
#include <stdlib.h>
#include "search.h"
#include "walk.h"

struct holders {
	struct reader *r;
	const struct frameset *wanted;
	size_t max;
	struct search_result *result;
};

static int note(const struct holders *h, enum holder holder, unsigned int vcpu, uint64_t mfn)
{
	struct finding f = {
		.holder = holder,
		.domid = h->r->dom->info.domid,
		.mfn = mfn,
		.vcpu = vcpu,
		.table = TOOL_NO_FRAME,
		.table_pfn = TOOL_NO_FRAME,
	};

	return frameset_has(h->wanted, mfn) ? result_add(h->result, h->max, &f) : 0;
}

/* The LDT is known by its address in the vCPU's tables. */
static int note_ldt(const struct holders *h, unsigned int id, const struct dom_vcpu *v)
{
	unsigned int nr = (v->ldt_entries * 8 + TOOL_PAGE_SIZE - 1) / TOOL_PAGE_SIZE;
	struct walker *w = nr ? malloc(sizeof(*w)) : NULL;
	int err = 0;

	if (!nr)
		return 0;
	if (!w)
		return -ENOMEM;
	walk_init(w, h->r, v->root);
	for (unsigned int i = 0; i < nr && !err; i++) {
		uint64_t mfn;

		err = walk_frame(w, v->ldt_va + (uint64_t)i * TOOL_PAGE_SIZE, &mfn);
		if (!err)
			err = note(h, HOLDER_LDT, id, mfn);
		else if (err == -EFAULT)
			err = 0;
	}
	free(w);
	return err;
}

static int note_vcpu(const struct holders *h, unsigned int id)
{
	const struct dom_vcpu *v = &h->r->vcpus[id];
	int err = note(h, HOLDER_ROOT, id, v->root);

	if (!err)
		err = note(h, HOLDER_USER_ROOT, id, v->user_root);
	for (unsigned int i = 0; i < v->nr_gdt && !err; i++)
		err = note(h, HOLDER_GDT, id, v->gdt[i]);
	return err ? err : note_ldt(h, id, v);
}

static int note_grants(const struct holders *h)
{
	struct dom_grant *grants = NULL;
	size_t nr = 0;
	int err = h->r->dom->grants(h->r->dom, &grants, &nr);

	if (err == -EOPNOTSUPP)
		return 0;
	for (size_t i = 0; i < nr && !err; i++) {
		struct finding f = {
			.holder = HOLDER_GRANT,
			.domid = h->r->dom->info.domid,
			.mfn = grants[i].mfn,
			.grant = grants[i],
			.table = TOOL_NO_FRAME,
			.table_pfn = TOOL_NO_FRAME,
		};

		if (frameset_has(h->wanted, f.mfn))
			err = result_add(h->result, h->max, &f);
	}
	free(grants);
	return err;
}

int search_holders(struct reader *r, const struct frameset *wanted, size_t max,
		   struct search_result *result)
{
	const struct holders h = {.r = r, .wanted = wanted, .max = max, .result = result};
	int err = 0;

	for (unsigned int i = 0; i < r->nr_vcpus && !err; i++)
		err = note_vcpu(&h, i);
	return err ? err : note_grants(&h);
}
