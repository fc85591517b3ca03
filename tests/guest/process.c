/* SPDX-License-Identifier: MIT */
/*
 * Programs in ring 3: system calls, page faults, fork with copy-on-write, exec, exit, the
 * preempting timer, on all vCPUs of the domain. Every test ends with all pages back and a full
 * audit, so a process that leaves anything behind is seen.
 */
#include <pvmm/alloc.h>
#include <pvmm/patience.h>
#include <pvmm/trap.h>
#include <pvmm/vcpu.h>
#include "process.h"
#include "suites.h"
#include "user/abi.h"

/* Runs a program to its end; its status, or an error. */
static int run(const char *program, uint64_t arg)
{
	int pid = process_spawn(program, arg), status = -1, ended;

	if (pid < 0)
		return pid;
	ended = process_wait(NULL, &status);
	return ended == pid ? status : -1;
}

/* Several at once; how many ended with 0. */
static unsigned int run_together(const char *program, uint64_t arg, unsigned int nr)
{
	unsigned int started = 0, good = 0;
	int status;

	for (unsigned int i = 0; i < nr; i++)
		started += process_spawn(program, arg) > 0;
	for (unsigned int i = 0; i < started; i++)
		good += process_wait(NULL, &status) > 0 && status == 0;
	return good;
}

static void programs_run_and_end(void)
{
	CHECK_EQUAL(run("hello", 0), 0);
	CHECK_EQUAL(run("hello", 77), 77);
	CHECK_EQUAL(run("hello", 255), 255);
	CHECK_EQUAL(run("nonesuch", 0), -XEN_ENOENT);
}

static void a_process_forks_200_times(void)
{
	CHECK_EQUAL(run("forker", 200), 0);
}

static void exec_replaces_the_image(void)
{
	CHECK_EQUAL(run("execer", 100), 0);
}

static void parent_and_child_do_not_see_each_others_writes(void)
{
	CHECK_EQUAL(run("toucher", 1), 0);
	CHECK_EQUAL(run("toucher", 100), 0);
	CHECK_EQUAL(run_together("toucher", 30, 4), 4);
}

static void many_at_once(void)
{
	CHECK_EQUAL(run_together("forker", 20, 8), 8);
	CHECK_EQUAL(run_together("execer", 10, 6), 6);
}

/* What the crasher does, by number, and the vector for which it must be killed. */
static const enum pvmm_vector deaths[] = {
	PVMM_TRAP_PF, /* reads address 0 */
	PVMM_TRAP_PF, /* writes its text */
	PVMM_TRAP_PF, /* reads the kernel's image */
	PVMM_TRAP_UD, /* ud2 */
	PVMM_TRAP_DE, /* divides by zero */
	PVMM_TRAP_GP, /* halts the processor */
	PVMM_TRAP_NM, /* uses the FPU */
	PVMM_TRAP_PF, /* executes its data */
	PVMM_TRAP_GP, /* jumps to an address that is none */
	PVMM_TRAP_PF, /* pushes to a stack that is not there */
	PVMM_TRAP_BP, /* int3 */
	PVMM_TRAP_GP, /* sysenter, see below */
	PVMM_TRAP_UD, /* ud2 with a stack pointer into the kernel's half */
	PVMM_TRAP_PF, /* reads the direct map */
};

/* A processor of AMD's does not know sysenter in 64-bit mode. */
#define SYSENTER 11

static void a_crash_is_the_process_s_own(void)
{
	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(deaths); i++) {
		int status = run("crasher", i);

		if (i == SYSENTER && status == STATUS_KILLED(PVMM_TRAP_UD))
			continue;
		CHECK_EQUAL(status, STATUS_KILLED((int)deaths[i]));
	}
	/* And again: CR0.TS is set again after #NM. */
	CHECK_EQUAL(run("crasher", 6), STATUS_KILLED(PVMM_TRAP_NM));
	CHECK_EQUAL(run("hello", 1), 1);
}

static void system_calls_refuse_bad_arguments(void)
{
	CHECK_EQUAL(run("misuser", 0), 0);
}

static void sleepers_wake_in_time(void)
{
	CHECK_EQUAL(run("napper", 10), 0);
	CHECK_EQUAL(run_together("napper", 15, 5), 5);
}

/* One spinner more than vCPUs, for a second: what comes after them must not wait for that. */
static void user_code_is_preempted(void)
{
	unsigned int spinners = pvmm_nr_vcpus() + 1;
	int pid, status;

	for (unsigned int i = 0; i < spinners; i++)
		CHECK(process_spawn("spinner", 3000) > 0);
	pid = process_spawn("hello", 5);
	CHECK(pid > 0);
	CHECK_EQUAL(process_wait(NULL, &status), pid);
	CHECK_EQUAL(status, 5);
	for (unsigned int i = 0; i < spinners; i++) {
		CHECK(process_wait(NULL, &status) > 0);
		CHECK_EQUAL(status, 0);
	}
	CHECK_EQUAL(process_wait(NULL, &status), -XEN_ECHILD);
}

/* Until no process is left whose parent has ended. */
static bool orphans_are_gone(void)
{
	struct pvmm_patience patience = pvmm_patience_of(10000000000ULL);

	while (processes_alive() && pvmm_patience_lasts(&patience))
		thread_sleep(5000000);
	return !processes_alive();
}

static void orphans_leave_nothing(void)
{
	CHECK_EQUAL(run("bomber", 1), 0);
	CHECK(orphans_are_gone());
}

static void the_table_of_processes_can_be_full(void)
{
	CHECK_EQUAL(run("bomber", 0), 0);
	CHECK_EQUAL(run("hello", 3), 3);
}

/* It is killed, and what it had is free again. In a large domain that would take too long. */
static void a_process_can_want_too_much_memory(void)
{
	if (pvmm_free_pages() > 40000)
		return;
	CHECK_EQUAL(run("toucher", pvmm_free_pages() + 1000), STATUS_KILLED(PVMM_TRAP_PF));
	CHECK_EQUAL(run("hello", 4), 4);
}

const struct suite suite_process = {
	.name = "process",
	.about = "programs in ring 3",
	.tests =
		(const struct test[]){
			{"programs run, and end with a code", programs_run_and_end},
			{"a process forks 200 times", a_process_forks_200_times},
			{"exec replaces the image", exec_replaces_the_image},
			{"parent and child do not see each other's writes",
			 parent_and_child_do_not_see_each_others_writes},
			{"many at once", many_at_once},
			{"a crash is the process's own end", a_crash_is_the_process_s_own},
			{"system calls refuse bad arguments", system_calls_refuse_bad_arguments},
			{"sleepers wake in time", sleepers_wake_in_time},
			{"user code is preempted", user_code_is_preempted},
			{"orphans leave nothing behind", orphans_leave_nothing},
			{"the table of processes can be full", the_table_of_processes_can_be_full},
			{"a process can want too much memory", a_process_can_want_too_much_memory},
			{NULL, NULL},
		},
};
