/* SPDX-License-Identifier: MIT */
/*
 * Owns the references of the domain's own grant table: which are given, for which page, to whom,
 * and which are to be ended as soon as the peer lets go.
 *
 * Invariant: a reference that is not FREE has one reference of its page. It is described as a hold
 * of the page from before that is taken until after it is given back.
 *
 * The first references are the toolstack's: the console's and the store's rings.
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/clock.h>
#include <pvmm/holder.h>
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/spinlock.h>
#include "grant.h"

#define NO_REF	     UINT32_MAX
#define PER_PAGE     128u
#define RECORD_PAGES (GRANT_FRAMES_MAX * (unsigned int)(PVMM_PAGE_SIZE / 8) / PER_PAGE)

enum state { FREE, GIVEN, ENDING, RELEASED };

struct record {
	uint64_t since_ns;
	uint32_t pfn;
	uint32_t giver; /* a stack: pvmm_owner_stack */
	uint32_t next;	/* in the list of free or of ending ones */
	uint16_t domid;
	uint8_t state;
	bool is_readonly;
	bool is_said; /* that it has waited for long */
};

_Static_assert(PER_PAGE * sizeof(struct record) <= PVMM_PAGE_SIZE, "records fit in their pages");

/* Guards the records, the lists and the entries of the table. No lock is taken inside it. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
static struct record *records[RECORD_PAGES];
static uint32_t nr_refs; /* that have a record; only grows */
static uint32_t first_free, ending;
static unsigned int nr_given, nr_record_pages;

/* Written under the lock, read without: count(). */
static unsigned int nr_free, nr_ending;

static void count(unsigned int *what, int change)
{
	__atomic_store_n(what, *what + (unsigned int)change, __ATOMIC_RELAXED);
}

/*
 * One vCPU at a time has the table grow. Outside all locks of the manager: memory is allocated and
 * mapped under it.
 */
static struct pvmm_spinlock grow_lock = PVMM_SPINLOCK_INIT;

static struct record *record_at(pvmm_grant_t ref)
{
	return &records[ref / PER_PAGE][ref % PER_PAGE];
}

/* The record of a reference that somebody says is given; the lock is held. */
static struct record *record_in(pvmm_grant_t ref, enum state state)
{
	if (ref >= nr_refs || ref < GNTTAB_NR_RESERVED_ENTRIES || record_at(ref)->state != state)
		return NULL;
	return record_at(ref);
}

static void free_push(pvmm_grant_t ref)
{
	struct record *r = record_at(ref);

	r->state = FREE;
	r->next = first_free;
	first_free = ref;
	count(&nr_free, 1);
}

static pvmm_grant_t free_pop(void)
{
	pvmm_grant_t ref = first_free;

	first_free = record_at(ref)->next;
	count(&nr_free, -1);
	return ref;
}

/* --- in words --- */

static const char *use_name(pvmm_grant_t ref)
{
	uint16_t use = grant_entry_use(ref);

	if (use & GTF_writing)
		return "mapped writable";
	return use ? "mapped read-only" : "not mapped now";
}

/* Who gave it: the caller's name, without those behind it. */
static void describe_giver(const struct record *r, char *buf, size_t len_bytes)
{
	const struct pvmm_owner_stack *stack = pvmm_owner_stack(r->giver);

	if (stack && stack->nr)
		pvmm_snprintf(buf, len_bytes, "%pS", (void *)stack->callers[0]);
	else
		pvmm_snprintf(buf, len_bytes, "(not known)");
}

static bool describe(pfn_t pfn, unsigned int n, char *buf, size_t len_bytes)
{
	char giver[64];
	bool found = false;

	pvmm_spin_lock(&lock);
	for (pvmm_grant_t ref = GNTTAB_NR_RESERVED_ENTRIES; ref < nr_refs && !found; ref++) {
		const struct record *r = record_at(ref);

		if (r->state == FREE || r->pfn != pfn_x(pfn) || n--)
			continue;
		describe_giver(r, giver, sizeof(giver));
		pvmm_snprintf(buf, len_bytes, "grant ref %u to domain %u, %s%s, given by %s", ref,
			      r->domid, use_name(ref), r->state == GIVEN ? "" : ", to be ended",
			      giver);
		found = true;
	}
	pvmm_spin_unlock(&lock);
	return found;
}

