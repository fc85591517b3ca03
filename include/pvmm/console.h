/* SPDX-License-Identifier: MIT */
/*
 * The PV console ring (xen/io/console.h): what xl console shows. Before it is up, and only on a
 * debug hypervisor, text goes out by the emergency console hypercall.
 *
 * Nothing is lost while somebody reads the ring: a full ring is waited for. If nobody takes
 * anything for PVMM_CONSOLE_PATIENCE_NS, the writer goes on, and what was dropped is counted and
 * said when the reader is back.
 */
#ifndef PVMM_CONSOLE_H
#define PVMM_CONSOLE_H

#include <pvmm/types.h>

#define PVMM_CONSOLE_PATIENCE_NS 5000000000ULL

/* Any context. A newline is sent as carriage return and newline. */
PVMM_API void pvmm_console_write(const char *text, size_t len_bytes);

/*
 * Text of a line that stands: a prompt, what is typed behind it. Whatever is written otherwise
 * meanwhile begins a line of its own; the line does not stand any more then, and whoever edits it
 * shows it anew. A newline at the end of the text ends it.
 */
PVMM_API void pvmm_console_edit(const char *text, size_t len_bytes);
PVMM_API bool pvmm_console_line_stands(void);

/* Takes what has been typed, at most len_bytes; returns how much. Does not wait. */
PVMM_API size_t pvmm_console_read(char *buf, size_t len_bytes);

/*
 * Waits for typed text until this many nanoseconds have passed; false if none came.
 * Not from an event handler.
 */
PVMM_API bool pvmm_console_wait(uint64_t timeout_ns);

/*
 * fn(ctx) is called by the event handler when something has been typed; it only wakes whoever reads
 * then. NULL: nobody.
 */
typedef void pvmm_console_fn(void *ctx);
PVMM_API void pvmm_console_on_input(pvmm_console_fn *fn, void *ctx);

/* Waits until everything written has been taken, as patiently as a full ring is waited for. */
PVMM_API void pvmm_console_flush(void);

#endif
