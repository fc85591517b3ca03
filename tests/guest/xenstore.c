/* SPDX-License-Identifier: MIT */
/*
 * The store as a domU meets it: its own home to read, data/ below it to write, watches,
 * transactions, refusals, and all vCPUs at once. The other end is dom0's xenstored.
 */
#include <pvmm/alloc.h>
#include <pvmm/cmdline.h>
#include <pvmm/kernel.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include <pvmm/patience.h>
#include <pvmm/stats.h>
#include <pvmm/vcpu.h>
#include <pvmm/vmap.h>
#include <pvmm/xen.h>
#include <pvmm/xenstore.h>
#include "control.h"
#include "suites.h"
#include "thread.h"
#include "together.h"

#define NO_TX PVMM_STORE_NO_TX
#define HOME  "data/pvmm-test"

static char value[PVMM_STORE_BYTES];

static bool reads(pvmm_store_tx_t tx, const char *path, const char *expected)
{
	return CHECK_EQUAL(pvmm_store_read(tx, path, value, sizeof(value), NULL), 0) &&
	       CHECK(pvmm_text_equal(value, expected));
}

static void what_the_toolstack_wrote_is_read(void)
{
	uint64_t target_kib;
	size_t len;

	CHECK_EQUAL(pvmm_store_read(NO_TX, "name", value, sizeof(value), &len), 0);
	CHECK(len > 0 && !value[len]);
	CHECK_EQUAL(pvmm_store_read(NO_TX, "vm", value, sizeof(value), &len), 0);
	CHECK(len > 4 && value[0] == '/');
	CHECK_EQUAL(pvmm_store_read(NO_TX, "memory/target", value, sizeof(value), NULL), 0);
	CHECK(pvmm_parse_number(value, &target_kib) &&
	      target_kib <= pvmm_start_info()->nr_pages * 4);
}

static void nodes_are_made_listed_and_removed(void)
{
	char names[64];
	unsigned int nr;

	CHECK_EQUAL(pvmm_store_write(NO_TX, HOME "/colour", "red"), 0);
	CHECK_EQUAL(pvmm_store_mkdir(NO_TX, HOME "/empty"), 0);
	reads(NO_TX, HOME "/colour", "red");
	reads(NO_TX, HOME "/empty", "");
	CHECK_EQUAL(pvmm_store_list(NO_TX, HOME, names, sizeof(names), &nr), 0);
	CHECK_EQUAL(nr, 2);
	CHECK(pvmm_text_equal(names, "colour") || pvmm_text_equal(names, "empty"));
	CHECK_EQUAL(pvmm_store_list(NO_TX, HOME "/empty", names, sizeof(names), &nr), 0);
	CHECK_EQUAL(nr, 0);
	CHECK_EQUAL(pvmm_store_rm(NO_TX, HOME), 0);
	CHECK_EQUAL(pvmm_store_read(NO_TX, HOME "/colour", value, sizeof(value), NULL),
		    -XEN_ENOENT);
}

/* Four times as long as the ring: it goes through in pieces, in both directions. */
static void a_long_value_goes_through_the_ring(void)
{
	static char longest[2000];

	for (size_t i = 0; i < sizeof(longest) - 1; i++)
		longest[i] = (char)('a' + i % 23);
	CHECK_EQUAL(pvmm_store_write(NO_TX, HOME "/long", longest), 0);
	reads(NO_TX, HOME "/long", longest);
	CHECK_EQUAL(pvmm_store_read(NO_TX, HOME "/long", value, 100, NULL), -XEN_ERANGE);
	CHECK_EQUAL(value[0], '\0');
	CHECK_EQUAL(pvmm_store_rm(NO_TX, HOME), 0);
}

static void refusals_have_their_names(void)
{
	static char path[3100];

	CHECK_EQUAL(pvmm_store_read(NO_TX, "no/such/node", value, sizeof(value), NULL),
		    -XEN_ENOENT);
	CHECK_EQUAL(pvmm_store_write(NO_TX, "/local/domain/0/pvmm", "x"), -XEN_EACCES);
	CHECK_EQUAL(pvmm_store_write(NO_TX, "data//two", "x"), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_store_write(NO_TX, "", "x"), -XEN_EINVAL);
	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = 'p';
	CHECK_EQUAL(pvmm_store_mkdir(NO_TX, path), -XEN_ENAMETOOLONG);
	path[0] = '/';
	CHECK_EQUAL(pvmm_store_mkdir(NO_TX, path), -XEN_ENAMETOOLONG);
	CHECK_EQUAL(pvmm_store_tx_end(4242, true), -XEN_ENOENT);
}

