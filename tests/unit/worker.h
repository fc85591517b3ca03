/* SPDX-License-Identifier: MIT */
/* Threads as vCPUs, for the tests in which several are at work at once. */
#ifndef TESTS_UNIT_WORKER_H
#define TESTS_UNIT_WORKER_H

#include <pthread.h>
#include "tests/unit/unit.h"

/* cmocka's assertions belong to the thread that runs the test; a worker's are counted for it. */
struct worker {
	void (*run)(struct worker *w);
	pthread_t thread;
	unsigned int vcpu;
	uint64_t seed;
	unsigned int problems;
	int line; /* of the first */
};

#define must(w, condition) worker_must((w), (condition), __LINE__)
void worker_must(struct worker *w, bool good, int line);

/* A number below nr, of the worker's own sequence. */
unsigned int any(struct worker *w, unsigned int nr);

/* Runs them, the first as vCPU 0, until all have returned; asserts that none has had a problem. */
void workers_run(struct worker *workers, unsigned int nr);

/* default_rounds, or what THREAD_ROUNDS says in the environment. */
unsigned int worker_rounds(unsigned int default_rounds);

#endif
