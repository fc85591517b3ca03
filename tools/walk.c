/* SPDX-License-Identifier: MIT */
/* See walk.h. */
#include <errno.h>
#include <string.h>
#include "walk.h"

void walk_init(struct walker *w, struct reader *r, uint64_t root)
{
	w->reader = r;
	w->root = root;
	w->page_mfn = TOOL_NO_FRAME;
	for (unsigned int level = 0; level <= TOP_LEVEL; level++)
		w->kept[level] = TOOL_NO_FRAME;
}

static int load(struct walker *w, uint64_t mfn, uint64_t *kept, void *page)
{
	bool ok;
	int err;

	if (*kept == mfn)
		return 0;
	*kept = TOOL_NO_FRAME;
	err = reader_read(w->reader, &mfn, 1, page, &ok);
	if (err || !ok)
		return err ? err : -EFAULT;
	*kept = mfn;
	return 0;
}

int walk_frame(struct walker *w, uint64_t va, uint64_t *mfn)
{
	const struct layout *layout = w->reader->layout;
	uint64_t at = w->root;

	for (unsigned int level = layout->levels; level; level--) {
		unsigned int slot = layout_slot(layout, level, va);
		int err;

		if (!layout_has_slot(layout, level, slot))
			return -EFAULT;
		err = load(w, at, &w->kept[level], w->entries[level]);
		if (err)
			return err;
		if (!entry_present(w->entries[level][slot]))
			return -EFAULT;
		at = entry_frame(w->entries[level][slot]);
	}
	*mfn = at;
	return 0;
}

int walk_read(struct walker *w, uint64_t va, void *to, size_t len_bytes)
{
	uint8_t *at = to;

	while (len_bytes) {
		size_t offset = va & (TOOL_PAGE_SIZE - 1), nr = TOOL_PAGE_SIZE - offset;
		uint64_t mfn;
		int err = walk_frame(w, va, &mfn);

		if (!err)
			err = load(w, mfn, &w->page_mfn, w->page);
		if (err)
			return err;
		nr = nr < len_bytes ? nr : len_bytes;
		memcpy(at, w->page + offset, nr);
		at += nr;
		va += nr;
		len_bytes -= nr;
	}
	return 0;
}

int walk_word(struct walker *w, uint64_t va, uint64_t *word)
{
	return walk_read(w, va, word, sizeof(*word));
}
