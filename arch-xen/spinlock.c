/* SPDX-License-Identifier: MIT */
/*
 * Owns what each vCPU sleeps for: a lock, and the ticket that it holds for it.
 *
 * Nobody sleeps through his turn. Who is about to sleep says so (what he wants, then his bit) and
 * looks at the lock once more; who hands the lock on does that first, and looks for sleepers then.
 * So either the one sees that it is his turn, or the other sees that he sleeps.
 *
 * A vCPU that sleeps, or is about to, can be interrupted by a handler that waits for another lock,
 * or by an NMI: its own wish is hidden as long as that one sleeps. Whoever has hidden another's
 * wish leaves the port pending, so that the one beneath looks again.
 *
 * No lock: a vCPU's wish is written by itself alone. Read while it is written, it may be none, or
 * of two waits for the same lock: then it is looked at once too often.
 */
#include <pvmm/spinlock.h>
#include "spinlock.h"

uint32_t pvmm_spin_sleepers;

static struct wish {
	const struct pvmm_spinlock *lock; /* NULL: none */
	uint32_t ticket;
} wishes[PVMM_MAX_VCPUS];

static void set_wish(struct wish *wish, const struct pvmm_spinlock *lock, uint32_t ticket)
{
	__atomic_store_n(&wish->lock, NULL, __ATOMIC_SEQ_CST);
	__atomic_store_n(&wish->ticket, ticket, __ATOMIC_SEQ_CST);
	__atomic_store_n(&wish->lock, lock, __ATOMIC_SEQ_CST);
}

void pvmm_spin_sleep(const struct pvmm_spinlock *lock, uint32_t ticket)
{
	unsigned int self = pvmm_this_vcpu();
	struct wish *wish = &wishes[self], beneath = *wish;

	if (!lock_port_is_there()) {
		pvmm_vcpu_yield();
		return;
	}
	lock_port_clear();
	set_wish(wish, lock, ticket);
	__atomic_fetch_or(&pvmm_spin_sleepers, 1U << self, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&lock->serving, __ATOMIC_SEQ_CST) != ticket)
		lock_port_wait();
	set_wish(wish, beneath.lock, beneath.ticket);
	if (beneath.lock)
		lock_port_raise(self);
	else
		__atomic_fetch_and(&pvmm_spin_sleepers, ~(1U << self), __ATOMIC_SEQ_CST);
}

void pvmm_spin_wake(const struct pvmm_spinlock *lock, uint32_t ticket)
{
	uint32_t left = __atomic_load_n(&pvmm_spin_sleepers, __ATOMIC_SEQ_CST);

	for (; left; left &= left - 1) {
		unsigned int vcpu = (unsigned int)__builtin_ctz(left);
		const struct wish *wish = &wishes[vcpu];

		if (__atomic_load_n(&wish->lock, __ATOMIC_SEQ_CST) == lock &&
		    __atomic_load_n(&wish->ticket, __ATOMIC_SEQ_CST) == ticket) {
			lock_port_raise(vcpu);
			return;
		}
	}
}
