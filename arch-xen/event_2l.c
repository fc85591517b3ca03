/* SPDX-License-Identifier: MIT */
/*
 * Two-level event channels: in Xen's shared page one bit a port that it is pending and one that it
 * is masked, and for each vCPU a selector word, one bit for each word of pending bits.
 *
 * The pending bits of all vCPUs share their words, so a vCPU takes only those ports that are bound
 * to it; the others' are left for them, whose selectors Xen has set. No lock: bits are changed
 * atomically.
 */
#include <pvmm/kernel.h>
#include "event_abi.h"

#define BITS 64u

static void bit_set(xen_ulong_t *words, pvmm_port_t port)
{
	__atomic_fetch_or(&words[port / BITS], 1UL << (port % BITS), __ATOMIC_ACQ_REL);
}

static void bit_clear(xen_ulong_t *words, pvmm_port_t port)
{
	__atomic_fetch_and(&words[port / BITS], ~(1UL << (port % BITS)), __ATOMIC_ACQ_REL);
}

static bool bit_test(const xen_ulong_t *words, pvmm_port_t port)
{
	return __atomic_load_n(&words[port / BITS], __ATOMIC_ACQUIRE) >> (port % BITS) & 1;
}

static void reset(void)
{
	struct shared_info *shared = pvmm_shared_info();

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(shared->evtchn_mask); i++)
		shared->evtchn_mask[i] = ~0UL;
}

static int vcpu_init(unsigned int vcpu)
{
	(void)vcpu;
	return 0;
}

static int reach(pvmm_port_t port)
{
	(void)port;
	return 0;
}

_Static_assert(PVMM_EVENT_PORTS <= sizeof(((struct shared_info *)0)->evtchn_mask) * 8,
	       "two levels reach all ports");

static void mask(pvmm_port_t port)
{
	bit_set(pvmm_shared_info()->evtchn_mask, port);
}

static bool is_masked(pvmm_port_t port)
{
	return bit_test(pvmm_shared_info()->evtchn_mask, port);
}

/* Looked at before, so as not to open the port for nothing, and after: it may have come between. */
static bool try_unmask(pvmm_port_t port)
{
	struct shared_info *shared = pvmm_shared_info();

	if (bit_test(shared->evtchn_pending, port))
		return false;
	bit_clear(shared->evtchn_mask, port);
	if (!bit_test(shared->evtchn_pending, port))
		return true;
	bit_set(shared->evtchn_mask, port);
	return false;
}

static void clear(pvmm_port_t port)
{
	bit_clear(pvmm_shared_info()->evtchn_pending, port);
}

static void set(pvmm_port_t port)
{
	bit_set(pvmm_shared_info()->evtchn_pending, port);
}

static void take_word(unsigned int word)
{
	struct shared_info *shared = pvmm_shared_info();
	xen_ulong_t bits = shared->evtchn_pending[word] & ~shared->evtchn_mask[word];

	for (; bits; bits &= bits - 1) {
		pvmm_port_t port = word * BITS + (unsigned int)__builtin_ctzl(bits);

		if (!event_is_mine(port))
			continue;
		bit_clear(shared->evtchn_pending, port);
		event_handle(port);
	}
}

static void take(void)
{
	xen_ulong_t words =
		__atomic_exchange_n(&pvmm_vcpu_info()->evtchn_pending_sel, 0, __ATOMIC_ACQ_REL);

	for (; words; words &= words - 1)
		take_word((unsigned int)__builtin_ctzl(words));
}

const struct event_abi event_2l = {
	.name = "2l",
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
