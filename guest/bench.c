/* SPDX-License-Identifier: MIT */
/* Measures: the least of several tries, in ticks of the TSC. */
#include <pvmm/log.h>
#include "bench.h"

uint64_t bench_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

void measure(const char *name, void (*run)(unsigned int nr), unsigned int nr)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < BENCH_TRIES; i++) {
		uint64_t ticks = bench_ticks();

		run(nr);
		ticks = bench_ticks() - ticks;
		least = ticks < least ? ticks : least;
	}
	pvmm_print("bench %-28s %5u %8llu\n", name, nr, (unsigned long long)least / nr);
}
