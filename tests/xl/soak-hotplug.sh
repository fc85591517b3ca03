#!/bin/sh
# SPDX-License-Identifier: MIT
# soak-hotplug.sh: vCPUs come and go, at random, under a guest of four in which everything happens at the
# same time, CYCLES times (or as the file soak-cycles says, or 500). After each word the guest
# (data/pvmm/vcpus) and xl vcpu-list must agree. In the end the guest takes everything down and must
# find every page. Runs in dom0, the laboratory's or a real one; status 0 only if all that holds and the
# hypervisor has had nothing to say. SEED=n repeats a run.
. ./lab.sh
. ./hotplug.sh

cycles=${CYCLES:-$(cat soak-cycles 2>/dev/null || echo 500)}
seed=${SEED:-$(date +%s)}
problems=0

problem() {
	echo "soak-hotplug.sh: $*" >&2
	problems=$((problems + 1))
}

# Prints a number below $1; the sequence follows from the seed.
random() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	_random=$((seed / 65536 % $1))
}

# A set with vCPU 0 in it: by xl, which takes the first so many, or any by the store.
next_target() {
	random 3
	if [ $_random = 0 ]; then
		random 8
		target=0
		[ $((_random & 1)) = 0 ] || target=$target,1
		[ $((_random & 2)) = 0 ] || target=$target,2
		[ $((_random & 4)) = 0 ] || target=$target,3
		want $target
	else
		random 4
		target=$(echo 0,1,2,3 | cut -d, -f1-$((_random + 1)))
		xl vcpu-set --ignore-host hotplug $((_random + 1))
	fi
}

echo "soak-hotplug.sh: $cycles cycles, SEED=$seed"
guest_start smp.cfg 'name="hotplug"' vcpus=4 maxvcpus=4 memory=96 cpu_weight=32 \
	"extra=\"demo=soak soak-seconds=$((cycles * 30 + 60)) check=sweep:64\"" ||
	problem "it could not be created"
guest_wait_line --timeout=60 hotplug '^soak: .* on 4 vCPUs' || problem "it does not begin"

cycle=0
while [ $cycle -lt "$cycles" ] && [ $problems = 0 ]; do
	cycle=$((cycle + 1))
	next_target
	both_say $target 60 || problem "cycle $cycle: $target wanted; xl says $(xl_says), the guest $(guest_says)"
	[ $((cycle % 10)) != 0 ] || echo "soak-hotplug.sh: $cycle cycles"
done

# The guest's own end, so that it counts its pages.
xenstore-write "$(node data/soak)" stop
guest_end --timeout=300 hotplug >soak-hotplug.out
ended=$?
grep -v '^pvmm: hotplug: vCPU' soak-hotplug.out
[ $ended = 0 ] || problem "it ended with $ended ($GUEST_REASON)"
grep '^soak: ' soak-hotplug.out | tail -n 1 | grep -q '^soak: passed: ' || problem "it has not passed"
grep -q '^pvmm: result: pass' soak-hotplug.out || problem "its result is not a pass"

hypervisor_since >xen
if grep -q '(XEN)' xen; then
	problem "the hypervisor has something to say:"
	cat xen >&2
fi
[ $problems = 0 ] && echo "soak-hotplug.sh: $cycle cycles, all agreed, nothing lost"
exit $((problems != 0))
