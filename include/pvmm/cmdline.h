/* SPDX-License-Identifier: MIT */
/*
 * The kernel's command line (extra= in the xl configuration): words separated by blanks, each
 * "name" or "name=value". A word that no option knows, or a value that its option refuses, is an
 * error that names the culprit; nothing is skipped in silence.
 */
#ifndef PVMM_CMDLINE_H
#define PVMM_CMDLINE_H

#include <pvmm/types.h>

#define PVMM_CMDLINE_BYTES 1024 /* MAX_GUEST_CMDLINE, xen/xen.h */

struct pvmm_option {
	const char *name;
	const char *values; /* what it takes, for messages: "off|on"; NULL: it takes no value */
	/*
	 * Takes the value in ("" for an option without one); NULL if it is good, else what is wrong
	 * with it: "is not a number". value stays valid for the life of the kernel.
	 */
	const char *(*parse)(const char *value);
};

/*
 * Parses line, which is cut into words in place, against the options, the last of which has a NULL
 * name. Returns 0, or -XEN_EINVAL with one line about the first culprit in message.
 */
PVMM_API int pvmm_cmdline_parse(char *line, const struct pvmm_option *options, char *message,
				size_t len_bytes);

/* Whether two texts are the same. */
PVMM_API bool pvmm_text_equal(const char *a, const char *b);

/* A decimal or 0x number; false when text is anything else or does not fit. */
PVMM_API bool pvmm_parse_number(const char *text, uint64_t *value);

#endif
