#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=300
#
# The toolstack and the guest talk through the xenstore: shutdown, reboot, sysrq, counters; and what
# comes of it when xenstored is slow.
. ./lab.sh
. ./tap.sh
. ./control.sh

is_number() { # PATH
	xenstore-read "$(node "$1")" 2>/dev/null | grep -qx '[0-9][0-9]*'
}

for vcpus in 1 2; do
	guest_suite "the store's suite passes with vcpus=$vcpus" 'extra="suite=xenstore"' vcpus=$vcpus
done

# --- up, and talked to ---

guest_start test.cfg 'extra="demo=idle"' 'on_reboot="restart"' vcpus=2
check "an idle guest comes up" guest_wait_line pvmm-test '^idle: up'

for counter in refused-pins strays quarantined purges drops; do
	check "dom0 reads data/pvmm/$counter" wait_for is_number data/pvmm/$counter
done
check "an unharmed guest has no strays" test "$(xenstore-read "$(node data/pvmm/strays)")" = 0

xl sysrq pvmm-test s
check "xl sysrq s: a line with the key" guest_wait_line pvmm-test "^pvmm: control: sysrq 's': hypercall statistics"
check "... and the statistics" guest_wait_line pvmm-test '^stat .*multicall'
xl sysrq pvmm-test m
check "xl sysrq m: the manager's" guest_wait_line pvmm-test '^stat purges '
check "... the key is taken away" wait_for is_empty control/sysrq
xl sysrq pvmm-test x
check "an unknown key is said" guest_wait_line pvmm-test "^pvmm: control: sysrq 'x': no such key"

xenstore-write "$(node control/shutdown)" fly
check "an unknown word is said" guest_wait_line pvmm-test '^pvmm: control: "fly" asked for, which this kernel does not know'
check "... acknowledged" wait_for is_empty control/shutdown
check "... and the guest stays up" xl domid pvmm-test

# --- told to go ---

came_up_twice() {
	test "$(guest_console pvmm-test | grep -c '^idle: up')" = 2
}

first=$(xl domid pvmm-test)
xl reboot pvmm-test
check "xl reboot: the guest says so" guest_wait_line pvmm-test '^pvmm: control: reboot, as the toolstack asks'
check "... and it boots again" wait_for came_up_twice
check "... as another domain" test "$(xl domid pvmm-test)" != "$first"

check "xl shutdown -w returns when it is off" timeout 60 xl shutdown -w pvmm-test
guest_end --timeout=30 pvmm-test >out
check "... a power-off" test $? = 0
sed 's/^/# /' out

guest_start test.cfg 'extra="demo=idle"'
guest_wait_line pvmm-test '^idle: up'
xenstore-write "$(node control/shutdown)" halt
guest_end --timeout=30 pvmm-test >out
check "\"halt\" is a power-off" test $? = 0

# --- hard at work, and the store does not answer ---

guest_start test.cfg 'extra="demo=soak soak-seconds=600"' vcpus=2
guest_wait_line pvmm-test '^soak: 600 s on'
check "a guest at work publishes too" wait_for is_number data/pvmm/purges
store=$(pidof xenstored)
kill -STOP "$store"
guest_wait_line pvmm-test '^pvmm: xenstore: no answer to request [0-9]* \(write\) within 5 s'
check "a store that does not answer is said" test $? = 0
kill -CONT "$store"
check "... and its late answer dropped" \
	guest_wait_line pvmm-test '^pvmm: xenstore: late answer to request [0-9]* dropped'
counters_begin
check "... and the counters go on" wait_for counters_go_on
check "xl shutdown -w reaches a guest at work" timeout 60 xl shutdown -w pvmm-test
guest_end --timeout=30 pvmm-test >out
check "... a power-off" test $? = 0
sed 's/^/# /' out

done_testing