/* A look at the ring for each event, and some for naps that end early: no spinning. */
static void who_waits_for_an_answer_sleeps(void)
{
	enum { TIMES = 20, LOOKS = 10 };
	uint64_t before = pvmm_hypercall_count(__HYPERVISOR_sched_op);

	for (unsigned int i = 0; i < TIMES; i++)
		CHECK_EQUAL(pvmm_store_read(NO_TX, "name", value, sizeof(value), NULL), 0);
	before = pvmm_hypercall_count(__HYPERVISOR_sched_op) - before;
	pvmm_print("# %llu sleeps for %u answers\n", (unsigned long long)before, TIMES);
	CHECK(before <= TIMES * LOOKS);
}

/* --- watches --- */

static unsigned int nr_wakes;

static void count_wake(void *ctx)
{
	__atomic_fetch_add((unsigned int *)ctx, 1, __ATOMIC_RELAXED);
}

static bool fires(struct pvmm_store_watch *watch)
{
	struct pvmm_patience patience = pvmm_patience_of(PVMM_STORE_PATIENCE_NS);

	while (pvmm_patience_lasts(&patience)) {
		if (pvmm_store_watch_fired(watch))
			return true;
		thread_sleep(1000000);
	}
	return false;
}

static void a_watch_fires(void)
{
	struct pvmm_store_watch watch = {
		.path = HOME "/watched",
		.wake = count_wake,
		.ctx = &nr_wakes,
	};
	struct pvmm_store_watch other = {.path = HOME "/other"};
	unsigned int before;

	CHECK_EQUAL(pvmm_store_watch(&watch), 0);
	CHECK_EQUAL(pvmm_store_watch(&other), 0);
	CHECK(fires(&watch));
	CHECK(fires(&other));
	CHECK(!pvmm_store_watch_fired(&watch));

	before = nr_wakes;
	CHECK_EQUAL(pvmm_store_write(NO_TX, HOME "/watched/below", "x"), 0);
	CHECK(fires(&watch));
	CHECK(nr_wakes > before);
	/* The answer to a request behind it: whatever the store had to say has come. */
	reads(NO_TX, HOME "/watched/below", "x");
	CHECK(!pvmm_store_watch_fired(&other));

	CHECK_EQUAL(pvmm_store_unwatch(&other), 0);
	CHECK_EQUAL(pvmm_store_unwatch(&watch), 0);
	CHECK_EQUAL(pvmm_store_unwatch(&watch), -XEN_ENOENT);
	CHECK_EQUAL(pvmm_store_rm(NO_TX, HOME), 0);
}

/* --- transactions --- */

static void a_transaction_commits_whole_or_not_at_all(void)
{
	pvmm_store_tx_t tx;

	CHECK_EQUAL(pvmm_store_write(NO_TX, HOME "/a", "before"), 0);
	CHECK_EQUAL(pvmm_store_tx_start(&tx), 0);
	CHECK_EQUAL(pvmm_store_write(tx, HOME "/a", "after"), 0);
	reads(tx, HOME "/a", "after");
	reads(NO_TX, HOME "/a", "before");
	CHECK_EQUAL(pvmm_store_tx_end(tx, false), 0);
	reads(NO_TX, HOME "/a", "before");

	CHECK_EQUAL(pvmm_store_tx_start(&tx), 0);
	CHECK_EQUAL(pvmm_store_write(tx, HOME "/a", "after"), 0);
	CHECK_EQUAL(pvmm_store_tx_end(tx, true), 0);
	reads(NO_TX, HOME "/a", "after");
	CHECK_EQUAL(pvmm_store_rm(NO_TX, HOME), 0);
}

