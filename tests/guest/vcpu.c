/* SPDX-License-Identifier: MIT */
/*
 * All vCPUs that are up run, each on a stack and with a number of its own; what is shared between
 * them is counted right under the locks; events, calls and batches are each vCPU's own. The clock
 * never steps back, whichever vCPU is asked. With vcpus=1 the same, alone.
 */
#include <pvmm/alloc.h>
#include <pvmm/batch.h>
#include <pvmm/event.h>
#include <pvmm/kernel.h>
#include <pvmm/log.h>
#include <pvmm/patience.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include <pvmm/stats.h>
#include <pvmm/vcpu.h>
#include "probe.h"
#include "suites.h"
#include "together.h"

#define VA (PVMM_VMAP_BASE + 0x60000000ULL)

static void note_stack(void *ctx)
{
	uintptr_t *stacks = ctx;

	stacks[pvmm_this_vcpu()] = (uintptr_t)__builtin_frame_address(0);
}

static void every_vcpu_has_its_own_stack(void)
{
	uintptr_t stacks[PVMM_MAX_VCPUS] = {0};

	CHECK(pvmm_nr_vcpus() >= 1 && pvmm_nr_vcpus() <= PVMM_MAX_VCPUS);
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++) {
		int is_up = pvmm_hc_vcpu_op(VCPUOP_is_up, vcpu, NULL);

		CHECK_EQUAL(is_up == 1, pvmm_vcpu_is_up(vcpu));
		CHECK_EQUAL(pvmm_vcpu_call(vcpu, note_stack, stacks), is_up == 1 ? 0 : -XEN_ENOENT);
	}
	for (unsigned int v = pvmm_next_vcpu(1), last = 0; v < PVMM_MAX_VCPUS;
	     last = v, v = pvmm_next_vcpu(v + 1)) {
		CHECK(stacks[v] - PVMM_STACKS_BASE < PVMM_STACKS_BYTES);
		CHECK(!last || stacks[v] - stacks[last] > 32768);
		CHECK(probe_read(stacks[v] - 32768).faulted);
	}
	CHECK(stacks[0]);
}

static struct {
	struct pvmm_spinlock lock;
	volatile uint64_t locked;
	uint64_t atomic;
} counters;

/* What one vCPU does of so much: more vCPUs than processors are slow enough. */
static unsigned int share(unsigned int whole)
{
	return whole / pvmm_nr_vcpus();
}

/* What all vCPUs have asked of Xen for the lock. */
static struct {
	uint64_t sleeps, wakes;
} cost;

/* This vCPU's counts so far: taken away at its beginning, put in at its end. */
static void add_cost(int sign)
{
	uint64_t sleeps = pvmm_hypercall_count(__HYPERVISOR_sched_op);
	uint64_t wakes = pvmm_hypercall_count(__HYPERVISOR_event_channel_op);

	__atomic_fetch_add(&cost.sleeps, (uint64_t)sign * sleeps, __ATOMIC_RELAXED);
	__atomic_fetch_add(&cost.wakes, (uint64_t)sign * wakes, __ATOMIC_RELAXED);
}

static void count_under_lock(void *ctx)
{
	(void)ctx;
	add_cost(-1);
	for (unsigned int i = 0; i < share(2000); i++) {
		pvmm_spin_lock(&counters.lock);
		counters.locked = counters.locked + 1;
		pvmm_spin_unlock(&counters.lock);
		__atomic_fetch_add(&counters.atomic, 1, __ATOMIC_RELAXED);
	}
	add_cost(1);
}

static void a_contended_lock_counts_right(void)
{
	counters.locked = counters.atomic = cost.sleeps = cost.wakes = 0;
	together(count_under_lock, NULL);
	pvmm_print("# %llu takings by %u vCPUs: %llu sleeps, %llu wakes\n",
		   (unsigned long long)counters.locked, pvmm_nr_vcpus(),
		   (unsigned long long)cost.sleeps, (unsigned long long)cost.wakes);
	CHECK_EQUAL(counters.locked, pvmm_nr_vcpus() * share(2000));
	CHECK_EQUAL(counters.atomic, pvmm_nr_vcpus() * share(2000));
}

