/* SPDX-License-Identifier: MIT */
/*
 * The reference kernel: the library booted as a domU. Its command line chooses what it does.
 *
 *	suite=NAME[,NAME]	runs test suites ("all" for all), TAP on the console
 *	demo=NAME		runs a demo
 *	soak-seconds=N		how long demo=soak goes on
 *	balloon-keep=PAGES	stay free when the toolstack takes memory (256)
 *	diff=FIRST:COUNT	runs differential sequences (tests/diff/sequence.h)
 *	diff-words		says what each of them does
 *	list			says which there are
 *
 * Without any it says what it sees and powers off.
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/grant.h>
#include <pvmm/kernel.h>
#include <pvmm/log.h>
#include <pvmm/vcpu.h>
#include "balloon.h"
#include "demo.h"
#include "suite.h"
#include "diff.h"
#include "process.h"
#include "thread.h"

static const char *wanted_suites;
static const struct demo *wanted_demo;
static bool wants_list;

static const char *parse_suite(const char *value)
{
	wanted_suites = value;
	return suites_known(value) ? NULL : "is no suite (the option \"list\" shows them)";
}

static const char *parse_demo(const char *value)
{
	for (const struct demo *const *d = demos; *d; d++)
		if (pvmm_text_equal((*d)->name, value)) {
			wanted_demo = *d;
			return NULL;
		}
	return "is no demo (the option \"list\" shows them)";
}

static const char *parse_list(const char *value)
{
	(void)value;
	wants_list = true;
	return NULL;
}

const struct pvmm_option pvmm_kernel_options[] = {
	{"suite", "NAME[,NAME]", parse_suite},
	{"demo", "NAME", parse_demo},
	{"soak-seconds", "N", soak_parse},
	{"balloon-keep", "PAGES", balloon_parse_keep},
	{"diff", "FIRST:COUNT[:MASK][,...]", diff_parse},
	{"diff-words", NULL, diff_parse_words},
	{"list", NULL, parse_list},
	{NULL, NULL, NULL},
};

static void print_list(void)
{
	pvmm_print("suites (suite=NAME[,NAME] or suite=all):\n");
	for (const struct suite *const *s = suites; *s; s++)
		pvmm_print("  %-10s %s\n", (*s)->name, (*s)->about);
	pvmm_print("demos (demo=NAME):\n");
	for (const struct demo *const *d = demos; *d; d++)
		pvmm_print("  %-10s %s\n", (*d)->name, (*d)->about);
}

void pvmm_kernel_main(void)
{
	const struct start_info *si = pvmm_start_info();
	bool passed = true;
	int err;

	pvmm_log(PVMM_INFO, "%.31s: %lu MiB, %llu of %lu pages free, vCPUs: %u", si->magic,
		 si->nr_pages / 256, (unsigned long long)pvmm_free_pages(), si->nr_pages,
		 pvmm_nr_vcpus());

	err = pvmm_grants_start();
	if (err)
		pvmm_log(PVMM_WARN, "no grant table: %s (%d)", pvmm_errno_name(err), err);
	threads_init();
	processes_init();
	if (wants_list)
		print_list();
	if (wanted_suites)
		passed = suites_run(wanted_suites);
	if (wanted_demo)
		passed = wanted_demo->run() && passed;
	if (diff_wanted())
		passed = diff_go() && passed;
	pvmm_log(PVMM_INFO, "result: %s", passed ? "pass" : "fail");
}
