/* SPDX-License-Identifier: MIT */
/*
 * Owns the count of hypercalls, by vCPU and number. The stub adds to it at every trap, so nothing
 * that enters Xen can be forgotten.
 */
#include <pvmm/log.h>
#include <pvmm/xen.h>
#include "stats.h"

uint64_t hypercall_counts[PVMM_MAX_VCPUS][PVMM_STATS_CALLS];

uint64_t pvmm_hypercall_count(unsigned int op)
{
	return op < PVMM_STATS_CALLS ? hypercall_counts[pvmm_this_vcpu()][op] : 0;
}

uint64_t pvmm_hypercall_traps(void)
{
	uint64_t traps = 0;

	for (unsigned int op = 0; op < PVMM_STATS_CALLS; op++)
		if (op != __HYPERVISOR_iret)
			traps += pvmm_hypercall_count(op);
	return traps;
}

static const char *call_name(unsigned int op)
{
	static const char *const names[PVMM_STATS_CALLS] = {
		[__HYPERVISOR_set_trap_table] = "set_trap_table",
		[__HYPERVISOR_mmu_update] = "mmu_update",
		[__HYPERVISOR_set_gdt] = "set_gdt",
		[__HYPERVISOR_stack_switch] = "stack_switch",
		[__HYPERVISOR_fpu_taskswitch] = "fpu_taskswitch",
		[__HYPERVISOR_memory_op] = "memory_op",
		[__HYPERVISOR_multicall] = "multicall",
		[__HYPERVISOR_update_va_mapping] = "update_va_mapping",
		[__HYPERVISOR_set_timer_op] = "set_timer_op",
		[__HYPERVISOR_xen_version] = "xen_version",
		[__HYPERVISOR_console_io] = "console_io",
		[__HYPERVISOR_grant_table_op] = "grant_table_op",
		[__HYPERVISOR_vm_assist] = "vm_assist",
		[__HYPERVISOR_iret] = "iret",
		[__HYPERVISOR_vcpu_op] = "vcpu_op",
		[__HYPERVISOR_set_segment_base] = "set_segment_base",
		[__HYPERVISOR_mmuext_op] = "mmuext_op",
		[__HYPERVISOR_sched_op] = "sched_op",
		[__HYPERVISOR_callback_op] = "callback_op",
		[__HYPERVISOR_event_channel_op] = "event_channel_op",
		[__HYPERVISOR_physdev_op] = "physdev_op",
	};

	return names[op] ? names[op] : "other";
}

void pvmm_stats_print(void)
{
	struct pvmm_batch_stats b = pvmm_batch_stats();
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"traps", pvmm_hypercall_traps()},
		{"batch_traps", b.traps},
		{"batch_mmu_updates", b.mmu_updates},
		{"batch_mmuext_ops", b.mmuext_ops},
		{"batch_merged", b.merged},
		{"batch_flushes", b.flushes},
		{"batch_flushes_saved", b.flushes_saved},
		{"batch_refused", b.refused},
	};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(rows); i++)
		pvmm_print("stat %-22s %10llu\n", rows[i].name, (unsigned long long)rows[i].value);
	for (unsigned int op = 0; op < PVMM_STATS_CALLS; op++)
		if (pvmm_hypercall_count(op))
			pvmm_print("stat call_%-17s %10llu\n", call_name(op),
				   (unsigned long long)pvmm_hypercall_count(op));
}
