/* SPDX-License-Identifier: MIT */
/* What a kernel does now and then: a thread of its own that does it (docs/porting.md). */
#ifndef GUEST_HOUSEKEEPER_H
#define GUEST_HOUSEKEEPER_H

/*
 * From start to stop, some times a second: the checker's sweep, and the purge of stale mappings
 * that are older than a second. -XEN_ENOMEM. stop returns when the thread is gone.
 */
int housekeeper_start(void);
void housekeeper_stop(void);

#endif
