/* SPDX-License-Identifier: MIT */
/*
 * Owns the machine's frames: which exist, whose they are, and the memory file that holds their
 * bytes.
 *
 * The domain's pfn i is page i of the file, so that the direct map is one host mapping; which
 * machine frame that is, the seed decides. Machine frames start above every pfn, so that a pfn used
 * as an mfn is a frame that does not exist, and the other way round.
 *
 * Invariant: model.owned counts the frames that are the domain's and not Xen's own.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/model/state.h"

#define MAX_PAGES  0x8000u
#define NR_IO	   256u /* the machine's first MiB */
#define NR_FOREIGN 64u
#define NR_XEN	   16u
#define NR_FREE	   32u
#define NR_GRANT   (GRANT_FRAMES_MAX + GRANT_STATUS_MAX)

/* A domain that grows numbers its pages beyond what it gets: up to a table's reach. */
#define ROUNDING 1024u

/* Xen's value for a frame that is nobody's page (INVALID_M2P_ENTRY). */
#define NO_PFN UINT64_MAX

/* What the debug hypervisor fills free memory with. */
#define SCRUB_PATTERN 0xc2

struct model model;

static int memfd = -1;
static uint8_t *bytes; /* the whole file, writable */
static uint64_t m2p_bytes;
static uint64_t ram_base; /* first machine frame that is memory; above every pfn */
static void *saved;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

/* xorshift64*: small, and the same everywhere. */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static void shuffle(uint64_t *values, uint64_t nr, uint64_t seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;

	for (uint64_t i = nr - 1; i > 0; i--) {
		uint64_t j = random_next(&state) % (i + 1);
		uint64_t tmp = values[i];

		values[i] = values[j];
		values[j] = tmp;
	}
}

static enum model_owner owner_of_store(uint64_t store)
{
	if (store < model.nr_pages)
		return MODEL_GUEST;
	store -= model.nr_pages;
	if (store < NR_FOREIGN)
		return MODEL_FOREIGN;
	return store < NR_FOREIGN + NR_XEN + NR_GRANT ? MODEL_XEN : MODEL_FREE;
}

static void frame_init(uint64_t mfn, uint64_t store)
{
	struct frame *f = frame_at(mfn);

	f->s.owner = owner_of_store(store);
	f->s.refs = f->s.owner == MODEL_FREE ? 0 : 1;
	f->s.allocated = f->s.owner == MODEL_GUEST;
	f->store = (uint32_t)store;
	model.m2p[mfn] = NO_PFN;
	if (f->s.owner == MODEL_GUEST)
		model.m2p[mfn] = store;
	else if (f->s.owner == MODEL_FOREIGN)
		/* Another domain's pfn, which this one has too: only the p2m tells. */
		model.m2p[mfn] = store % model.nr_pages;
}

bool frames_in_m2p(const uint64_t *addr)
{
	return (uintptr_t)addr - (uintptr_t)model.guest_m2p < m2p_bytes;
}

/* Where the machine has no memory, the m2p has none either. */
bool frames_m2p_hole(const uint64_t *addr)
{
	uint64_t offset = ((uintptr_t)addr - (uintptr_t)model.guest_m2p) & PVMM_PAGE_MASK;
	uint64_t first_mfn = offset / sizeof(uint64_t);

	return first_mfn >= NR_IO && first_mfn < ram_base;
}

/* The machine-to-physical table lies behind the frames in the file and is seen twice. */
static void m2p_create(void)
{
	uint64_t offset = model.nr_store * PVMM_PAGE_SIZE;
	uint8_t *view;

	model.m2p = (uint64_t *)(bytes + offset);
	view = mmap(NULL, m2p_bytes, PROT_READ, MAP_SHARED, memfd, (off_t)offset);
	must(view != MAP_FAILED, "mmap of the m2p");
	model.guest_m2p = (const uint64_t *)view;

	for (uint64_t at = 0, end; at < m2p_bytes; at = end + PVMM_PAGE_SIZE) {
		for (end = at; end < m2p_bytes && frames_m2p_hole((uint64_t *)(view + end));)
			end += PVMM_PAGE_SIZE;
		if (end > at)
			must(!mprotect(view + at, end - at, PROT_NONE), "mprotect");
	}
}

