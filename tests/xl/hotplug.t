#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=400
#
# vCPUs that come and go, and events by both of Xen's ways: the suites, and xl vcpu-set on a guest at
# work. (R12)
. ./lab.sh
. ./tap.sh
. ./hotplug.sh
GUEST_TIMEOUT=120

guest_suite "vCPUs come and go, events by queues" vcpus=3 maxvcpus=4 'extra="events=fifo suite=event,hotplug"'
check "... of maxvcpus= only vcpus= are up at first" grep -q '^pvmm: .* vCPUs: 3$' guest.out
check "... the queues are in use" grep -q '^# event channels: fifo' guest.out
guest_suite "... and by two levels" vcpus=2 'extra="events=2l suite=event,hotplug"'
check "... which are in use" grep -q '^# event channels: 2l' guest.out
guest_suite "more event channels than a page has" max_event_channels=2047 'extra="suite=event"'
check "... are in use" grep -q '^# 1000 channels' guest.out

# --- at work, and dom0 before it: what is tested is not who waits for whom ---

guest_start smp.cfg 'name="hotplug"' cpu_weight=32 'extra="demo=soak soak-seconds=600 check=sweep:64"'
guest_wait_line hotplug '^soak: 600 s on 2 vCPUs'
check "smp.cfg: two of four vCPUs are up" both_say 0,1
for nr in 4 1 3; do
	xl vcpu-set --ignore-host hotplug $nr
	check "xl vcpu-set $nr: the guest and xl agree" both_say "$(echo 0,1,2,3 | cut -d, -f1-$nr)"
done
for list in 0,3 0,1,3 0,2 0,1,2,3; do
	want $list
	check "vCPUs $list, by the store: they agree" both_say $list
done
check "... and the guest has said so" guest_wait_line hotplug '^pvmm: hotplug: vCPU 3 is up, 4 are up'

xenstore-write "$(node cpu/0/availability)" offline
check "the boot vCPU stays up, and says so" guest_wait_line hotplug \
	'^pvmm: hotplug: vCPU 0 is the boot vCPU and stays up'
xenstore-write "$(node cpu/0/availability)" online
xenstore-write "$(node cpu/2/availability)" perhaps
check "a value that is none is said" guest_wait_line hotplug \
	'^pvmm: hotplug: vCPU 2: availability "perhaps" is neither online nor offline'
xenstore-write "$(node cpu/3/availability)" "$(printf '%0100d' 0)"
check "... one that is too long too" guest_wait_line hotplug \
	'^pvmm: hotplug: vCPU 3: availability ".too long." is neither online nor offline'
xenstore-write "$(node cpu/99/availability)" online
xenstore-write "$(node cpu/1/availability)" offline
check "... and the others are still heard" both_say 0,2,3
xl vcpu-set --ignore-host hotplug 2
check "... and it is good again" both_say 0,1

check "xl shutdown -w reaches it" timeout 60 xl shutdown -w hotplug
guest_end --timeout=30 hotplug >out
check "... a power-off" test $? = 0
sed 's/^/# /' out

# --- at boot ---

guest_start smp.cfg 'name="hotplug"' vcpus=1 maxvcpus=3 'extra="demo=idle"'
guest_wait_line hotplug '^idle: up'
check "vcpus=1 maxvcpus=3: one is up" both_say 0
check "... the guest says one from the start" guest_wait_line hotplug '^pvmm: .* vCPUs: 1$'
xl vcpu-set --ignore-host hotplug 3
check "... then three" both_say 0,1,2
timeout 60 xl shutdown -w hotplug
guest_end --timeout=30 hotplug >/dev/null

hypervisor_since >xen
check "the hypervisor has nothing to say of it" test "$(grep -c '(XEN)' xen)" = 0
[ ! -s xen ] || sed 's/^/# /' xen
done_testing
