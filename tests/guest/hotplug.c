/* SPDX-License-Identifier: MIT */
/*
 * vCPUs that come and go: any but the boot vCPU, again and again, without costing memory, and
 * without taking anything with them that others need: calls, event ports, sleeping threads,
 * processes, stale mappings. (R12)
 *
 * A fault here looks like a call that never returns, a thread that never wakes, a space that cannot
 * be destroyed because a vCPU that is down still has it, or a page that is missing. Each test
 * leaves all vCPUs up that were up before. With one vCPU there is little to see.
 */
#include <pvmm/alloc.h>
#include <pvmm/event.h>
#include <pvmm/kernel.h>
#include <pvmm/patience.h>
#include <pvmm/ledger.h>
#include <pvmm/hypercall.h>
#include <pvmm/vmap.h>
#include "process.h"
#include "suites.h"
#include "thread.h"

#define MS 1000000ULL

/* The first that is up but the boot vCPU; PVMM_MAX_VCPUS if there is none. */
static unsigned int another(void)
{
	return pvmm_next_vcpu(1);
}

static bool down(unsigned int vcpu)
{
	return CHECK_EQUAL(thread_vcpu_down(vcpu), 0) && CHECK(!pvmm_vcpu_is_up(vcpu)) &&
	       CHECK_EQUAL(pvmm_hc_vcpu_op(VCPUOP_is_up, vcpu, NULL), 0);
}

static bool up(unsigned int vcpu)
{
	return CHECK_EQUAL(thread_vcpu_up(vcpu), 0) && CHECK(pvmm_vcpu_is_up(vcpu)) &&
	       CHECK_EQUAL(pvmm_hc_vcpu_op(VCPUOP_is_up, vcpu, NULL), 1);
}

/* All but the boot vCPU; which they were, as bits. */
static uint32_t all_down(void)
{
	uint32_t were_up = 0;

	for (unsigned int v = another(); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1)) {
		were_up |= 1u << v;
		down(v);
	}
	CHECK_EQUAL(pvmm_nr_vcpus(), 1);
	return were_up;
}

static void all_up(uint32_t which)
{
	for (unsigned int v = 1; v < PVMM_MAX_VCPUS; v++)
		if (which >> v & 1)
			up(v);
}

static void what_cannot_be_is_refused(void)
{
	CHECK_EQUAL(thread_vcpu_down(0), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_vcpu_down(0, 0), -XEN_EINVAL);
	CHECK_EQUAL(thread_vcpu_down(PVMM_MAX_VCPUS), -XEN_EINVAL);
	CHECK_EQUAL(pvmm_vcpu_up(0), -XEN_EBUSY);
	CHECK_EQUAL(pvmm_vcpu_up(PVMM_MAX_VCPUS), -XEN_ENOENT);
	for (unsigned int v = 1; v < PVMM_MAX_VCPUS; v++) {
		int is_up = pvmm_hc_vcpu_op(VCPUOP_is_up, v, NULL);

		if (is_up < 0)
			CHECK_EQUAL(pvmm_vcpu_up(v), -XEN_ENOENT);
		if (is_up != 1)
			CHECK_EQUAL(thread_vcpu_down(v), -XEN_ENOENT);
		else
			CHECK_EQUAL(pvmm_vcpu_up(v), -XEN_EBUSY);
	}
}

static void note_vcpu(void *ctx)
{
	*(unsigned int *)ctx = pvmm_this_vcpu();
}

/* In the order of their numbers, and so that at each time another set is up. */
static void each_goes_and_comes(void)
{
	unsigned int nr = pvmm_nr_vcpus();
	uint64_t free = pvmm_free_pages();

	for (unsigned int v = another(); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1))
		for (unsigned int i = 0; i < 10; i++) {
			unsigned int ran_on = 99;

			if (!down(v))
				return;
			CHECK_EQUAL(pvmm_nr_vcpus(), nr - 1);
			CHECK(pvmm_next_vcpu(v) != v);
			CHECK_EQUAL(pvmm_vcpu_call(v, note_vcpu, &ran_on), -XEN_ENOENT);
			pvmm_vcpu_kick(v);
			CHECK_EQUAL(pvmm_free_pages(), free);
			if (!up(v))
				return;
			CHECK_EQUAL(pvmm_nr_vcpus(), nr);
			CHECK_EQUAL(pvmm_vcpu_call(v, note_vcpu, &ran_on), 0);
			CHECK_EQUAL(ran_on, v);
			CHECK_EQUAL(pvmm_free_pages(), free);
		}
}

static void the_boot_vcpu_can_be_alone(void)
{
	for (unsigned int i = 0; i < 3; i++)
		all_up(all_down());
}

/* --- calls --- */

