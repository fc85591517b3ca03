/* SPDX-License-Identifier: MIT */
/*
 * Owns who uses which grant, and the handles under which: of the domain's own table, whose entries
 * grant_shared.c knows, and of another domain's, which grants what a test says. Rules 47 and 48 of
 * docs/xen-rules.md. Two domains map the domain's grants: the domain itself, by hypercall, and the
 * other one, played by the test.
 *
 * Invariant: a mapped grant's frame has a general reference for each mapping, and a writable type
 * reference if that is writable. Those of the domain's own host mappings belong to the L1 entry as
 * soon as it is there. Nothing is counted of frames that are another domain's.
 */
#include <string.h>
#include <pvmm/xen.h>
#include "tests/model/state.h"

#define GRANTS_MAX (GRANT_FRAMES_MAX * (PVMM_PAGE_SIZE / sizeof(struct grant_entry_v1)))
#define HANDLES	   1024u

/* What a mapping is for; a grant counts each sort, and no more than this of it. */
enum sort { HOST_WRITABLE, HOST_READONLY, DEVICE_WRITABLE, DEVICE_READONLY, SORTS };
#define SORT_MAX 0x80

enum mapper { BY_GUEST, BY_FOREIGN, MAPPERS };

/* Whose grants. */
enum table { OF_GUEST, OF_FOREIGN, TABLES };

/* A grant in use. */
static struct active {
	unsigned int pins[SORTS];
	enum mapper by;
	uint64_t mfn;
} active[TABLES][GRANTS_MAX];

static struct handle {
	uint32_t flags; /* what of GNTMAP_* is still mapped; 0: free */
	uint32_t ref;
	enum table table;
} handles[MAPPERS][HANDLES];

/* What the other domain has granted to this one. */
static struct foreign_grant {
	bool is_given, is_readonly;
	uint64_t mfn;
} foreign[MODEL_FOREIGN_GRANTS];

void grants_reset(void)
{
	memset(active, 0, sizeof(active));
	memset(handles, 0, sizeof(handles));
	memset(foreign, 0, sizeof(foreign));
	grant_shared_reset();
}

static bool readonly(uint32_t flags)
{
	return flags & GNTMAP_readonly;
}

static enum sort host_sort(uint32_t flags)
{
	return readonly(flags) ? HOST_READONLY : HOST_WRITABLE;
}

static enum sort device_sort(uint32_t flags)
{
	return readonly(flags) ? DEVICE_READONLY : DEVICE_WRITABLE;
}

static bool is_pinned(const struct active *a)
{
	return a->pins[HOST_WRITABLE] || a->pins[HOST_READONLY] || a->pins[DEVICE_WRITABLE] ||
	       a->pins[DEVICE_READONLY];
}

static bool is_pinned_writable(const struct active *a)
{
	return a->pins[HOST_WRITABLE] || a->pins[DEVICE_WRITABLE];
}

static void add_pins(struct active *a, uint32_t flags, int n)
{
	if (flags & GNTMAP_host_map)
		a->pins[host_sort(flags)] += (unsigned int)n;
	if (flags & GNTMAP_device_map)
		a->pins[device_sort(flags)] += (unsigned int)n;
}

static bool may_pin(const struct active *a, uint32_t flags)
{
	return !((flags & GNTMAP_host_map) && a->pins[host_sort(flags)] >= SORT_MAX) &&
	       !((flags & GNTMAP_device_map) && a->pins[device_sort(flags)] >= SORT_MAX);
}

/* --- the grant's entry, which the domain and Xen share --- */

/* Marks the grant as used. What it says matters while nobody uses it yet. */
static int mark(enum table table, uint32_t ref, bool is_readonly, enum mapper by, bool maps)
{
	const struct active *a = &active[table][ref];

	if (table == OF_GUEST)
		return grant_mark(ref, by == BY_GUEST ? GUEST_DOMID : FOREIGN_DOMID, is_pinned(a),
				  is_readonly, maps);
	if (!foreign[ref].is_given || (!is_readonly && foreign[ref].is_readonly))
		return GNTST_general_error;
	return GNTST_okay;
}

static void unmark(enum table table, uint32_t ref, bool is_readonly)
{
	const struct active *a = &active[table][ref];
	unsigned int gone = is_pinned(a) ? 0 : GTF_reading;

	if (!is_readonly && !is_pinned_writable(a))
		gone |= GTF_writing;
	if (table == OF_GUEST)
		grant_unmark(ref, (uint16_t)gone);
}

