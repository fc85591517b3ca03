#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=500
#
# Ten guests at once, with the suites in which Xen refuses no pin.
SUITES=boot,alloc,batch,space,memory,vmap,kmap,xenstore
. ./soak-many.sh
