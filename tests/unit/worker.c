/* SPDX-License-Identifier: MIT */
/* See worker.h. Owns nothing. */
#include "tests/unit/worker.h"

void worker_must(struct worker *w, bool good, int line)
{
	if (good)
		return;
	if (!w->problems++)
		w->line = line;
}

unsigned int any(struct worker *w, unsigned int nr)
{
	return (unsigned int)(unit_random(&w->seed) % nr);
}

unsigned int worker_rounds(unsigned int default_rounds)
{
	const char *text = getenv("THREAD_ROUNDS");

	return text ? (unsigned int)atoi(text) : default_rounds;
}

static void *work(void *ctx)
{
	struct worker *w = ctx;

	model_set_vcpu(w->vcpu);
	w->run(w);
	return NULL;
}

void workers_run(struct worker *workers, unsigned int nr)
{
	model_threads(true);
	for (unsigned int i = 0; i < nr; i++) {
		struct worker *w = &workers[i];

		w->vcpu = i;
		w->seed = i + 1;
		if (i)
			model_vcpu_up(i);
		assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
	}
	for (unsigned int i = 0; i < nr; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		if (workers[i].problems)
			print_error("vCPU %u: %u problems, the first at line %d\n", i,
				    workers[i].problems, workers[i].line);
		assert_int_equal(workers[i].problems, 0);
	}
	model_threads(false);
}
