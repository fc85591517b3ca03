/* SPDX-License-Identifier: MIT */
/*
 * Owns the start of day: from the domain builder's start_info to a kernel with traps, events, a
 * console and all its memory; and the end, SCHEDOP_shutdown.
 *
 * The order matters and is the whole point of start_of_day.
 */
#include <pvmm/batch.h>
#include <pvmm/check.h>
#include <pvmm/console.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/paging.h>
#include <pvmm/vcpu.h>
#include "arch.h"
#include "check_options.h"
#include "fault.h"
#include "options.h"

static char command_line[PVMM_CMDLINE_BYTES + 1];

void pvmm_shutdown(unsigned int sched_reason)
{
	struct sched_shutdown shutdown = {.reason = sched_reason};

	/* In a crash nothing is asked of the memory manager any more, but for what it has counted.
	 */
	if (sched_reason != SHUTDOWN_crash)
		pvmm_check_flush();
	pvmm_check_summary();
	pvmm_console_flush();
	for (;;)
		(void)pvmm_hc_sched_op(SCHEDOP_shutdown, &shutdown);
}

void refuse_boot(const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	pvmm_vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	pvmm_log(PVMM_ERROR, "boot refused: %s", why);
	pvmm_shutdown(SHUTDOWN_poweroff);
}

/* --- the command line --- */

static const char *parse_loglevel(const char *value)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(names); i++)
		if (pvmm_text_equal(value, names[i])) {
			pvmm_log_level = (enum pvmm_log_level)i;
			return NULL;
		}
	return "is not a level";
}

#define MAX_OPTIONS 32

/* The library's options and the kernel's, in one table. */
static void parse_command_line(void)
{
	static struct pvmm_option options[MAX_OPTIONS + 1] = {
		{"loglevel", "error|warn|info|debug", parse_loglevel},
		{"nmi", "report|panic", parse_nmi},
		{"check", CHECK_VALUES, parse_check},
		{"check-action", CHECK_ACTION_VALUES, parse_check_action},
		{"report", REPORT_VALUES, parse_report},
		{"events", "2l|fifo", events_parse},
	};
	char message[512];
	unsigned int nr = 0;

	while (options[nr].name)
		nr++;
	for (const struct pvmm_option *o = library_options; o->name; o++)
		options[nr++] = *o;
	for (const struct pvmm_option *o = pvmm_kernel_options; o && o->name; o++) {
		if (nr == MAX_OPTIONS)
			pvmm_panic("the kernel and the library have more than %d options",
				   MAX_OPTIONS);
		options[nr++] = *o;
	}
	for (unsigned int i = 0; i < PVMM_CMDLINE_BYTES; i++)
		command_line[i] = (char)pvmm_start_info()->cmd_line[i];
	if (pvmm_cmdline_parse(command_line, options, message, sizeof(message)))
		refuse_boot("%s", message);
}

static bool magic_is_right(const char *magic)
{
	const char *prefix = "xen-3.";

	while (*prefix)
		if (*magic++ != *prefix++)
			return false;
	return true;
}

void start_of_day(const struct start_info *builders, uint64_t boot_rsp)
{
	uint64_t nr_taken = 0;
	uint64_t stack_end = (boot_rsp + PVMM_PAGE_SIZE - 1) & PVMM_PAGE_MASK;
	const struct start_info *si = pvmm_start_info();

	start_info_init(builders);
	boot_vcpu_init();
	traps_init();
	pvmm_p2m_init((const uint64_t *)si->mfn_list, si->nr_pages, machine_to_phys_mapping,
		      MACH2PHYS_NR_ENTRIES);
	shared_info_map();
	events_init();
	console_init(si);

	if (!magic_is_right(si->magic))
		refuse_boot("the start info page does not begin with \"xen-3.\"");
	parse_command_line();
	events_start();
	timer_init();

	boot_map_all(si, stack_end);
	fault_report_walks();
	console_enable_events();
	if (pvmm_p2m_publish(pvmm_max_pfn(), &nr_taken))
		refuse_boot("this domain is too small: no memory to tell the toolstack of its p2m");
	store_init(si);
	calls_init();
	lock_port_init();
	pvmm_events_restore(true);
	vcpus_start();

	pvmm_kernel_main();
	pvmm_shutdown(SHUTDOWN_poweroff);
}
