/* SPDX-License-Identifier: MIT */
/*
 * See housekeeper.h. Owns its thread. Tests that count do without it: what it takes away depends on
 * the time.
 */
#include <pvmm/check.h>
#include <pvmm/grant.h>
#include <pvmm/vmap.h>
#include "housekeeper.h"
#include "worker.h"

#define NAP_NS	       50000000ULL
#define PURGE_OLDER_NS 1000000000ULL

static struct worker worker;

static void run(void *ctx)
{
	(void)ctx;
	while (!worker_must_stop(&worker)) {
		pvmm_check_tick();
		pvmm_purge_if_older(PURGE_OLDER_NS);
		(void)pvmm_grant_retry();
		thread_sleep(NAP_NS);
	}
}

int housekeeper_start(void)
{
	return worker_start(&worker, "housekeeper", THREAD_ANYWHERE, run);
}

void housekeeper_stop(void)
{
	worker_stop(&worker);
}