static struct {
	struct pvmm_spinlock lock;
	unsigned int holder, nr_got;
	bool is_held;
} held;

/* Until all others have been asleep for some time. */
static void hold(void)
{
	struct pvmm_patience patience = pvmm_patience_of(10000000000ULL);
	uint32_t others = 0;
	uint64_t start;

	for (unsigned int v = pvmm_next_vcpu(0); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1))
		if (v != held.holder)
			others |= 1U << v;
	pvmm_spin_lock(&held.lock);
	__atomic_store_n(&held.is_held, true, __ATOMIC_RELEASE);
	while ((__atomic_load_n(&pvmm_spin_sleepers, __ATOMIC_RELAXED) & others) != others &&
	       pvmm_patience_lasts(&patience))
		pvmm_vcpu_yield();
	CHECK_EQUAL(pvmm_spin_sleepers & others, others);
	CHECK_EQUAL(held.nr_got, 0);
	start = pvmm_clock_ns();
	while (pvmm_clock_ns() - start < 20000000)
		;
	pvmm_spin_unlock(&held.lock);
}

static void take_when_it_is_free(void *ctx)
{
	(void)ctx;
	if (pvmm_this_vcpu() == held.holder) {
		hold();
		return;
	}
	while (!__atomic_load_n(&held.is_held, __ATOMIC_ACQUIRE))
		pvmm_vcpu_yield();
	add_cost(-1);
	pvmm_spin_lock(&held.lock);
	held.nr_got++;
	pvmm_spin_unlock(&held.lock);
	add_cost(1);
}

/* Each is woken once; events of its own may wake it now and then. */
static void who_waits_long_for_a_lock_sleeps(void)
{
	unsigned int others = pvmm_nr_vcpus() - 1;

	held.holder = pvmm_this_vcpu();
	held.is_held = false;
	held.nr_got = 0;
	cost.sleeps = cost.wakes = 0;
	together(take_when_it_is_free, NULL);
	CHECK_EQUAL(held.nr_got, others);
	CHECK_EQUAL(pvmm_spin_sleepers, 0);
	pvmm_print("# %u waited: %llu sleeps, %llu wakes\n", others,
		   (unsigned long long)cost.sleeps, (unsigned long long)cost.wakes);
	CHECK(cost.sleeps >= others && cost.sleeps <= 10ULL * others);
	CHECK(cost.wakes <= others);
}

/* --- calls and events --- */

static void count_call(void *ctx)
{
	unsigned int *calls = ctx;

	__atomic_fetch_add(&calls[pvmm_this_vcpu()], 1, __ATOMIC_RELAXED);
}

/* The next one that is up, and after the last the first. */
static unsigned int vcpu_after(unsigned int vcpu)
{
	vcpu = pvmm_next_vcpu(vcpu + 1);
	return vcpu < PVMM_MAX_VCPUS ? vcpu : pvmm_next_vcpu(0);
}

static void call_everybody(void *ctx)
{
	unsigned int vcpu = 0;

	for (unsigned int i = 0; i < share(64) * pvmm_nr_vcpus(); i++, vcpu = vcpu_after(vcpu))
		if (pvmm_vcpu_call(vcpu, count_call, ctx))
			return;
}

/* First one by one, then everybody everybody else at once, which must not end in a deadlock. */
static void calls_run_where_they_are_sent(void)
{
	unsigned int calls[PVMM_MAX_VCPUS] = {0}, nr = pvmm_nr_vcpus();

	for (unsigned int v = pvmm_next_vcpu(0); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1)) {
		CHECK_EQUAL(pvmm_vcpu_call(v, count_call, calls), 0);
		CHECK_EQUAL(calls[v], 1);
	}
	CHECK_EQUAL(pvmm_vcpu_call(PVMM_MAX_VCPUS, count_call, calls), -XEN_ENOENT);
	together(call_everybody, calls);
	for (unsigned int v = pvmm_next_vcpu(0); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1))
		CHECK_EQUAL(calls[v], 1 + share(64) * nr);
}

static struct {
	pvmm_port_t from, to;
	unsigned int nr, last_vcpu;
} loop;

