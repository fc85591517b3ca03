/* SPDX-License-Identifier: MIT */
/* Lines typed on the console, for demos that are talked to. */
#ifndef GUEST_LINE_H
#define GUEST_LINE_H

#include <pvmm/types.h>

/* One line without its end; false when nothing has been typed for two minutes. */
bool line_read(char *line, size_t len_bytes);

#endif