void frames_create(uint64_t nr_pages, uint64_t seed)
{
	uint64_t nr_free = model.options.free_frames ? model.options.free_frames : NR_FREE;

	must(nr_pages + nr_free <= MAX_PAGES, "model_boot: too many pages");
	model.nr_pfns = nr_pages + nr_free + ROUNDING;
	for (ram_base = 0x1000; ram_base < 2 * nr_pages || ram_base < model.nr_pfns;)
		ram_base *= 2;
	model.nr_pages = nr_pages;
	model.owned = nr_pages;
	model.nr_store = nr_pages + NR_FOREIGN + NR_XEN + NR_GRANT + nr_free;
	model.nr_mfns = ram_base + model.nr_store;
	m2p_bytes = pvmm_pages_for(model.nr_mfns * sizeof(uint64_t)) * PVMM_PAGE_SIZE;

	memfd = memfd_create("machine", MFD_CLOEXEC);
	must(memfd >= 0, "memfd_create");
	must(!ftruncate(memfd, (off_t)(model.nr_store * PVMM_PAGE_SIZE + m2p_bytes)), "ftruncate");
	bytes = mmap(NULL, model.nr_store * PVMM_PAGE_SIZE + m2p_bytes, PROT_READ | PROT_WRITE,
		     MAP_SHARED, memfd, 0);
	must(bytes != MAP_FAILED, "mmap of the machine's memory");
	model.frames = calloc(model.nr_mfns, sizeof(*model.frames));
	model.mfn_of_store = calloc(model.nr_store, sizeof(*model.mfn_of_store));
	model.mfn_of_pfn = calloc(model.nr_pfns, sizeof(*model.mfn_of_pfn));
	must(model.frames && model.mfn_of_store && model.mfn_of_pfn, "calloc");
	m2p_create();

	for (uint64_t mfn = 0; mfn < NR_IO; mfn++) {
		frame_at(mfn)->s = (struct model_frame){.owner = MODEL_IO, .refs = 1};
		frame_at(mfn)->store = NO_STORE;
		model.m2p[mfn] = NO_PFN;
	}
	for (uint64_t i = 0; i < model.nr_store; i++)
		model.mfn_of_store[i] = ram_base + i;
	shuffle(model.mfn_of_store, model.nr_store, seed);
	for (uint64_t i = 0; i < model.nr_store; i++)
		frame_init(model.mfn_of_store[i], i);
	memcpy(model.mfn_of_pfn, model.mfn_of_store, nr_pages * sizeof(*model.mfn_of_pfn));
}

void frames_destroy(void)
{
	munmap((void *)(uintptr_t)model.guest_m2p, m2p_bytes);
	munmap(bytes, model.nr_store * PVMM_PAGE_SIZE + m2p_bytes);
	close(memfd);
	free(model.frames);
	free(model.mfn_of_store);
	free(model.mfn_of_pfn);
	memfd = -1;
}

int frames_memfd(void)
{
	return memfd;
}

uint64_t *frame_entries(uint64_t mfn)
{
	must(frame_exists(mfn) && frame_at(mfn)->store != NO_STORE, "entries of no frame");
	return (uint64_t *)(bytes + (uint64_t)frame_at(mfn)->store * PVMM_PAGE_SIZE);
}

uint64_t frame_of_xen(unsigned int i)
{
	return model.mfn_of_store[model.nr_pages + NR_FOREIGN + i];
}

uint64_t frame_of_grant_table(unsigned int i)
{
	return frame_of_xen(NR_XEN + i);
}

uint64_t frame_of_grant_status(unsigned int i)
{
	return frame_of_grant_table(GRANT_FRAMES_MAX + i);
}

/* --- frames that change hands --- */

