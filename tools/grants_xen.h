/* SPDX-License-Identifier: MIT */
/* A domain's grant table, as dom0 can read it. */
#ifndef TOOLS_GRANTS_XEN_H
#define TOOLS_GRANTS_XEN_H

#include <xenctrl.h>
#include "dom.h"

/* The entries in use; the caller frees them. -EOPNOTSUPP: the domain has no table to be read. */
int grants_read(xc_interface *xc, uint32_t domid, struct dom_grant **list, size_t *nr);

#endif
