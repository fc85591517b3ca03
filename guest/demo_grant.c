/* SPDX-License-Identifier: MIT */
/*
 * demo=grant-peer: a domain that shares pages with others as a script in dom0 tells it to. Owns the
 * slots: pages of its own that are granted, and pages of others that are mapped.
 *
 * A command is a line in data/grant/command below the domain's home, with a number in front; the
 * answer, with the same number, is in data/grant/answer: "7 ok 12", "7 failed EBUSY". SLOT is 0 to
 * 15 of each sort.
 *
 *	give SLOT DOMID ro|rw SEED     a page with the seed's pattern, granted: the reference
 *	table SLOT DOMID               the same of an address space's L1 table, by mistake
 *	pin SLOT                       pins that address space
 *	check SLOT SEED, fill SLOT SEED   the page that was given
 *	end SLOT, end-later SLOT, renew SLOT
 *	free SLOT                      frees the page, whatever has become of its grant
 *	map SLOT DOMID REF ro|rw       a page of another domain
 *	unmap SLOT, see SLOT SEED, write SLOT SEED   that page
 *	copy DOMID REF SEED            copies such a page, and compares
 *	print                          the grants, on the console
 *	bye                            the end, with whatever is granted still
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/cmdline.h>
#include <pvmm/grant.h>
#include <pvmm/log.h>
#include <pvmm/space.h>
#include <pvmm/xenstore.h>
#include "control.h"
#include "demo.h"
#include "housekeeper.h"
#include "thread.h"

#define COMMAND	  "data/grant/command"
#define ANSWER	  "data/grant/answer"
#define NAP_NS	  10000000ULL
#define SLOTS	  16u
#define MAX_WORDS 6u
#define WORDS	  (PVMM_PAGE_SIZE / sizeof(uint64_t))
#define TABLE_VA  0x0000000000400000ULL

static struct given {
	struct pvmm_page *page, *user;
	pvmm_grant_t ref;
	struct pvmm_space space;
} given[SLOTS];

static struct taken {
	struct pvmm_foreign_grant grant;
	struct pvmm_grant_mapping mapping;
} taken[SLOTS];

static bool is_over;

/* The words of a command; numbers where they are some. */
struct words {
	unsigned int nr;
	const char *text[MAX_WORDS];
	uint64_t number[MAX_WORDS];
};

/* --- pages' contents: tests/peer/grant-peer.c knows the same pattern --- */

static uint64_t pattern(uint64_t seed, uint64_t word)
{
	return (seed << 32 | word) * 0x9e3779b97f4a7c15ULL;
}

static int fill(volatile uint64_t *words, uint64_t seed)
{
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = pattern(seed, i);
	return 0;
}

static int check(const volatile uint64_t *words, uint64_t seed)
{
	for (uint64_t i = 0; i < WORDS; i++)
		if (words[i] != pattern(seed, i))
			return -XEN_EILSEQ;
	return 0;
}

/* --- pages of our own --- */

static unsigned int flags_of(const char *how)
{
	return pvmm_text_equal(how, "ro") ? PVMM_GRANT_READONLY : 0;
}

static int give(const struct words *w, struct given *g, uint64_t *value)
{
	int err;

	g->page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	if (!g->page)
		return -XEN_ENOMEM;
	fill(pvmm_page_virt(g->page), w->number[4]);
	err = pvmm_grant_give(&g->page, 1, (unsigned int)w->number[2], flags_of(w->text[3]),
			      &g->ref);
	*value = g->ref;
	return err;
}

