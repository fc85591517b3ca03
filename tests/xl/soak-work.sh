#!/bin/sh
# SPDX-License-Identifier: MIT
# soak-work.sh [SECONDS]: two guests at once, with one vCPU and with two, in which everything happens at the
# same time for so long (or as the file soak-seconds says). Runs in dom0, the laboratory's or a real one.
# Status 0 only if both have passed and the hypervisor has had nothing to say of them.
. ./lab.sh

seconds=${1:-$(cat soak-seconds)}
options="demo=soak soak-seconds=$seconds check=free+sweep:256"
problems=0

problem() {
	echo "soak-work.sh: $*" >&2
	problems=$((problems + 1))
}

: >xen
ids=
for vcpus in 1 2; do
	hypervisor_since >>xen # guest_start sets a new mark
	guest_start test.cfg "name=\"soak-$vcpus\"" memory=64 vcpus=$vcpus "extra=\"$options\"" ||
		problem "soak-$vcpus: could not be created"
	ids="$ids${ids:+|}$GUEST_DOMID"
done

for vcpus in 1 2; do
	echo "== vcpus=$vcpus"
	guest_end --timeout=$((seconds + 120)) soak-$vcpus >soak-$vcpus.out
	ended=$?
	cat soak-$vcpus.out
	[ $ended = 0 ] || problem "soak-$vcpus: ended with $ended ($GUEST_REASON)"
	grep '^soak: ' soak-$vcpus.out | tail -n 1 | grep -q '^soak: passed: ' || problem "soak-$vcpus: has not passed"
	grep -q '^pvmm: result: pass' soak-$vcpus.out || problem "soak-$vcpus: its result is not a pass"
done

hypervisor_since >>xen
if hypervisor_about "$ids" xen >xen.guests; then
	problem "the hypervisor has something to say of domains $ids:"
	cat xen.guests >&2
fi
[ $problems = 0 ] && echo "soak-work.sh: both have passed"
exit $((problems != 0))
