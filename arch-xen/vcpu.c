/* SPDX-License-Identifier: MIT */
/*
 * Owns the vCPUs: which are up, how they come up and go down, and each one's local data, which gs
 * points to.
 *
 *	down ── pvmm_vcpu_up ──► coming ── secondary_start ──► up ── pvmm_vcpu_down ──► asked
 *	  ▲                        │ Xen or memory says no     ▲ │                        │ │
 *	  ├────────────────────────┘                           └─┼─── not in time ────────┘ │
 *	  └───────────────────── pvmm_vcpu_go_down ──────────────┴──────────────────────────┘
 *
 * Invariant: a vCPU that is up has its stack, its batch, its callbacks, and its event ports, and
 * runs on the kernel's address space unless it has chosen another. One that is down runs on the
 * kernel's, holds no lock, takes no calls, and has no event port that others need; what it left in
 * the memory manager's lists of its own is within everybody's reach.
 *
 * No lock: a state is changed atomically, and who makes it "coming" is alone with the vCPU.
 */
#include <pvmm/batch.h>
#include <pvmm/check.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/patience.h>
#include <pvmm/space.h>
#include <pvmm/spinlock.h>
#include <pvmm/time.h>
#include <pvmm/vcpu.h>
#include "arch.h"

/* A vCPU needs milliseconds to come up; one that takes this long never will. */
#define UP_PATIENCE_NS 60000000000ULL

/* How long who waits for a vCPU does not look: less than it takes to come or go. */
#define NAP_NS 200000ULL

/* The trap without the counting, which needs the number that is being set up. */
long hypercall_uncounted(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
			 unsigned int op);

enum vcpu_state {
	VCPU_DOWN,   /* Xen does not run it, or will not in a moment */
	VCPU_COMING, /* somebody brings it up */
	VCPU_UP,
	VCPU_ASKED, /* up, and to go down as soon as it can */
};

struct vcpu_local vcpu_local[PVMM_MAX_VCPUS];
static enum vcpu_state states[PVMM_MAX_VCPUS] = {VCPU_UP};

unsigned int pvmm_this_vcpu(void)
{
	unsigned int id;

	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(id) : "i"(offsetof(struct vcpu_local, id)));
	return id;
}

static enum vcpu_state state_of(unsigned int vcpu)
{
	return __atomic_load_n(&states[vcpu], __ATOMIC_ACQUIRE);
}

static void set_state(unsigned int vcpu, enum vcpu_state state)
{
	__atomic_store_n(&states[vcpu], state, __ATOMIC_RELEASE);
}