/* What must not happen: the page says that it is no table while it is granted. */
static int give_table(const struct words *w, struct given *g, uint64_t *value)
{
	uint8_t kind;
	int err;

	g->user = pvmm_page_alloc(0, PVMM_PAGE_USER);
	err = g->user ? pvmm_space_create(&g->space, "victim") : -XEN_ENOMEM;
	if (!err)
		err = pvmm_space_map(&g->space, TABLE_VA, g->user, PVMM_PROT_RW);
	if (err)
		return err;
	g->page = pvmm_page(pvmm_pt_walk(g->space.root, TABLE_VA).step[1].table);
	kind = g->page->kind;
	g->page->kind = PVMM_PAGE_KERNEL;
	err = pvmm_grant_give(&g->page, 1, (unsigned int)w->number[2], 0, &g->ref);
	g->page->kind = kind;
	*value = g->ref;
	return err;
}

static int pin(const struct words *w, struct given *g, uint64_t *value)
{
	(void)w, (void)value;
	return pvmm_space_pin(&g->space);
}

static int check_given(const struct words *w, struct given *g, uint64_t *value)
{
	(void)value;
	return check(pvmm_page_virt(g->page), w->number[2]);
}

static int fill_given(const struct words *w, struct given *g, uint64_t *value)
{
	(void)value;
	return fill(pvmm_page_virt(g->page), w->number[2]);
}

static int end(const struct words *w, struct given *g, uint64_t *value)
{
	(void)w, (void)value;
	return pvmm_grant_end(g->ref);
}

static int end_later(const struct words *w, struct given *g, uint64_t *value)
{
	(void)w, (void)value;
	return pvmm_grant_end_later(g->ref);
}

static int renew(const struct words *w, struct given *g, uint64_t *value)
{
	(void)w, (void)value;
	return pvmm_grant_renew(g->ref);
}

/* Answers with how many pages are free then: whether it has gone is not told otherwise. */
static int free_page(const struct words *w, struct given *g, uint64_t *value)
{
	uint64_t before = pvmm_free_pages();

	(void)w;
	pvmm_page_free(g->page, 0);
	*value = pvmm_free_pages() - before;
	return 0;
}

/* --- pages of others --- */

static int map(const struct words *w, struct taken *t, uint64_t *value)
{
	(void)value;
	t->grant = (struct pvmm_foreign_grant){
		.domid = (uint16_t)w->number[2],
		.ref = (pvmm_grant_t)w->number[3],
	};
	t->mapping =
		(struct pvmm_grant_mapping){.grants = &t->grant, .nr = 1, .name = "grant-peer"};
	return pvmm_grant_map(&t->mapping, flags_of(w->text[4]));
}

static int unmap(const struct words *w, struct taken *t, uint64_t *value)
{
	(void)w, (void)value;
	return pvmm_grant_unmap(&t->mapping);
}

static int see(const struct words *w, struct taken *t, uint64_t *value)
{
	(void)value;
	return check(t->mapping.addr, w->number[2]);
}

static int write(const struct words *w, struct taken *t, uint64_t *value)
{
	(void)value;
	return fill(t->mapping.addr, w->number[2]);
}

static int copy(const struct words *w)
{
	struct pvmm_grant_copy c = {
		.domid = (uint16_t)w->number[1],
		.ref = (pvmm_grant_t)w->number[2],
		.len_bytes = PVMM_PAGE_SIZE,
		.page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL),
	};
	int err;

	if (!c.page)
		return -XEN_ENOMEM;
	err = pvmm_grant_copy(&c, 1);
	if (!err)
		err = check(pvmm_page_virt(c.page), w->number[3]);
	pvmm_page_put(c.page);
	return err;
}

/* --- commands --- */

static const struct {
	const char *name;
	unsigned int nr_words;
	int (*run)(const struct words *w, struct given *g, uint64_t *value);
} own_commands[] = {
	{"give", 5, give},	   {"table", 3, give_table},	{"pin", 2, pin},
	{"check", 3, check_given}, {"fill", 3, fill_given},	{"end", 2, end},
	{"free", 2, free_page},	   {"end-later", 2, end_later}, {"renew", 2, renew},
};