static struct {
	unsigned int vcpu, made, refused, wrong;
	unsigned int run; /* by the vCPU that is called */
	bool stop;
} calls;

static void count_run(void *ctx)
{
	(void)ctx;
	__atomic_fetch_add(&calls.run, 1, __ATOMIC_RELAXED);
}

/* An event of the boot vCPU's, while that one waits for the other to go. */
static void call_again(void *ctx)
{
	int err = pvmm_vcpu_call(calls.vcpu, count_run, NULL);

	(void)ctx;
	calls.made += !err;
	calls.refused += err == -XEN_ENOENT;
	calls.wrong += err && err != -XEN_ENOENT;
	if (!calls.stop)
		pvmm_timer_set(20000, call_again, NULL);
}

static bool calls_met_both(void)
{
	return calls.made && calls.refused;
}

/* Rounds until calls have been answered and refused, which takes luck; the timer is set in each. */
static void calls_meet_a_vcpu_that_goes(void)
{
	enum { ROUNDS = 30, ROUNDS_MOST = 600 };
	bool were_on;

	calls.vcpu = another();
	if (calls.vcpu == PVMM_MAX_VCPUS)
		return;
	calls.made = calls.refused = calls.wrong = calls.run = 0;
	calls.stop = false;
	for (unsigned int i = 0; i < ROUNDS || (i < ROUNDS_MOST && !calls_met_both()); i++) {
		/* Others who sleep on this vCPU need its timer too. */
		pvmm_timer_set(20000, call_again, NULL);
		if (!down(calls.vcpu) || !up(calls.vcpu))
			break;
	}
	were_on = pvmm_events_save();
	calls.stop = true;
	pvmm_events_restore(were_on);
	thread_sleep(5 * MS);
	CHECK_EQUAL(calls.made, calls.run);
	CHECK_EQUAL(calls.wrong, 0);
	CHECK(calls_met_both());
}

/* --- event ports --- */

static struct {
	pvmm_port_t from, to;
	unsigned int nr, vcpu;
} loop;

static void note_event(pvmm_port_t port, void *ctx)
{
	(void)port, (void)ctx;
	loop.vcpu = pvmm_this_vcpu();
	__atomic_fetch_add(&loop.nr, 1, __ATOMIC_RELEASE);
}

static bool has_come(unsigned int nr)
{
	struct pvmm_patience patience = pvmm_patience_of(10000 * MS);

	while (__atomic_load_n(&loop.nr, __ATOMIC_ACQUIRE) < nr)
		if (!pvmm_patience_lasts(&patience))
			return false;
	return true;
}

/* What waits on a masked port, and what comes later. */
static void ports_are_moved(void)
{
	unsigned int vcpu = another();

	if (vcpu == PVMM_MAX_VCPUS)
		return;
	if (!CHECK_EQUAL(pvmm_event_alloc(DOMID_SELF, &loop.to), 0) ||
	    !CHECK_EQUAL(pvmm_event_connect(DOMID_SELF, loop.to, &loop.from), 0) ||
	    !CHECK_EQUAL(pvmm_event_bind(loop.to, note_event, NULL), 0))
		return;
	loop.nr = 0;
	for (unsigned int i = 0; i < 5; i++) {
		CHECK_EQUAL(pvmm_event_move(loop.to, vcpu), 0);
		CHECK_EQUAL(pvmm_event_send(loop.from), 0);
		CHECK(has_come(3 * i + 1));
		CHECK_EQUAL(loop.vcpu, vcpu);

		pvmm_event_mask(loop.to);
		CHECK_EQUAL(pvmm_event_send(loop.from), 0);
		down(vcpu);
		CHECK_EQUAL(loop.nr, 3 * i + 1);
		CHECK_EQUAL(pvmm_event_move(loop.to, vcpu), -XEN_EINVAL);
		pvmm_event_unmask(loop.to);
		CHECK(has_come(3 * i + 2));
		CHECK_EQUAL(loop.vcpu, 0);

		CHECK_EQUAL(pvmm_event_send(loop.from), 0);
		CHECK(has_come(3 * i + 3));
		CHECK_EQUAL(loop.vcpu, 0);
		up(vcpu);
	}
	CHECK_EQUAL(pvmm_event_close(loop.from), 0);
	CHECK_EQUAL(pvmm_event_close(loop.to), 0);
}

/* --- threads --- */

enum { SLEEPERS = 4 };

static struct sleeper {
	struct thread thread;
	bool sleeps, is_gone;
	unsigned int fell_asleep_on;
	uint64_t should_wake_ns, woke_ns;
} sleepers[SLEEPERS];

