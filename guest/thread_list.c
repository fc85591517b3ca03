/* SPDX-License-Identifier: MIT */
/* Owns the list of all threads, from their start until their end; under sched_lock. */
#include <pvmm/clock.h>
#include <pvmm/event.h>
#include <pvmm/log.h>
#include "sched.h"

static struct thread *all;

void sched_list(struct thread *thread)
{
	thread->next_of_all = all;
	all = thread;
}

void sched_unlist(struct thread *thread)
{
	struct thread **link = &all;

	while (*link != thread)
		link = &(*link)->next_of_all;
	*link = thread->next_of_all;
}

/* What is printed of a thread, noted under the lock: the console may keep its writer waiting. */
struct row {
	const char *name;
	enum thread_state state;
	bool is_user;
	int only_on;
	uint64_t wake_ns;
};

static unsigned int note_rows(struct row *rows, unsigned int max)
{
	bool were_on = pvmm_events_save();
	unsigned int nr = 0;

	pvmm_spin_lock(&sched_lock);
	for (const struct thread *t = all; t; t = t->next_of_all, nr++)
		if (nr < max)
			rows[nr] =
				(struct row){t->name, t->state, t->is_user, t->only_on, t->wake_ns};
	pvmm_spin_unlock(&sched_lock);
	pvmm_events_restore(were_on);
	return nr;
}

void threads_print(void)
{
	static const char *const states[] = {
		[THREAD_RUNNABLE] = "runnable",
		[THREAD_RUNNING] = "running",
		[THREAD_BLOCKED] = "blocked",
		[THREAD_DEAD] = "ending",
	};
	static struct row rows[128]; /* one console, one reader */
	unsigned int nr = note_rows(rows, PVMM_ARRAY_SIZE(rows));
	uint64_t now = pvmm_clock_ns();

	pvmm_print("%-16s %-8s %-8s %s\n", "thread", "state", "runs", "on vCPU");
	for (unsigned int i = 0; i < nr && i < PVMM_ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		pvmm_print("%-16s %-8s %-8s ", r->name, r->wake_ns ? "sleeping" : states[r->state],
			   r->is_user ? "user" : "kernel");
		if (r->only_on == THREAD_ANYWHERE)
			pvmm_print("any");
		else
			pvmm_print("%d", r->only_on);
		if (r->wake_ns > now)
			pvmm_print(", for %llu ms more",
				   (unsigned long long)(r->wake_ns - now) / 1000000);
		pvmm_print("\n");
	}
	if (nr > PVMM_ARRAY_SIZE(rows))
		pvmm_print("and %zu more\n", nr - PVMM_ARRAY_SIZE(rows));
}