static struct pvmm_holder holder = {.describe = describe};

/* --- the table's size --- */

/* The records of one more frame: all or none. */
static int add_records(unsigned int refs)
{
	unsigned int from = nr_record_pages, to = (nr_refs + refs) / PER_PAGE;

	for (; nr_record_pages < to; nr_record_pages++) {
		struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);

		if (!page)
			break;
		records[nr_record_pages] = pvmm_page_virt(page);
	}
	if (nr_record_pages == to)
		return 0;
	while (nr_record_pages > from)
		pvmm_page_put(pvmm_virt_to_page(records[--nr_record_pages]));
	return -XEN_ENOMEM;
}

static void drop_records(unsigned int refs)
{
	for (unsigned int i = 0; i < refs / PER_PAGE; i++)
		pvmm_page_put(pvmm_virt_to_page(records[--nr_record_pages]));
}

/* One more frame. grow_lock is held. */
static int grow(void)
{
	unsigned int refs = grant_refs_per_frame(grant_frames.version);
	int err = grant_frames.nr < grant_frames.max ? add_records(refs) : -XEN_ENOSPC;
	pvmm_grant_t first = nr_refs;

	if (err)
		return err;
	err = grant_frames_grow(grant_frames.nr + 1);
	if (err) {
		drop_records(refs);
		return err;
	}
	pvmm_spin_lock(&lock);
	for (pvmm_grant_t ref = first; ref < first + refs; ref++)
		*record_at(ref) = (struct record){.state = FREE};
	for (pvmm_grant_t ref = first + refs; ref-- > first;)
		if (ref >= GNTTAB_NR_RESERVED_ENTRIES)
			free_push(ref);
	__atomic_store_n(&nr_refs, nr_refs + refs, __ATOMIC_RELAXED);
	pvmm_spin_unlock(&lock);
	return 0;
}

int pvmm_grants_start(void)
{
	int err;

	nr_refs = nr_free = nr_given = nr_ending = nr_record_pages = 0;
	first_free = ending = NO_REF;
	grant_maps_init();
	err = grant_frames_init();
	if (err)
		return err;
	pvmm_spin_lock(&grow_lock);
	err = grow();
	pvmm_spin_unlock(&grow_lock);
	if (err)
		grant_frames_end();
	else
		pvmm_holder_add(&holder);
	return err;
}

/* --- giving --- */

static int may_give(const struct pvmm_page *page)
{
	switch (page->kind) {
	case PVMM_PAGE_KERNEL:
	case PVMM_PAGE_USER:
	case PVMM_PAGE_RESERVED:
		break;
	default:
		return -XEN_EINVAL;
	}
	if (grant_frames.version == 1 && mfn_x(pvmm_pfn_to_mfn(pvmm_page_pfn(page))) > UINT32_MAX)
		return -XEN_ERANGE;
	return 0;
}

/* Takes the lock with so many references free. */
static int lock_with_free(unsigned int nr)
{
	int err = 0;

	pvmm_spin_lock(&lock);
	while (nr_free < nr && !err) {
		pvmm_spin_unlock(&lock);
		pvmm_spin_lock(&grow_lock);
		if (__atomic_load_n(&nr_free, __ATOMIC_RELAXED) < nr)
			err = grow();
		pvmm_spin_unlock(&grow_lock);
		pvmm_spin_lock(&lock);
	}
	if (err)
		pvmm_spin_unlock(&lock);
	return err;
}

static void write_entry(pvmm_grant_t ref)
{
	const struct record *r = record_at(ref);

	grant_entry_give(ref, r->domid, pvmm_pfn_to_mfn(_pfn(r->pfn)), r->is_readonly);
}

