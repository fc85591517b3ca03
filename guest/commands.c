/* SPDX-License-Identifier: MIT */
/*
 * What can be typed on the console (shell.h). Commands look and ask; those that change something
 * say so in their line of "help". Owns nothing.
 */
#include <pvmm/alloc.h>
#include <pvmm/balloon.h>
#include <pvmm/check.h>
#include <pvmm/cmdline.h>
#include <pvmm/event.h>
#include <pvmm/grant.h>
#include <pvmm/kernel.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/stats.h>
#include <pvmm/vcpu.h>
#include <pvmm/vmap.h>
#include <pvmm/xenstore.h>
#include "process.h"
#include "shell.h"

#define ULL(v) ((unsigned long long)(v))

static void help(const char *argument)
{
	char usage[40];

	(void)argument;
	for (const struct command *c = commands; c->name; c++) {
		pvmm_snprintf(usage, sizeof(usage), "%s %s", c->name, c->takes);
		pvmm_print("  %-30s %s\n", usage, c->about);
	}
	pvmm_print("  PAGE is a pfn, or an address that the kernel has mapped\n");
}

/* --- pages --- */

/* The pfn that an argument means: itself, or what its address maps. Says what is wrong with it. */
static bool parse_page(const char *argument, pfn_t *pfn)
{
	uint64_t number;
	pvmm_pte_t entry;

	if (!pvmm_parse_number(argument, &number)) {
		pvmm_print("%s is not a number\n", argument);
		return false;
	}
	*pfn = _pfn(number);
	if (number < pvmm_max_pfn())
		return true;
	if (number >> (PVMM_VA_BITS - 1) != UINT64_MAX >> (PVMM_VA_BITS - 1)) {
		pvmm_print("%s is no page: pfns end at 0x%llx, and it is no kernel address\n",
			   argument, ULL(pvmm_max_pfn() - 1));
		return false;
	}
	entry = pvmm_pt_lookup(pvmm_kernel_space.root, number);
	*pfn = pvmm_pte_present(entry) ? pvmm_mfn_to_pfn(pvmm_pte_mfn(entry)) : PVMM_INVALID_PFN;
	if (pfn_valid(*pfn))
		return true;
	pvmm_print("%s maps no page of this domain: its entry is 0x%llx\n", argument, ULL(entry));
	return false;
}

static void aliases(const char *argument)
{
	pfn_t pfn;

	if (parse_page(argument, &pfn) && pvmm_report_page(pfn))
		pvmm_print("%s: no such page\n", argument);
}

static void mem(const char *argument)
{
	uint64_t nr[PVMM_PAGE_KINDS] = {0};

	(void)argument;
	for (uint64_t pfn = 0; pfn < pvmm_max_pfn(); pfn++)
		nr[__atomic_load_n(&pvmm_page(_pfn(pfn))->kind, __ATOMIC_RELAXED)]++;
	pvmm_print("%-14s %10s %10s\n", "kind", "pages", "KiB");
	for (unsigned int kind = 0; kind < PVMM_PAGE_KINDS; kind++)
		if (nr[kind])
			pvmm_print("%-14s %10llu %10llu\n",
				   pvmm_page_kind_name((enum pvmm_page_kind)kind), ULL(nr[kind]),
				   ULL(nr[kind] * PVMM_PAGE_SIZE / 1024));
	pvmm_print("%-14s %10llu %10llu\n", "all", ULL(pvmm_max_pfn()),
		   ULL(pvmm_max_pfn() * PVMM_PAGE_SIZE / 1024));
	pvmm_print("free blocks by order, from 0:");
	for (unsigned int order = 0; order <= PVMM_MAX_ORDER; order++)
		pvmm_print(" %llu", ULL(pvmm_free_blocks(order)));
	pvmm_print("\n");
}

/* --- asking Xen --- */

static const char *answer_name(enum pvmm_check_answer answer)
{
	static const char *const names[] = {
		[PVMM_CHECK_CLEAN] = "clean: Xen takes it as a page table",
		[PVMM_CHECK_STRAY] = "a stray writable mapping, reported above",
		[PVMM_CHECK_IN_USE] = "in use, so Xen was not asked",
		[PVMM_CHECK_STALE] = "free, with stale mappings that are known",
		[PVMM_CHECK_NO_ANSWER] = "no answer: Xen could not be asked",
	};

	return names[answer];
}

