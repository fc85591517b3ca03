/* SPDX-License-Identifier: MIT */
/* What the files of arch-xen/ tell each other and nobody else. */
#ifndef PVMM_ARCH_INTERNAL_H
#define PVMM_ARCH_INTERNAL_H

#include <pvmm/kernel.h>
#include <pvmm/log.h>
#include <pvmm/trap.h>

/* From the linker script: page-aligned ends of the image's parts. */
extern char pvmm_image_text_end[], pvmm_image_rodata_end[], pvmm_image_end[];
extern char pvmm_boot_stack_guard[], pvmm_boot_stack_top[];

/* Page in the image whose mapping is Xen's shared page. */
extern char pvmm_shared_info_page[];

void console_init(const struct start_info *si);
void console_use_directmap(const struct start_info *si);
void console_enable_events(void);

void traps_init(void);
void events_init(void);
void timer_init(void);
void calls_init(void);

/* The boot vCPU's own data; the other vCPUs, one after the other. */
void boot_vcpu_init(void);
void vcpus_start(void);

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

void event_upcall(struct pvmm_regs *regs);
void trap_dispatch(struct pvmm_regs *regs);
void secondary_entry(void);
PVMM_NORETURN void secondary_start(void);
PVMM_NORETURN void start_of_day(const struct start_info *si, uint64_t boot_rsp);

#endif
