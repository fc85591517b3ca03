/* SPDX-License-Identifier: MIT */
/*
 * See control.h. Owns the two threads and the watches of the first.
 *
 * The toolstack writes a word; taking it away is the answer that it waits for. Both happen in one
 * transaction, so that a word that comes meanwhile is not lost.
 */
#include <pvmm/batch.h>
#include <pvmm/cmdline.h>
#include <pvmm/grant.h>
#include <pvmm/ledger.h>
#include <pvmm/kernel.h>
#include <pvmm/log.h>
#include <pvmm/stats.h>
#include <pvmm/vmap.h>
#include <pvmm/xenstore.h>
#include "control.h"
#include "suspend.h"
#include "worker.h"

#define PUBLISH_NS 1000000000ULL
#define NAP_NS	   50000000ULL

/* Conflicts in a row before a word is left for the watch's next event. */
#define TRIES 10

static struct worker listener, publisher;

static struct pvmm_store_watch shutdown_watch = {
	.path = "control/shutdown",
	.wake = worker_wake,
	.ctx = &listener.thread,
};

static struct pvmm_store_watch sysrq_watch = {
	.path = "control/sysrq",
	.wake = worker_wake,
	.ctx = &listener.thread,
};

/* --- taking a word --- */

static int take_once(const char *path, char *word, size_t room_bytes)
{
	pvmm_store_tx_t tx;
	int err = pvmm_store_tx_start(&tx), end;

	if (err)
		return err;
	err = pvmm_store_read(tx, path, word, room_bytes, NULL);
	if (!err && *word)
		err = pvmm_store_write(tx, path, "");
	end = pvmm_store_tx_end(tx, !err && *word);
	return err ? err : end;
}

/* False when there is none; word is "" then. */
static bool take_word(const char *path, char *word, size_t room_bytes)
{
	int err = -XEN_EAGAIN;

	for (unsigned int i = 0; i < TRIES && err == -XEN_EAGAIN; i++)
		err = take_once(path, word, room_bytes);
	if (err && err != -XEN_ENOENT)
		pvmm_log(PVMM_WARN, "control: %s cannot be read: %s (%d)", path,
			 pvmm_errno_name(err), err);
	return !err && *word;
}

/* --- control/shutdown --- */

static void (*on_poweroff)(void);

void control_on_poweroff(void (*fn)(void))
{
	on_poweroff = fn;
}

/* Why it is refused has been said. The word is taken, so the toolstack may try again. */
static void suspend(void)
{
	int result;

	pvmm_log(PVMM_INFO, "control: suspend, as the toolstack asks");
	result = suspend_all();
	if (result < 0)
		pvmm_log(PVMM_WARN, "control: not suspended, the guest goes on: %s (%d)",
			 pvmm_errno_name(result), result);
	else
		pvmm_log(PVMM_INFO, "control: resumed, %s",
			 result == PVMM_SUSPEND_RESTORED ? "restored" : "in place");
}

static const struct {
	const char *word;
	unsigned int reason;
} reasons[] = {
	{"poweroff", SHUTDOWN_poweroff},
	{"halt", SHUTDOWN_poweroff},
	{"reboot", SHUTDOWN_reboot},
};

static void look_at_shutdown(void)
{
	char word[32];

	if (!take_word(shutdown_watch.path, word, sizeof(word)))
		return;
	if (pvmm_text_equal(word, "suspend")) {
		suspend();
		return;
	}
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(reasons); i++)
		if (pvmm_text_equal(word, reasons[i].word)) {
			pvmm_log(PVMM_INFO, "control: %s, as the toolstack asks", word);
			if (!on_poweroff || reasons[i].reason != SHUTDOWN_poweroff)
				pvmm_shutdown(reasons[i].reason);
			on_poweroff();
			return;
		}
	pvmm_log(PVMM_WARN, "control: \"%s\" asked for, which this kernel does not know", word);
}

/* --- control/sysrq --- */

static void purge(void)
{
	pvmm_print("sysrq: %llu stale mappings removed\n", (unsigned long long)pvmm_purge());
}

static const struct {
	char key;
	const char *does;
	void (*run)(void);
} keys[] = {
	{'g', "grants", pvmm_grants_print},
	{'m', "memory statistics", pvmm_mm_stats_print},
	{'p', "purge", purge},
	{'s', "hypercall statistics", pvmm_stats_print},
};

static void look_at_sysrq(void)
{
	char word[8];

	if (!take_word(sysrq_watch.path, word, sizeof(word)))
		return;
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(keys); i++)
		if (word[0] == keys[i].key && !word[1]) {
			pvmm_log(PVMM_INFO, "control: sysrq '%s': %s", word, keys[i].does);
			keys[i].run();
			return;
		}
	pvmm_log(PVMM_WARN, "control: sysrq '%s': no such key; there are g, m, p and s", word);
}

/* --- the threads --- */

static void listen(void *ctx)
{
	bool shuts_down, has_key;

	(void)ctx;
	while (!worker_must_stop(&listener)) {
		thread_block_begin();
		shuts_down = pvmm_store_watch_fired(&shutdown_watch);
		has_key = pvmm_store_watch_fired(&sysrq_watch);
		if (!shuts_down && !has_key && !worker_must_stop(&listener))
			thread_block();
		else
			thread_block_cancel();
		if (shuts_down)
			look_at_shutdown();
		if (has_key)
			look_at_sysrq();
	}
}

/* A store that is slow may be back; what else it says it would say again. */
static void publish(void *ctx)
{
	uint64_t next = 0;
	int err = 0;

	(void)ctx;
	while (!worker_must_stop(&publisher) && (!err || err == -XEN_ETIMEDOUT)) {
		if (pvmm_clock_ns() >= next) {
			err = counters_publish();
			next = pvmm_clock_ns() + PUBLISH_NS;
		}
		thread_sleep(NAP_NS);
	}
	if (err && err != -XEN_ETIMEDOUT)
		pvmm_log(PVMM_WARN, "control: counters are not published any more: %s (%d)",
			 pvmm_errno_name(err), err);
}

/* A watch that the store does not give back any more cannot be lost: it is off the list. */
static void unwatch(struct pvmm_store_watch *watch)
{
	int err = pvmm_store_unwatch(watch);

	if (err)
		pvmm_log(PVMM_WARN, "control: %s is not unwatched: %s (%d)", watch->path,
			 pvmm_errno_name(err), err);
}

static int start_threads(void)
{
	int err = worker_start(&listener, "control", THREAD_ANYWHERE, listen);

	if (err)
		return err;
	err = worker_start(&publisher, "counters", THREAD_ANYWHERE, publish);
	if (err)
		worker_stop(&listener);
	return err;
}

static void unwatch_all(void)
{
	unwatch(&sysrq_watch);
	unwatch(&shutdown_watch);
}

bool control_start(void)
{
	int err = pvmm_store_watch(&shutdown_watch);

	counters_forget();
	if (!err) {
		err = pvmm_store_watch(&sysrq_watch);
		if (err)
			unwatch(&shutdown_watch);
	}
	if (!err) {
		err = start_threads();
		if (err)
			unwatch_all();
	}
	if (err)
		pvmm_log(PVMM_WARN, "control: the toolstack is not heard: %s (%d)",
			 pvmm_errno_name(err), err);
	return !err;
}

void control_stop(void)
{
	worker_stop(&publisher);
	worker_stop(&listener);
	unwatch_all();
}
