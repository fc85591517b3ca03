/* SPDX-License-Identifier: MIT */
/*
 * See housekeeper.h. Owns its thread. Tests that count do without it: what it takes away depends on
 * the time.
 */
#include <pvmm/check.h>
#include <pvmm/grant.h>
#include <pvmm/vmap.h>
#include "housekeeper.h"
#include "thread.h"

#define NAP_NS	       50000000ULL
#define PURGE_OLDER_NS 1000000000ULL

static struct thread thread;
static bool is_stopping, is_gone;

static void run(void *ctx)
{
	(void)ctx;
	while (!__atomic_load_n(&is_stopping, __ATOMIC_RELAXED)) {
		pvmm_check_tick();
		pvmm_purge_if_older(PURGE_OLDER_NS);
		(void)pvmm_grant_retry();
		thread_sleep(NAP_NS);
	}
}

static void gone(void *ctx)
{
	(void)ctx;
	__atomic_store_n(&is_gone, true, __ATOMIC_RELEASE);
}

int housekeeper_start(void)
{
	is_stopping = is_gone = false;
	thread = (struct thread){
		.name = "housekeeper",
		.only_on = THREAD_ANYWHERE,
		.run = run,
		.gone = gone,
	};
	return thread_start(&thread);
}

void housekeeper_stop(void)
{
	__atomic_store_n(&is_stopping, true, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&is_gone, __ATOMIC_ACQUIRE))
		thread_sleep(NAP_NS);
}
