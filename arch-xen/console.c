/* SPDX-License-Identifier: MIT */
/*
 * Owns the console ring (xen/io/console.h). Its producer and consumer indices run freely and are
 * taken modulo the ring's size; each side writes only its own two.
 *
 * The other side is dom0's: an index of its that makes no sense is treated as an empty ring.
 */
#include <pvmm/console.h>
#include <pvmm/event.h>
#include <pvmm/hypercall.h>
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/page.h>
#include <pvmm/patience.h>
#include <pvmm/spinlock.h>
#include <xen/io/console.h>
#include "arch.h"

/* One look at the ring this often while waiting, should the reader's event be lost. */
#define POLL_NS 10000000ULL

/* Guards our indices and lost. Held with events masked. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
static volatile struct xencons_interface *ring;
static evtchn_port_t port;
static uint64_t lost;	   /* bytes dropped since the reader stopped reading */
static bool has_forgotten; /* an event, maybe, that input has sent */
static bool line_stands;   /* what was written last is a line that is being edited */

static pvmm_console_fn *on_input;
static void *on_input_ctx;

/* An NMI has something to print as well, so it waits while this vCPU has the lock. */
static bool console_lock(void)
{
	bool were_on = pvmm_events_save();

	nmi_defer();
	pvmm_spin_lock(&lock);
	return were_on;
}

static uint32_t out_used(void)
{
	uint32_t used = ring->out_prod - __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE);

	return used <= sizeof(ring->out) ? used : 0;
}

static void notify(void)
{
	/* The port was given to us by the domain builder: no answer could tell us anything new. */
	(void)pvmm_event_send(port);
}

/*
 * Sleeps until the other side has sent an event, it is time to look, or the clock says deadline_ns.
 * Events that have come are forgotten, or the sleep would be none; what they were about is for
 * look_again.
 */
static void wait_for_peer(uint64_t deadline_ns)
{
	uint64_t until = pvmm_clock_ns() + POLL_NS;

	pvmm_event_clear(port);
	__atomic_store_n(&has_forgotten, true, __ATOMIC_RELAXED);
	vcpu_poll(port, until < deadline_ns ? until : deadline_ns);
}

/* After waits, before events are on again: something may have been typed meanwhile. */
static void look_again(void)
{
	if (__atomic_exchange_n(&has_forgotten, false, __ATOMIC_RELAXED))
		pvmm_event_again(port);
}

static void console_unlock(bool were_on)
{
	pvmm_spin_unlock(&lock);
	look_again();
	nmi_allow();
	pvmm_events_restore(were_on);
}

/*
 * Waits until at most this many bytes are in the ring. The patience starts anew with each byte
 * that is taken; false when it is at its end.
 */
static bool wait_for_reader(uint32_t most_used)
{
	struct pvmm_patience patience = pvmm_patience_of(PVMM_CONSOLE_PATIENCE_NS);
	uint32_t used = out_used(), seen = used;

	if (used > most_used)
		notify();
	while (used > most_used) {
		if (lost || !pvmm_patience_lasts(&patience))
			return false;
		wait_for_peer(UINT64_MAX);
		used = out_used();
		if (used < seen)
			patience = pvmm_patience_of(PVMM_CONSOLE_PATIENCE_NS);
		seen = used;
	}
	return true;
}

static void put_byte(char c)
{
	if (!wait_for_reader(sizeof(ring->out) - 1)) {
		lost++;
		return;
	}
	ring->out[MASK_XENCONS_IDX(ring->out_prod, ring->out)] = c;
	__atomic_store_n(&ring->out_prod, ring->out_prod + 1, __ATOMIC_RELEASE);
}

static void put_text(const char *text, size_t len_bytes)
{
	for (size_t i = 0; i < len_bytes; i++) {
		if (text[i] == '\n')
			put_byte('\r');
		put_byte(text[i]);
	}
}

/* The reader is back: says what it has missed. */
static void say_lost(void)
{
	char text[64];
	int len;

	len = pvmm_snprintf(text, sizeof(text),
			    "\npvmm: console: %llu bytes lost here, nobody read\n",
			    (unsigned long long)lost);
	lost = 0;
	put_text(text, (size_t)len);
}

