/* SPDX-License-Identifier: MIT */
/*
 * Owns the host mappings: what the loaded root of the vCPU that runs maps is mapped in the process,
 * at the same addresses and with the same rights.
 *
 * Invariant, between hypercalls: now[] lists exactly the L1 entries reachable from the loaded root
 * below HOST_END that map memory, in the order of their addresses, and the host's mappings follow.
 * A user address at which the process already has something is listed, but left alone.
 *
 * Changes are collected during a hypercall and applied when it ends. A change of an L1 entry is
 * applied by itself; one in an upper table of the tree, or a new root, makes a new walk.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tests/model/state.h"

/* A process has nothing above. */
#define HOST_END 0x7ffffffff000ULL

struct mapping {
	uint64_t va;
	uint32_t store;
	bool rw;
	bool foreign; /* the process's own: not ours to touch */
};

struct list {
	struct mapping *m;
	size_t nr, max;
};

struct change {
	uint64_t mfn;
	unsigned int slot;
};

/* Address space kept free from the start of the process: the parts of the regions in use. */
static const struct {
	uint64_t base, len_bytes;
} windows[] = {
	{PVMM_DIRECTMAP_BASE, 1ULL << 30}, {PVMM_P2M_BASE, 1ULL << 24},
	{PVMM_PAGES_BASE, 1ULL << 24},	   {PVMM_OWNERS_BASE, 1ULL << 24},
	{PVMM_VMAP_BASE, PVMM_VMAP_BYTES}, {PVMM_KMAP_BASE, PVMM_KMAP_BYTES},
};

static struct list now;
static struct change *changes;
static size_t nr_changes, max_changes;
static bool walk_again, running;
static uint64_t epoch;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static bool in_window(uint64_t va)
{
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(windows); i++)
		if (va - windows[i].base < windows[i].len_bytes)
			return true;
	return false;
}

/*
 * Past the sanitizers' own mmap: to ThreadSanitizer a mapping is a write to all of it, but here
 * another vCPU may go on reading, as it may when Xen changes an entry.
 */
static void *map(uint64_t va, uint64_t len_bytes, int prot, int flags, int fd, uint64_t offset)
{
	return (void *)syscall(SYS_mmap, va, len_bytes, prot, flags, fd, offset);
}

static void *reserve(uint64_t va, uint64_t len_bytes, int flags)
{
	return map(va, len_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags,
		   -1, 0);
}

/*
 * Runs before main. The C library's mappings are placed at random within a TiB, of which the
 * windows take some 2 %: if they are in the way, another start places them elsewhere.
 */
__attribute__((constructor)) static void reserve_windows(int argc, char **argv)
{
	const char *tries = getenv("MODEL_STARTS");
	char next[2] = {tries ? (char)(tries[0] + 1) : '1', '\0'};

	(void)argc;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(windows); i++) {
		void *p = reserve(windows[i].base, windows[i].len_bytes, MAP_FIXED_NOREPLACE);

		if (p == (void *)(uintptr_t)windows[i].base)
			continue;
		if (next[0] <= '9') {
			setenv("MODEL_STARTS", next, 1);
			execv("/proc/self/exe", argv);
		}
		must(false, "model: the address space for the kernel's half is not free");
	}
}

static void list_push(struct list *list, struct mapping m)
{
	if (list->nr == list->max) {
		list->max = list->max ? list->max * 2 : 1024;
		list->m = realloc(list->m, list->max * sizeof(*list->m));
		must(list->m, "realloc");
	}
	list->m[list->nr++] = m;
}

/* --- the host's mappings --- */

static int prot_of(bool rw)
{
	return rw ? PROT_READ | PROT_WRITE : PROT_READ;
}

/* Maps a run of pages; false if the process has something there. */
static bool host_map(uint64_t va, uint64_t nr_pages, uint32_t store, bool rw, bool ours)
{
	int fixed = ours || in_window(va) ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	void *p = map(va, nr_pages * PVMM_PAGE_SIZE, prot_of(rw), MAP_SHARED | fixed,
		      frames_memfd(), store * PVMM_PAGE_SIZE);

	if (p == (void *)(uintptr_t)va)
		return true;
	must(!in_window(va), "mmap of a mirrored page");
	if (p != MAP_FAILED)
		munmap(p, nr_pages * PVMM_PAGE_SIZE);
	return false;
}

