/* SPDX-License-Identifier: MIT */
/*
 * The command that is run for an incident (R44). A fault looks like a domain's name that a shell
 * takes for more than text, a watch that waits for a command, or processes without number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "tools/pinwatch_exec.h"

static struct incident incident;
static struct look look;
static struct story story;
static struct exec exec_state;

static int begin(void **state)
{
	(void)state;
	incident = (struct incident){
		.number = 7, .domid = 3, .vcpu = 2, .is_crash_only = true, .has_crashed = true};
	look = (struct look){.nr_frames = 1};
	look.frames[0] = (struct look_frame){
		.reason = LOOK_SUSPECT,
		.mfn = 0x1234,
		.level = 1,
		.is_found = true,
		.va = 0xffffc90000012000,
	};
	strcpy(look.frames[0].place, "area \"$(touch /tmp/x)\"");
	story = (struct story){.incident = &incident, .look = &look};
	exec_state = (struct exec){.command = NULL};
	return 0;
}

/* What the command writes to descriptor 9. */
static void run(const char *command, char *said, size_t len)
{
	FILE *out = tmpfile();
	size_t got;

	assert_non_null(out);
	assert_int_equal(dup2(fileno(out), 9), 9);
	exec_state.command = command;
	assert_int_equal(exec_start(&exec_state, &story), 0);
	exec_finish(&exec_state);
	close(9);
	rewind(out);
	got = fread(said, 1, len - 1, out);
	said[got] = 0;
	fclose(out);
}

static void the_environment(void **state)
{
	char said[1000];

	(void)state;
	strcpy(story.name, "a;rm `x` \033[2J'b");
	run("printf '%s|' \"$PINWATCH_INCIDENT\" $PINWATCH_KIND $PINWATCH_DOMID \"$PINWATCH_NAME\" "
	    "$PINWATCH_VCPU $PINWATCH_VA \"$PINWATCH_PLACE\" \"$PINWATCH_FRAMES\" >&9",
	    said, sizeof(said));
	assert_string_equal(said,
			    "7|crash|3|a_rm _x_ __2J_b|2|0xffffc90000012000|area ___touch _tmp_x__|"
			    "0x1234|");
	assert_int_equal(exec_state.nr_run, 1);
	assert_int_equal(exec_state.nr_failed, 0);
}

static void json_on_standard_input(void **state)
{
	static char said[20000];

	(void)state;
	run("cat >&9", said, sizeof(said));
	assert_int_equal(strncmp(said, "{\"version\":1,\"incident\":7,", 25), 0);
	assert_non_null(strstr(said, "\"va\":\"0xffffc90000012000\""));
}

static void failures_are_counted(void **state)
{
	char said[10];

	(void)state;
	run("exit 3", said, sizeof(said));
	assert_int_equal(exec_state.nr_failed, 1);
	run("/nonexistent/program 2>/dev/null", said, sizeof(said));
	assert_int_equal(exec_state.nr_failed, 2);
}

static void not_too_many(void **state)
{
	(void)state;
	exec_state.command = "sleep 0.5";
	for (unsigned int i = 0; i < EXEC_AT_A_TIME; i++)
		assert_int_equal(exec_start(&exec_state, &story), 0);
	assert_int_equal(exec_start(&exec_state, &story), 1);
	assert_int_equal(exec_state.nr_skipped, 1);
	exec_finish(&exec_state);
	assert_int_equal(exec_start(&exec_state, &story), 0);
	exec_finish(&exec_state);
	/* None to run is no error. */
	exec_state.command = NULL;
	assert_int_equal(exec_start(&exec_state, &story), 0);
	assert_int_equal(exec_state.nr_run, EXEC_AT_A_TIME + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_environment, begin),
		cmocka_unit_test_setup(json_on_standard_input, begin),
		cmocka_unit_test_setup(failures_are_counted, begin),
		cmocka_unit_test_setup(not_too_many, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