static uint64_t mfn_of(enum table table, uint32_t ref)
{
	return table == OF_GUEST ? grant_mfn(ref) : foreign[ref].mfn;
}

/* --- the L1 entry of a mapping --- */

/* The entry that a mapping is told to be at; the table is held. */
static pvmm_pte_t *host_entry(uint64_t addr, uint32_t flags, uint64_t *table, unsigned int *slot)
{
	if (flags & GNTMAP_contains_pte) {
		if (addr % sizeof(pvmm_pte_t))
			return NULL;
		*table = addr >> PVMM_PAGE_SHIFT;
		*slot = (addr & ~PVMM_PAGE_MASK) / sizeof(pvmm_pte_t);
	} else if (!find_l1(addr, table, slot)) {
		return NULL;
	}
	return lock_l1(*table, *slot);
}

static bool host_map(uint64_t addr, uint64_t mfn, uint32_t flags)
{
	unsigned int slot;
	uint64_t table;
	pvmm_pte_t *entry = host_entry(addr, flags, &table, &slot), old;

	if (!entry)
		return false;
	old = *entry;
	*entry = entry_of_grant(mfn, flags);
	mirror_entry_changed(table, 1, slot);
	unlock_l1(table);
	entry_put(old, 1, table);
	return true;
}

/* Only if it is there as it was made. The references stay, for who unmaps. */
static bool host_unmap(uint64_t addr, uint64_t mfn, uint32_t flags)
{
	const uint64_t must_match = PVMM_PTE_PRESENT | PVMM_PTE_RW;
	unsigned int slot;
	uint64_t table;
	pvmm_pte_t *entry = host_entry(addr, flags, &table, &slot);
	bool matches;

	if (!entry)
		return false;
	matches = entry_mfn(*entry) == mfn && !((*entry ^ entry_of_grant(mfn, flags)) & must_match);
	if (matches) {
		*entry = 0;
		mirror_entry_changed(table, 1, slot);
	}
	unlock_l1(table);
	return matches;
}

/* --- mapping --- */

static bool is_counted(uint64_t mfn)
{
	return frame_exists(mfn) && frame_at(mfn)->s.owner != MODEL_FOREIGN;
}

static bool take(uint64_t mfn, uint32_t flags)
{
	if (!is_counted(mfn))
		return true;
	return readonly(flags) ? frame_get(mfn) : !frame_get_and_type(mfn, MODEL_WRITABLE);
}

static void give_back(uint64_t mfn, uint32_t flags)
{
	if (!is_counted(mfn))
		return;
	if (readonly(flags))
		frame_put(mfn);
	else
		frame_put_and_type(mfn, NO_MFN);
}

/* The references for all that the flags ask for, or none. */
static bool take_all(uint64_t mfn, uint32_t flags)
{
	if ((flags & GNTMAP_device_map) && !take(mfn, flags))
		return false;
	if (!(flags & GNTMAP_host_map) || take(mfn, flags))
		return true;
	if (flags & GNTMAP_device_map)
		give_back(mfn, flags);
	return false;
}

static int map_frame(const struct gnttab_map_grant_ref *op, enum mapper by, uint64_t mfn)
{
	if (!take_all(mfn, op->flags))
		return GNTST_general_error;
	if (!(op->flags & GNTMAP_host_map) || by != BY_GUEST ||
	    host_map(op->host_addr, mfn, op->flags))
		return GNTST_okay;
	if (op->flags & GNTMAP_device_map)
		give_back(mfn, op->flags);
	give_back(mfn, op->flags);
	return GNTST_general_error;
}

/* The frame of a grant that nobody uses yet must be its granter's. */
static bool frame_is_good(enum table table, uint64_t mfn)
{
	if (table == OF_FOREIGN)
		return true;
	if (!frame_get(mfn))
		return false;
	frame_put(mfn);
	return true;
}

