/* SPDX-License-Identifier: MIT */
/* What the files of arch-xen/ tell each other and nobody else. */
#ifndef PVMM_ARCH_INTERNAL_H
#define PVMM_ARCH_INTERNAL_H

#include <pvmm/kernel.h>
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

/* Replaces the builder's tables with ours and hands all memory to mm/. */
void boot_map_all(const struct start_info *si, uint64_t boot_stack_end);

/* Prints a stack trace of the given frame, or of the caller of print_stack_here. */
void print_stack(uintptr_t rip, uintptr_t rbp);
void print_stack_here(void);

/* Stack frames: [rbp] is the caller's rbp, [rbp + 8] the return address. */
unsigned int stack_walk(uintptr_t rbp, uintptr_t *callers, unsigned int max);

/* For the reports of a dying domain: one panic at a time, no second one inside the first. */
PVMM_NORETURN void die(void);

void event_upcall(struct pvmm_regs *regs);
void trap_dispatch(struct pvmm_regs *regs);
PVMM_NORETURN void start_of_day(const struct start_info *si, uint64_t boot_rsp);

#endif