static void sleep_a_while(void *ctx)
{
	struct sleeper *s = ctx;
	const uint64_t nap_ns = 1000 * MS;

	s->fell_asleep_on = pvmm_this_vcpu();
	s->should_wake_ns = pvmm_clock_ns() + nap_ns;
	__atomic_store_n(&s->sleeps, true, __ATOMIC_RELEASE);
	thread_sleep(nap_ns);
	s->woke_ns = pvmm_clock_ns();
}

static void sleeper_gone(void *ctx)
{
	struct sleeper *s = ctx;

	__atomic_store_n(&s->is_gone, true, __ATOMIC_RELEASE);
}

static void start_sleeper(struct sleeper *s, int only_on)
{
	*s = (struct sleeper){
		.thread =
			{
				.name = "sleeper",
				.only_on = only_on,
				.run = sleep_a_while,
				.gone = sleeper_gone,
				.ctx = s,
			},
	};
	CHECK_EQUAL(thread_start(&s->thread), 0);
	while (!__atomic_load_n(&s->sleeps, __ATOMIC_ACQUIRE))
		pvmm_vcpu_yield(); /* keeps this vCPU: it runs on another */
}

/*
 * The boot vCPU's own timer is set to a time long after the others should have been woken: those
 * who fell asleep elsewhere would wake with it, had nobody taken them over.
 */
static void sleepers_of_a_vcpu_that_goes_wake_in_time(void)
{
	uint32_t were_up;

	if (another() == PVMM_MAX_VCPUS)
		return;
	for (unsigned int i = 0; i < SLEEPERS; i++)
		start_sleeper(&sleepers[i], THREAD_ANYWHERE);
	were_up = all_down();
	thread_sleep(6000 * MS);
	for (unsigned int i = 0; i < SLEEPERS; i++) {
		const struct sleeper *s = &sleepers[i];

		CHECK(s->fell_asleep_on != 0);
		CHECK(s->is_gone);
		CHECK(s->woke_ns >= s->should_wake_ns);
		CHECK(s->woke_ns < s->should_wake_ns + 3000 * MS);
	}
	all_up(were_up);
}

static void a_thread_of_its_own_keeps_a_vcpu_up(void)
{
	unsigned int vcpu = another();
	struct sleeper *s = &sleepers[0];

	if (vcpu == PVMM_MAX_VCPUS)
		return;
	start_sleeper(s, (int)vcpu);
	CHECK_EQUAL(thread_vcpu_down(vcpu), -XEN_EBUSY);
	CHECK(pvmm_vcpu_is_up(vcpu));
	while (!__atomic_load_n(&s->is_gone, __ATOMIC_ACQUIRE))
		thread_sleep(10 * MS);
	CHECK_EQUAL(s->fell_asleep_on, vcpu);
	down(vcpu);
	CHECK_EQUAL(thread_start(&s->thread), -XEN_ENOENT);
	up(vcpu);
}

/* --- processes --- */

static void all_end_well(unsigned int nr)
{
	int status;

	for (unsigned int i = 0; i < nr; i++) {
		CHECK(process_wait(NULL, &status) > 0);
		CHECK_EQUAL(status, 0);
	}
}

/* They spin in user mode where their vCPU is taken away, and never enter the kernel of themselves.
 */
static void processes_go_on_elsewhere(void)
{
	unsigned int nr = pvmm_nr_vcpus() + 1;
	uint32_t were_up;

	for (unsigned int i = 0; i < nr; i++)
		CHECK(process_spawn("spinner", 1000) > 0);
	thread_sleep(20 * MS);
	were_up = all_down();
	all_end_well(nr);
	all_up(were_up);
}

/* Spaces are made, copied and destroyed all the time: one that a vCPU keeps could not be. */
static void processes_churn_while_vcpus_come_and_go(void)
{
	const unsigned int nr = 6;

	for (unsigned int i = 0; i < nr; i++)
		CHECK(process_spawn("churner", 10) > 0);
	for (unsigned int i = 0; i < 10; i++) {
		unsigned int vcpu = pvmm_next_vcpu(1 + i % 3);

		if (vcpu == PVMM_MAX_VCPUS)
			vcpu = another();
		if (vcpu == PVMM_MAX_VCPUS || !down(vcpu))
			break;
		thread_sleep(5 * MS);
		if (!up(vcpu))
			break;
		thread_sleep(5 * MS);
	}
	all_end_well(nr);
}

/* --- what the memory manager keeps for each vCPU --- */

static struct {
	struct pvmm_page *page;
	void *live, *stale;
	bool is_gone;
	int err;
} areas;

static void make_areas(void *ctx)
{
	const struct pvmm_vmap_how lazy = {.name = "hotplug", .policy = PVMM_VMAP_LAZY};

	(void)ctx;
	areas.err = pvmm_vmap(&areas.page, 1, PVMM_PROT_RW, &lazy, &areas.live);
	if (!areas.err)
		areas.err = pvmm_vmap(&areas.page, 1, PVMM_PROT_RW, &lazy, &areas.stale);
	if (!areas.err)
		areas.err = pvmm_vunmap(areas.stale);
}

