/* SPDX-License-Identifier: MIT */
/* A space with one region, used as a process uses it: for the tests of user memory. */
#ifndef TESTS_UNIT_REGION_H
#define TESTS_UNIT_REGION_H

#include <pvmm/trap.h>
#include "tests/unit/unit.h"

#define TABLE_BYTES (1ULL << 21)
#define READ	    PVMM_PF_USER
#define WRITE	    (PVMM_PF_USER | PVMM_PF_WRITE)

extern struct pvmm_space space, copy;
extern uint64_t free_before; /* pages, when it began */

volatile uint64_t *word(pvmm_va_t va);

/* The space, loaded, with one region of this many pages at UNIT_VA. */
void start(uint64_t nr_pages);

/* As a processor does: the access, and the fault as often as it comes. */
void touch(struct pvmm_space *s, pvmm_va_t va, bool write);
void put(struct pvmm_space *s, pvmm_va_t va, uint64_t value);
uint64_t get(struct pvmm_space *s, pvmm_va_t va);

/* The end of the space: nothing is missing. */
void finish(void);

struct pvmm_page *page_at(struct pvmm_space *s, pvmm_va_t va);

#endif