/* One of Xen's own becomes the domain's to write to, and can never be anything else. */
void frame_share(uint64_t mfn)
{
	struct frame *f = frame_at(mfn);

	f->xen_heap = true;
	f->s = (struct model_frame){
		.owner = MODEL_GUEST,
		.type = MODEL_WRITABLE,
		.type_count = 1,
		.refs = 1,
		.validated = true,
		.special = true,
		.allocated = true,
	};
}

static bool run_is_free(uint64_t mfn, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		if (mfn + i >= model.nr_mfns || frame_at(mfn + i)->s.owner != MODEL_FREE)
			return false;
	return true;
}

/*
 * Takes 2^order free frames that lie together: the first one, or NO_MFN. They are nobody's yet. A
 * processor that may remember the last owner's translations flushes, and nothing is left of the
 * contents: the debug hypervisor's allocator says so with a pattern, the release one scrubs.
 */
uint64_t frames_take(unsigned int order)
{
	uint64_t nr = 1ULL << order, mfn = ram_base, stamp = 0;

	while (mfn < model.nr_mfns && !run_is_free(mfn, nr))
		mfn += nr;
	if (mfn >= model.nr_mfns)
		return NO_MFN;
	for (uint64_t i = 0; i < nr; i++) {
		frame_at(mfn + i)->s.owner = MODEL_XEN;
		if (frame_at(mfn + i)->stamp > stamp)
			stamp = frame_at(mfn + i)->stamp;
		memset(frame_entries(mfn + i), model.options.release ? 0 : SCRUB_PATTERN,
		       PVMM_PAGE_SIZE);
	}
	if (stamp && tlb_unflushed_since(stamp))
		tlb_flush(tlb_unflushed_since(stamp));
	return mfn;
}

/* A frame that is nobody's becomes the domain's, without a type. */
void frame_give(uint64_t mfn)
{
	frame_at(mfn)->s = (struct model_frame){.owner = MODEL_GUEST, .refs = 1, .allocated = true};
}

/* A frame that nobody refers to any more. */
void frame_free(uint64_t mfn)
{
	struct frame *f = frame_at(mfn);

	f->s = (struct model_frame){.owner = MODEL_FREE};
	f->stamp = model.flush_epoch;
	tlb_changed_hands(f);
	model.m2p[mfn] = NO_PFN;
}

/* Xen notes which page of the domain the frame is, as the domain says it. */
void frame_named(uint64_t mfn, uint64_t pfn)
{
	model.m2p[mfn] = pfn;
	if (pfn < model.nr_pfns)
		model.mfn_of_pfn[pfn] = mfn;
}

/* A copy of all memory, for a child process that writes to it. */
void frames_save(void)
{
	uint64_t len_bytes = model.nr_store * PVMM_PAGE_SIZE + m2p_bytes;

	saved = malloc(len_bytes);
	must(saved, "malloc");
	memcpy(saved, bytes, len_bytes);
}

void frames_restore(void)
{
	memcpy(bytes, saved, model.nr_store * PVMM_PAGE_SIZE + m2p_bytes);
	free(saved);
}

void *model_bytes(mfn_t mfn)
{
	return frame_entries(mfn_x(mfn));
}

struct model_frame model_frame(mfn_t mfn)
{
	return frame_exists(mfn_x(mfn)) ? frame_at(mfn_x(mfn))->s : (struct model_frame){0};
}

struct model_frame model_frame_of(pfn_t pfn)
{
	must(pfn_x(pfn) < model.nr_pfns, "pfn outside the domain");
	return model_frame(_mfn(model.mfn_of_pfn[pfn_x(pfn)]));
}

mfn_t model_frame_owned(enum model_owner owner, unsigned int i)
{
	for (uint64_t mfn = 0; mfn < model.nr_mfns; mfn++)
		if (frame_at(mfn)->s.owner == owner && !i--)
			return _mfn(mfn);
	must(false, "no such frame");
	abort();
}

void model_max_pages(uint64_t nr_pages)
{
	model.options.max_pages = nr_pages;
}

pfn_t model_special_pfn(void)
{
	return _pfn(model.special_pfn);
}
