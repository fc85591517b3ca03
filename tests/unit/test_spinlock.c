/* SPDX-License-Identifier: MIT */
/*
 * How a vCPU sleeps for a lock (arch-xen/spinlock.c), with threads as vCPUs and the model's event
 * ports: it is woken when it is its turn, nobody else is, and it does not sleep through its turn,
 * whatever interrupts it on its way to sleep.
 *
 * A fault here is a thread that sleeps for ever: the run ends by its time-out.
 */
#include <stdatomic.h>
#include <pvmm/spinlock.h>
#include "tests/unit/unit.h"
#include "tests/unit/worker.h"

static struct pvmm_spinlock outer = PVMM_SPINLOCK_INIT, inner = PVMM_SPINLOCK_INIT;

static int start(void **state)
{
	unit_boot(state);
	outer = inner = (struct pvmm_spinlock)PVMM_SPINLOCK_INIT;
	model_lock_ports(true, NULL);
	return 0;
}

static int stop(void **state)
{
	model_lock_ports(true, NULL);
	return unit_shutdown(state);
}

static void run_on(unsigned int nr, void (*run)(struct worker *w))
{
	struct worker workers[4];

	for (unsigned int i = 0; i < nr; i++)
		workers[i] = (struct worker){.run = run};
	workers_run(workers, nr);
	assert_int_equal(pvmm_spin_sleepers, 0);
}

static void wait_until_asleep(unsigned int nr)
{
	while (model_lock_waits() < nr)
		model_relax();
}

static void a_free_lock_costs_no_event(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		pvmm_spin_lock(&outer);
		pvmm_spin_unlock(&outer);
	}
	assert_int_equal(model_lock_waits(), 0);
	assert_int_equal(model_lock_raises(), 0);
	assert_int_equal(pvmm_spin_sleepers, 0);
}

/* Handed on just before it would have slept. */
static void whose_turn_has_come_does_not_sleep(void **state)
{
	(void)state;
	pvmm_spin_sleep(&outer, outer.serving);
	assert_int_equal(model_lock_waits(), 0);
	assert_int_equal(pvmm_spin_sleepers, 0);
}

/* --- in turn --- */

static atomic_uint nr_asked, nr_got;

/*
 * The first has the lock; each of the others asks for it when the one before is asleep, the last of
 * them first: the numbers of the vCPUs and their tickets are not in the same order.
 */
static void take_in_turn(struct worker *w)
{
	unsigned int place = 4 - w->vcpu;

	if (!w->vcpu) {
		pvmm_spin_lock(&outer);
		nr_asked = 1;
		wait_until_asleep(3);
		must(w, model_lock_raises() == 0);
		must(w, __atomic_load_n(&pvmm_spin_sleepers, __ATOMIC_RELAXED) == 0xe);
		must(w, nr_got == 0);
		pvmm_spin_unlock(&outer);
		return;
	}
	while (nr_asked != place || model_lock_waits() != place - 1)
		model_relax();
	nr_asked = place + 1;
	pvmm_spin_lock(&outer);
	must(w, nr_got == place - 1);
	must(w, model_lock_raises() == place);
	nr_got = place;
	pvmm_spin_unlock(&outer);
}

static void sleepers_are_woken_in_turn(void **state)
{
	(void)state;
	nr_asked = nr_got = 0;
	run_on(4, take_in_turn);
	assert_int_equal(nr_got, 3);
	assert_int_equal(model_lock_waits(), 3);
	assert_int_equal(model_lock_raises(), 3);
}

/* --- two locks --- */

static atomic_bool has_both;

/* Both sleepers have the same ticket, of different locks; the one of the higher number is woken. */
static void take_one_of_two(struct worker *w)
{
	struct pvmm_spinlock *lock = w->vcpu == 1 ? &outer : &inner;

	if (w->vcpu) {
		while (!has_both)
			model_relax();
		pvmm_spin_lock(lock);
		nr_got++;
		pvmm_spin_unlock(lock);
		return;
	}
	pvmm_spin_lock(&outer);
	pvmm_spin_lock(&inner);
	has_both = true;
	wait_until_asleep(2);
	pvmm_spin_unlock(&inner);
	while (nr_got != 1)
		model_relax();
	must(w, model_lock_waits() == 2);
	pvmm_spin_unlock(&outer);
}

