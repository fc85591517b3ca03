/* SPDX-License-Identifier: MIT */
/*
 * See balloon.h. Owns the thread and its watch.
 *
 * memory/target is in KiB. For a PV domain it is what xl list shows and what Xen counts as the
 * domain's pages, without an offset: xl adds its 1,024 KiB of slack to Xen's maximum alone.
 *
 * data/pvmm/balloon is one text, so that who reads it sees what belongs together:
 * "pages=N target=N state=WORD", what the domain has, what it was asked for last, and of WORDs
 *	reached		it has that
 *	floor		no more than balloon-keep= pages are free: tried again every second
 *	maximum		Xen does not let it have more: tried again every second
 *	short		memory is short: Xen's, or for the records of new pages its own; tried again
 *	refused		Xen says no, or a page is held (there is a report); tried again
 *	invalid		what was asked for is no number; the size stays as it is
 */
#include <pvmm/alloc.h>
#include <pvmm/balloon.h>
#include <pvmm/batch.h>
#include <pvmm/clock.h>
#include <pvmm/cmdline.h>
#include <pvmm/log.h>
#include <pvmm/xenstore.h>
#include "balloon.h"
#include "worker.h"

#define ULL(v)	 ((unsigned long long)(v))
#define RETRY_NS 1000000000ULL
#define NAP_NS	 50000000ULL

/* Moved at once, before the thread looks at its watch and lets others run. */
#define STEP_PAGES 2048

#define KIB_PER_PAGE (PVMM_PAGE_SIZE / 1024)

#define STATE_PATH "data/pvmm/balloon"

static uint64_t keep_pages = 256;

enum state { REACHED, FLOOR, MAXIMUM, SHORT, REFUSED, INVALID, MOVING };

static const char *const words[] = {
	[REACHED] = "reached", [FLOOR] = "floor",     [MAXIMUM] = "maximum",
	[SHORT] = "short",     [REFUSED] = "refused", [INVALID] = "invalid",
};

static struct worker worker;

/* The thread's alone. */
static struct {
	bool must_read; /* the store has another one, perhaps */
	bool is_known;	/* there is one */
	uint64_t kib, pages;
	enum state state;
	bool is_said; /* why it is not reached has been said of this target */
	char published[96];
} target;

const char *balloon_parse_keep(const char *value)
{
	return pvmm_parse_number(value, &keep_pages) && keep_pages < UINT32_MAX
		       ? NULL
		       : "is not a number of pages";
}

uint64_t balloon_keep(void)
{
	return keep_pages;
}

static struct pvmm_store_watch watch = {
	.path = "memory/target", .wake = worker_wake, .ctx = &worker.thread};

static uint64_t pages_now(void)
{
	return pvmm_balloon_stats().nr_frames;
}

/* --- what is asked for --- */

static void look_at_target(void)
{
	char text[32];
	uint64_t kib;
	int err = pvmm_store_read(PVMM_STORE_NO_TX, watch.path, text, sizeof(text), NULL);

	target.must_read = err == -XEN_ETIMEDOUT; /* a slow store is asked again */
	if (err && err != -XEN_ERANGE) {
		if (err != -XEN_ENOENT)
			pvmm_log(PVMM_WARN, "balloon: %s cannot be read: %s (%d)", watch.path,
				 pvmm_errno_name(err), err);
		return;
	}
	if (err || !pvmm_parse_number(text, &kib)) {
		pvmm_log(
			PVMM_WARN,
			"balloon: %s is \"%s\", which is no number of KiB: the size stays as it is, %llu pages",
			watch.path, err ? "(too long)" : text, ULL(pages_now()));
		target.is_known = true;
		target.state = INVALID;
		return;
	}
	if (target.is_known && target.state != INVALID && kib == target.kib)
		return;
	target.is_known = true;
	target.kib = kib;
	target.pages = kib / KIB_PER_PAGE;
	target.state = MOVING;
	target.is_said = false;
}

/* --- moving --- */

static void say_once(const char *why, uint64_t number)
{
	if (target.is_said)
		return;
	target.is_said = true;
	pvmm_log(PVMM_WARN, "balloon: target of %llu KiB not reached, %llu pages now: %s %llu",
		 ULL(target.kib), ULL(pages_now()), why, ULL(number));
}

static enum state why_not_less(int err)
{
	if (err != -XEN_ENOMEM) {
		say_once("pages cannot be given away, error", (uint64_t)-err);
		return REFUSED;
	}
	say_once("of what is left, pages kept free for the kernel:", keep_pages);
	return FLOOR;
}

