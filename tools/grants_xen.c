/* SPDX-License-Identifier: MIT */
/* See grants_xen.h. The table is mapped read-only, copied entry by entry, and unmapped. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "grants_xen.h"

static void take_grant(struct dom_grant *g, uint32_t ref, uint16_t flags, uint16_t domid,
		       uint64_t frame)
{
	*g = (struct dom_grant){
		.ref = ref,
		.domid = domid,
		.is_readonly = flags & GTF_readonly,
		.is_mapped = flags & (GTF_reading | GTF_writing),
		.is_mapped_writable = flags & GTF_writing,
		.is_transfer = (flags & GTF_type_mask) == GTF_accept_transfer,
		.mfn = frame,
	};
}

/* Each entry is copied once; a transitive one names no frame of this domain. */
static size_t take_v1(const grant_entry_v1_t *table, size_t nr, struct dom_grant *grants)
{
	size_t taken = 0;

	for (size_t i = 0; i < nr; i++) {
		grant_entry_v1_t e;

		memcpy(&e, &table[i], sizeof(e));
		if (e.flags & GTF_type_mask)
			take_grant(&grants[taken++], (uint32_t)i, e.flags, e.domid, e.frame);
	}
	return taken;
}

/* Whether a grant of version 2 is in use is told elsewhere, where dom0 does not look. */
static size_t take_v2(const grant_entry_v2_t *table, size_t nr, struct dom_grant *grants)
{
	size_t taken = 0;

	for (size_t i = 0; i < nr; i++) {
		grant_entry_v2_t e;
		uint16_t kind;

		memcpy(&e, &table[i], sizeof(e));
		kind = e.hdr.flags & GTF_type_mask;
		if (kind && kind != GTF_transitive)
			take_grant(&grants[taken++], (uint32_t)i, e.hdr.flags, e.hdr.domid,
				   e.full_page.frame);
	}
	return taken;
}

int grants_read(xc_interface *xc, uint32_t domid, struct dom_grant **list, size_t *nr)
{
	int version = xc_gnttab_get_version(xc, domid), entries = 0;
	size_t entry_bytes = version == 2 ? sizeof(grant_entry_v2_t) : sizeof(grant_entry_v1_t);
	void *table = NULL;

	*list = NULL;
	*nr = 0;
	/* No version yet: no table either, and asking for it would settle the version. */
	if (version != 1 && version != 2)
		return -EOPNOTSUPP;
	table = version == 2 ? (void *)xc_gnttab_map_table_v2(xc, domid, &entries)
			     : (void *)xc_gnttab_map_table_v1(xc, domid, &entries);
	if (!table)
		return -EOPNOTSUPP;
	*list = calloc(entries > 0 ? (size_t)entries : 1, sizeof(**list));
	if (*list)
		*nr = version == 2 ? take_v2(table, (size_t)entries, *list)
				   : take_v1(table, (size_t)entries, *list);
	munmap(table, (size_t)entries * entry_bytes);
	return *list ? 0 : -ENOMEM;
}
