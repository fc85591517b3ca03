/* SPDX-License-Identifier: MIT */
/*
 * Owns the log level and the end of the domain by panic. A line is put together in a buffer on the
 * stack and given to the console in one piece, so that vCPUs do not mix their lines.
 */
#include <pvmm/console.h>
#include <pvmm/event.h>
#include <pvmm/log.h>
#include <pvmm/vcpu.h>
#include "arch.h"

enum pvmm_log_level pvmm_log_level = PVMM_INFO;

/* The longest text of one call: a verdict with a stack of symbols. What is cut off is marked. */
#define LINE_BYTES 1024

static const char cut_mark[] = " [cut]\n";

/* Writes the prefix and the formatted text, which always ends in one piece. */
static void write_line(const char *prefix, const char *fmt, va_list ap, const char *end)
{
	char line[LINE_BYTES];
	int len = pvmm_snprintf(line, sizeof(line), "%s", prefix);

	len += pvmm_vsnprintf(line + len, sizeof(line) - (size_t)len, fmt, ap);
	if (len < LINE_BYTES)
		len += pvmm_snprintf(line + len, sizeof(line) - (size_t)len, "%s", end);
	if (len >= LINE_BYTES) {
		len = LINE_BYTES - 1;
		pvmm_snprintf(line + len + 1 - sizeof(cut_mark), sizeof(cut_mark), "%s", cut_mark);
	}
	pvmm_console_write(line, (size_t)len);
}

void pvmm_vprint(const char *fmt, va_list ap)
{
	write_line("", fmt, ap, "");
}

void pvmm_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pvmm_vprint(fmt, ap);
	va_end(ap);
}

void pvmm_log(enum pvmm_log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > pvmm_log_level)
		return;
	va_start(ap, fmt);
	write_line("pvmm: ", fmt, ap, "\n");
	va_end(ap);
}

void die(void)
{
	pvmm_shutdown(SHUTDOWN_crash);
}

void dying(void)
{
	static unsigned int first; /* vCPU, its number + 1 */
	unsigned int self = pvmm_this_vcpu() + 1, none = 0;

	if (__atomic_compare_exchange_n(&first, &none, self, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return;
	if (none == self)
		die(); /* whatever was to be said is said */
	(void)pvmm_events_save();
	for (;;)
		pvmm_vcpu_yield(); /* until the first one has ended the domain */
}

void pvmm_panic(const char *fmt, ...)
{
	va_list ap;

	dying();
	va_start(ap, fmt);
	write_line("pvmm: panic: ", fmt, ap, "\n");
	va_end(ap);
	pvmm_print("  caller     %pS\n", __builtin_return_address(0));
	print_stack_here();
	die();
}
