/* SPDX-License-Identifier: MIT */
/*
 * The hypercall wrappers through the 32-bit stub, on real Xen: each line says what was tried and
 * whether it held; tests/xl/width32.t reads them from the hypervisor's console. Then Xen's rules
 * for tables of three levels (pae.c). Nothing else of a 32-bit guest is here.
 */
#include <pvmm/hypercall.h>
#include <pvmm/paging.h>
#include "width32.h"

static char page[4096] __attribute__((aligned(4096)));

static void say(const char *text)
{
	unsigned int len = 0;

	while (text[len])
		len++;
	if (pvmm_hc_console_io(CONSOLEIO_write, len, text))
		__builtin_trap();
}

void check(const char *what, bool holds)
{
	say(holds ? "width32: ok " : "width32: NOT OK ");
	say(what);
	say("\n");
}

/* 64-bit entries travel as two words; a wrong order would map another frame or none. */
static void try_update_va_mapping(const struct start_info *si)
{
	const unsigned long *mfns = (const unsigned long *)si->mfn_list;
	uint64_t frame = (uint64_t)mfns[((unsigned long)page - 0xc0000000) >> PVMM_PAGE_SHIFT]
			 << PVMM_PAGE_SHIFT;
	volatile char *byte = page;

	*byte = 7;
	check("update_va_mapping takes a 64-bit entry",
	      !pvmm_hc_update_va_mapping((unsigned long)page,
					 frame | PVMM_PTE_PRESENT | PVMM_PTE_ACCESSED | PVMM_PTE_NX,
					 UVMF_INVLPG));
	check("... of the same frame", *byte == 7);
	check("... and gives it back",
	      !pvmm_hc_update_va_mapping((unsigned long)page,
					 frame | PVMM_PTE_PRESENT | PVMM_PTE_RW |
						 PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY,
					 UVMF_INVLPG));
	*byte = 8;
	check("... writable", *byte == 8);
	check("a frame that does not exist is refused",
	      pvmm_hc_update_va_mapping((unsigned long)page, (0xffffffULL << 28) | PVMM_PTE_PRESENT,
					UVMF_NONE) < 0);
}

static void try_multicall(void)
{
	struct multicall_entry calls[2] = {
		{.op = __HYPERVISOR_xen_version, .args = {XENVER_version, 0}},
		{.op = __HYPERVISOR_xen_version, .args = {9999, 0}},
	};

	check("a multicall runs", !pvmm_hc_multicall(calls, 2));
	check("... each entry with its own result",
	      (long)calls[0].result > 0x40000 && (long)calls[1].result == -XEN_ENOSYS);
}

/* The registers that C wants back: they hold these sums, if the compiler kept any there. */
static void try_registers(void)
{
	volatile unsigned long seed = 3;
	unsigned long a = seed * 5, b = seed * 7, c = seed * 11, d = seed * 13;

	for (unsigned int i = 0; i < 100; i++) {
		int version = pvmm_hc_xen_version(XENVER_version, NULL);

		a += (unsigned long)(version > 0);
		b += 2, c += 3, d += 4;
	}
	check("registers survive", a == 115 && b == 221 && c == 333 && d == 439);
}

void width32_main(const struct start_info *si)
{
	struct sched_shutdown shutdown = {.reason = SHUTDOWN_poweroff};
	struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
	struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};
	unsigned int done = 0;

	check("xen_version", pvmm_hc_xen_version(XENVER_version, NULL) >> 16 == 4);
	check("memory_op", pvmm_hc_memory_op(XENMEM_maximum_ram_page, NULL) > 0);
	check("event_channel_op", !pvmm_hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc));
	check("mmuext_op, five arguments", !pvmm_hc_mmuext_op(&flush, 1, &done) && done == 1);
	check("vcpu_op", !pvmm_hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL));
	check("set_timer_op takes 64 bits", !pvmm_hc_set_timer_op(1ULL << 40));
	check("fpu_taskswitch", !pvmm_hc_fpu_taskswitch(0));
	try_update_va_mapping(si);
	try_multicall();
	try_registers();
	try_pae(si);
	say("width32: done\n");
	(void)pvmm_hc_sched_op(SCHEDOP_shutdown, &shutdown);
	__builtin_trap();
}
