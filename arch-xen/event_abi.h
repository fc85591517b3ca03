/* SPDX-License-Identifier: MIT */
/*
 * What event.c asks of the two ways in which Xen can tell of events: a word of bits for many ports
 * (event_2l.c), or a queue for each priority (event_fifo.c). Ports are below PVMM_EVENT_PORTS.
 */
#ifndef PVMM_EVENT_ABI_H
#define PVMM_EVENT_ABI_H

#include <pvmm/event.h>

struct event_abi {
	const char *name; /* as the option events= has it */

	/* Everything masked, nothing pending, no vCPU prepared. Before start, on the boot vCPU. */
	void (*reset)(void);

	/* What a vCPU needs before a port may be bound to it: again does nothing. 0 or Xen's error.
	 */
	int (*vcpu_init)(unsigned int vcpu);

	/* Makes Xen able to tell of a port. Not from an event handler. 0 or Xen's error. */
	int (*reach)(pvmm_port_t port);

	void (*mask)(pvmm_port_t port);
	bool (*is_masked)(pvmm_port_t port);

	/* Unmasks; false, and nothing done, if the port is pending: then Xen has to do it. */
	bool (*try_unmask)(pvmm_port_t port);

	/* What is pending on a port: forgotten; made so, of a masked one, which tells nobody yet. */
	void (*clear)(pvmm_port_t port);
	void (*set)(pvmm_port_t port);

	/* Hands all of this vCPU's pending, unmasked ports to event_handle. Events are masked. */
	void (*take)(void);
};

extern const struct event_abi event_2l, event_fifo;

/* The port's handler, or a line if it has none. */
void event_handle(pvmm_port_t port);

/* Whether the port is bound to this vCPU, as far as is known; true for one out of range. */
bool event_is_mine(pvmm_port_t port);

#endif
