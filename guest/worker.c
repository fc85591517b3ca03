/* SPDX-License-Identifier: MIT */
/* See worker.h. Owns nothing. */
#include "worker.h"

#define NAP_NS 50000000ULL

static void gone(void *ctx)
{
	struct worker *worker = ctx;

	__atomic_store_n(&worker->is_gone, true, __ATOMIC_RELEASE);
}

int worker_start(struct worker *worker, const char *name, int only_on, void (*run)(void *ctx))
{
	*worker = (struct worker){
		.thread =
			{
				.name = name,
				.only_on = only_on,
				.run = run,
				.gone = gone,
				.ctx = worker,
			},
	};
	return thread_start(&worker->thread);
}

bool worker_must_stop(const struct worker *worker)
{
	return __atomic_load_n(&worker->is_stopping, __ATOMIC_ACQUIRE);
}

void worker_stop(struct worker *worker)
{
	__atomic_store_n(&worker->is_stopping, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&worker->is_gone, __ATOMIC_ACQUIRE)) {
		thread_wake(&worker->thread);
		thread_sleep(NAP_NS);
	}
}

void worker_wake(void *ctx)
{
	thread_wake(ctx);
}
