/* SPDX-License-Identifier: MIT */
/*
 * A core that xl dump-core has written (docs/misc/dump-core-format.txt of Xen's source), of a 64-bit
 * PV domain. The file is as hostile as the domain: all of it is judged before it is used.
 */
#ifndef TOOLS_CORE_IN_H
#define TOOLS_CORE_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>

#define CORE_PAGE 4096u
#define CORE_NONE UINT64_MAX

struct core_frame {
	uint64_t mfn, index;
};

struct core {
	const uint8_t *bytes; /* the file, mapped */
	size_t len_bytes;
	const uint8_t *contexts;
	size_t context_bytes; /* from one to the next */
	uint64_t nr_vcpus, nr_pages;
	uint64_t pages_offset;	   /* of the pages' contents in the file */
	struct core_frame *frames; /* by mfn */
	uint64_t nr_frames;
};

/* True, or false and one line in why. close is good after either. */
bool core_open(struct core *core, const char *path, char *why, size_t room_bytes);
void core_close(struct core *core);

/* vcpu is below nr_vcpus. */
void core_context(const struct core *core, uint64_t vcpu, struct vcpu_guest_context *c);

/* The number of the page in the file that holds this frame; CORE_NONE if none does. */
uint64_t core_page_of(const struct core *core, uint64_t mfn);

/* The contents of that page. */
const uint64_t *core_page(const struct core *core, uint64_t index);

#endif