static void check(const char *argument)
{
	uint64_t probed = pvmm_check_stats().probed[PVMM_CHECK_BY_CALL], nr;
	pfn_t pfn;

	if (argument) {
		if (parse_page(argument, &pfn))
			pvmm_print("pfn 0x%llx: %s\n", ULL(pfn_x(pfn)),
				   answer_name(pvmm_check_page(pfn)));
		return;
	}
	nr = pvmm_check_free();
	probed = pvmm_check_stats().probed[PVMM_CHECK_BY_CALL] - probed;
	pvmm_print("%llu free pages asked about, %llu with a stray writable mapping\n", ULL(probed),
		   ULL(nr));
}

/* --- vmap --- */

/* Areas shown at once, and names added up. */
#define SHOWN_AREAS 16u
#define SHOWN_NAMES 32u

static void print_areas(pvmm_va_t va)
{
	const struct pvmm_owner_stack *maker;
	struct pvmm_vmap_info info;

	pvmm_print("%-18s %8s %-7s %-16s %s\n", "address", "pages", "state", "name", "mapped by");
	for (unsigned int i = 0; i < SHOWN_AREAS && pvmm_vmap_next(va, &info); i++) {
		maker = pvmm_owner_stack(info.maker);
		pvmm_print("0x%llx %8llu %-7s %-16s ", ULL(info.va), ULL(info.nr_pages),
			   pvmm_vmap_state_name(info.state), info.name);
		if (maker && maker->nr)
			pvmm_print("%pS\n", (void *)maker->callers[0]);
		else
			pvmm_print("(not known)\n");
		va = info.va + ((info.nr_pages + 1) << PVMM_PAGE_SHIFT);
	}
	if (pvmm_vmap_next(va, &info))
		pvmm_print("\"vmap 0x%llx\" goes on\n", ULL(info.va));
}

struct sum {
	const char *name;
	uint64_t live, live_pages, stale, stale_pages;
};

/* The sum of the areas of this name; the last one is of all names that have no room. */
static struct sum *sum_of(struct sum *sums, unsigned int *nr, const char *name)
{
	for (unsigned int i = 0; i < *nr; i++)
		if (pvmm_text_equal(sums[i].name, name))
			return &sums[i];
	if (*nr == SHOWN_NAMES) {
		sums[SHOWN_NAMES - 1].name = "(others)";
		return &sums[SHOWN_NAMES - 1];
	}
	sums[*nr] = (struct sum){.name = name};
	return &sums[(*nr)++];
}

static void print_names(void)
{
	struct sum sums[SHOWN_NAMES];
	struct pvmm_vmap_info info;
	unsigned int nr = 0;
	pvmm_va_t va = 0;

	while (pvmm_vmap_next(va, &info)) {
		struct sum *sum = sum_of(sums, &nr, info.name);

		if (info.state == PVMM_VMAP_LIVE) {
			sum->live++;
			sum->live_pages += info.nr_pages;
		} else {
			sum->stale++;
			sum->stale_pages += info.nr_pages;
		}
		va = info.va + ((info.nr_pages + 1) << PVMM_PAGE_SHIFT);
	}
	pvmm_print("%-16s %10s %10s %10s %10s\n", "name", "live", "pages", "stale", "pages");
	for (unsigned int i = 0; i < nr; i++)
		pvmm_print("%-16s %10llu %10llu %10llu %10llu\n", sums[i].name, ULL(sums[i].live),
			   ULL(sums[i].live_pages), ULL(sums[i].stale), ULL(sums[i].stale_pages));
}

static void vmap(const char *argument)
{
	uint64_t va;

	if (!argument)
		print_names();
	else if (pvmm_parse_number(argument, &va))
		print_areas(va);
	else
		pvmm_print("%s is not a number\n", argument);
}

static void purge(const char *argument)
{
	(void)argument;
	pvmm_print("%llu stale mappings removed\n", ULL(pvmm_purge()));
}

/* --- the rest --- */