/* False, and nothing done, when it was not in the first. */
static bool change_state(unsigned int vcpu, enum vcpu_state from, enum vcpu_state to)
{
	return __atomic_compare_exchange_n(&states[vcpu], &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

bool pvmm_vcpu_is_up(unsigned int vcpu)
{
	return vcpu < PVMM_MAX_VCPUS && state_of(vcpu) >= VCPU_UP;
}

unsigned int pvmm_next_vcpu(unsigned int from)
{
	while (from < PVMM_MAX_VCPUS && !pvmm_vcpu_is_up(from))
		from++;
	return from;
}

unsigned int pvmm_nr_vcpus(void)
{
	unsigned int nr = 0;

	for (unsigned int v = pvmm_next_vcpu(0); v < PVMM_MAX_VCPUS; v = pvmm_next_vcpu(v + 1))
		nr++;
	return nr;
}

void pvmm_vcpu_yield(void)
{
	/* It always succeeds; if it did not, the caller would only wait less politely. */
	(void)pvmm_hc_sched_op(SCHEDOP_yield, NULL);
}

void vcpu_poll(evtchn_port_t port, uint64_t until_ns)
{
	struct sched_poll poll = {
		.nr_ports = port ? 1 : 0,
		.timeout = until_ns ? clock_for_xen(until_ns) : 0,
	};

	set_xen_guest_handle(poll.ports, &port);
	if (pvmm_hc_sched_op(SCHEDOP_poll, &poll))
		pvmm_vcpu_yield();
}

uint64_t entry_stack_top(const struct vcpu_local *local)
{
	return (uintptr_t)(local->entry_stack + ENTRY_STACK_WORDS);
}

void boot_vcpu_init(void)
{
	if (hypercall_uncounted(SEGBASE_GS_KERNEL, (uintptr_t)&vcpu_local[0], 0, 0, 0,
				__HYPERVISOR_set_segment_base))
		pvmm_shutdown(SHUTDOWN_crash); /* nothing to say it with yet */
	if (pvmm_hc_stack_switch(FLAT_KERNEL_SS, entry_stack_top(&vcpu_local[0])))
		pvmm_panic("Xen refuses the entry stack at 0x%llx",
			   (unsigned long long)entry_stack_top(&vcpu_local[0]));
	fpu_forbid();
}

/* --- up --- */

/* Leaves the processor to the vCPU that is waited for, or to any event of this one. */
static void nap(void)
{
	vcpu_poll(0, pvmm_clock_ns() + NAP_NS);
}

/* A vCPU that has said that it is down may have some way to go. */
static bool is_running(unsigned int vcpu)
{
	return pvmm_hc_vcpu_op(VCPUOP_is_up, vcpu, NULL) == 1;
}

static int start(unsigned int vcpu)
{
	int err;

	while (is_running(vcpu))
		nap();
	err = vcpu_prepare(vcpu);
	if (err)
		return err;
	vcpu_local[vcpu].id = vcpu;
	/* One that has been up goes on where it went down. One that Xen has no context of has not
	 * been up in this domain, or not since it was restored. */
	err = pvmm_hc_vcpu_op(VCPUOP_up, vcpu, NULL);
	if (err != -XEN_EINVAL)
		return err;
	err = vcpu_initialise(vcpu, &vcpu_local[vcpu]);
	return err ? err : pvmm_hc_vcpu_op(VCPUOP_up, vcpu, NULL);
}

int pvmm_vcpu_up(unsigned int vcpu)
{
	struct pvmm_patience patience;
	int err;

	if (vcpu >= PVMM_MAX_VCPUS || pvmm_hc_vcpu_op(VCPUOP_is_up, vcpu, NULL) < 0)
		return -XEN_ENOENT;
	if (!change_state(vcpu, VCPU_DOWN, VCPU_COMING))
		return -XEN_EBUSY;
	err = start(vcpu);
	if (err) {
		set_state(vcpu, VCPU_DOWN);
		return err;
	}
	patience = pvmm_patience_of(UP_PATIENCE_NS);
	while (state_of(vcpu) == VCPU_COMING) {
		if (!pvmm_patience_lasts(&patience))
			return -XEN_ETIMEDOUT;
		nap();
	}
	return 0;
}

/*
 * Whether the toolstack wants it from the start: what it does not say, it does not deny. A store
 * that does not answer is not asked again.
 */
static bool is_wanted(unsigned int vcpu)
{
	static bool is_silent;
	char text[PVMM_VCPU_TEXT_BYTES];
	bool online = true;
	int err = is_silent ? -XEN_ENODEV : pvmm_vcpu_wanted(vcpu, &online, text);

	if (err == -XEN_EINVAL)
		pvmm_log(PVMM_WARN, "vCPU %u: availability \"%s\" is neither online nor offline",
			 vcpu, text);
	else if (err && err != -XEN_ENOENT && err != -XEN_ENODEV)
		pvmm_log(PVMM_WARN, "vCPU %u: no availability from the store: %s (%d)", vcpu,
			 pvmm_errno_name(err), err);
	is_silent |= err == -XEN_ETIMEDOUT;
	return online;
}

void vcpus_start(void)
{
	for (unsigned int vcpu = 1; pvmm_hc_vcpu_op(VCPUOP_is_up, vcpu, NULL) >= 0; vcpu++) {
		int err;

		if (vcpu == PVMM_MAX_VCPUS) {
			pvmm_log(PVMM_WARN, "vCPUs from %u on stay down: the library knows no more",
				 vcpu);
			break;
		}
		if (!is_wanted(vcpu))
			continue;
		err = pvmm_vcpu_up(vcpu);
		if (err == -XEN_ENOMEM)
			refuse_boot("this domain is too small: no memory for vCPU %u", vcpu);
		if (err)
			pvmm_panic("vCPU %u does not come up: %s (%d)", vcpu, pvmm_errno_name(err),
				   err);
	}
}

/* --- down --- */

int pvmm_vcpu_down(unsigned int vcpu, uint64_t patience_ns)
{
	struct pvmm_patience patience = pvmm_patience_of(patience_ns);

	if (!vcpu || vcpu == pvmm_this_vcpu())
		return -XEN_EINVAL;
	if (!pvmm_vcpu_is_up(vcpu))
		return -XEN_ENOENT;
	if (!change_state(vcpu, VCPU_UP, VCPU_ASKED))
		return -XEN_EBUSY;
	pvmm_vcpu_kick(vcpu);
	while (state_of(vcpu) == VCPU_ASKED) {
		if (!pvmm_patience_lasts(&patience) && change_state(vcpu, VCPU_ASKED, VCPU_UP))
			return -XEN_ETIMEDOUT;
		nap();
	}
	while (state_of(vcpu) == VCPU_DOWN && is_running(vcpu))
		nap();
	return 0;
}

bool pvmm_vcpu_must_go(void)
{
	return state_of(pvmm_this_vcpu()) == VCPU_ASKED;
}

/* Where a vCPU begins: on its own stack, of which nothing is kept. */
static PVMM_NORETURN void begin_again(unsigned int vcpu)
{
	__asm__ volatile("movq %0, %%rsp\n\tjmp secondary_entry"
			 :
			 : "r"(vcpu_stack_top(vcpu))
			 : "memory");
	__builtin_unreachable();
}

void pvmm_vcpu_go_down(void)
{
	unsigned int self = pvmm_this_vcpu();
	int err;

	if (!self)
		pvmm_panic("the boot vCPU goes down");
	pvmm_batch_assert_closed("a vCPU's way down");
	if (pvmm_locks_held())
		pvmm_panic("vCPU %u goes down with %u locks held", self, pvmm_locks_held());
	(void)pvmm_events_save();
	err = pvmm_space_activate(&pvmm_kernel_space);
	if (err)
		pvmm_panic("vCPU %u cannot go back to the kernel's address space: %s (%d)", self,
			   pvmm_errno_name(err), err);
	pvmm_check_flush();
	timer_stop();
	/* From here on others are told that it is down, and it does nothing that they wait for. */
	set_state(self, VCPU_DOWN);
	calls_close();
	events_leave();
	err = pvmm_hc_vcpu_op(VCPUOP_down, self, NULL);
	if (err)
		pvmm_panic("Xen refuses to take vCPU %u down: %s (%d)", self, pvmm_errno_name(err),
			   err);
	begin_again(self);
}

/* --- what they do --- */

static PVMM_NORETURN void idle(void)
{
	(void)pvmm_events_save();
	for (;;) {
		if (pvmm_vcpu_must_go())
			pvmm_vcpu_go_down();
		pvmm_events_wait();
	}
}

void secondary_start(void)
{
	set_state(pvmm_this_vcpu(), VCPU_UP);
	pvmm_events_restore(true);
	if (pvmm_kernel_secondary)
		pvmm_kernel_secondary();
	idle();
}
