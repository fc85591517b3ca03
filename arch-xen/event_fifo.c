/* SPDX-License-Identifier: MIT */
/*
 * FIFO event channels (xen/event_channel.h): a word a port in pages that the guest gives Xen, and
 * for each vCPU a control block with the heads of sixteen queues, one a priority. Pending ports are
 * linked through their words; Xen appends, the vCPU takes from the head.
 *
 * Xen holds the pages with the words and the control blocks for as long as the domain lives, so
 * they are part of the image, and never free memory.
 *
 * Invariant: a port is in a queue exactly while its word says LINKED, which only Xen sets and only
 * the vCPU that takes the port clears. So a walk that clears one LINKED a step ends, whatever the
 * links say; where a link leads to no linked port, the queue is broken, and that is said.
 *
 * No lock for words and queues: words are changed atomically, a queue is its vCPU's.
 */
#include <pvmm/hypercall.h>
#include <pvmm/kernel.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/page.h>
#include <pvmm/spinlock.h>
#include "event_abi.h"

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED	(1u << EVTCHN_FIFO_MASKED)
#define LINKED	(1u << EVTCHN_FIFO_LINKED)
#define BUSY	(1u << EVTCHN_FIFO_BUSY)
#define LINK	((uint32_t)EVTCHN_FIFO_LINK_MASK)

#define WORDS_PER_PAGE (PVMM_PAGE_SIZE / sizeof(event_word_t))
#define NR_PAGES       (PVMM_EVENT_PORTS / WORDS_PER_PAGE)

_Static_assert(PVMM_EVENT_PORTS % WORDS_PER_PAGE == 0, "ports fill whole pages");

static event_word_t words[PVMM_EVENT_PORTS] __attribute__((aligned(PVMM_PAGE_SIZE)));

/* All in one page: none may cross the end of one. */
static struct {
	struct evtchn_fifo_control_block block[PVMM_MAX_VCPUS];
} __attribute__((aligned(PVMM_PAGE_SIZE))) control;

_Static_assert(sizeof(control) <= PVMM_PAGE_SIZE, "the control blocks fit into a page");
_Static_assert(sizeof(control.block[0]) % 8 == 0, "each is aligned as Xen wants it");

/* How far a vCPU has come in each of its queues; 0: to the end, the next head is Xen's. */
static uint32_t heads[PVMM_MAX_VCPUS][EVTCHN_FIFO_MAX_QUEUES];

static bool has_block[PVMM_MAX_VCPUS]; /* written by who brings the vCPU up, alone with it */

/* Guards nr_given. Never taken by an event handler. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
static unsigned int nr_given; /* pages of words that Xen has */

static uint64_t frame_of(const void *in_image)
{
	return mfn_x(
		pvmm_pfn_to_mfn(_pfn(((uintptr_t)in_image - PVMM_KERNEL_BASE) >> PVMM_PAGE_SHIFT)));
}

static void reset(void)
{
	for (unsigned int i = 0; i < PVMM_EVENT_PORTS; i++)
		words[i] = MASKED;
	for (unsigned int vcpu = 0; vcpu < PVMM_MAX_VCPUS; vcpu++) {
		control.block[vcpu] = (struct evtchn_fifo_control_block){0};
		has_block[vcpu] = false;
		for (unsigned int i = 0; i < EVTCHN_FIFO_MAX_QUEUES; i++)
			heads[vcpu][i] = 0;
	}
	nr_given = 0;
}

/* The first one makes Xen change over to this way of telling. */
static int vcpu_init(unsigned int vcpu)
{
	struct evtchn_init_control init = {
		.control_gfn = frame_of(&control),
		.offset = (uint32_t)(vcpu * sizeof(control.block[0])),
		.vcpu = vcpu,
	};
	int err;

	if (has_block[vcpu])
		return 0;
	err = pvmm_hc_event_channel_op(EVTCHNOP_init_control, &init);
	has_block[vcpu] = !err;
	return err;
}

/* Xen remembers what was sent to a port whose word it does not have yet. */
static int reach(pvmm_port_t port)
{
	int err = 0;

	pvmm_spin_lock(&lock);
	while (!err && nr_given <= port / WORDS_PER_PAGE) {
		struct evtchn_expand_array expand = {
			.array_gfn = frame_of(&words[nr_given * WORDS_PER_PAGE]),
		};

		err = pvmm_hc_event_channel_op(EVTCHNOP_expand_array, &expand);
		if (!err)
			nr_given++;
	}
	pvmm_spin_unlock(&lock);
	return err;
}

static void mask(pvmm_port_t port)
{
	__atomic_fetch_or(&words[port], MASKED, __ATOMIC_ACQ_REL);
}

static bool is_masked(pvmm_port_t port)
{
	return __atomic_load_n(&words[port], __ATOMIC_ACQUIRE) & MASKED;
}

/* While Xen has a word BUSY, it links another port behind it, and it may not be unmasked. */
static bool try_unmask(pvmm_port_t port)
{
	uint32_t word = __atomic_load_n(&words[port], __ATOMIC_ACQUIRE);

	do {
		if (!(word & MASKED))
			return true;
		if (word & PENDING)
			return false;
		word &= ~BUSY;
	} while (!__atomic_compare_exchange_n(&words[port], &word, word & ~MASKED, true,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return true;
}

static void clear(pvmm_port_t port)
{
	__atomic_fetch_and(&words[port], ~PENDING, __ATOMIC_ACQ_REL);
}

static void set(pvmm_port_t port)
{
	__atomic_fetch_or(&words[port], PENDING, __ATOMIC_ACQ_REL);
}

/* Takes a port out of its queue: its word as it was. */
static uint32_t unlink(pvmm_port_t port)
{
	return __atomic_fetch_and(&words[port], ~(LINKED | LINK), __ATOMIC_ACQ_REL);
}

/* Takes the first port of a queue and handles it; false if that was the last. */
static bool take_one(unsigned int vcpu, unsigned int queue)
{
	uint32_t *head = &heads[vcpu][queue], word;
	pvmm_port_t port = *head;

	if (!port)
		port = __atomic_load_n(&control.block[vcpu].head[queue], __ATOMIC_ACQUIRE);
	word = port < PVMM_EVENT_PORTS ? unlink(port) : 0;
	if (!(word & LINKED)) {
		*head = 0;
		pvmm_log(PVMM_WARN,
			 "event queue %u of vCPU %u is broken: port %u is not in it (0x%x)", queue,
			 vcpu, port, word);
		return false;
	}
	*head = word & LINK;
	if ((word & PENDING) && !(word & MASKED)) {
		clear(port);
		event_handle(port);
	}
	return *head;
}

/* The most urgent queue first, looked for anew after each port. */
static void take(void)
{
	unsigned int vcpu = pvmm_this_vcpu();
	uint32_t ready = 0;

	for (;;) {
		unsigned int queue;

		ready |= __atomic_exchange_n(&control.block[vcpu].ready, 0, __ATOMIC_ACQ_REL);
		if (!ready)
			return;
		queue = (unsigned int)__builtin_ctz(ready);
		if (queue >= EVTCHN_FIFO_MAX_QUEUES || !take_one(vcpu, queue))
			ready &= ~(1u << queue);
	}
}

const struct event_abi event_fifo = {
	.name = "fifo",
	.reset = reset,
	.vcpu_init = vcpu_init,
	.reach = reach,
	.mask = mask,
	.is_masked = is_masked,
	.try_unmask = try_unmask,
	.clear = clear,
	.set = set,
	.take = take,
};
