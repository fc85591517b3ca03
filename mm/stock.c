/* SPDX-License-Identifier: MIT */
/* See stock.h. Owns nothing. */
#include "stock.h"

bool stock_reserve(struct stock *s)
{
	bool has_room;

	pvmm_spin_lock(&s->lock);
	has_room = s->nr < s->limit;
	s->nr += has_room;
	pvmm_spin_unlock(&s->lock);
	return has_room;
}

void stock_reserve_always(struct stock *s)
{
	pvmm_spin_lock(&s->lock);
	s->nr++;
	pvmm_spin_unlock(&s->lock);
}

void stock_put(struct stock *s, struct pvmm_page *page)
{
	pvmm_spin_lock(&s->lock);
	page->next = s->first;
	s->first = (uint32_t)pfn_x(pvmm_page_pfn(page));
	pvmm_spin_unlock(&s->lock);
}

struct pvmm_page *stock_take(struct stock *s)
{
	struct pvmm_page *page = NULL;

	pvmm_spin_lock(&s->lock);
	if (s->first != PVMM_PAGE_NONE) {
		page = pvmm_page(_pfn(s->first));
		s->first = page->next;
		s->nr--;
	}
	pvmm_spin_unlock(&s->lock);
	return page;
}

unsigned int stock_nr(struct stock *s)
{
	unsigned int nr;

	pvmm_spin_lock(&s->lock);
	nr = s->nr;
	pvmm_spin_unlock(&s->lock);
	return nr;
}