static void host_unmap(uint64_t va)
{
	if (in_window(va))
		must(reserve(va, PVMM_PAGE_SIZE, MAP_FIXED) != MAP_FAILED, "mmap");
	else
		must(!munmap((void *)(uintptr_t)va, PVMM_PAGE_SIZE), "munmap");
}

/* Brings one page from what it was (or NULL) to what it is to be (or NULL). */
static void host_change(const struct mapping *was, struct mapping *is)
{
	if (was && is && was->store == is->store && was->rw == is->rw) {
		is->foreign = was->foreign;
		return;
	}
	if (was && was->foreign) {
		if (is)
			is->foreign = true;
		return;
	}
	if (!is)
		host_unmap(was->va);
	else
		is->foreign = !host_map(is->va, 1, is->store, is->rw, was != NULL);
}

/* --- from tables to mappings --- */

/* Whether the host shows an entry of an L1 table at va. */
static bool entry_shown(pvmm_pte_t pte, uint64_t va, bool rw, struct mapping *m)
{
	uint64_t mfn = entry_mfn(pte);

	if (!pvmm_pte_present(pte) || !frame_exists(mfn) || frame_at(mfn)->store == NO_STORE)
		return false;
	*m = (struct mapping){
		.va = va, .store = frame_at(mfn)->store, .rw = rw && (pte & PVMM_PTE_RW)};
	return true;
}

/* Several vCPUs in one process have the kernel's half in common, and no more. */
static bool slot_shown(unsigned int slot)
{
	return !model.threads || (slot >= PVMM_KERNEL_SLOT_FIRST && slot <= PVMM_KERNEL_SLOT_LAST);
}

static uint64_t root_shown(void)
{
	return model.threads ? model.kernel_root : model.vcpus[model.this_vcpu].root;
}

static void walk(uint64_t mfn, unsigned int level, uint64_t va, bool rw, struct list *list)
{
	const uint64_t *e = frame_entries(mfn);
	struct frame *f = frame_at(mfn);
	struct mapping m;

	if (f->seen != epoch) {
		f->seen = epoch;
		f->mirror_uses = 0;
	}
	f->mirror_uses++;
	f->mirror_va = va;
	f->mirror_rw = rw;

	for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		uint64_t at = va + slot * pvmm_level_bytes(level);

		if (!pvmm_pte_present(e[slot]) || at >= HOST_END ||
		    !slot_is_guests(mfn, level, slot) || (level == 4 && !slot_shown(slot)))
			continue;
		if (level > 1)
			walk(entry_mfn(e[slot]), level - 1, at, rw && (e[slot] & PVMM_PTE_RW),
			     list);
		else if (entry_shown(e[slot], at, rw, &m))
			list_push(list, m);
	}
}

/* Neighbours that map neighbours in the file are one host mapping: the direct map at boot. */
static size_t map_run(struct mapping *m, size_t nr)
{
	size_t len = 1;

	while (len < nr && in_window(m->va) && m[len].va == m->va + len * PVMM_PAGE_SIZE &&
	       m[len].store == m->store + len && m[len].rw == m->rw)
		len++;
	m->foreign = !host_map(m->va, len, m->store, m->rw, false);
	return len;
}

static void walk_and_apply(void)
{
	struct list is = {0};
	size_t i = 0, k = 0;

	epoch++;
	if (root_shown() != NO_MFN)
		walk(root_shown(), 4, 0, true, &is);

	if (!now.nr)
		while (k < is.nr)
			k += map_run(&is.m[k], is.nr - k);
	while (i < now.nr || k < is.nr) {
		if (k == is.nr || (i < now.nr && now.m[i].va < is.m[k].va))
			host_change(&now.m[i++], NULL);
		else if (i == now.nr || is.m[k].va < now.m[i].va)
			host_change(NULL, &is.m[k++]);
		else
			host_change(&now.m[i++], &is.m[k++]);
	}
	free(now.m);
	now = is;
}