/* The grant's own part: who may, and that it is in use from here on. */
static int use(enum table table, uint32_t ref, uint32_t flags, enum mapper by, bool maps)
{
	struct active *a = &active[table][ref];
	int status;

	if (is_pinned(a) && (a->by != by || !may_pin(a, flags)))
		return GNTST_general_error;
	if (!is_pinned(a) || (!readonly(flags) && !is_pinned_writable(a))) {
		status = mark(table, ref, readonly(flags), by, maps);
		if (status)
			return status;
	}
	if (!is_pinned(a)) {
		uint64_t mfn = mfn_of(table, ref);

		if (!frame_is_good(table, mfn)) {
			unmark(table, ref, readonly(flags));
			return GNTST_bad_page;
		}
		a->by = by;
		a->mfn = mfn;
	}
	add_pins(a, flags, 1);
	return GNTST_okay;
}

static void unuse(enum table table, uint32_t ref, uint32_t flags)
{
	add_pins(&active[table][ref], flags, -1);
	unmark(table, ref, readonly(flags));
}

static int free_handle(enum mapper by)
{
	for (unsigned int i = 0; i < HANDLES; i++)
		if (!handles[by][i].flags)
			return (int)i;
	return -1;
}

/* Whose grants are meant, and whether there is such a one. */
static int granter(uint32_t dom, uint32_t ref, enum table *table)
{
	*table = dom == GUEST_DOMID ? OF_GUEST : OF_FOREIGN;
	if (dom == GUEST_DOMID)
		return ref < grants_nr() ? GNTST_okay : GNTST_bad_gntref;
	if (dom != 0 && dom != FOREIGN_DOMID)
		return GNTST_bad_domain;
	if (ref >= MODEL_FOREIGN_GRANTS)
		return GNTST_bad_gntref;
	return dom == FOREIGN_DOMID ? GNTST_okay : GNTST_general_error;
}

static int map_ref(struct gnttab_map_grant_ref *op, enum mapper by)
{
	int handle = free_handle(by), status;
	enum table table;
	uint64_t mfn;

	if (!(op->flags & (GNTMAP_host_map | GNTMAP_device_map)))
		return GNTST_bad_gntref;
	status = granter(op->dom, op->ref, &table);
	if (status == GNTST_bad_domain)
		return status;
	if (handle < 0)
		return GNTST_no_space;
	if (!status)
		status = use(table, op->ref, op->flags, by, true);
	if (status)
		return status;
	mfn = active[table][op->ref].mfn;
	status = map_frame(op, by, mfn);
	if (status) {
		unuse(table, op->ref, op->flags);
		return status;
	}
	handles[by][handle] = (struct handle){op->flags, op->ref, table};
	op->handle = (uint32_t)handle;
	op->dev_bus_addr = mfn << PVMM_PAGE_SHIFT;
	return GNTST_okay;
}

/* --- unmapping --- */

/* Drops what of a mapping is gone: its references, its pin, its marks. */
static void release(const struct handle *h, uint32_t gone, uint64_t mfn)
{
	uint32_t flags = gone | (h->flags & GNTMAP_readonly);

	if (gone & GNTMAP_device_map)
		give_back(mfn, flags);
	if (gone & GNTMAP_host_map)
		give_back(mfn, flags);
	unuse(h->table, h->ref, flags);
}

/* An address of 0 leaves that part of the mapping as it is. */
static int unmap_ref(const struct gnttab_unmap_grant_ref *op, enum mapper by)
{
	uint32_t gone = 0;
	struct handle *h;
	uint64_t mfn;

	if (op->handle >= HANDLES || !handles[by][op->handle].flags)
		return GNTST_bad_handle;
	h = &handles[by][op->handle];
	mfn = active[h->table][h->ref].mfn;
	if (op->dev_bus_addr && (h->flags & GNTMAP_device_map)) {
		if (op->dev_bus_addr != mfn << PVMM_PAGE_SHIFT)
			return GNTST_bad_dev_addr;
		gone |= GNTMAP_device_map;
	}
	if (op->host_addr && (h->flags & GNTMAP_host_map)) {
		if (by == BY_GUEST && !host_unmap(op->host_addr, mfn, h->flags))
			return GNTST_general_error;
		gone |= GNTMAP_host_map;
	}
	if (!gone)
		return GNTST_okay;
	tlb_flush(ALL_VCPUS);
	release(h, gone, mfn);
	h->flags &= ~gone;
	if (!(h->flags & (GNTMAP_host_map | GNTMAP_device_map)))
		h->flags = 0;
	return GNTST_okay;
}

/* --- for the hypercall --- */