static void areas_made(void *ctx)
{
	(void)ctx;
	__atomic_store_n(&areas.is_gone, true, __ATOMIC_RELEASE);
}

static void areas_outlive_their_vcpu(void)
{
	static struct thread maker;
	unsigned int vcpu = another();

	if (vcpu == PVMM_MAX_VCPUS)
		return;
	pvmm_purge();
	areas.is_gone = false;
	areas.page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
	maker = (struct thread){
		.name = "maker",
		.only_on = (int)vcpu,
		.run = make_areas,
		.gone = areas_made,
	};
	if (!CHECK(areas.page) || !CHECK_EQUAL(thread_start(&maker), 0))
		return;
	while (!__atomic_load_n(&areas.is_gone, __ATOMIC_ACQUIRE))
		thread_sleep(5 * MS);
	CHECK_EQUAL(areas.err, 0);
	CHECK_EQUAL(areas.page->stale, 1);

	down(vcpu);
	*(volatile uint64_t *)areas.live = 42;
	CHECK_EQUAL(*(uint64_t *)pvmm_page_virt(areas.page), 42);
	CHECK_EQUAL(pvmm_purge(), 1);
	CHECK_EQUAL(areas.page->stale, 0);
	CHECK_EQUAL(pvmm_vunmap(areas.live), 0);
	CHECK_EQUAL(pvmm_purge(), 1);
	pvmm_page_put(areas.page);
	up(vcpu);
}

/* --- without memory --- */

/* A vCPU of maxvcpus= that has never been up; PVMM_MAX_VCPUS if there is none. */
static unsigned int never_up(void)
{
	for (unsigned int v = 1; v < PVMM_MAX_VCPUS; v++)
		if (pvmm_hc_vcpu_op(VCPUOP_is_up, v, NULL) == 0)
			return v;
	return PVMM_MAX_VCPUS;
}

/* All free pages but so many; linked, the last one first. */
static struct pvmm_page *take_all_but(uint64_t nr)
{
	struct pvmm_page *taken = NULL, *page;

	while (pvmm_free_pages() > nr && (page = pvmm_page_alloc(0, PVMM_PAGE_KERNEL))) {
		*(struct pvmm_page **)pvmm_page_virt(page) = taken;
		taken = page;
	}
	return taken;
}

static void give_back(struct pvmm_page *taken)
{
	while (taken) {
		struct pvmm_page *next = *(struct pvmm_page **)pvmm_page_virt(taken);

		pvmm_page_put(taken);
		taken = next;
	}
}

static void a_vcpu_without_memory_stays_down(void)
{
	unsigned int vcpu = never_up(), refused = 0;
	int err = -XEN_ENOMEM;

	for (uint64_t left = 0; vcpu < PVMM_MAX_VCPUS && err; left += 2) {
		struct pvmm_page *taken;
		uint64_t before;

		pvmm_table_cache_shrink();
		taken = take_all_but(left);
		before = pages_accounted_for();
		err = thread_vcpu_up(vcpu);
		CHECK_EQUAL(pages_accounted_for(), before);
		refused += err == -XEN_ENOMEM;
		give_back(taken);
		if (err && !CHECK_EQUAL(err, -XEN_ENOMEM))
			return;
	}
	CHECK(vcpu == PVMM_MAX_VCPUS || refused);
	if (vcpu < PVMM_MAX_VCPUS)
		down(vcpu);
}

const struct suite suite_hotplug = {
	.name = "hotplug",
	.about = "vCPUs that come and go",
	.tests =
		(const struct test[]){
			{"what cannot be is refused", what_cannot_be_is_refused},
			{"a vCPU without memory stays down", a_vcpu_without_memory_stays_down},
			{"each goes and comes, and costs no memory", each_goes_and_comes},
			{"the boot vCPU can be alone", the_boot_vcpu_can_be_alone},
			{"calls meet a vCPU that goes", calls_meet_a_vcpu_that_goes},
			{"its event ports are moved", ports_are_moved},
			{"its sleepers wake in time", sleepers_of_a_vcpu_that_goes_wake_in_time},
			{"a thread of its own keeps it up", a_thread_of_its_own_keeps_a_vcpu_up},
			{"its processes go on elsewhere", processes_go_on_elsewhere},
			{"processes churn while vCPUs come and go",
			 processes_churn_while_vcpus_come_and_go},
			{"areas outlive their vCPU", areas_outlive_their_vcpu},
			{NULL, NULL},
		},
};
