/* SPDX-License-Identifier: MIT */
/*
 * Xen's public interface, included once and in one way: the version of the interface is fixed
 * here, so that no file sees another layout of the same structure. Errors throughout the library
 * are Xen's (XEN_EINVAL, XEN_EBUSY, ...), returned negative, as the hypervisor returns them.
 */
#ifndef PVMM_XEN_H
#define PVMM_XEN_H

#include <stdint.h>

#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#endif

#include <xen/xen.h>
#include <xen/errno.h>
#include <xen/memory.h>
#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/features.h>
#include <xen/callback.h>

#endif
