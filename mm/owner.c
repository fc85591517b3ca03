/* SPDX-License-Identifier: MIT */
/*
 * Owns the page-owner records: for each page the stacks of its last allocation and its last free,
 * as numbers into a table that holds each different stack once (open addressing; number = slot +
 * 1).
 *
 * Invariant: a slot once filled never changes, so a number stays good without a lock.
 */
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/spinlock.h>
#include "mm.h"

/* Guards filling a slot of the stack table. Taken with the allocator's lock not held. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
struct pvmm_owner_stack *owner_stacks;
uint32_t owner_nr_stacks;

/* Frames of the record keeping and of the allocator itself: not what the reader wants to see. */
#define OWN_FRAMES 1

static struct pvmm_owner *owner_of(pfn_t pfn)
{
	return (struct pvmm_owner *)(uintptr_t)PVMM_OWNERS_BASE + pfn_x(pfn);
}

void pvmm_owner_init(struct pvmm_owner_stack *storage, uint32_t nr)
{
	if (!nr || (nr & (nr - 1)))
		pvmm_panic("%u stacks for the page-owner records: not a power of two", nr);
	owner_stacks = storage;
	owner_nr_stacks = nr;
}

static uint32_t stack_hash(const uintptr_t *callers, uint32_t nr)
{
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a, by words */

	for (uint32_t i = 0; i < nr; i++)
		h = (h ^ callers[i]) * 0x100000001b3ULL;
	return (uint32_t)(h ^ (h >> 32));
}

static bool stack_equal(const struct pvmm_owner_stack *stack, const uintptr_t *callers, uint32_t nr)
{
	if (stack->nr != nr)
		return false;
	for (uint32_t i = 0; i < nr; i++)
		if (stack->callers[i] != callers[i])
			return false;
	return true;
}

static void fill(struct pvmm_owner_stack *stack, const uintptr_t *callers, uint32_t nr,
		 uint32_t hash)
{
	for (uint32_t k = 0; k < nr; k++)
		stack->callers[k] = callers[k];
	stack->hash = hash;
	/* The slot is in use from here on: who sees nr sees the rest. */
	__atomic_store_n(&stack->nr, nr, __ATOMIC_RELEASE);
}

/*
 * The number of this stack; 0 when it is not there. With add, which needs the lock, it is put into
 * the first free slot, and 0 means that the table is full.
 */
static uint32_t find_stack(const uintptr_t *callers, uint32_t nr, uint32_t hash, bool add)
{
	for (uint32_t i = 0; i < owner_nr_stacks; i++) {
		uint32_t slot = (hash + i) & (owner_nr_stacks - 1);
		struct pvmm_owner_stack *stack = &owner_stacks[slot];

		if (!__atomic_load_n(&stack->nr, __ATOMIC_ACQUIRE)) {
			if (!add)
				return 0;
			fill(stack, callers, nr, hash);
		}
		if (stack->hash == hash && stack_equal(stack, callers, nr))
			return slot + 1;
	}
	return 0;
}

/* The number of this stack, new or known. A known one, the common case, is found without the lock.
 */
static uint32_t stack_number(const uintptr_t *callers, uint32_t nr)
{
	uint32_t hash = stack_hash(callers, nr), number = find_stack(callers, nr, hash, false);

	if (number)
		return number;
	pvmm_spin_lock(&lock);
	number = find_stack(callers, nr, hash, true);
	pvmm_spin_unlock(&lock);
	return number;
}

/* Its own frame counts among those left out, so it must have one. */
__attribute__((noinline)) static uint32_t this_stack(void)
{
	uintptr_t callers[PVMM_OWNER_DEPTH];
	uint32_t nr = pvmm_stack_trace(callers, PVMM_OWNER_DEPTH, OWN_FRAMES + 1);

	return nr ? stack_number(callers, nr) : 0;
}

uint32_t pvmm_owner_note_stack(void)
{
	return owner_nr_stacks ? this_stack() : 0;
}

void pvmm_owner_note_alloc(pfn_t pfn, uint64_t nr_pages)
{
	uint32_t number;

	if (!owner_nr_stacks)
		return;
	number = this_stack();
	for (uint64_t i = 0; i < nr_pages; i++)
		owner_of(pfn_add(pfn, i))->allocated = number;
}

void pvmm_owner_note_free(pfn_t pfn, uint64_t nr_pages)
{
	uint32_t number;

	if (!owner_nr_stacks)
		return;
	number = this_stack();
	for (uint64_t i = 0; i < nr_pages; i++)
		owner_of(pfn_add(pfn, i))->freed = number;
}

const struct pvmm_owner_stack *pvmm_owner_stack(uint32_t number)
{
	return number && number <= owner_nr_stacks ? &owner_stacks[number - 1] : NULL;
}

const struct pvmm_owner_stack *pvmm_owner_allocated(pfn_t pfn)
{
	return owner_nr_stacks ? pvmm_owner_stack(owner_of(pfn)->allocated) : NULL;
}

const struct pvmm_owner_stack *pvmm_owner_freed(pfn_t pfn)
{
	return owner_nr_stacks ? pvmm_owner_stack(owner_of(pfn)->freed) : NULL;
}

/* Where the lines of a report go on, behind its second column, and where they are broken. */
#define INDENT	     15
#define LINE_COLUMNS 110

void pvmm_owner_print_stack(const char *label, const struct pvmm_owner_stack *stack)
{
	int column = pvmm_snprintf(NULL, 0, "%s", label);
	char name[96];

	pvmm_print("%s", label);
	for (uint32_t i = 0; stack && i < stack->nr; i++) {
		int len = pvmm_snprintf(name, sizeof(name), "%s%pS", i ? " < " : "",
					(void *)stack->callers[i]);

		if (i && column + len > LINE_COLUMNS) {
			pvmm_print("\n%*s", INDENT, "");
			column = INDENT;
		}
		pvmm_print("%s", name);
		column += len;
	}
	pvmm_print(stack ? "\n" : "(not known)\n");
}

void pvmm_owner_print(pfn_t pfn, const char *label)
{
	pvmm_print("%s", label);
	pvmm_owner_print_stack("allocated by ", pvmm_owner_allocated(pfn));
	pvmm_owner_print_stack("             last freed by ", pvmm_owner_freed(pfn));
}

void pvmm_owner_describe(const struct pvmm_owner_stack *stack, char *buf, size_t len_bytes)
{
	size_t at = 0;

	if (!stack) {
		pvmm_snprintf(buf, len_bytes, "(not known)");
		return;
	}
	for (uint32_t i = 0; i < stack->nr && at < len_bytes; i++)
		at += (size_t)pvmm_snprintf(buf + at, len_bytes - at, "%s%pS", i ? " < " : "",
					    (void *)stack->callers[i]);
}
