/* SPDX-License-Identifier: MIT */
/*
 * Owns the regions of address spaces: ranges whose pages appear when they are touched and are each
 * space's own.
 *
 * Invariant, under the space's lock: a space's regions are sorted by address and do not overlap;
 * every region is page-aligned, not empty and within the user half. A process has a handful, so a
 * list is enough.
 */
#include "object.h"
#include "space.h"

static struct object_cache cache = OBJECT_CACHE_INIT(struct region);

void regions_init(void)
{
	cache = (struct object_cache)OBJECT_CACHE_INIT(struct region);
}

struct region *region_at(const struct pvmm_space *space, pvmm_va_t va)
{
	for (struct region *r = space->regions; r && r->start <= va; r = r->next)
		if (va < r->end)
			return r;
	return NULL;
}

/* The link that leads, or would lead, to the first region that ends behind va. */
static struct region **link_to(struct pvmm_space *space, pvmm_va_t va)
{
	struct region **link = &space->regions;

	while (*link && (*link)->end <= va)
		link = &(*link)->next;
	return link;
}

static struct region *region_new(pvmm_va_t start, pvmm_va_t end, uint64_t prot)
{
	struct region *r = object_alloc(&cache);

	if (r)
		*r = (struct region){.start = start, .end = end, .prot = prot};
	return r;
}

int region_add(struct pvmm_space *space, pvmm_va_t start, pvmm_va_t end, uint64_t prot)
{
	struct region **link = link_to(space, start), *r;

	if (*link && (*link)->start < end)
		return -XEN_EEXIST;
	r = region_new(start, end, prot);
	if (!r)
		return -XEN_ENOMEM;
	r->next = *link;
	*link = r;
	return 0;
}

/* Makes two regions of the one that va is inside of. */
static int split_at(struct pvmm_space *space, pvmm_va_t va)
{
	struct region *r = region_at(space, va), *behind;

	if (!r || r->start == va)
		return 0;
	behind = region_new(va, r->end, r->prot);
	if (!behind)
		return -XEN_ENOMEM;
	behind->next = r->next;
	r->next = behind;
	r->end = va;
	return 0;
}

int region_split(struct pvmm_space *space, pvmm_va_t start, pvmm_va_t end)
{
	int err = split_at(space, start);

	return err ? err : split_at(space, end);
}

int region_cut(struct pvmm_space *space, pvmm_va_t start, pvmm_va_t end)
{
	struct region **link = link_to(space, start), *r = *link;

	if (r && r->start < start && r->end > end && split_at(space, end))
		return -XEN_ENOMEM;
	if (r && r->start < start) {
		r->end = start;
		link = &r->next;
	}
	while (*link && (*link)->end <= end) {
		r = *link;
		*link = r->next;
		object_free(&cache, r);
	}
	if (*link && (*link)->start < end)
		(*link)->start = end;
	return 0;
}

int region_copy(struct pvmm_space *to, const struct pvmm_space *from)
{
	struct region **link = &to->regions;

	for (const struct region *r = from->regions; r; r = r->next) {
		*link = region_new(r->start, r->end, r->prot);
		if (!*link) {
			(void)region_cut(to, 0, PVMM_USER_END);
			return -XEN_ENOMEM;
		}
		link = &(*link)->next;
	}
	return 0;
}
