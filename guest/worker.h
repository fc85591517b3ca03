/* SPDX-License-Identifier: MIT */
/* A kernel thread that works until it is told to stop: services have one each. */
#ifndef GUEST_WORKER_H
#define GUEST_WORKER_H

#include "thread.h"

/* The starter's storage, until worker_stop has returned. */
struct worker {
	struct thread thread;
	bool is_stopping, is_gone;
};

/* Starts run, on one vCPU or anywhere (THREAD_ANYWHERE): 0, or thread_start's error. */
int worker_start(struct worker *worker, const char *name, int only_on, void (*run)(void *ctx));

/* Asked by run, which returns then; also between thread_block_begin and thread_block. */
bool worker_must_stop(const struct worker *worker);

/* Wakes it if it sleeps, and returns when it is gone. */
void worker_stop(struct worker *worker);

/* What wakes a worker whose thread is ctx: for watches, and for what is typed. */
void worker_wake(void *ctx);

#endif
