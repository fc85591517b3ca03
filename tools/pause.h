/* SPDX-License-Identifier: MIT */
/* A pause that ends with the program, however that ends. */
#ifndef TOOLS_PAUSE_H
#define TOOLS_PAUSE_H

#include <stdint.h>
#include <sys/types.h>

struct pause_guard {
	pid_t pid; /* of the process that watches; 0: none */
	int pipe;  /* our end */
};

/* Starts the watcher, then pauses. 0 or -errno, and nothing is paused. */
int pause_begin(struct pause_guard *guard, uint32_t domid);

/* Unpauses, and tells the watcher that there is nothing left to do. */
int pause_end(struct pause_guard *guard, uint32_t domid);

#endif