/* Whether one is in use that a change of the version would lose. */
bool grants_in_use(void)
{
	for (uint32_t ref = GNTTAB_NR_RESERVED_ENTRIES; ref < grants_nr(); ref++)
		if (is_pinned(&active[OF_GUEST][ref]))
			return true;
	return false;
}

/* A copy uses the grant as a mapping would, for as long as it takes. */
int grant_copy_begin(uint32_t dom, uint32_t ref, bool is_readonly, uint64_t *mfn, uint16_t *offset,
		     uint16_t *len_bytes)
{
	uint32_t flags = GNTMAP_host_map | (is_readonly ? GNTMAP_readonly : 0);
	enum table table;
	int status = granter(dom == DOMID_SELF ? GUEST_DOMID : dom, ref, &table);

	if (!status)
		status = use(table, ref, flags, BY_GUEST, false);
	if (status)
		return status;
	*mfn = active[table][ref].mfn;
	if (table == OF_GUEST)
		grant_part(ref, offset, len_bytes);
	return GNTST_okay;
}

void grant_copy_end(uint32_t dom, uint32_t ref, bool is_readonly)
{
	enum table table;

	(void)granter(dom == DOMID_SELF ? GUEST_DOMID : dom, ref, &table);
	unuse(table, ref, GNTMAP_host_map | (is_readonly ? GNTMAP_readonly : 0));
}

long grants_map(struct gnttab_map_grant_ref *ops, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (!guest_readable(&ops[i], sizeof(ops[i])))
			return -XEN_EFAULT;
		ops[i].status = (int16_t)map_ref(&ops[i], BY_GUEST);
	}
	return 0;
}

long grants_unmap(struct gnttab_unmap_grant_ref *ops, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (!guest_readable(&ops[i], sizeof(ops[i])))
			return -XEN_EFAULT;
		ops[i].status = (int16_t)unmap_ref(&ops[i], BY_GUEST);
	}
	return 0;
}

/* --- for tests --- */

int model_foreign_map(uint32_t ref, uint32_t flags, uint32_t *handle)
{
	struct gnttab_map_grant_ref op = {.ref = ref, .dom = GUEST_DOMID, .flags = flags};
	int status;

	model_lock();
	status = map_ref(&op, BY_FOREIGN);
	model_unlock();
	*handle = op.handle;
	return status;
}

/* All that the handle stands for. */
int model_foreign_unmap(uint32_t handle)
{
	struct gnttab_unmap_grant_ref op = {.handle = handle, .host_addr = 1};
	int status;

	model_lock();
	if (handle < HANDLES && handles[BY_FOREIGN][handle].flags)
		op.dev_bus_addr = active[OF_GUEST][handles[BY_FOREIGN][handle].ref].mfn
				  << PVMM_PAGE_SHIFT;
	status = unmap_ref(&op, BY_FOREIGN);
	model_unlock();
	return status;
}

mfn_t model_foreign_grant(uint32_t ref, bool is_readonly)
{
	uint64_t mfn = mfn_x(model_frame_owned(MODEL_FOREIGN, ref));

	model_lock();
	foreign[ref] = (struct foreign_grant){true, is_readonly, mfn};
	model_unlock();
	return _mfn(mfn);
}

bool model_foreign_grant_used(uint32_t ref)
{
	return is_pinned(&active[OF_FOREIGN][ref]);
}

void grants_each(void (*fn)(uint64_t mfn, bool writable))
{
	for (unsigned int by = 0; by < MAPPERS; by++) {
		for (unsigned int i = 0; i < HANDLES; i++) {
			const struct handle *h = &handles[by][i];
			uint64_t mfn = active[h->table][h->ref].mfn;

			if (h->table != OF_GUEST)
				continue;
			if (h->flags & GNTMAP_device_map)
				fn(mfn, !readonly(h->flags));
			if (by != BY_GUEST && (h->flags & GNTMAP_host_map))
				fn(mfn, !readonly(h->flags));
		}
	}
}

unsigned int grants_foreign_entries(uint64_t mfn)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < HANDLES; i++) {
		const struct handle *h = &handles[BY_GUEST][i];

		nr += h->table == OF_FOREIGN && (h->flags & GNTMAP_host_map) &&
		      active[OF_FOREIGN][h->ref].mfn == mfn;
	}
	return nr;
}
