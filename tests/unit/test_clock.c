/* SPDX-License-Identifier: MIT */
/*
 * The clock's arithmetic (arch-xen/clock.c): ticks and nanoseconds, the guest's time and Xen's
 * before and after the domain has gone on under another Xen, the wall clock, and patience.
 */
#include <pvmm/patience.h>
#include "arch-xen/clock.h"
#include "tests/unit/unit.h"

#define SECOND 1000000000ULL

/* A multiplier is a fraction of 2^32, behind the shift. */
static void ticks_are_scaled(void **state)
{
	(void)state;
	assert_int_equal(clock_scale(1000, 0x80000000, 1), 1000);
	assert_int_equal(clock_scale(1000, 0x80000000, 0), 500);
	assert_int_equal(clock_scale(1000, 0x80000000, -1), 250);
	assert_int_equal(clock_scale(0, 0xffffffff, 0), 0);
	/* Three years of a 4 GHz counter: the product has more than 64 bits. */
	assert_int_equal(clock_scale(4 * SECOND * 94608000, 0x80000000, -1), SECOND * 94608000);
}

/* Whatever the new Xen's clock says, the guest's goes on from where it stood. */
static void the_clock_goes_on(void **state)
{
	static const uint64_t xen_now[] = {1, 500 * SECOND, 1000 * SECOND, 123456 * SECOND};
	const uint64_t stopped = 1000 * SECOND;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t offset = clock_offset(stopped, xen_now[i]);

		assert_int_equal(xen_now[i] + offset, stopped);
		assert_int_equal(xen_now[i] + 7 + offset, stopped + 7);
		/* A timer set for later is for as much later to Xen. */
		assert_int_equal(clock_to_xen(stopped + 5 * SECOND, offset),
				 xen_now[i] + 5 * SECOND);
	}
	assert_int_equal(clock_offset(stopped, stopped), 0);
}

/* What is past, or before the new Xen has booted, is soon; what is never stays a time. */
static void what_xen_is_told_is_a_time(void **state)
{
	uint64_t behind = clock_offset(1000 * SECOND, 10 * SECOND);

	(void)state;
	assert_int_equal(clock_to_xen(990 * SECOND, behind), 1);
	assert_int_equal(clock_to_xen(1, behind), 1);
	assert_int_equal(clock_to_xen(0, 0), 1);
	assert_int_equal(clock_to_xen(UINT64_MAX, behind), INT64_MAX);
	assert_int_equal(clock_to_xen(UINT64_MAX, 0), INT64_MAX);
	assert_int_equal(clock_to_xen(5, 0), 5);
}

/* Seconds have more than 32 bits from 2106 on. */
static void the_wall_clock(void **state)
{
	(void)state;
	assert_int_equal(clock_wall(0, 1700000000, 5, 2 * SECOND), 1700000002 * SECOND + 5);
	assert_int_equal(clock_wall(1, 0, 0, 0), 4294967296 * SECOND);
}

/* --- patience (pvmm/patience.h) --- */

static void who_looks_often_waits_as_long_as_was_said(void **state)
{
	struct pvmm_patience p = pvmm_patience_of(5 * SECOND);
	unsigned int looks = 0;

	(void)state;
	do {
		model_clock_pass(PVMM_PATIENCE_LOOK_NS / 2);
		looks++;
	} while (pvmm_patience_lasts(&p));
	assert_in_range(looks, 49, 50);
	assert_false(pvmm_patience_lasts(&p));
}

/* The machine stood still for an hour: that is one look. */
static void time_that_nobody_had_does_not_count(void **state)
{
	struct pvmm_patience p = pvmm_patience_of(PVMM_PATIENCE_LOOK_NS * 3 / 2);

	(void)state;
	model_clock_pass(3600 * SECOND);
	assert_true(pvmm_patience_lasts(&p));
	model_clock_pass(3600 * SECOND);
	assert_false(pvmm_patience_lasts(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_are_scaled),
		cmocka_unit_test(the_clock_goes_on),
		cmocka_unit_test(what_xen_is_told_is_a_time),
		cmocka_unit_test(the_wall_clock),
		cmocka_unit_test(who_looks_often_waits_as_long_as_was_said),
		cmocka_unit_test(time_that_nobody_had_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