/* The place of va in now[]: of its entry, or where it would be. */
static size_t find(uint64_t va)
{
	size_t low = 0, high = now.nr;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (now.m[mid].va < va)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void apply_change(const struct change *c)
{
	const struct frame *f = frame_at(c->mfn);
	uint64_t va = f->mirror_va + c->slot * PVMM_PAGE_SIZE;
	size_t at = find(va);
	bool was = at < now.nr && now.m[at].va == va;
	struct mapping m;
	bool is = entry_shown(frame_entries(c->mfn)[c->slot], va, f->mirror_rw, &m);

	if (va >= HOST_END || (!was && !is))
		return;
	host_change(was ? &now.m[at] : NULL, is ? &m : NULL);
	if (was && is) {
		now.m[at] = m;
	} else if (is) {
		list_push(&now, m);
		memmove(&now.m[at + 1], &now.m[at], (now.nr - 1 - at) * sizeof(m));
		now.m[at] = m;
	} else {
		now.nr--;
		memmove(&now.m[at], &now.m[at + 1], (now.nr - at) * sizeof(m));
	}
}

/* --- what the model's other files report --- */

void mirror_entry_changed(uint64_t mfn, unsigned int level, unsigned int slot)
{
	const struct frame *f = frame_at(mfn);

	if (f->seen != epoch || walk_again)
		return;
	if (level > 1 || f->mirror_uses > 1) {
		walk_again = true;
		return;
	}
	if (nr_changes == max_changes) {
		max_changes = max_changes ? max_changes * 2 : 256;
		changes = realloc(changes, max_changes * sizeof(*changes));
		must(changes, "realloc");
	}
	changes[nr_changes++] = (struct change){mfn, slot};
}

void mirror_root_changed(void)
{
	walk_again |= !model.threads;
}

void mirror_all_changed(void)
{
	walk_again = true;
}

void mirror_flush(void)
{
	if (running && walk_again)
		walk_and_apply();
	else if (running)
		for (size_t i = 0; i < nr_changes; i++)
			apply_change(&changes[i]);
	walk_again = false;
	nr_changes = 0;
}

void mirror_start(void)
{
	running = true;
	walk_again = true;
	mirror_flush();
}

void mirror_stop(void)
{
	for (size_t i = 0; i < now.nr; i++)
		if (!now.m[i].foreign && !in_window(now.m[i].va))
			host_unmap(now.m[i].va);
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(windows); i++)
		must(reserve(windows[i].base, windows[i].len_bytes, MAP_FIXED) != MAP_FAILED,
		     "mmap");
	free(now.m);
	free(changes);
	now = (struct list){0};
	changes = NULL;
	max_changes = nr_changes = 0;
	running = false;
}

/* Compares what is mapped with a new walk; returns how many differences there are. */
unsigned int mirror_check(void)
{
	struct list is = {0};
	unsigned int problems = 0;

	if (!running)
		return 0;
	epoch++;
	walk(root_shown(), 4, 0, true, &is);
	if (is.nr != now.nr) {
		fprintf(stderr, "model: %zu pages mirrored, %zu mapped by the tables\n", now.nr,
			is.nr);
		problems++;
	}
	for (size_t i = 0; i < is.nr && i < now.nr && problems < 10; i++) {
		if (is.m[i].va == now.m[i].va && is.m[i].store == now.m[i].store &&
		    is.m[i].rw == now.m[i].rw)
			continue;
		fprintf(stderr,
			"model: 0x%llx mirrored as 0x%llx: page %u rw %d, should be %u rw %d\n",
			(unsigned long long)is.m[i].va, (unsigned long long)now.m[i].va,
			now.m[i].store, now.m[i].rw, is.m[i].store, is.m[i].rw);
		problems++;
	}
	free(is.m);
	return problems;
}
