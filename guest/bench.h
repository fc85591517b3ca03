/* SPDX-License-Identifier: MIT */
/* What the benchmarks share. */
#ifndef GUEST_BENCH_H
#define GUEST_BENCH_H

#include <pvmm/types.h>

#define BENCH_TRIES 7

uint64_t bench_ticks(void);

/*
 * Runs run(nr) several times and prints what the least of them took, shared out: a line
 * "bench NAME NR TICKS-EACH". Ticks count instructions under "lab/run --icount" (make bench);
 * elsewhere they are as noisy as the machine.
 */
void measure(const char *name, void (*run)(unsigned int nr), unsigned int nr);

/* Copies of address spaces, their tables kept or not. */
bool bench_copies(void);

#endif
