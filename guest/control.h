/* SPDX-License-Identifier: MIT */
/* What the toolstack asks for through the xenstore, and what it is told there. */
#ifndef GUEST_CONTROL_H
#define GUEST_CONTROL_H

#include <pvmm/types.h>

/*
 * From start to stop, two threads. One does what control/shutdown and control/sysrq say. The other
 * writes the manager's counters to data/pvmm/ when they change, at most once a second.
 *
 * False when there is no store or no memory; a line says which. stop returns when both are gone.
 */
bool control_start(void);
void control_stop(void);

/* Called, by a thread, instead of shutting down when the toolstack asks for that; NULL for nobody.
 */
void control_on_poweroff(void (*fn)(void));

/* Writes the counters that have changed since they were last written. 0 or the store's error. */
int counters_publish(void);

/* The next time, all of them are written. */
void counters_forget(void);

#endif
