/* SPDX-License-Identifier: MIT */
/*
 * demo=stray: the bug of 2007 in one page. A file system maps a buffer on its own, gives the page
 * back and forgets the mapping; the next process gets that page as its page table, and Xen says no.
 */
#include <pvmm/stats.h>
#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/stray.h>
#include "demo.h"
#include "suite.h"

#define USER_VA	   0x0000000000400000ULL
#define BUFFER_VA  (PVMM_VMAP_BASE + 0x12000)
#define NR_BUFFERS 64
#define NR_PROCESS 100

static struct pvmm_page *buffers[NR_BUFFERS];

static void PVMM_PRINTF(1, 2) say(const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	pvmm_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pvmm_print("demo: %s\n", text);
}

/* --- the file system --- */

/* The file system's own business: an entry that the memory manager knows nothing of. */
static bool buf_map(pvmm_va_t va, struct pvmm_page *page)
{
	return !pvmm_hc_update_va_mapping(
		va, pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(page)), PVMM_PROT_RW), UVMF_INVLPG);
}

static void buf_unmap(pvmm_va_t va)
{
	if (pvmm_hc_update_va_mapping(va, 0, UVMF_INVLPG))
		pvmm_panic("the buffer at 0x%llx cannot be unmapped", (unsigned long long)va);
}

static struct pvmm_page *buf_get(void)
{
	return pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
}

static void buf_put(struct pvmm_page *page)
{
	pvmm_page_free(page, 0);
}

/* Reads the log into buffers; gives one back without unmapping it. Returns that one. */
static struct pvmm_page *log_recover(void)
{
	struct pvmm_page *victim;

	for (unsigned int i = 0; i < NR_BUFFERS; i++) {
		buffers[i] = buf_get();
		if (!buffers[i])
			return NULL;
	}
	/* A mapping made the manager's way sees to it that the region has its tables. */
	if (pvmm_space_map(&pvmm_kernel_space, BUFFER_VA - PVMM_PAGE_SIZE, buffers[0],
			   PVMM_PROT_RW))
		return NULL;

	victim = buffers[NR_BUFFERS / 2];
	if (!buf_map(BUFFER_VA, victim))
		return NULL;
	*(uint64_t *)BUFFER_VA = 0x58465342; /* it is in use, for a while */
	buf_put(victim);
	buffers[NR_BUFFERS / 2] = NULL;
	return victim;
}

static void log_close(void)
{
	if (pvmm_space_unmap(&pvmm_kernel_space, BUFFER_VA - PVMM_PAGE_SIZE))
		pvmm_panic("the log's first buffer is not mapped");
	for (unsigned int i = 0; i < NR_BUFFERS; i++)
		if (buffers[i])
			buf_put(buffers[i]);
}

/* --- processes --- */

/* A process with one page of memory, not running yet. */
static bool process_create(struct pvmm_space *space, const char *name)
{
	struct pvmm_page *page;

	if (pvmm_space_create(space, name))
		return false;
	page = pvmm_page_alloc(0, PVMM_PAGE_USER);
	if (!page || pvmm_space_map(space, USER_VA, page, PVMM_PROT_RW))
		return false;
	pvmm_page_put(page); /* the mapping keeps it */
	return true;
}

/* Runs it for a moment: its memory can be written and read. */
static bool process_run(struct pvmm_space *space)
{
	volatile uint64_t *word = (volatile uint64_t *)USER_VA;
	bool works;

	if (pvmm_space_activate(space))
		return false;
	*word = 42;
	works = *word == 42;
	return !pvmm_space_activate(&pvmm_kernel_space) && works;
}

static bool life_goes_on(void)
{
	static struct pvmm_space space;
	struct pvmm_batch_stats before = pvmm_batch_stats(), after;

	for (unsigned int i = 0; i < NR_PROCESS; i++)
		if (!process_create(&space, "process") || !process_run(&space) ||
		    pvmm_space_destroy(&space))
			return false;
	after = pvmm_batch_stats();
	say("%u more processes, each made, pinned, run and destroyed: %llu traps for each, no refusal",
	    NR_PROCESS, (unsigned long long)(after.traps - before.traps) / NR_PROCESS);
	return after.refused == before.refused;
}

static bool tell(void)
{
	static struct pvmm_space space;
	uint64_t refused = pvmm_stray_last().refused_pins;
	struct pvmm_page *victim;
	bool named;

	victim = log_recover();
	if (!victim)
		return false;
	say("the file system has mapped pfn 0x%llx at 0x%llx, given the page back, and forgotten the mapping",
	    (unsigned long long)pfn_x(pvmm_page_pfn(victim)), (unsigned long long)BUFFER_VA);

	if (!process_create(&space, "process"))
		return false;
	say("a process is created: pfn 0x%llx is now its %s, as the last page that was freed",
	    (unsigned long long)pfn_x(pvmm_page_pfn(victim)),
	    pvmm_page_kind_name((enum pvmm_page_kind)victim->kind));
	say("its page tables are handed to Xen (pin):");
	if (!pvmm_space_pin(&space)) {
		say("Xen has pinned it, although the page is mapped writable?");
		return false;
	}
	named = pvmm_stray_last().refused_pins == refused + 1 && pvmm_stray_last().nr_found == 1 &&
		pvmm_stray_last().first.va == BUFFER_VA &&
		pfn_eq(pvmm_stray_last().first.pfn, pvmm_page_pfn(victim));

	buf_unmap(pvmm_stray_last().first.va);
	say("the mapping that the report names is removed, and the pin tried again: %s",
	    pvmm_space_pin(&space) ? "refused" : "done");
	if (!process_run(&space))
		return false;
	say("the process runs on these tables");
	return !pvmm_space_destroy(&space) && named;
}

static bool run(void)
{
	uint64_t before = pages_accounted_for();
	bool ok = tell() && life_goes_on();

	if (!ok)
		return false;
	log_close();
	ok = pages_accounted_for() == before && !pvmm_audit();
	say("%s", ok ? "every page is back where it was" : "pages are missing");
	return ok;
}

const struct demo demo_stray = {"stray", "a forgotten writable mapping meets a pin", run};