static enum state why_not_more(int err)
{
	uint64_t current = 0, maximum = 0;

	switch (err) {
	case -XEN_E2BIG:
		(void)pvmm_balloon_reservation(&current, &maximum);
		say_once("Xen's maximum for this domain is, in KiB,", maximum * KIB_PER_PAGE);
		return MAXIMUM;
	case -XEN_ENOMEM:
		say_once("memory is short, Xen's or for the records of new pages; pages free here:",
			 pvmm_free_pages());
		return SHORT;
	default:
		say_once("pages cannot be had, error", (uint64_t)-err);
		return REFUSED;
	}
}

/* One step; MOVING when there is more to do. */
static enum state move(void)
{
	uint64_t now = pages_now(), done, nr;
	bool less = target.pages < now;
	int err;

	nr = less ? now - target.pages : target.pages - now;
	if (!nr)
		return REACHED;
	if (nr > STEP_PAGES)
		nr = STEP_PAGES;
	err = less ? pvmm_balloon_give(nr, keep_pages, &done) : pvmm_balloon_take(nr, &done);
	if (err)
		return less ? why_not_less(err) : why_not_more(err);
	if (pages_now() != target.pages)
		return MOVING;
	pvmm_log(PVMM_INFO, "balloon: %llu pages, as asked for (%llu KiB)", ULL(target.pages),
		 ULL(target.kib));
	return REACHED;
}

/* --- saying --- */

/* A store that is slow gets it the next time. */
static void publish(void)
{
	char text[sizeof(target.published)];
	int err;

	if (!target.is_known || target.state == MOVING)
		return;
	pvmm_snprintf(text, sizeof(text), "pages=%llu target=%llu state=%s", ULL(pages_now()),
		      ULL(target.pages), words[target.state]);
	if (pvmm_text_equal(text, target.published))
		return;
	err = pvmm_store_write(PVMM_STORE_NO_TX, STATE_PATH, text);
	target.published[0] = '\0';
	if (!err)
		pvmm_snprintf(target.published, sizeof(target.published), "%s", text);
	else if (err != -XEN_ETIMEDOUT)
		pvmm_log(PVMM_WARN, "balloon: %s cannot be written: %s (%d)", STATE_PATH,
			 pvmm_errno_name(err), err);
}

static bool is_settled(void)
{
	return !target.must_read &&
	       (!target.is_known || target.state == INVALID || target.state == REACHED);
}

/* The watch fires in a new domain too, whose nodes are not written yet. */
static bool watch_fired(void)
{
	bool fired = pvmm_store_watch_fired(&watch);

	if (fired)
		target.published[0] = '\0';
	return fired;
}

static bool has_new_target(void)
{
	target.must_read |= watch_fired();
	return target.must_read;
}

static void sleep_until_woken(void)
{
	thread_block_begin();
	if (has_new_target() || worker_must_stop(&worker))
		thread_block_cancel();
	else
		thread_block();
}

/* A second, or less if there is a new target. */
static void wait_for_better_times(void)
{
	uint64_t until = pvmm_clock_ns() + RETRY_NS;

	while (!worker_must_stop(&worker) && !watch_fired() && pvmm_clock_ns() < until)
		thread_sleep(NAP_NS);
	target.must_read = true;
	if (target.is_known && target.state != INVALID)
		target.state = MOVING;
}

static void run(void *ctx)
{
	(void)ctx;
	while (!worker_must_stop(&worker)) {
		if (has_new_target())
			look_at_target();
		while (target.is_known && target.state == MOVING && !worker_must_stop(&worker) &&
		       !has_new_target()) {
			target.state = move();
			thread_yield();
		}
		publish();
		if (is_settled())
			sleep_until_woken();
		else if (target.state != MOVING)
			wait_for_better_times();
	}
}

int balloon_start(void)
{
	int err = pvmm_store_watch(&watch);

	if (err)
		return err;
	target.is_known = target.must_read = false;
	target.published[0] = '\0';
	err = worker_start(&worker, "balloon", THREAD_ANYWHERE, run);
	if (err)
		(void)pvmm_store_unwatch(&watch);
	return err;
}

void balloon_stop(void)
{
	int err;

	worker_stop(&worker);
	err = pvmm_store_unwatch(&watch);
	if (err)
		pvmm_log(PVMM_WARN, "balloon: %s is not unwatched: %s (%d)", watch.path,
			 pvmm_errno_name(err), err);
}