static void a_conflict_is_said(void)
{
	pvmm_store_tx_t tx;

	CHECK_EQUAL(pvmm_store_write(NO_TX, HOME "/a", "1"), 0);
	CHECK_EQUAL(pvmm_store_tx_start(&tx), 0);
	reads(tx, HOME "/a", "1");
	CHECK_EQUAL(pvmm_store_write(NO_TX, HOME "/a", "2"), 0);
	CHECK_EQUAL(pvmm_store_write(tx, HOME "/a", "3"), 0);
	CHECK_EQUAL(pvmm_store_tx_end(tx, true), -XEN_EAGAIN);
	reads(NO_TX, HOME "/a", "2");
	CHECK_EQUAL(pvmm_store_rm(NO_TX, HOME), 0);
}

/* --- all at once --- */

static unsigned int problems;

/* Each has a node of its own: an answer that went to another vCPU shows. */
static void write_and_read(void *ctx)
{
	unsigned int self = pvmm_this_vcpu();
	char path[32], wanted[24], got[24];

	(void)ctx;
	pvmm_snprintf(path, sizeof(path), HOME "/%u", self);
	for (unsigned int i = 0; i < 32 / pvmm_nr_vcpus() + 1; i++) {
		pvmm_snprintf(wanted, sizeof(wanted), "%u of %u", i, self);
		if (pvmm_store_write(NO_TX, path, wanted) ||
		    pvmm_store_read(NO_TX, path, got, sizeof(got), NULL) ||
		    !pvmm_text_equal(wanted, got))
			__atomic_fetch_add(&problems, 1, __ATOMIC_RELAXED);
	}
}

static void every_vcpu_gets_its_own_answers(void)
{
	problems = 0;
	together(write_and_read, NULL);
	CHECK_EQUAL(problems, 0);
	CHECK_EQUAL(pvmm_store_rm(NO_TX, HOME), 0);
}

/* --- the reference kernel's counters (guest/counters.c) --- */

static bool leave_a_stale_mapping_and_purge(void)
{
	struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	struct pvmm_vmap_how how = {.policy = PVMM_VMAP_LAZY};
	void *addr;
	bool good = page && !pvmm_vmap(&page, 1, PVMM_PROT_RW, &how, &addr) && !pvmm_vunmap(addr);

	if (page)
		pvmm_page_put(page);
	return pvmm_purge() && good;
}

static void counters_are_published_when_they_change(void)
{
	uint64_t before, after, sends;

	counters_forget();
	CHECK_EQUAL(counters_publish(), 0);
	CHECK_EQUAL(pvmm_store_read(NO_TX, "data/pvmm/purges", value, sizeof(value), NULL), 0);
	CHECK(pvmm_parse_number(value, &before) && before == pvmm_ledger_stats().purges);

	sends = pvmm_hypercall_count(__HYPERVISOR_event_channel_op);
	CHECK_EQUAL(counters_publish(), 0);
	CHECK_EQUAL(pvmm_hypercall_count(__HYPERVISOR_event_channel_op), sends);

	CHECK(leave_a_stale_mapping_and_purge());
	CHECK_EQUAL(counters_publish(), 0);
	CHECK_EQUAL(pvmm_store_read(NO_TX, "data/pvmm/purges", value, sizeof(value), NULL), 0);
	CHECK(pvmm_parse_number(value, &after) && after == before + 1);
	CHECK_EQUAL(pvmm_store_rm(NO_TX, "data/pvmm"), 0);
}

const struct suite suite_xenstore = {
	.name = "xenstore",
	.about = "the toolstack's tree: reading, writing, watches, transactions",
	.tests =
		(const struct test[]){
			{"what the toolstack wrote is read", what_the_toolstack_wrote_is_read},
			{"nodes are made, listed and removed", nodes_are_made_listed_and_removed},
			{"a value longer than the ring goes through it",
			 a_long_value_goes_through_the_ring},
			{"refusals have their names", refusals_have_their_names},
			{"who waits for an answer sleeps", who_waits_for_an_answer_sleeps},
			{"a watch fires, and only for its path", a_watch_fires},
			{"a transaction is committed whole or not at all",
			 a_transaction_commits_whole_or_not_at_all},
			{"a conflict is said", a_conflict_is_said},
			{"every vCPU gets its own answers", every_vcpu_gets_its_own_answers},
			{"counters are published when they change",
			 counters_are_published_when_they_change},
			{NULL, NULL},
		},
};