static void the_lock_tells_who_is_woken(void **state)
{
	(void)state;
	nr_got = 0;
	has_both = false;
	run_on(3, take_one_of_two);
	assert_int_equal(nr_got, 2);
	assert_int_equal(model_lock_raises(), 2);
}

/* --- interrupted --- */

static atomic_bool is_interrupted;

/* What comes between the last look at the outer lock and the sleep. */
static void handler(void)
{
	if (atomic_exchange(&is_interrupted, true))
		return;
	pvmm_spin_lock(&inner);
	pvmm_spin_unlock(&inner);
}

/* The outer lock is handed on while the one who is next sleeps for the inner one. */
static void hand_on_meanwhile(struct worker *w)
{
	if (w->vcpu) {
		while (!has_both)
			model_relax();
		pvmm_spin_lock(&outer);
		must(w, is_interrupted);
		pvmm_spin_unlock(&outer);
		return;
	}
	pvmm_spin_lock(&outer);
	pvmm_spin_lock(&inner);
	has_both = true;
	wait_until_asleep(2);
	pvmm_spin_unlock(&outer);
	must(w, model_lock_raises() == 0); /* nobody was seen to sleep for it */
	pvmm_spin_unlock(&inner);
}

static void one_who_is_hidden_looks_again(void **state)
{
	(void)state;
	has_both = is_interrupted = false;
	model_lock_ports(true, handler);
	run_on(2, hand_on_meanwhile);
}

static atomic_bool is_handed_on;

/* It is woken for the outer lock, and then a handler forgets that, and need not sleep itself. */
static void forgetful_handler(void)
{
	if (atomic_exchange(&is_interrupted, true))
		return;
	while (!is_handed_on)
		model_relax();
	pvmm_spin_sleep(&inner, inner.serving);
}

static void hand_on_before(struct worker *w)
{
	if (w->vcpu) {
		while (!has_both)
			model_relax();
		pvmm_spin_lock(&outer);
		pvmm_spin_unlock(&outer);
		return;
	}
	pvmm_spin_lock(&outer);
	has_both = true;
	wait_until_asleep(1);
	pvmm_spin_unlock(&outer);
	must(w, model_lock_raises() == 1);
	is_handed_on = true;
}

static void one_whose_wake_was_forgotten_looks_again(void **state)
{
	(void)state;
	has_both = is_interrupted = is_handed_on = false;
	model_lock_ports(true, forgetful_handler);
	run_on(2, hand_on_before);
}

/* --- many --- */

static uint64_t counter;

static void count(struct worker *w)
{
	unsigned int rounds = worker_rounds(2000);

	for (unsigned int i = 0; i < rounds; i++) {
		pvmm_spin_lock(&outer);
		counter++;
		/* Long enough that others fall asleep, now and then. */
		for (unsigned int wait = any(w, 64) ? 0 : 4000; wait; wait--)
			model_relax();
		pvmm_spin_unlock(&outer);
	}
}

static void count_with_four(void)
{
	counter = 0;
	run_on(4, count);
	assert_int_equal(counter, 4 * worker_rounds(2000));
}

static void many_count_right(void **state)
{
	(void)state;
	count_with_four();
	assert_true(model_lock_waits() > 0);
}

static void without_ports_they_yield(void **state)
{
	(void)state;
	model_lock_ports(false, NULL);
	count_with_four();
	assert_int_equal(model_lock_waits(), 0);
	assert_int_equal(model_lock_raises(), 0);
}

#define LOCK_TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCK_TEST(a_free_lock_costs_no_event),
		LOCK_TEST(whose_turn_has_come_does_not_sleep),
		LOCK_TEST(sleepers_are_woken_in_turn),
		LOCK_TEST(the_lock_tells_who_is_woken),
		LOCK_TEST(one_who_is_hidden_looks_again),
		LOCK_TEST(one_whose_wake_was_forgotten_looks_again),
		LOCK_TEST(many_count_right),
		LOCK_TEST(without_ports_they_yield),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
