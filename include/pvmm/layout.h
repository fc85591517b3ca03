/* SPDX-License-Identifier: MIT */
/*
 * Where things are in virtual memory and what a page-table entry looks like: one small header per
 * width, chosen here. PVMM_LAYOUT names another one; the hosted tests use it to move the kernel's
 * half to addresses that a process can map.
 */
#ifndef PVMM_LAYOUT_H
#define PVMM_LAYOUT_H

#if defined(PVMM_LAYOUT)
#include PVMM_LAYOUT
#else
#include <pvmm/x86_64/layout.h>
#endif

#endif
