/* SPDX-License-Identifier: MIT */
/*
 * Says why the kernel died of a trap: what happened, the registers, what the page tables say of the
 * address, who had the page, and how we got there. Changes nothing.
 */
#include <pvmm/log.h>
#include <pvmm/owner.h>
#include <pvmm/p2m.h>
#include <pvmm/space.h>
#include "arch.h"
#include "fault.h"

static bool walks;

void fault_report_walks(void)
{
	walks = true;
}

const char *pvmm_trap_name(uint64_t vector)
{
	static const char *const names[PVMM_TRAP_VECTORS] = {
		[PVMM_TRAP_DE] = "#DE divide error",
		[PVMM_TRAP_DB] = "#DB debug",
		[PVMM_TRAP_NMI] = "NMI",
		[PVMM_TRAP_BP] = "#BP breakpoint",
		[PVMM_TRAP_OF] = "#OF overflow",
		[PVMM_TRAP_BR] = "#BR bound range",
		[PVMM_TRAP_UD] = "#UD invalid opcode",
		[PVMM_TRAP_NM] = "#NM no coprocessor",
		[PVMM_TRAP_TS] = "#TS invalid TSS",
		[PVMM_TRAP_NP] = "#NP segment not present",
		[PVMM_TRAP_SS] = "#SS stack fault",
		[PVMM_TRAP_GP] = "#GP general protection",
		[PVMM_TRAP_PF] = "#PF page fault",
		[PVMM_TRAP_MF] = "#MF x87 error",
		[PVMM_TRAP_AC] = "#AC alignment check",
		[PVMM_TRAP_XM] = "#XM SIMD error",
	};

	return vector < PVMM_TRAP_VECTORS && names[vector] ? names[vector] : "unexpected trap";
}

static void print_entry_bits(pvmm_pte_t entry)
{
	pvmm_print("%s %s %s%s%s%s", entry & PVMM_PTE_PRESENT ? "present" : "not present",
		   entry & PVMM_PTE_RW ? "writable" : "read-only",
		   entry & PVMM_PTE_USER ? "user" : "kernel", entry & PVMM_PTE_NX ? " nx" : "",
		   entry & PVMM_PTE_ACCESSED ? " accessed" : "",
		   entry & PVMM_PTE_DIRTY ? " dirty" : "");
}

/* One line a level, and after them what is known of the page at the end. */
static void print_walk(pvmm_va_t va)
{
	struct pvmm_walk w = pvmm_pt_walk(pvmm_space_current()->root, va);
	pfn_t pfn;

	for (unsigned int level = PVMM_PT_LEVELS; level >= w.stopped_at; level--) {
		const struct pvmm_walk_step *step = &w.step[level];

		pvmm_print("  %s L%u table pfn 0x%llx slot %3u: 0x%016llx ",
			   level == PVMM_PT_LEVELS ? "walk      " : "          ", level,
			   (unsigned long long)pfn_x(step->table), step->slot,
			   (unsigned long long)step->entry);
		print_entry_bits(step->entry);
		pvmm_print("\n");
	}
	if (w.stopped_at != 1 || !pvmm_pte_present(w.step[1].entry))
		return;

	pfn = pvmm_mfn_to_pfn(pvmm_pte_mfn(w.step[1].entry));
	if (!pfn_valid(pfn)) {
		pvmm_print("  page       mfn 0x%llx, which is not this domain's\n",
			   (unsigned long long)mfn_x(pvmm_pte_mfn(w.step[1].entry)));
		return;
	}
	pvmm_print("  page       pfn 0x%llx (mfn 0x%llx), %s, refs %u, live %u, stale %u\n",
		   (unsigned long long)pfn_x(pfn), (unsigned long long)mfn_x(pvmm_pfn_to_mfn(pfn)),
		   pvmm_page_kind_name(pvmm_page(pfn)->kind), pvmm_page(pfn)->refs,
		   pvmm_page(pfn)->live, pvmm_page(pfn)->stale);
	pvmm_owner_print(pfn, "             ");
}

void print_registers(const struct pvmm_regs *r)
{
	pvmm_print("  registers  rax %016lx rbx %016lx rcx %016lx rdx %016lx\n"
		   "             rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n"
		   "             r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n"
		   "             r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n"
		   "             rip %016lx cs %04lx ss %04lx rflags %08lx\n",
		   r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp, r->rsp, r->r8, r->r9,
		   r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip, r->cs & 0xffff,
		   r->ss & 0xffff, r->rflags);
}

static const char *access_of(uint64_t error_code)
{
	if (error_code & PVMM_PF_FETCH)
		return "executing";
	return error_code & PVMM_PF_WRITE ? "writing" : "reading";
}

void fault_report(const struct pvmm_regs *regs, pvmm_va_t fault_va)
{
	if (regs->vector == PVMM_TRAP_PF)
		pvmm_print("pvmm: fault: #PF %s 0x%llx at %pS: %s (error code 0x%llx)\n",
			   access_of(regs->error_code), (unsigned long long)fault_va,
			   (void *)regs->rip,
			   regs->error_code & PVMM_PF_PRESENT ? "the page does not allow it"
							      : "nothing is mapped there",
			   (unsigned long long)regs->error_code);
	else
		pvmm_print("pvmm: fault: %s (vector %llu) at %pS, error code 0x%llx\n",
			   pvmm_trap_name(regs->vector), (unsigned long long)regs->vector,
			   (void *)regs->rip, (unsigned long long)regs->error_code);
	print_registers(regs);
	if (walks && regs->vector == PVMM_TRAP_PF)
		print_walk(fault_va);
	print_stack(regs->rip, regs->rbp);
}