/* is_edit: it is part of a line that stands, or the end of one. */
static void write_text(const char *text, size_t len_bytes, bool is_edit)
{
	bool were_on;

	if (!ring) {
		(void)pvmm_hc_console_io(CONSOLEIO_write, (unsigned int)len_bytes, text);
		return;
	}

	were_on = console_lock();
	if (lost && out_used() < sizeof(ring->out) / 2)
		say_lost();
	if (line_stands && !is_edit)
		put_text("\n", 1);
	put_text(text, len_bytes);
	if (len_bytes)
		line_stands = is_edit && text[len_bytes - 1] != '\n';
	notify();
	console_unlock(were_on);
}

void pvmm_console_write(const char *text, size_t len_bytes)
{
	write_text(text, len_bytes, false);
}

void pvmm_console_edit(const char *text, size_t len_bytes)
{
	write_text(text, len_bytes, true);
}

bool pvmm_console_line_stands(void)
{
	return __atomic_load_n(&line_stands, __ATOMIC_RELAXED);
}

void pvmm_console_flush(void)
{
	bool were_on;

	if (!ring)
		return;
	were_on = console_lock();
	(void)wait_for_reader(0);
	console_unlock(were_on);
}

size_t pvmm_console_read(char *buf, size_t len_bytes)
{
	bool were_on = console_lock();
	uint32_t available;
	size_t nr = 0;

	available = __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE) - ring->in_cons;
	if (available > sizeof(ring->in))
		available = 0;
	while (nr < len_bytes && nr < available) {
		buf[nr] = ring->in[MASK_XENCONS_IDX(ring->in_cons + (uint32_t)nr, ring->in)];
		nr++;
	}
	__atomic_store_n(&ring->in_cons, ring->in_cons + (uint32_t)nr, __ATOMIC_RELEASE);
	if (nr)
		notify();
	console_unlock(were_on);
	return nr;
}

bool pvmm_console_wait(uint64_t timeout_ns)
{
	uint64_t deadline = pvmm_clock_ns() + timeout_ns;
	bool were_on = pvmm_events_save();

	while (ring && ring->in_prod == ring->in_cons && pvmm_clock_ns() < deadline)
		wait_for_peer(deadline);
	look_again();
	pvmm_events_restore(were_on);
	return ring && ring->in_prod != ring->in_cons;
}

/* The builder has put the ring's page into the boot mapping. */
void console_init(const struct start_info *si)
{
	pfn_t pfn = pvmm_mfn_to_pfn(_mfn(si->console.domU.mfn));

	port = si->console.domU.evtchn;
	if (pfn_valid(pfn))
		ring = (void *)(uintptr_t)(PVMM_KERNEL_BASE + (pfn_x(pfn) << PVMM_PAGE_SHIFT));
}

void console_use_directmap(const struct start_info *si)
{
	pfn_t pfn = pvmm_mfn_to_pfn(_mfn(si->console.domU.mfn));

	if (pfn_valid(pfn))
		ring = pvmm_pfn_to_virt(pfn);
}

static void console_event(pvmm_port_t event_port, void *ctx)
{
	pvmm_console_fn *fn = __atomic_load_n(&on_input, __ATOMIC_ACQUIRE);

	/* Whoever waits looks at the ring himself; the event has woken him. */
	(void)event_port, (void)ctx;
	if (fn && ring->in_prod != ring->in_cons)
		fn(on_input_ctx);
}

void pvmm_console_on_input(pvmm_console_fn *fn, void *ctx)
{
	on_input_ctx = ctx;
	__atomic_store_n(&on_input, fn, __ATOMIC_RELEASE);
}

void console_enable_events(void)
{
	if (ring && pvmm_event_bind(port, console_event, NULL))
		pvmm_panic("the console's event port %u is out of range", port);
}

/* The ring is as it was, with what has not been read of it; the port is a new one. */
void console_resume(const struct start_info *si)
{
	port = si->console.domU.evtchn;
	console_enable_events();
	if (ring)
		notify();
}
