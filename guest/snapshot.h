/* SPDX-License-Identifier: MIT */
/*
 * Checksums of all memory that must be the same before and after a suspend, of each page for
 * itself. Both are called while nothing else runs.
 */
#ifndef GUEST_SNAPSHOT_H
#define GUEST_SNAPSHOT_H

/* Takes memory for the sums. -XEN_ENOMEM. */
int snapshot_init(void);
void snapshot_free(void);

void snapshot_take(void);

/* Pages that differ, each (of the first ones) with a line; "demo" is what the lines begin with. */
unsigned int snapshot_compare(const char *demo);

#endif