static const struct {
	const char *name;
	unsigned int nr_words;
	int (*run)(const struct words *w, struct taken *t, uint64_t *value);
} other_commands[] = {
	{"map", 5, map},
	{"unmap", 2, unmap},
	{"see", 3, see},
	{"write", 3, write},
};

static int obey(const struct words *w, uint64_t *value)
{
	bool has_slot = w->nr > 1 && w->number[1] < SLOTS;

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(own_commands); i++)
		if (pvmm_text_equal(w->text[0], own_commands[i].name))
			return has_slot && w->nr == own_commands[i].nr_words
				       ? own_commands[i].run(w, &given[w->number[1]], value)
				       : -XEN_EINVAL;
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(other_commands); i++)
		if (pvmm_text_equal(w->text[0], other_commands[i].name))
			return has_slot && w->nr == other_commands[i].nr_words
				       ? other_commands[i].run(w, &taken[w->number[1]], value)
				       : -XEN_EINVAL;
	if (pvmm_text_equal(w->text[0], "copy") && w->nr == 4)
		return copy(w);
	if (pvmm_text_equal(w->text[0], "print"))
		pvmm_grants_print();
	else if (pvmm_text_equal(w->text[0], "bye"))
		is_over = true;
	else
		return -XEN_ENOSYS;
	return 0;
}

/* Cuts the line into its words, in place. */
static struct words split(char *line)
{
	struct words w = {0};

	while (*line && w.nr < MAX_WORDS) {
		w.text[w.nr] = line;
		while (*line && *line != ' ')
			line++;
		if (*line)
			*line++ = '\0';
		if (!pvmm_parse_number(w.text[w.nr], &w.number[w.nr]))
			w.number[w.nr] = UINT64_MAX;
		w.nr++;
	}
	return w;
}

/* One command, if there is a new one; *last is the number of the one before. */
static int take_command(uint64_t *last)
{
	char line[96], answer[48], *rest = line;
	uint64_t number, value = 0;
	struct words w;
	int err = pvmm_store_read(PVMM_STORE_NO_TX, COMMAND, line, sizeof(line), NULL);

	if (err == -XEN_ENOENT)
		return 0;
	if (err)
		return err;
	while (*rest && *rest != ' ')
		rest++;
	if (!*rest)
		return 0;
	*rest++ = '\0';
	if (!pvmm_parse_number(line, &number) || number == *last)
		return 0;
	*last = number;
	w = split(rest);
	err = w.nr ? obey(&w, &value) : -XEN_EINVAL;
	if (err)
		pvmm_snprintf(answer, sizeof(answer), "%llu failed %s", (unsigned long long)number,
			      pvmm_errno_name(err));
	else
		pvmm_snprintf(answer, sizeof(answer), "%llu ok %llu", (unsigned long long)number,
			      (unsigned long long)value);
	return pvmm_store_write(PVMM_STORE_NO_TX, ANSWER, answer);
}

static int serve(void)
{
	struct pvmm_store_watch watch = {.path = COMMAND};
	uint64_t last = 0;
	int err = pvmm_store_write(PVMM_STORE_NO_TX, ANSWER, "0 ready");

	if (!err)
		err = pvmm_store_watch(&watch);
	if (err)
		return err;
	pvmm_print("grant-peer: waits for commands in " COMMAND "\n");
	while (!is_over && !err) {
		if (pvmm_store_watch_fired(&watch))
			err = take_command(&last);
		else
			thread_sleep(NAP_NS);
	}
	(void)pvmm_store_unwatch(&watch);
	return err;
}

static bool run(void)
{
	int err;

	if (!control_start())
		return false;
	err = housekeeper_start();
	if (!err) {
		err = serve();
		housekeeper_stop();
	}
	control_stop();
	if (err)
		pvmm_log(PVMM_ERROR, "grant-peer: %s (%d)", pvmm_errno_name(err), err);
	return !err;
}

const struct demo demo_grant = {"grant-peer",
				"shares pages with other domains, as data/grant/command says", run};
