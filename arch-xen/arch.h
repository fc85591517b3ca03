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
	uint8_t nmi_missed;   /* one has come while the entry stack was in use */
	/* Where Xen puts what comes from user mode: at most eight words, and one of our own. */
	uint64_t entry_stack[ENTRY_STACK_WORDS] __attribute__((aligned(16)));
};

_Static_assert(offsetof(struct vcpu_local, id) == 0, "hypercall/stub_x86_64.S reads gs:0");
_Static_assert(offsetof(struct vcpu_local, user_stack) == 8, "entry_x86_64.S reads gs:8");
_Static_assert(offsetof(struct vcpu_local, nmi_missed) == 16, "entry_x86_64.S writes gs:16");

_Static_assert(sizeof(struct vcpu_local) == 288, "entry_x86_64.S knows where the last one ends");

extern struct vcpu_local vcpu_local[];

/* From the linker script: page-aligned ends of the image's parts. */
extern char pvmm_image_text_end[], pvmm_image_rodata_end[], pvmm_image_end[];
extern char pvmm_boot_stack_guard[], pvmm_boot_stack_top[];

/* Page in the image whose mapping is Xen's shared page. */
extern char pvmm_shared_info_page[];

void console_init(const struct start_info *si);
void console_use_directmap(const struct start_info *si);
void console_enable_events(void);
void console_resume(const struct start_info *si);

void store_init(const struct start_info *si);

/* Another store is at the ring's other end, and has been given another port. */
void store_renew(const struct start_info *si);

/* --- the pages of start info and shared info (info.c) --- */

void start_info_init(const struct start_info *si);
mfn_t start_info_mfn(void);

/* Makes the page what the toolstack expects at a suspend; and its undoing, or what came of it. */
void start_info_give(void);
void start_info_take_back(void);
void start_info_renew(void);

/* Puts Xen's shared page where pvmm_shared_info says, or a page of ours: Xen's refusal. */
void shared_info_map(void);
int shared_info_hide(void);

/* --- the clock (time.c) --- */

/* A moment of pvmm_clock_ns as Xen has it. */
uint64_t clock_for_xen(uint64_t clock_ns);

/*
 * Sleeps in Xen until the port is pending, any event of this vCPU's has come, or pvmm_clock_ns is
 * until_ns. Port 0 is none, until_ns 0 never.
 */
void vcpu_poll(uint32_t port, uint64_t until_ns);

/* The guest's clock goes on from here. All other vCPUs wait. */
void clock_resume(uint64_t clock_ns);

void traps_init(void);
void events_init(void);
void timer_init(void);
void calls_init(void);
void lock_port_init(void);

/*
 * Events. The way in which Xen tells of them is chosen by the option events=, and taken up by
 * events_start, before any port is bound. After a restore, when Xen knows of nothing, events_resume
 * on the boot vCPU forgets all ports and handlers and takes it up anew; each vCPU that goes on does
 * events_vcpu_init, timer_resume, which sets its timer again, calls_init and lock_port_init.
 * lock_ports_forget comes before all of it: until then no lock may be slept for.
 */
const char *events_parse(const char *value);
void events_start(void);
void events_resume(void);
void timer_resume(void);
void lock_ports_forget(void);

/* As pvmm_event_bind_virq and _ipi, of any vCPU. */
int event_bind_virq_of(unsigned int vcpu, unsigned int virq, uint32_t *port);
int event_bind_ipi_of(unsigned int vcpu, uint32_t *port);

/* Whether the port is this vCPU's, and has this handler. */
bool event_is_bound(uint32_t port, unsigned int vcpu, void (*fn)(uint32_t port, void *ctx));

/*
 * What a vCPU needs before it runs, by whoever brings it up: in this order. Done again, each does
 * nothing for what there is already. 0 or Xen's error. timer_init, calls_init and lock_port_init do
 * it for the vCPU that calls them, and panic.
 */
int events_vcpu_init(unsigned int vcpu);
int timer_open(unsigned int vcpu);
int calls_open(unsigned int vcpu);
int lock_port_open(unsigned int vcpu);

/* What a vCPU does that goes down, in this order, with events masked. */
void timer_stop(void);
void calls_close(void);
void events_leave(void);

/* The boot vCPU's own data; the other vCPUs that the toolstack wants, one after the other. */
void boot_vcpu_init(void);
void vcpus_start(void);

/*
 * What a vCPU needs to begin in secondary_entry (vcpu_context.c): vcpu_prepare takes its memory,
 * which it keeps, and its ports; vcpu_initialise tells Xen. 0, -XEN_ENOMEM or Xen's error.
 */
int vcpu_prepare(unsigned int vcpu);
int vcpu_initialise(unsigned int vcpu, struct vcpu_local *local);
uint64_t entry_stack_top(const struct vcpu_local *local);
pvmm_va_t vcpu_stack_top(unsigned int vcpu);

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

/*
 * nmi.c. While deferred, an NMI on this vCPU is noted, and said when it is allowed again. nmi_trap
 * is the trap; nmi_say_missed says what came when it could not even be noted.
 */
void nmi_defer(void);
void nmi_allow(void);
void nmi_trap(struct pvmm_regs *regs);
void nmi_say_missed(struct vcpu_local *local);

void syscall_dispatch(struct pvmm_regs *regs);
void event_upcall(struct pvmm_regs *regs);
void trap_dispatch(struct pvmm_regs *regs);
void secondary_entry(void);
PVMM_NORETURN void secondary_start(void);
PVMM_NORETURN void start_of_day(const struct start_info *builders, uint64_t boot_rsp);

#endif