int pvmm_grant_give(struct pvmm_page *const *pages, unsigned int nr, unsigned int domid,
		    unsigned int flags, pvmm_grant_t *refs)
{
	uint32_t giver = pvmm_owner_note_stack();
	uint64_t now = pvmm_clock_ns();
	int err = 0;

	if (!grant_frames.version)
		return -XEN_ENODEV;
	if (domid >= DOMID_FIRST_RESERVED || (flags & ~PVMM_GRANT_READONLY))
		return -XEN_EINVAL;
	for (unsigned int i = 0; i < nr && !err; i++)
		err = may_give(pages[i]);
	if (!err)
		err = lock_with_free(nr);
	if (err)
		return err;
	for (unsigned int i = 0; i < nr; i++) {
		refs[i] = free_pop();
		*record_at(refs[i]) = (struct record){
			.since_ns = now,
			.pfn = (uint32_t)pfn_x(pvmm_page_pfn(pages[i])),
			.giver = giver,
			.domid = (uint16_t)domid,
			.state = GIVEN,
			.is_readonly = flags & PVMM_GRANT_READONLY,
		};
		pvmm_page_get(pages[i]);
		write_entry(refs[i]);
	}
	nr_given += nr;
	pvmm_spin_unlock(&lock);
	return 0;
}

int pvmm_grant_renew(pvmm_grant_t ref)
{
	int err = -XEN_ENOENT;

	pvmm_spin_lock(&lock);
	if (record_in(ref, GIVEN)) {
		err = grant_entry_end(ref) ? 0 : -XEN_EBUSY;
		if (!err)
			write_entry(ref);
	}
	pvmm_spin_unlock(&lock);
	return err;
}

/* --- ending --- */

/* Nobody has the page through it any more. The page goes first, the reference behind it. */
static void release(pvmm_grant_t ref)
{
	pvmm_page_put(pvmm_page(_pfn(record_at(ref)->pfn)));
	pvmm_spin_lock(&lock);
	free_push(ref);
	pvmm_spin_unlock(&lock);
}

int pvmm_grant_end(pvmm_grant_t ref)
{
	int err = -XEN_ENOENT;
	struct record *r;

	pvmm_spin_lock(&lock);
	r = record_in(ref, GIVEN);
	if (r)
		err = grant_entry_end(ref) ? 0 : -XEN_EBUSY;
	if (!err) {
		r->state = RELEASED;
		nr_given--;
	}
	pvmm_spin_unlock(&lock);
	if (!err)
		release(ref);
	return err;
}

static void ending_add(pvmm_grant_t ref)
{
	record_at(ref)->next = ending;
	ending = ref;
}

int pvmm_grant_end_later(pvmm_grant_t ref)
{
	bool is_over = false;
	struct record *r;

	pvmm_spin_lock(&lock);
	r = record_in(ref, GIVEN);
	if (r) {
		nr_given--;
		is_over = grant_entry_end_for_good(ref);
		r->state = is_over ? RELEASED : ENDING;
		r->since_ns = pvmm_clock_ns();
		if (!is_over) {
			ending_add(ref);
			count(&nr_ending, 1);
		}
	}
	pvmm_spin_unlock(&lock);
	if (is_over)
		release(ref);
	return r ? 0 : -XEN_ENOENT;
}

static void say_patience_is_over(pvmm_grant_t ref, const struct record *r)
{
	pvmm_log(
		PVMM_WARN,
		"grant ref %u to domain %u: pfn 0x%x is still mapped %llu s after its end; it is kept until the domain lets go",
		ref, r->domid, r->pfn,
		(unsigned long long)(PVMM_GRANT_PATIENCE_NS / 1000000000ULL));
}

