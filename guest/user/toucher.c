/* SPDX-License-Identifier: MIT */
/*
 * Touches arg pages of new memory, which must be zero; then has a child that shares them, and each
 * of the two must see its own writes and nothing of the other's.
 */
#include "user.h"

static uint64_t in_data = 11, in_bss;

static bool all_are(const volatile uint64_t *words, uint64_t nr_pages, uint64_t salt)
{
	for (uint64_t i = 0; i < nr_pages; i++)
		if (words[i * PAGE_BYTES / 8 + i % 512] != (salt ? salt + i : 0))
			return false;
	return true;
}

static void fill(volatile uint64_t *words, uint64_t nr_pages, uint64_t salt)
{
	for (uint64_t i = 0; i < nr_pages; i++)
		words[i * PAGE_BYTES / 8 + i % 512] = salt + i;
}

static bool ends_with(long pid, int wanted)
{
	int status = -1;

	return pid > 0 && sys_wait(&status) == pid && status == wanted;
}

static __attribute__((noreturn)) void child(volatile uint64_t *words, uint64_t nr_pages)
{
	if (!all_are(words, nr_pages, 1000) || in_data != 22 || in_bss != 33)
		sys_exit(1);
	fill(words, nr_pages, 2000);
	in_data = in_bss = 1;
	sys_yield();
	if (!all_are(words, nr_pages, 2000) || in_data != 1 || in_bss != 1)
		sys_exit(2);
	sys_exit(0);
}

static bool share(volatile uint64_t *words, uint64_t nr_pages)
{
	long pid;

	fill(words, nr_pages, 1000);
	in_data = 22;
	in_bss = 33;
	pid = sys_fork();
	if (pid == 0)
		child(words, nr_pages);
	fill(words, nr_pages, 3000);
	if (!ends_with(pid, 0))
		return false;
	return all_are(words, nr_pages, 3000) && in_data == 22 && in_bss == 33;
}

/* What is unmapped is gone: a child that touches it is killed. */
static bool is_gone(volatile uint64_t *words)
{
	long pid = sys_fork();

	if (pid == 0)
		sys_exit((unsigned int)*words);
	return ends_with(pid, STATUS_KILLED(VECTOR_PF));
}

unsigned int main(uint64_t arg)
{
	volatile uint64_t *words;

	if (in_data != 11 || in_bss != 0)
		return 1;
	words = sys_map(arg);
	if (!words)
		return 2;
	if (!all_are(words, arg, 0))
		return 3;
	for (int i = 0; i < 3; i++)
		if (!share(words, arg))
			return 4;
	if (sys_unmap((void *)words, arg))
		return 5;
	return is_gone(words) ? 0 : 6;
}
