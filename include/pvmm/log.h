/* SPDX-License-Identifier: MIT */
/*
 * Saying things. The library speaks through these functions; arch-xen/ writes them to the PV
 * console, the hosted tests to standard error.
 */
#ifndef PVMM_LOG_H
#define PVMM_LOG_H

#include <stdarg.h>
#include <pvmm/types.h>

enum pvmm_log_level { PVMM_ERROR, PVMM_WARN, PVMM_INFO, PVMM_DEBUG };

/* Lines of this level and below are shown. */
extern PVMM_API enum pvmm_log_level pvmm_log_level;

/*
 * One line, or part of one: nothing is added. What is over 1023 bytes is cut, and the cut is
 * marked. Any context.
 */
PVMM_API void pvmm_print(const char *fmt, ...) PVMM_PRINTF(1, 2);
PVMM_API void pvmm_vprint(const char *fmt, va_list ap) PVMM_PRINTF(1, 0);

/* "pvmm: " + text + newline, if the level is shown. Any context. */
PVMM_API void pvmm_log(enum pvmm_log_level level, const char *fmt, ...) PVMM_PRINTF(2, 3);

/*
 * A broken invariant: prints the text, the caller and its stack, and crashes the domain
 * (SHUTDOWN_crash), so that xl sees it. Say what was expected, what was seen, of which page.
 */
PVMM_API PVMM_NORETURN void pvmm_panic(const char *fmt, ...) PVMM_PRINTF(1, 2);

/*
 * snprintf for the kernel: %s %c %d %u %x %lx %lu %ld %llx… %p, width, precision for %s, '0', '-'
 * and '#'; and %pS, an address as symbol+offset. Returns the length that the whole text would have.
 */
PVMM_API int pvmm_snprintf(char *buf, size_t len_bytes, const char *fmt, ...) PVMM_PRINTF(3, 4);
PVMM_API int pvmm_vsnprintf(char *buf, size_t len_bytes, const char *fmt, va_list ap)
	PVMM_PRINTF(3, 0);

/*
 * The callers of the function that calls this, innermost first, at most max; returns how many.
 * skip leaves out that many of them.
 */
PVMM_API unsigned int pvmm_stack_trace(uintptr_t *callers, unsigned int max, unsigned int skip);

#endif
