/* SPDX-License-Identifier: MIT */
/* What the files of arch-xen/ tell each other and nobody else. */
#ifndef PVMM_ARCH_INTERNAL_H
#define PVMM_ARCH_INTERNAL_H

#include <pvmm/kernel.h>
#include <pvmm/log.h>
#include <pvmm/trap.h>

/*
 * A vCPU's own data, which gs points to while it is in kernel mode: Xen keeps another base for user
 * mode, and changes the two over with the page tables. Assembly knows the first two places.
 */
#define ENTRY_STACK_WORDS 32

struct vcpu_local {
	uint64_t id;
	pvmm_va_t user_stack; /* where what comes from user mode is moved to */
	bool up;
	/* Where Xen puts what comes from user mode: at most eight words, and one of our own. */
	uint64_t entry_stack[ENTRY_STACK_WORDS] __attribute__((aligned(16)));
};

_Static_assert(offsetof(struct vcpu_local, id) == 0, "hypercall/stub_x86_64.S reads gs:0");
_Static_assert(offsetof(struct vcpu_local, user_stack) == 8, "entry_x86_64.S reads gs:8");

/* From the linker script: page-aligned ends of the image's parts. */
extern char pvmm_image_text_end[], pvmm_image_rodata_end[], pvmm_image_end[];
extern char pvmm_boot_stack_guard[], pvmm_boot_stack_top[];

/* Page in the image whose mapping is Xen's shared page. */
extern char pvmm_shared_info_page[];

void console_init(const struct start_info *si);
void console_use_directmap(const struct start_info *si);
void console_enable_events(void);

void store_init(const struct start_info *si);

void traps_init(void);
void events_init(void);
void timer_init(void);
void calls_init(void);

/* The boot vCPU's own data; the other vCPUs, one after the other. */
void boot_vcpu_init(void);
void vcpus_start(void);

/*
 * Around a suspend, with all other vCPUs parked: takes the grant table's frames out of the page
 * tables, and puts them back. -XEN_EBUSY, with a line, if grants of other domains are mapped; then,
 * and after any other error, nothing has changed. was_cancelled: the domain has not left its host.
 */
int grants_suspend(void);
void grants_resume(bool was_cancelled);

/* What a new vCPU's first context says of traps and events. */
void traps_fill_context(struct vcpu_guest_context *c);
void events_fill_context(struct vcpu_guest_context *c);

/* A boot that cannot go on through no fault of the code: said in one line, then a clean end. */
PVMM_NORETURN void refuse_boot(const char *fmt, ...) PVMM_PRINTF(1, 2);

/* Replaces the builder's tables with ours and hands all memory to mm/. */
void boot_map_all(const struct start_info *si, uint64_t boot_stack_end);

/* Prints a stack trace of the given frame, or of the caller of print_stack_here. */
void print_stack(uintptr_t rip, uintptr_t rbp);
void print_stack_here(void);

/* Stack frames: [rbp] is the caller's rbp, [rbp + 8] the return address. */
unsigned int stack_walk(uintptr_t rbp, uintptr_t *callers, unsigned int max);

/*
 * The end of the domain by its own fault. dying() comes before the report: only the first vCPU
 * gets through, and only once; a second fault inside the report is the end of it.
 */
void dying(void);
PVMM_NORETURN void die(void);

/* Makes the next use of the FPU trap. */
void fpu_forbid(void);

/* The last thing before user code goes on; leaves events masked. */
void user_return(void);

void syscall_dispatch(struct pvmm_regs *regs);
void event_upcall(struct pvmm_regs *regs);
void trap_dispatch(struct pvmm_regs *regs);
void secondary_entry(void);
PVMM_NORETURN void secondary_start(void);
PVMM_NORETURN void start_of_day(const struct start_info *si, uint64_t boot_rsp);

#endif
