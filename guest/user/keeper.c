/* SPDX-License-Identifier: MIT */
/*
 * Keeps an eye on its own memory for as many milliseconds as arg says: what it has written is what
 * it reads, in its own pages, in those it shares with a child, on its stack and in its registers,
 * and the clock goes forward. Most of the time it is in user mode. The code says what was wrong.
 */
#include "user.h"

#define PAGES	 48
#define WORDS	 (PAGES * PAGE_BYTES / 8)
#define NAP_NS	 2000000
#define ROUNDS	 20 /* between two children */
#define ON_STACK 100

static uint64_t mix(uint64_t n)
{
	return (n + 1) * 0x9e3779b97f4a7c15ULL;
}

static bool is_as_written(const volatile uint64_t *words, uint64_t salt)
{
	for (uint64_t i = 0; i < WORDS; i++)
		if (words[i] != mix(salt + i))
			return false;
	return true;
}

/* It shares all pages with its parent, and writes to some. */
static __attribute__((noreturn)) void child(volatile uint64_t *words, uint64_t salt)
{
	if (!is_as_written(words, salt))
		sys_exit(4);
	for (uint64_t i = 0; i < WORDS; i += PAGE_BYTES / 4)
		words[i] = i;
	sys_yield();
	for (uint64_t i = 0; i < WORDS; i += PAGE_BYTES / 4)
		if (words[i] != i)
			sys_exit(5);
	sys_exit(0);
}

/* 0, or what was wrong. Without memory for a child there is none. */
static unsigned int have_child(volatile uint64_t *words, uint64_t salt)
{
	long pid = sys_fork();
	int status = -1;

	if (pid == 0)
		child(words, salt);
	if (pid < 0)
		return pid == -E_NOMEM || pid == -E_AGAIN ? 0 : 6;
	if (sys_wait(&status) != pid)
		return 7;
	return (unsigned int)status;
}

unsigned int main(uint64_t arg)
{
	uint64_t salt = (uint64_t)sys_getpid() << 32, last = sys_clock(),
		 end = last + arg * 1000000;
	volatile uint64_t on_stack[ON_STACK], *words;

	while (!(words = sys_map(PAGES)))
		sys_sleep(NAP_NS);
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = mix(salt + i);
	for (uint64_t i = 0; i < ON_STACK; i++)
		on_stack[i] = mix(i);
	for (uint64_t round = 1; last < end; round++) {
		uint64_t now;
		unsigned int wrong;

		if (!is_as_written(words, salt))
			return 1;
		for (uint64_t i = 0; i < ON_STACK; i++)
			if (on_stack[i] != mix(i))
				return 2;
		now = sys_clock();
		if (now < last)
			return 3;
		last = now;
		wrong = round % ROUNDS ? 0 : have_child(words, salt);
		if (wrong)
			return wrong;
	}
	return 0;
}
