/* SPDX-License-Identifier: MIT */
/* The kernel's size, as the toolstack asks for it (xl mem-set). */
#ifndef GUEST_BALLOON_H
#define GUEST_BALLOON_H

#include <pvmm/types.h>

/* The option balloon-keep=PAGES. */
const char *balloon_parse_keep(const char *value);

/* Free pages that it leaves. */
uint64_t balloon_keep(void);

/*
 * From start to stop, a thread that moves towards memory/target and says in data/pvmm/balloon how
 * far it came. 0; the store's error, or -XEN_ENOMEM. stop returns when the thread is gone.
 */
int balloon_start(void);
void balloon_stop(void);

#endif