static void stats(const char *argument)
{
	(void)argument;
	pvmm_stats_print();
	pvmm_mm_stats_print();
	pvmm_check_summary();
}

static void tasks(const char *argument)
{
	(void)argument;
	threads_print();
	processes_print();
}

/* What others have written is not for the terminal to obey. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static void vcpus(const char *argument)
{
	(void)argument;
	pvmm_print("%u vCPUs are up:", pvmm_nr_vcpus());
	for (unsigned int v = pvmm_next_vcpu(0); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1))
		pvmm_print(" %u", v);
	pvmm_print("; events by %s\n", pvmm_event_abi());
}

static void balloon(const char *argument)
{
	struct pvmm_balloon_stats b = pvmm_balloon_stats();
	uint64_t current, maximum;
	int err = pvmm_balloon_reservation(&current, &maximum);

	(void)argument;
	pvmm_print("%llu pages have a frame, %llu have none; %llu given, %llu taken since boot\n",
		   ULL(b.nr_frames), ULL(b.nr_ballooned), ULL(b.given), ULL(b.taken));
	if (err)
		pvmm_print("Xen does not say: %s (%d)\n", pvmm_errno_name(err), err);
	else
		pvmm_print("Xen says %llu pages, %llu at most\n", ULL(current), ULL(maximum));
}

static void grants(const char *argument)
{
	(void)argument;
	pvmm_grants_print();
}

static void print_children(const char *path)
{
	static char names[PVMM_STORE_BYTES];
	unsigned int nr;
	char *name = names;

	if (pvmm_store_list(PVMM_STORE_NO_TX, path, names, sizeof(names), &nr))
		return;
	for (; nr; nr--) {
		make_printable(name);
		pvmm_print("  %s/%s\n", path, name);
		while (*name++)
			;
	}
}

static void store(const char *path)
{
	static char value[PVMM_STORE_BYTES];
	int err = pvmm_store_read(PVMM_STORE_NO_TX, path, value, sizeof(value), NULL);

	if (err) {
		pvmm_print("%s: %s (%d)\n", path, pvmm_errno_name(err), err);
		return;
	}
	make_printable(value);
	pvmm_print("%s = \"%s\"\n", path, value);
	print_children(path);
}

static void log_level(const char *name)
{
	static const char *const names[] = {
		[PVMM_ERROR] = "error",
		[PVMM_WARN] = "warn",
		[PVMM_INFO] = "info",
		[PVMM_DEBUG] = "debug",
	};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(names); i++)
		if (pvmm_text_equal(name, names[i])) {
			pvmm_log_level = (enum pvmm_log_level)i;
			return;
		}
	pvmm_print("%s: no such level; there are error, warn, info and debug\n", name);
}

static void panic(const char *argument)
{
	(void)argument;
	pvmm_panic("as typed on the console");
}

static void power_off(const char *argument)
{
	(void)argument;
	pvmm_shutdown(SHUTDOWN_poweroff);
}

static void reboot(const char *argument)
{
	(void)argument;
	pvmm_shutdown(SHUTDOWN_reboot);
}

const struct command commands[] = {
	{"help", "", "this", help},
	{"mem", "", "pages by kind, free blocks", mem},
	{"aliases", "PAGE", "who maps it, who had it", aliases},
	{"check", "[PAGE]", "asks Xen about a free page, or all: stray writable mappings", check},
	{"vmap", "[ADDRESS]", "vmap areas by name, or one by one from an address on", vmap},
	{"purge", "", "removes all stale mappings", purge},
	{"stats", "", "what was asked of Xen, what the manager did", stats},
	{"tasks", "", "threads and processes", tasks},
	{"vcpus", "", "which are up", vcpus},
	{"balloon", "", "what the domain has, here and to Xen", balloon},
	{"grants", "", "pages that others may map, and pages of others", grants},
	{"store", "PATH", "a node of the xenstore and those below it", store},
	{"loglevel", "error|warn|info|debug", "sets what is logged", log_level},
	{"panic", "", "ends the domain as a broken invariant would", panic},
	{"poweroff", "", "ends the domain", power_off},
	{"reboot", "", "ends the domain and begins it anew", reboot},
	{NULL, NULL, NULL, NULL},
};
