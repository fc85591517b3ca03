/* SPDX-License-Identifier: MIT */
/*
 * Owns what the library asks of its surroundings other than hypercalls: output, panic, stack
 * traces, careful reads. And what a test asks of the host: does this access fault, does this panic.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pvmm/clock.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/symbol.h>
#include "tests/model/state.h"

#define OUTPUT_MAX 65536
#define PANIC_EXIT 86 /* how a child says that it panicked as wanted */

enum pvmm_log_level pvmm_log_level = PVMM_DEBUG;

static char output[OUTPUT_MAX];
static size_t output_len;
static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;

/* In a child of model_run: where the panic's text goes; else -1. */
static int panic_fd = -1;

/* In model_catch: where a panic goes. */
static struct catcher {
	sigjmp_buf back;
	char *text;
	size_t len_bytes;
} * catcher;

/* Addresses have no names here. Weak, so that a test can bring arch-xen's and a table. */
__attribute__((weak)) const char *pvmm_symbol_lookup(uintptr_t addr, uintptr_t *offset)
{
	(void)addr, (void)offset;
	return NULL;
}

void host_reset(void)
{
	model_output_clear();
	pvmm_log_level = PVMM_DEBUG;
}

const char *model_output(void)
{
	return output;
}

void model_output_clear(void)
{
	output_len = 0;
	output[0] = '\0';
}

void pvmm_vprint(const char *fmt, va_list ap)
{
	size_t room;
	char *at;
	int len;

	pthread_mutex_lock(&output_lock);
	room = sizeof(output) - output_len;
	at = output + output_len;
	len = pvmm_vsnprintf(at, room, fmt, ap);
	output_len += (size_t)len < room ? (size_t)len : room - 1;
	if (getenv("MODEL_VERBOSE"))
		fputs(at, stderr);
	pthread_mutex_unlock(&output_lock);
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
	pvmm_print("pvmm: ");
	va_start(ap, fmt);
	pvmm_vprint(fmt, ap);
	va_end(ap);
	pvmm_print("\n");
}

void pvmm_panic(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	pvmm_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (catcher) {
		pvmm_snprintf(catcher->text, catcher->len_bytes, "%s", text);
		siglongjmp(catcher->back, 1);
	}
	if (panic_fd >= 0) {
		ssize_t written = write(panic_fd, text, strlen(text));

		_exit(written > 0 ? PANIC_EXIT : 1);
	}
	fprintf(stderr, "%s\npanic: %s\n", output, text);
	abort();
}

void model_domain_crashed(const char *why, uint64_t value)
{
	pvmm_panic("domain crashed by Xen: %s: 0x%llx", why, (unsigned long long)value);
}

/* The thread's stack, so that a chain of frame pointers is not followed out of it. */
static void stack_bounds(uintptr_t *low, uintptr_t *high)
{
	static __thread uintptr_t base, end;
	pthread_attr_t attr;
	void *addr;
	size_t len;

	if (!end && !pthread_getattr_np(pthread_self(), &attr)) {
		pthread_attr_getstack(&attr, &addr, &len);
		pthread_attr_destroy(&attr);
		base = (uintptr_t)addr;
		end = base + len;
	}
	*low = base;
	*high = end;
}

/* Reads the stack as it is, so the sanitizer must look away. */
__attribute__((no_sanitize("address", "undefined"), noinline)) unsigned int
pvmm_stack_trace(uintptr_t *callers, unsigned int max, unsigned int skip)
{
	uintptr_t *frame = __builtin_frame_address(0);
	uintptr_t low, high;
	unsigned int nr = 0;

	stack_bounds(&low, &high);
	/* From our own frame to that of the function that calls us: its callers are asked for. */
	for (frame = (uintptr_t *)frame[0]; nr < max; frame = (uintptr_t *)frame[0]) {
		if ((uintptr_t)frame < low || (uintptr_t)frame + 16 > high ||
		    (uintptr_t)frame % sizeof(*frame) || !frame[1])
			break;
		low = (uintptr_t)frame + 1;
		if (skip)
			skip--;
		else
			callers[nr++] = frame[1];
	}
	return nr;
}

static bool faults(volatile uint8_t *addr, bool write);

uint64_t model_published_pfns;

