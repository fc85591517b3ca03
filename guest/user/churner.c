/* SPDX-License-Identifier: MIT */
/*
 * Has as many children as arg says, one after the other, where memory may be short at any time:
 * each shares pages with it copy-on-write, touches new ones, and ends, some of them as another
 * program. The code says what was wrong.
 */
#include "user.h"

#define NAP_NS 5000000
#define SHARED 8
#define MOST   32

static volatile uint64_t shared[SHARED * PAGE_BYTES / 8];

/* A kernel without memory says so; it may have some in a while. */
static long fork_patiently(void)
{
	long pid;

	while ((pid = sys_fork()) == -E_NOMEM || pid == -E_AGAIN)
		sys_sleep(NAP_NS);
	return pid;
}

static volatile uint64_t *map_patiently(uint64_t nr_pages)
{
	volatile uint64_t *words;

	while (!(words = sys_map(nr_pages)))
		sys_sleep(NAP_NS);
	return words;
}

static void fill(volatile uint64_t *words, uint64_t nr_pages, uint64_t salt)
{
	for (uint64_t i = 0; i < nr_pages; i++)
		words[i * PAGE_BYTES / 8 + i] = salt + i;
}

static bool all_are(const volatile uint64_t *words, uint64_t nr_pages, uint64_t salt)
{
	for (uint64_t i = 0; i < nr_pages; i++)
		if (words[i * PAGE_BYTES / 8 + i] != (salt ? salt + i : 0))
			return false;
	return true;
}

static __attribute__((noreturn)) void child(uint64_t round)
{
	uint64_t nr_pages = 1 + round % MOST;
	volatile uint64_t *words = map_patiently(nr_pages);

	if (!all_are(shared, SHARED, 1000 + round))
		sys_exit(201);
	if (!all_are(words, nr_pages, 0))
		sys_exit(202);
	fill(words, nr_pages, round + 1);
	fill(shared, SHARED, 1);
	sys_yield();
	if (!all_are(words, nr_pages, round + 1) || !all_are(shared, SHARED, 1))
		sys_exit(203);
	if (round % 4 == 3)
		while (sys_exec("hello", 1 + round % 100) == -E_NOMEM)
			sys_sleep(NAP_NS);
	sys_exit(1 + round % 100);
}

unsigned int main(uint64_t arg)
{
	for (uint64_t round = 0; round < arg; round++) {
		int status = -1;
		long pid;

		fill(shared, SHARED, 1000 + round);
		pid = fork_patiently();
		if (pid == 0)
			child(round);
		if (pid < 0 || sys_wait(&status) != pid)
			return 1;
		if (status != (int)(1 + round % 100))
			return status > 200 && status < 256 ? (unsigned int)status : 2;
		if (!all_are(shared, SHARED, 1000 + round))
			return 3;
	}
	return 0;
}
