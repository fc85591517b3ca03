/* SPDX-License-Identifier: MIT */
/* A real domain behind the tools' seam. */
#ifndef TOOLS_DOM_XEN_H
#define TOOLS_DOM_XEN_H

#include "dom.h"

struct xen; /* the handles of Xen's libraries */

/* Room for a line that says why something cannot be. */
#define TOOL_ERROR_BYTES 200u

/* NULL, and why, when this is not a place from where domains can be looked at. */
struct xen *xen_open(char *why);
void xen_close(struct xen *xen);

/* By its name or number; -ENOENT. */
int xen_find(struct xen *xen, const char *name, uint32_t *domid);

/* -ESRCH: no such domain; others as errno says. Closed by dom->close. */
int xen_dom_open(struct xen *xen, uint32_t domid, struct dom *dom);

/* The numbers of all domains there are; the caller frees them. */
int xen_list(struct xen *xen, uint32_t **domids, size_t *nr);

#endif