static void note_event(pvmm_port_t port, void *ctx)
{
	(void)port, (void)ctx;
	loop.last_vcpu = pvmm_this_vcpu();
	__atomic_fetch_add(&loop.nr, 1, __ATOMIC_RELEASE);
}

static bool has_come(unsigned int nr)
{
	struct pvmm_patience patience = pvmm_patience_of(10000000000ULL);

	while (__atomic_load_n(&loop.nr, __ATOMIC_ACQUIRE) < nr)
		if (!pvmm_patience_lasts(&patience))
			return false;
	return true;
}

/* One port, moved from vCPU to vCPU; also while an event waits for the old one. */
static void events_arrive_where_they_are_bound(void)
{
	unsigned int nr = 0, vcpu = 0;

	if (!CHECK_EQUAL(pvmm_event_alloc(DOMID_SELF, &loop.to), 0) ||
	    !CHECK_EQUAL(pvmm_event_connect(DOMID_SELF, loop.to, &loop.from), 0))
		return;
	loop.nr = 0;
	CHECK_EQUAL(pvmm_event_bind(loop.to, note_event, NULL), 0);
	for (unsigned int i = 0; i < 3 * pvmm_nr_vcpus(); i++, vcpu = vcpu_after(vcpu)) {
		CHECK_EQUAL(pvmm_event_move(loop.to, vcpu), 0);
		CHECK_EQUAL(pvmm_event_send(loop.from), 0);
		CHECK(has_come(++nr));
		CHECK_EQUAL(loop.last_vcpu, vcpu);

		pvmm_event_mask(loop.to);
		CHECK_EQUAL(pvmm_event_send(loop.from), 0);
		CHECK_EQUAL(pvmm_event_move(loop.to, vcpu_after(vcpu)), 0);
		CHECK_EQUAL(loop.nr, nr);
		pvmm_event_unmask(loop.to);
		CHECK(has_come(++nr));
		CHECK_EQUAL(loop.last_vcpu, vcpu_after(vcpu));
	}
	CHECK_EQUAL(pvmm_event_close(loop.from), 0);
	CHECK_EQUAL(pvmm_event_close(loop.to), 0);
}

/* --- batches --- */

static struct {
	struct pvmm_page *page[2];
	unsigned int problems;
} batches;

static void must(bool good)
{
	if (!good)
		__atomic_fetch_add(&batches.problems, 1, __ATOMIC_RELAXED);
}

static pvmm_pte_t entry_for(unsigned int i)
{
	return pvmm_pte(pvmm_pfn_to_mfn(pvmm_page_pfn(batches.page[i & 1])), PVMM_PROT_RW);
}

/* Changes this vCPU's own address there and back, with flushes, and looks. */
static void change_own_address(void *ctx)
{
	pvmm_va_t va = VA + pvmm_this_vcpu() * PVMM_PAGE_SIZE;
	struct pvmm_batch_stats before = pvmm_batch_stats();
	struct pvmm_walk w = pvmm_pt_walk(pvmm_kernel_space.root, va);
	uint64_t entry = pvmm_pt_entry_maddr(w.step[1].table, w.step[1].slot);
	enum { TIMES = 40 };

	(void)ctx;
	for (unsigned int i = 1; i <= TIMES; i++) {
		pvmm_batch_begin();
		pvmm_batch_mmu_update(entry, 0);
		pvmm_batch_mmu_update(entry, entry_for(i));
		pvmm_batch_flush_va(va);
		must(!pvmm_batch_end(&(struct pvmm_batch_failure){0}));
		must(*(volatile uint64_t *)va == (i & 1));
	}
	must(pvmm_batch_stats().traps - before.traps == TIMES);
	must(pvmm_batch_stats().mmu_updates - before.mmu_updates == 2 * TIMES);
}

