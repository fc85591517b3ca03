/* SPDX-License-Identifier: MIT */
/*
 * A ticket lock: first come, first served. A holder must not sleep, allocate, or be interrupted by
 * an event handler that takes the same lock; the memory manager's locks are never taken by one.
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

static inline void pvmm_spin_lock(struct pvmm_spinlock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
	uint32_t serving, looks = 0;

	pvmm_locks[pvmm_this_vcpu()]++;
	while ((serving = __atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE)) != ticket) {
		__builtin_ia32_pause();
		if (++looks < PVMM_SPIN_PATIENCE / (ticket - serving))
			continue;
		pvmm_vcpu_yield();
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
	pvmm_locks[pvmm_this_vcpu()]--;
	__atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

#endif