/* One that is off the list: ends it, or puts it back. */
static void retry(pvmm_grant_t ref)
{
	struct record *r = record_at(ref), copy;
	bool is_over, is_late;

	pvmm_spin_lock(&lock);
	is_over = grant_entry_end_for_good(ref);
	is_late = !is_over && !r->is_said && pvmm_clock_ns() - r->since_ns > PVMM_GRANT_PATIENCE_NS;
	r->is_said |= is_late;
	copy = *r;
	if (is_over) {
		r->state = RELEASED;
		count(&nr_ending, -1);
	} else {
		ending_add(ref);
	}
	pvmm_spin_unlock(&lock);
	if (is_late)
		say_patience_is_over(ref, &copy);
	if (is_over)
		release(ref);
}

unsigned int pvmm_grant_retry(void)
{
	pvmm_grant_t ref, next;

	if (!__atomic_load_n(&nr_ending, __ATOMIC_RELAXED))
		return 0;
	pvmm_spin_lock(&lock);
	ref = ending;
	ending = NO_REF;
	pvmm_spin_unlock(&lock);
	for (; ref != NO_REF; ref = next) {
		next = record_at(ref)->next;
		retry(ref);
	}
	return __atomic_load_n(&nr_ending, __ATOMIC_RELAXED);
}

/* --- looking --- */

int pvmm_grant_query(pvmm_grant_t ref, struct pvmm_grant_info *info)
{
	const struct record *r;
	uint16_t use;

	pvmm_spin_lock(&lock);
	r = record_in(ref, GIVEN);
	if (!r)
		r = record_in(ref, ENDING);
	if (r) {
		use = grant_entry_use(ref);
		*info = (struct pvmm_grant_info){
			.pfn = _pfn(r->pfn),
			.domid = r->domid,
			.is_readonly = r->is_readonly,
			.is_ending = r->state == ENDING,
			.is_mapped_to_read = use & GTF_reading,
			.is_mapped_to_write = use & GTF_writing,
			.since_ns = r->since_ns,
			.giver = r->giver,
		};
	}
	pvmm_spin_unlock(&lock);
	return r ? 0 : -XEN_ENOENT;
}

struct pvmm_grant_stats pvmm_grant_stats(void)
{
	struct pvmm_grant_stats s = {.nr_mapped = grant_nr_mapped()};

	pvmm_spin_lock(&lock);
	s.version = grant_frames.version;
	s.nr_frames = grant_frames.nr;
	s.max_frames = grant_frames.max;
	s.nr_given = nr_given;
	s.nr_ending = nr_ending;
	s.nr_record_pages = nr_record_pages;
	pvmm_spin_unlock(&lock);
	return s;
}

static void print_grant(pvmm_grant_t ref, const struct pvmm_grant_info *info)
{
	uint64_t ns = pvmm_clock_ns() - info->since_ns;

	pvmm_print("grant ref %u to domain %u: pfn 0x%llx, %s, %s, %s %llu.%03llus ago\n", ref,
		   info->domid, (unsigned long long)pfn_x(info->pfn),
		   info->is_readonly ? "read-only" : "writable",
		   info->is_mapped_to_write  ? "mapped writable"
		   : info->is_mapped_to_read ? "mapped read-only"
					     : "not mapped",
		   info->is_ending ? "ended" : "given", (unsigned long long)(ns / 1000000000ULL),
		   (unsigned long long)(ns / 1000000ULL % 1000));
}

void pvmm_grants_print(void)
{
	struct pvmm_grant_stats s = pvmm_grant_stats();
	struct pvmm_grant_info info;

	pvmm_print(
		"grants: version %u, %u of %u frames, %u given, %u to be ended, %u pages of others mapped\n",
		s.version, s.nr_frames, s.max_frames, s.nr_given, s.nr_ending, s.nr_mapped);
	for (pvmm_grant_t ref = 0; ref < __atomic_load_n(&nr_refs, __ATOMIC_RELAXED); ref++)
		if (!pvmm_grant_query(ref, &info))
			print_grant(ref, &info);
	grant_print_mappings();
}
