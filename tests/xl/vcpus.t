#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=1800
#
# The in-guest suites with several vCPUs, on a machine of two processors: fewer than, as many as, and
# more than it has.
. ./lab.sh
. ./tap.sh
GUEST_TIMEOUT=600

for vcpus in 2 4; do
	guest_suite "all suites pass with vcpus=$vcpus" vcpus=$vcpus
	check "... all $vcpus are up" grep -q "^pvmm: .* vCPUs: $vcpus$" guest.out
done
guest_suite "32 vCPUs are up and at work" vcpus=32 'extra="suite=vcpu"'
check "... all 32 are up" grep -q '^pvmm: .* vCPUs: 32$' guest.out
guest_run test.cfg vcpus=34 'extra=""' >out
check "a library that knows 32 says so of the others" \
	grep -q '^pvmm: vCPUs from 32 on stay down' out
check "... and runs with those" grep -q '^pvmm: result: pass' out

hypervisor_since >xen
check "the hypervisor has nothing to say of it" test "$(grep -c '(XEN)' xen)" = 0
[ ! -s xen ] || sed 's/^/# /' xen
done_testing
