/* SPDX-License-Identifier: MIT */
/*
 * Owns the seam: pvmm_hypercall(), which in the guest traps. Dispatch, multicalls, counters and
 * injected failures.
 */
#include <string.h>
#include <pvmm/log.h>
#include <pvmm/xen.h>
#include "tests/model/state.h"

/* What the debug hypervisor leaves of a multicall entry that it has finished (rule 41). */
#define POISON 0xaa

static struct failure {
	bool armed, fired, single;
	unsigned int op, left;
	int err;
} failure;

void model_fail_call(unsigned int op, unsigned int nth, int err)
{
	failure = (struct failure){.armed = true, .op = op, .left = nth, .err = err};
}

void model_fail_operation(unsigned int op, unsigned int nth, int err)
{
	failure =
		(struct failure){.armed = true, .single = true, .op = op, .left = nth, .err = err};
}

bool model_fail_fired(void)
{
	bool fired = failure.fired;

	failure = (struct failure){0};
	return fired;
}

/* Whether this is the one that is to fail. */
static bool fail_now(unsigned int op, bool single, int *err)
{
	if (!failure.armed || failure.single != single)
		return false;
	if (failure.op != MODEL_ANY_CALL && failure.op != op)
		return false;
	if (--failure.left)
		return false;
	failure.armed = false;
	failure.fired = true;
	*err = failure.err;
	return true;
}

bool fail_operation(unsigned int op, int *err)
{
	return fail_now(op, true, err);
}

/*
 * Xen looks at where an array starts before it reads, not at where it ends (rule 34). A wild
 * pointer to an address that exists is the test's own fault and ends as one; only the first page
 * stands for "not mapped", and so does what lies behind the last.
 */
bool guest_range_ok(const void *p, uint64_t len_bytes)
{
	uint64_t first = (uintptr_t)p;

	if (len_bytes && (first < PVMM_PAGE_SIZE || first + len_bytes < first))
		return false;
	return pvmm_va_canonical(first) == first;
}

/* Whether Xen can copy a structure from there. */
bool guest_readable(const void *p, uint64_t len_bytes)
{
	const uint8_t *at = p;

	if (!guest_range_ok(p, len_bytes))
		return false;
	for (uint64_t done = 0, n; done < len_bytes; done += n) {
		n = len_bytes - done < HOST_READ_MAX ? len_bytes - done : HOST_READ_MAX;
		if (!host_readable(at + done, n))
			return false;
	}
	return true;
}

static long dispatch(unsigned int op, const uint64_t *a, bool in_multicall);

/* Rule 36. */
static long multicall(struct multicall_entry *calls, uint32_t nr, bool nested)
{
	if (nested)
		return -XEN_EINVAL;
	if (!guest_range_ok(calls, (uint64_t)nr * sizeof(*calls)))
		return -XEN_EFAULT;
	for (uint32_t i = 0; i < nr; i++) {
		struct multicall_entry call = calls[i];
		uint64_t args[6];

		for (unsigned int k = 0; k < PVMM_ARRAY_SIZE(args); k++)
			args[k] = call.args[k];
		call.result = (xen_ulong_t)dispatch((unsigned int)call.op, args, true);
		if (!model.options.release)
			memset(&calls[i], POISON, sizeof(calls[i]));
		calls[i].result = call.result;
	}
	return 0;
}

static void *ptr(uint64_t arg)
{
	return (void *)(uintptr_t)arg;
}

static long dispatch(unsigned int op, const uint64_t *a, bool in_multicall)
{
	int err;

	if (op >= PVMM_ARRAY_SIZE(model.count.calls))
		return -XEN_ENOSYS;
	model.count.calls[op]++;
	if (fail_now(op, false, &err))
		return err;

	switch (op) {
	case __HYPERVISOR_mmu_update:
		return mmu_update(ptr(a[0]), (uint32_t)a[1], ptr(a[2]), (uint32_t)a[3]);
	case __HYPERVISOR_mmuext_op:
		return mmuext_op(ptr(a[0]), (uint32_t)a[1], ptr(a[2]), (uint32_t)a[3]);
	case __HYPERVISOR_update_va_mapping:
		return mmu_update_va_mapping(a[0], a[1], a[2]);
	case __HYPERVISOR_multicall:
		return multicall(ptr(a[0]), (uint32_t)a[1], in_multicall);
	case __HYPERVISOR_memory_op:
		return memory_op(a[0], ptr(a[1]));
	case __HYPERVISOR_set_gdt:
		return set_gdt(ptr(a[0]), (uint32_t)a[1]);
	case __HYPERVISOR_update_descriptor:
		return update_descriptor(a[0], a[1]);
	case __HYPERVISOR_grant_table_op:
		return grant_table_op((uint32_t)a[0], ptr(a[1]), (uint32_t)a[2]);
	default:
		return -XEN_ENOSYS;
	}
}

long pvmm_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
		    unsigned int op)
{
	const uint64_t args[6] = {a1, a2, a3, a4, a5};
	long ret;

	model_lock();
	model.count.traps++;
	ret = dispatch(op, args, false);
	mirror_flush();
	model_unlock();
	return ret;
}

struct model_counters model_counters(void)
{
	struct model_counters count;

	model_lock();
	count = model.count;
	model_unlock();
	return count;
}

void model_counters_reset(void)
{
	model_lock();
	model.count = (struct model_counters){0};
	model_unlock();
}
