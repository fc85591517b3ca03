/* SPDX-License-Identifier: MIT */
/*
 * See hotplug.h. Owns its thread and its watch. The thread runs on the boot vCPU, which never goes.
 *
 * What is asked and cannot be done is said once, and tried again at the next word from the
 * toolstack; a vCPU that is busy with a thread of its own is tried again until it is asked for
 * otherwise.
 */
#include <pvmm/batch.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/xenstore.h>
#include "hotplug.h"
#include "worker.h"

#define RETRY_NS 1000000000ULL

static struct worker worker;

/* What was said last of each vCPU, so as not to say it again: an error of its, 0 for nothing. */
static int said[PVMM_MAX_VCPUS];

static struct pvmm_store_watch watch = {
	.path = "cpu",
	.wake = worker_wake,
	.ctx = &worker.thread,
};

/* "0,2,3" */
static void list_vcpus(char *text, size_t room_bytes)
{
	size_t at = 0;

	for (unsigned int v = pvmm_next_vcpu(0); v < PVMM_MAX_VCPUS && at < room_bytes;
	     v = pvmm_next_vcpu(v + 1))
		at += (size_t)pvmm_snprintf(text + at, room_bytes - at, "%s%u", v ? "," : "", v);
}

static void publish(void)
{
	char text[PVMM_MAX_VCPUS * 3 + 1];
	int err;

	list_vcpus(text, sizeof(text));
	err = pvmm_store_write(PVMM_STORE_NO_TX, "data/pvmm/vcpus", text);
	if (err)
		pvmm_log(PVMM_WARN, "hotplug: data/pvmm/vcpus is not written: %s (%d)",
			 pvmm_errno_name(err), err);
}

static void say(unsigned int vcpu, int err, const char *what)
{
	if (said[vcpu] != err)
		pvmm_log(PVMM_WARN, "hotplug: vCPU %u %s: %s (%d)", vcpu, what,
			 pvmm_errno_name(err), err);
	said[vcpu] = err;
}

/* Why a vCPU stays as it is. */
static const char *why_not(int err, bool online)
{
	if (online)
		return "does not come up";
	if (err == -XEN_EBUSY)
		return "stays up, a thread runs only there";
	return "stays up";
}

/* Makes a vCPU what the toolstack wants. */
static void obey(unsigned int vcpu, bool online)
{
	int err;

	if (online == pvmm_vcpu_is_up(vcpu)) {
		said[vcpu] = 0;
		return;
	}
	if (!vcpu) {
		say(vcpu, -XEN_EPERM, "is the boot vCPU and stays up");
		return;
	}
	err = online ? thread_vcpu_up(vcpu) : thread_vcpu_down(vcpu);
	if (err) {
		say(vcpu, err, why_not(err, online));
		return;
	}
	said[vcpu] = 0;
	pvmm_log(PVMM_INFO, "hotplug: vCPU %u is %s, %u are up", vcpu, online ? "up" : "down",
		 pvmm_nr_vcpus());
}

/* One look at a vCPU's node. */
static void look(unsigned int vcpu)
{
	char text[PVMM_VCPU_TEXT_BYTES];
	bool online;
	int err = pvmm_vcpu_wanted(vcpu, &online, text);

	if (!err) {
		obey(vcpu, online);
		return;
	}
	if (err == -XEN_EINVAL && said[vcpu] != err)
		pvmm_log(PVMM_WARN,
			 "hotplug: vCPU %u: availability \"%s\" is neither online nor offline",
			 vcpu, text);
	else if (err != -XEN_EINVAL && err != -XEN_ENOENT)
		say(vcpu, err, "has no availability");
	said[vcpu] = err == -XEN_ENOENT ? 0 : err;
}

static void look_at_all(void)
{
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++)
		if (pvmm_hc_vcpu_op(VCPUOP_is_up, vcpu, NULL) >= 0)
			look(vcpu);
	publish(); /* unchanged, too: the domain may have become another one */
}

/* Whether a vCPU should be otherwise and may be so later, without another word. */
static bool must_try_again(void)
{
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++)
		if (said[vcpu] == -XEN_EBUSY || said[vcpu] == -XEN_ENOMEM ||
		    said[vcpu] == -XEN_ETIMEDOUT)
			return true;
	return false;
}

static void run(void *ctx)
{
	(void)ctx;
	publish();
	while (!worker_must_stop(&worker)) {
		thread_block_begin();
		if (pvmm_store_watch_fired(&watch)) {
			thread_block_cancel();
			look_at_all();
		} else if (must_try_again()) {
			thread_block_cancel();
			thread_sleep(RETRY_NS);
			look_at_all();
		} else if (worker_must_stop(&worker)) {
			thread_block_cancel();
		} else {
			thread_block();
		}
	}
}

bool hotplug_start(void)
{
	int err = pvmm_store_watch(&watch);

	if (!err) {
		err = worker_start(&worker, "hotplug", 0, run);
		if (err)
			(void)pvmm_store_unwatch(&watch);
	}
	if (err)
		pvmm_log(PVMM_WARN, "hotplug: vCPUs stay as they are: %s (%d)",
			 pvmm_errno_name(err), err);
	return !err;
}

void hotplug_stop(void)
{
	int err;

	worker_stop(&worker);
	err = pvmm_store_unwatch(&watch);
	if (err)
		pvmm_log(PVMM_WARN, "hotplug: cpu is not unwatched: %s (%d)", pvmm_errno_name(err),
			 err);
}
