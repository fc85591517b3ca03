/* SPDX-License-Identifier: MIT */
/* What the hosted tests share: cmocka, a machine for each test, and page tables made by hand. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pvmm/alloc.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/stray.h>
#include "tests/model/model.h"

#define UNIT_PAGES 2048

/* A machine of UNIT_PAGES for the test, shut down after it. */
#define UNIT_TEST(fn) cmocka_unit_test_setup_teardown(fn, unit_boot, unit_shutdown)

int unit_boot(void **state);
int unit_shutdown(void **state);

/* Another machine in place of the test's. */
void unit_reboot(const struct model_options *options);

/* Both audits, the model's and the manager's, find nothing. */
#define assert_clean() unit_assert_clean(__FILE__, __LINE__)
void unit_assert_clean(const char *file, int line);

/* The model's alone: for tests that go behind the manager's back. */
#define assert_model_clean() assert_int_equal(model_check(), 0)

/* What was printed contains this text. */
#define assert_said(text) assert_non_null(strstr(model_output(), (text)))

/* A page of kind KERNEL, zeroed. */
pfn_t unit_page(void);
pfn_t unit_page_of(enum pvmm_page_kind kind);

/* Free pages, and those that the table-page cache would give back. */
uint64_t unit_free_pages(void);

/* One hypercall each. */
int unit_set(pfn_t table, unsigned int slot, pvmm_pte_t pte);
int unit_ext(unsigned int cmd, mfn_t mfn);
int unit_ext_pfn(unsigned int cmd, pfn_t pfn);

/* The page's direct-map entry; must succeed. */
void unit_readonly(pfn_t pfn);
void unit_writable(pfn_t pfn);

/* An entry for a page or table of the domain. */
pvmm_pte_t unit_pte(pfn_t pfn, uint64_t prot);

/*
 * Tables made by hand and not known to the manager, read-only in the direct map, not validated.
 * unit_root has the kernel's half, so that it can be loaded.
 */
pfn_t unit_table(void);
pfn_t unit_root(void);

/* Stores an entry behind everybody's back, as a table's owner does before it is validated. */
void unit_poke(pfn_t table, unsigned int slot, pvmm_pte_t pte);
pvmm_pte_t unit_peek(pfn_t table, unsigned int slot);

/* --- something is refused, one after the other, each time in a process of its own --- */

/* What model_fail_operation (single) or model_fail_call is called with. */
struct unit_refusal {
	unsigned int op, nth;
	bool single;
	int err;
};

/* What run returns: all is well, or not, or there were not as many. */
enum { UNIT_CLEAN, UNIT_BROKEN = 2, UNIT_NOT_REACHED };

/* In run, which is called with a struct unit_refusal: has the model refuse it. */
void unit_refuse(const struct unit_refusal *refusal);

/*
 * Refuses the first, the second, ... until there are no more; beyond sparse_from (0: never) only
 * now and then one. Each run must end clean, or in a panic that says "refused" or excuse, of who
 * had called a refusal impossible. Returns how many there were.
 */
unsigned int unit_refuse_each(struct unit_refusal refusal, int (*run)(void *ctx),
			      unsigned int sparse_from, const char *excuse);

/* A user address: where the process has nothing, under every sanitizer. */
#define UNIT_VA 0x20000000ULL

/* xorshift64*; seed must not be 0. */
uint64_t unit_random(uint64_t *state);

#endif
