/* SPDX-License-Identifier: MIT */
/*
 * A ticket lock: first come, first served. A holder must not sleep, allocate, or be interrupted by
 * an event handler that takes the same lock; the memory manager's locks are never taken by one.
 *
 * Who waits long sleeps in Xen (SCHEDOP_poll, xen/sched.h) and is woken by event channel when it is
 * his turn. Whether events are masked is the caller's business, and stays as it is meanwhile.
 *
 * Order, outermost first: a space, the marks of suspect pages, the space list, the owner records,
 * the page allocator. Each lock says where it is declared what it guards.
 *
 * Each vCPU counts the locks it holds. What takes locks of any kind, and is called from everywhere
 * (the checker's searches), asks before, and waits for a better moment.
 */
#ifndef PVMM_SPINLOCK_H
#define PVMM_SPINLOCK_H

#include <pvmm/types.h>
#include <pvmm/vcpu.h>

/*
 * Looks at a lock before the next in line gives the processor up; those behind look less often.
 * Far more than a holder needs: who waits longer waits for a vCPU that does not run, and only keeps
 * the processor from it.
 */
#define PVMM_SPIN_PATIENCE 2000

/* A bit for each vCPU that sleeps for a lock, or is about to. */
extern PVMM_API uint32_t pvmm_spin_sleepers;

_Static_assert(PVMM_MAX_VCPUS <= 32, "there is a bit for each vCPU");

struct pvmm_spinlock {
	uint32_t next;
	uint32_t serving;
};

#define PVMM_SPINLOCK_INIT \
	{                  \
		0, 0       \
	}

extern PVMM_API uint32_t pvmm_locks[PVMM_MAX_VCPUS]; /* held by each vCPU */

static inline uint32_t pvmm_locks_held(void)
{
	return pvmm_locks[pvmm_this_vcpu()];
}

/*
 * Sleeps until it may be this ticket's turn: a reason to look, not a promise. And the other half:
 * wakes the vCPU that sleeps for this ticket, if there is one. For the functions below.
 */
PVMM_API void pvmm_spin_sleep(const struct pvmm_spinlock *lock, uint32_t ticket);
PVMM_API void pvmm_spin_wake(const struct pvmm_spinlock *lock, uint32_t ticket);

static inline void pvmm_spin_lock(struct pvmm_spinlock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
	uint32_t serving, looks = 0;

	pvmm_locks[pvmm_this_vcpu()]++;
	while ((serving = __atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE)) != ticket) {
		__builtin_ia32_pause();
		if (++looks < PVMM_SPIN_PATIENCE / (ticket - serving))
			continue;
		pvmm_spin_sleep(lock, ticket);
		looks = 0;
	}
}

/* Takes the lock if nobody has it or waits for it: never waits, so the order does not matter. */
static inline bool pvmm_spin_trylock(struct pvmm_spinlock *lock)
{
	uint32_t ticket = __atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE);

	if (!__atomic_compare_exchange_n(&lock->next, &ticket, ticket + 1, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return false;
	pvmm_locks[pvmm_this_vcpu()]++;
	return true;
}

static inline void pvmm_spin_unlock(struct pvmm_spinlock *lock)
{
	uint32_t next = lock->serving + 1;

	pvmm_locks[pvmm_this_vcpu()]--;
	/*
	 * A locked exchange, and only then the look at the sleepers: who has not seen that it is
	 * his turn is seen to sleep (arch-xen/spinlock.c).
	 */
	(void)__atomic_exchange_n(&lock->serving, next, __ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&pvmm_spin_sleepers, __ATOMIC_SEQ_CST) != 0, false))
		pvmm_spin_wake(lock, next);
}

#endif
