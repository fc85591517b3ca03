#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=200
# image: build/width32
#
# The hypercall wrappers through the 32-bit stub, in a PAE domU, and Xen's rules for its tables, which
# tests/unit/test_model_pae.c asks of the model. It speaks by the emergency console,
# which a debug hypervisor shows. Hypervisors without PV32 (Debian's release build) cannot run it.
. ./lab.sh
. ./tap.sh

if ! xl info | grep -q '^xen_caps.*xen-3.0-x86_32p'; then
	echo "1..0 # SKIP this hypervisor runs no 32-bit PV guests"
	exit 0
fi

guest_run --timeout=60 test.cfg 'memory=16' 'extra=""' >out 2>&1
check "it powers off" test $? = 0
hypervisor_since | sed 's/^(XEN) //; s/^(d[0-9]*) //' >xen
sed 's/^/# /' out xen
check "every wrapper works" test "$(grep -v 'ok pae: ' xen | grep -c '^width32: ok ')" = 15
check "the tables' rules are those of the model" test "$(grep -c '^width32: ok pae: ' xen)" = 32
check "none fails" test "$(grep -c '^width32: NOT OK ' xen)" = 0
check "it came to its end" grep -q '^width32: done' xen
done_testing
