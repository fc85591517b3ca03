/* SPDX-License-Identifier: MIT */
/*
 * A ticket lock: first come, first served. A holder must not sleep, allocate, or be interrupted by
 * an event handler that takes the same lock; the memory manager's locks are never taken by one.
 *
 * Order, outermost first: a space, the marks of suspect pages, the space list, the owner records,
 * the page allocator. Each lock says where it is declared what it guards.
 */
#ifndef PVMM_SPINLOCK_H
#define PVMM_SPINLOCK_H

#include <pvmm/types.h>

struct pvmm_spinlock {
	uint32_t next;
	uint32_t serving;
};

#define PVMM_SPINLOCK_INIT \
	{                  \
		0, 0       \
	}

static inline void pvmm_spin_lock(struct pvmm_spinlock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket)
		__builtin_ia32_pause();
}

static inline void pvmm_spin_unlock(struct pvmm_spinlock *lock)
{
	__atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

#endif
