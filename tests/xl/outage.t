#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=1000
#
# What becomes of a guest whose daemons in dom0 stop: nobody reads its console, xenstored is replaced under
# it, or killed. It says so, goes on and loses nothing. A real host's daemons are left alone.
. ./lab.sh
. ./tap.sh
. ./control.sh

[ -e /run.conf ] || { echo "1..0 # SKIP a real host's daemons are not to be killed"; exit 0; }

# Also of a guest that xl knows nothing of.
has_said() { # REGEX
	guest_console pvmm-test | grep -Eq -e "$1"
}

# --- nobody reads the console ---

guest_start test.cfg 'extra="demo=idle"' vcpus=2
guest_wait_line pvmm-test '^idle: up'
reader=$(pidof xenconsoled)
kill -STOP "$reader"
heard=0
for _ in 1 2 3 4 5 6 7 8; do
	xl sysrq pvmm-test s
	wait_for is_empty control/sysrq && heard=$((heard + 1))
done
check "a guest whose console nobody reads still does as it is told" test $heard = 8
kill -CONT "$reader"
xl sysrq pvmm-test x
check "... says how much was lost" guest_wait_line pvmm-test '^pvmm: console: [0-9]{3,} bytes lost here, nobody read$'
check "... and has a console again" guest_wait_line pvmm-test "^pvmm: control: sysrq 'x'"
guest_type pvmm-test vcpus
check "... for what is typed too" guest_wait_line pvmm-test '^2 vCPUs are up: 0 1'
timeout 60 xl shutdown -w pvmm-test
guest_end --timeout=30 pvmm-test >out
check "... to its end" test $? = 0

# --- xenstored is replaced by another, which takes over what it knows ---

guest_start test.cfg 'extra="demo=soak soak-seconds=600"' vcpus=2
guest_wait_line pvmm-test '^soak: 600 s on'
wait_for xenstore-exists "$(node data/pvmm/purges)"
xenstore-control live-update "$(readlink -f "$(command -v xenstored)")" >out 2>&1
check "xenstored is replaced under a guest at work" test $? = 0
counters_begin
xl sysrq pvmm-test x
check "... whose watches stand" guest_wait_line pvmm-test "^pvmm: control: sysrq 'x'"
check "... and whose requests are answered" wait_for is_empty control/sysrq
check "... the counters' too" wait_for counters_go_on
check "... and xl shutdown reaches it" timeout 120 xl shutdown -w pvmm-test
guest_end --timeout=30 pvmm-test >out
check "... to its end" test $? = 0

# --- xenstored is killed ---

guest_start test.cfg 'extra="demo=soak soak-seconds=30"' vcpus=2
guest_wait_line pvmm-test '^soak: 30 s on'
domid=$GUEST_DOMID
kill -KILL "$(pidof xenstored)"
check "a store that is gone is said" wait_for has_said '^pvmm: xenstore: no answer to request [0-9]+ \(write\) within 5 s'
tries=0
until has_said '^soak: passed: ' || [ $tries -gt 300 ]; do
	sleep 1
	tries=$((tries + 1))
done
check "... the guest goes on, and finds everything in its place at the end" has_said '^soak: passed: '
check "... which is a pass" wait_for has_said '^pvmm: result: pass'
rm -f /run/xenstored/socket /run/xenstored.pid
xenstored --no-fork --pid-file /run/xenstored.pid &
wait_for test -S /run/xenstored/socket
timeout 100 xen-init-dom0 >/dev/null
has_shut_down() {
	case $(guest_listed "$domid" 5) in ???s*) return 0 ;; esac
	return 1
}
check "... and it is off" wait_for has_shut_down
check "a toolstack with a new store can take it away" xl destroy "$domid"
guest_console pvmm-test | sed 's/^/# /'

done_testing