static void every_vcpu_has_its_own_batch(void)
{
	batches.problems = 0;
	for (unsigned int i = 0; i < 2; i++) {
		batches.page[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		if (!CHECK(batches.page[i]))
			return;
		*(uint64_t *)pvmm_page_virt(batches.page[i]) = i;
	}
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++)
		CHECK_EQUAL(pvmm_space_map(&pvmm_kernel_space, VA + vcpu * PVMM_PAGE_SIZE,
					   batches.page[0], PVMM_PROT_RW),
			    0);
	together(change_own_address, NULL);
	CHECK_EQUAL(batches.problems, 0);
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++)
		CHECK_EQUAL(pvmm_space_unmap(&pvmm_kernel_space, VA + vcpu * PVMM_PAGE_SIZE), 0);
	for (unsigned int i = 0; i < 2; i++)
		pvmm_page_put(batches.page[i]);
}

/* Address spaces made, loaded and destroyed by all at once. */
static void live_with_spaces(void *ctx)
{
	static struct pvmm_space spaces[PVMM_MAX_VCPUS];
	struct pvmm_space *space = &spaces[pvmm_this_vcpu()];
	const pvmm_va_t va = 0x400000;

	(void)ctx;
	for (uint64_t i = 0; i < share(80); i++) {
		struct pvmm_page *page = pvmm_page_alloc(0, PVMM_PAGE_USER);

		must(page && !pvmm_space_create(space, "each its own"));
		must(!pvmm_space_map(space, va, page, PVMM_PROT_RW));
		must(!pvmm_space_activate(space));
		*(volatile uint64_t *)va = i * 1000 + pvmm_this_vcpu();
		must(*(volatile uint64_t *)pvmm_page_virt(page) == i * 1000 + pvmm_this_vcpu());
		must(!pvmm_space_unmap(space, va));
		must(!pvmm_space_activate(&pvmm_kernel_space));
		must(!pvmm_space_destroy(space));
		pvmm_page_put(page);
	}
}

static void all_can_use_the_manager(void)
{
	batches.problems = 0;
	together(live_with_spaces, NULL);
	CHECK_EQUAL(batches.problems, 0);
}

/* --- the clock --- */

static struct {
	struct pvmm_spinlock lock;
	uint64_t latest;
	unsigned int steps_back;
} clock;

static void look_at_the_clock(void *ctx)
{
	(void)ctx;
	for (unsigned int i = 0; i < share(2000); i++) {
		uint64_t now;

		pvmm_spin_lock(&clock.lock);
		now = pvmm_clock_ns();
		clock.steps_back += now < clock.latest;
		clock.latest = now;
		pvmm_spin_unlock(&clock.lock);
	}
}

static void the_clock_never_steps_back(void)
{
	together(look_at_the_clock, NULL);
	CHECK_EQUAL(clock.steps_back, 0);
}

static void count_timer(void *ctx)
{
	__atomic_fetch_add((unsigned int *)ctx, 1, __ATOMIC_RELEASE);
}

static void set_timer(void *ctx)
{
	pvmm_timer_set(3000000, count_timer, ctx);
}

static void every_vcpu_has_its_own_timer(void)
{
	struct pvmm_patience patience = pvmm_patience_of(10000000000ULL);
	unsigned int fired = 0;

	together(set_timer, &fired);
	while (__atomic_load_n(&fired, __ATOMIC_ACQUIRE) < pvmm_nr_vcpus() &&
	       pvmm_patience_lasts(&patience))
		pvmm_vcpu_yield();
	CHECK_EQUAL(fired, pvmm_nr_vcpus());
}

const struct suite suite_vcpu = {
	.name = "vcpu",
	.about = "all vCPUs of the domain at work",
	.tests =
		(const struct test[]){
			{"every vCPU is up and has a stack of its own, with a guard",
			 every_vcpu_has_its_own_stack},
			{"a contended lock counts right", a_contended_lock_counts_right},
			{"who waits long for a lock sleeps", who_waits_long_for_a_lock_sleeps},
			{"calls run on the vCPU that they are for", calls_run_where_they_are_sent},
			{"events arrive on the vCPU that they are bound to",
			 events_arrive_where_they_are_bound},
			{"every vCPU has a batch of its own", every_vcpu_has_its_own_batch},
			{"address spaces are made and used by all at once",
			 all_can_use_the_manager},
			{"the clock never steps back", the_clock_never_steps_back},
			{"every vCPU has a timer of its own", every_vcpu_has_its_own_timer},
			{NULL, NULL},
		},
};