int pvmm_p2m_publish(uint64_t nr_pfns, uint64_t *nr_taken)
{
	(void)nr_taken;
	model_published_pfns = nr_pfns;
	return 0;
}

bool pvmm_read_safe(const uint64_t *addr, uint64_t *value)
{
	if (frames_in_m2p(addr) ? frames_m2p_hole(addr) : faults((uint8_t *)(uintptr_t)addr, false))
		return false;
	*value = *addr;
	return true;
}

/* A clock that tests can read: a nanosecond for each look. */
static uint64_t now;

uint64_t pvmm_clock_ns(void)
{
	return __atomic_add_fetch(&now, 1, __ATOMIC_RELAXED);
}

void model_clock_pass(uint64_t ns)
{
	__atomic_add_fetch(&now, ns, __ATOMIC_RELAXED);
}

/* --- faults --- */

/* The handler is the process's: one thread at a time. */
static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static sigjmp_buf fault_return;

static void on_fault(int sig)
{
	siglongjmp(fault_return, sig);
}

static bool faults(volatile uint8_t *addr, bool write)
{
	struct sigaction action = {.sa_handler = on_fault}, segv, bus;
	volatile bool faulted = true;

	pthread_mutex_lock(&fault_lock);
	sigaction(SIGSEGV, &action, &segv);
	sigaction(SIGBUS, &action, &bus);
	if (!sigsetjmp(fault_return, 1)) {
		uint8_t byte = *addr;

		if (write)
			*addr = byte;
		faulted = false;
	}
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	pthread_mutex_unlock(&fault_lock);
	return faulted;
}

bool host_readable(const void *p, size_t len_bytes)
{
	uint8_t bytes[HOST_READ_MAX];
	struct iovec to = {bytes, len_bytes}, from = {(void *)(uintptr_t)p, len_bytes};

	return len_bytes <= sizeof(bytes) &&
	       process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)len_bytes;
}

bool model_read_faults(const volatile void *addr)
{
	tlb_used((uintptr_t)addr, false);
	return faults((volatile uint8_t *)(uintptr_t)addr, false);
}

bool model_write_faults(volatile void *addr)
{
	tlb_used((uintptr_t)addr, true);
	return faults(addr, true);
}

/* --- panics --- */

int model_run(int (*fn)(void *ctx), void *ctx, char *text, size_t len_bytes)
{
	int fds[2], status = 0;
	ssize_t len = 0;
	pid_t pid;

	text[0] = '\0';
	if (pipe(fds))
		return MODEL_DIED;
	frames_save();
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		panic_fd = fds[1];
		_exit(fn(ctx));
	}
	close(fds[1]);
	if (pid > 0) {
		len = read(fds[0], text, len_bytes - 1);
		waitpid(pid, &status, 0);
	}
	close(fds[0]);
	frames_restore();

	text[len > 0 ? len : 0] = '\0';
	if (pid < 0 || !WIFEXITED(status))
		return MODEL_DIED;
	if (WEXITSTATUS(status) == PANIC_EXIT)
		return MODEL_PANICKED;
	return WEXITSTATUS(status) < 64 ? WEXITSTATUS(status) : MODEL_DIED;
}

bool model_catch(void (*fn)(void *ctx), void *ctx, char *text, size_t len_bytes)
{
	struct catcher here = {.text = text, .len_bytes = len_bytes};
	volatile bool panicked = true;

	if (!sigsetjmp(here.back, 0)) {
		catcher = &here;
		fn(ctx);
		panicked = false;
	}
	catcher = NULL;
	return panicked;
}

struct call {
	void (*fn)(void *ctx);
	void *ctx;
};

static int call_it(void *ctx)
{
	const struct call *call = ctx;

	call->fn(call->ctx);
	return 0;
}

bool model_panics(void (*fn)(void *ctx), void *ctx, const char *text)
{
	struct call call = {fn, ctx};
	char got[512];
	int end = model_run(call_it, &call, got, sizeof(got));

	if (end == MODEL_PANICKED && strstr(got, text))
		return true;
	fprintf(stderr, "expected a panic with \"%s\", got %s \"%s\"\n", text,
		end == MODEL_PANICKED ? "one with"
		: end == MODEL_DIED   ? "a crash"
				      : "none",
		got);
	return false;
}
