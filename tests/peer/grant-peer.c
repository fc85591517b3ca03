/* SPDX-License-Identifier: MIT */
/*
 * grant-peer: a backend in dom0 that does with a guest's grants what it is told. One command a line
 * on standard input, one answer a line on standard output: "ok ..." or "failed WHAT: WHY".
 *
 *	map SLOT DOMID REF ro|rw   maps a page that the domain has granted
 *	unmap SLOT
 *	fill SLOT SEED             writes the seed's pattern to the page
 *	check SLOT SEED            compares the page with it
 *	offer SLOT DOMID           a page of ours for the domain: "ok REF"
 *	withdraw SLOT
 *
 * It ends with its input, and with it go its mappings; killed, the same. It holds what it is not
 * told to give back.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xengnttab.h>

#define PAGE_BYTES 4096u
#define WORDS	   (PAGE_BYTES / sizeof(uint64_t))
#define SLOTS	   64u

static xengnttab_handle *tab;
static xengntshr_handle *shr;
static struct slot {
	volatile uint64_t *page;
	int is_offer;
} slots[SLOTS];

/* The same in guest/demo_grant.c. */
static uint64_t pattern(uint64_t seed, uint64_t word)
{
	return (seed << 32 | word) * 0x9e3779b97f4a7c15u;
}

static void failed(const char *what)
{
	printf("failed %s: %s\n", what, strerror(errno));
}

static void map(struct slot *s, uint32_t domid, uint32_t ref, const char *how)
{
	int prot = strcmp(how, "rw") ? PROT_READ : PROT_READ | PROT_WRITE;

	s->page = xengnttab_map_grant_ref(tab, domid, ref, prot);
	s->is_offer = 0;
	if (s->page)
		printf("ok\n");
	else
		failed("map");
}

static void offer(struct slot *s, uint32_t domid)
{
	uint32_t ref;

	s->page = xengntshr_share_pages(shr, domid, 1, &ref, 1);
	s->is_offer = 1;
	if (s->page)
		printf("ok %u\n", ref);
	else
		failed("offer");
}

static void give_back(struct slot *s)
{
	void *page = (void *)(uintptr_t)s->page;
	int err = s->is_offer ? xengntshr_unshare(shr, page, 1) : xengnttab_unmap(tab, page, 1);

	s->page = NULL;
	if (err)
		failed("unmap");
	else
		printf("ok\n");
}

static void fill(const struct slot *s, uint64_t seed)
{
	for (uint64_t i = 0; i < WORDS; i++)
		s->page[i] = pattern(seed, i);
	printf("ok\n");
}

static void check(const struct slot *s, uint64_t seed)
{
	for (uint64_t i = 0; i < WORDS; i++) {
		uint64_t is = s->page[i];

		if (is == pattern(seed, i))
			continue;
		printf("failed check: word %llu is 0x%llx\n", (unsigned long long)i,
		       (unsigned long long)is);
		return;
	}
	printf("ok\n");
}

static void obey(const char *line)
{
	char word[16] = "", how[4] = "";
	unsigned int slot = SLOTS, a = 0, b = 0;
	int nr = sscanf(line, "%15s %u %u %u %3s", word, &slot, &a, &b, how);
	struct slot *s = &slots[slot < SLOTS ? slot : 0];

	if (nr < 2 || slot >= SLOTS)
		printf("failed command: which slot?\n");
	else if (!strcmp(word, "map") && nr == 5 && !s->page)
		map(s, a, b, how);
	else if (!strcmp(word, "offer") && nr == 3 && !s->page)
		offer(s, a);
	else if (!s->page)
		printf("failed command: nothing in slot %u\n", slot);
	else if (!strcmp(word, "unmap") || !strcmp(word, "withdraw"))
		give_back(s);
	else if (!strcmp(word, "fill") && nr == 3)
		fill(s, a);
	else if (!strcmp(word, "check") && nr == 3)
		check(s, a);
	else
		printf("failed command: %s", line);
}

int main(void)
{
	char line[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	tab = xengnttab_open(NULL, 0);
	shr = xengntshr_open(NULL, 0);
	if (!tab || !shr) {
		failed("open of /dev/xen/gntdev or gntalloc");
		return 1;
	}
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return 0;
}
