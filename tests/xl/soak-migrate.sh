#!/bin/sh
# SPDX-License-Identifier: MIT
# soak-migrate.sh: a guest at work on 2 vCPUs is migrated to the host it is on, live, $CYCLES times (or as often as the file
# soak-cycles says, or 50 times). Runs in dom0, the laboratory's or a real one. Status 0 only if the guest was
# right each time and at the end, and the hypervisor has had nothing to say of it.
. ./lab.sh
. ./suspend.sh

cycles=${CYCLES:-$(cat soak-cycles 2>/dev/null || echo 50)}
problems=0

problem() {
	echo "soak-migrate.sh: $*" >&2
	problems=$((problems + 1))
}

load_start vcpus=2 memory=32 || problem "$WHY"
i=0
while [ $i -lt "$cycles" ] && [ $problems = 0 ]; do
	i=$((i + 1))
	began=$(_now)
	cycle migrate || problem "cycle $i: $WHY"
	echo "cycle $i of $cycles: $(($(_now) - began)) s"
done
load_clock || problem "$WHY"
load_end || problem "$WHY"
load_console | tail -n 40
load_complaints >xen.out || problem "the hypervisor has something to say: $(cat xen.out)"
[ $problems = 0 ] && echo "soak-migrate.sh: $i cycles, all is right; $LOAD_RETRIES times the toolstack had to try again"
exit $((problems != 0))
