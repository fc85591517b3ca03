/* SPDX-License-Identifier: MIT */
/*
 * Event channels: Xen's interrupts (xen/event_channel.h). Handlers run on the vCPU that the port is
 * bound to, on the interrupted stack, with events masked; they must not sleep, allocate memory or
 * change page tables.
 */
#ifndef PVMM_EVENT_H
#define PVMM_EVENT_H

#include <pvmm/types.h>

typedef uint32_t pvmm_port_t;

/*
 * Ports that can have a handler: twice what xl lets a domain have where max_event_channels= does
 * not say. A domU has a console, a store, and a few of each vCPU's own.
 */
#define PVMM_EVENT_PORTS 2048

typedef void pvmm_event_fn(pvmm_port_t port, void *ctx);

/*
 * The way in which Xen tells of events: "fifo", a queue for each of sixteen priorities, where Xen
 * offers it and the option events= does not say otherwise; else "2l", by two levels of bits.
 */
PVMM_API const char *pvmm_event_abi(void);

/* Gives a port its handler and unmasks it. -XEN_EINVAL for a port out of range. */
PVMM_API int pvmm_event_bind(pvmm_port_t port, pvmm_event_fn *fn, void *ctx);

/* Masks the port and takes its handler away; close also gives the port back to Xen. */
PVMM_API void pvmm_event_unbind(pvmm_port_t port);
PVMM_API int pvmm_event_close(pvmm_port_t port);

/* Binds this vCPU's VIRQ_*; the port comes back masked and without a handler. */
PVMM_API int pvmm_event_bind_virq(unsigned int virq, pvmm_port_t *port);

/* A port that any vCPU can send on and this one receives; it comes back as above. */
PVMM_API int pvmm_event_bind_ipi(pvmm_port_t *port);

/* A port for another domain (or this one: DOMID_SELF) to connect to. */
PVMM_API int pvmm_event_alloc(unsigned int domid, pvmm_port_t *port);
PVMM_API int pvmm_event_connect(unsigned int domid, pvmm_port_t remote, pvmm_port_t *port);
PVMM_API int pvmm_event_send(pvmm_port_t port);

/*
 * Has another vCPU handle the port from now on. Ports of alloc and connect start at vCPU 0; those
 * of a VIRQ_TIMER or an IPI stay where they are (Xen refuses). -XEN_EINVAL for a vCPU that is not
 * up. What was sent before may still be handled on the old vCPU. Ports of a vCPU that goes down are
 * moved to vCPU 0.
 */
PVMM_API int pvmm_event_move(pvmm_port_t port, unsigned int vcpu);

/*
 * Of what is pending, the least priority is handled first: 0 to 15, 7 where nothing was said. What
 * is pending already is not reordered. -XEN_ENOSYS with two levels, where the lowest port is first.
 */
PVMM_API int pvmm_event_priority(pvmm_port_t port, unsigned int priority);

/* Masking one port; unmasking delivers what has come meanwhile. */
PVMM_API void pvmm_event_mask(pvmm_port_t port);
PVMM_API void pvmm_event_unmask(pvmm_port_t port);

/* Forgets what is pending on a port: for one that is masked, and polled (SCHEDOP_poll). */
PVMM_API void pvmm_event_clear(pvmm_port_t port);

/*
 * Has a port's handler called once more, as if an event had just come: for who has cleared what he
 * polled for, and it may have meant something else. Nothing if the port is masked.
 */
PVMM_API void pvmm_event_again(pvmm_port_t port);

/* Masking all delivery on this vCPU. save returns what to give back to restore. */
PVMM_API bool pvmm_events_save(void);
PVMM_API void pvmm_events_restore(bool were_on);

/*
 * Blocks this vCPU until an event is pending; events must be masked by the caller, who has looked
 * for what it waits for, and come back masked.
 */
PVMM_API void pvmm_events_wait(void);

#endif
