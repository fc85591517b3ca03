#!/bin/sh
# SPDX-License-Identifier: MIT
# The harness notices what goes wrong: a broken assertion, a hang, a crash, a hypervisor panic. Each
# must come out red, with the reason in words.
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
. "$root/tests/xl/tap.sh"

judged() { # SCRIPT: runs it under prove, as make test does; what it prints is in SCRIPT.raw at once
	printf 'set -o pipefail\n%s/tests/in-lab debug %s/tests/xl/red/%s.t | tee %s/%s.raw\n' \
		"$root" "$root" "$1" "$work" "$1" >"$work/$1.t"
	prove --exec bash "$work/$1.t" >"$work/$1.out" 2>&1
	status=$?
	sed 's/^/    /' "$work/$1.out"
}

says() { # TEXT PATTERN
	check "$1" grep -qE "$2" "$work/$out.out"
}

out=guests
judged guests
check "prove is red" test $status != 0
says "a broken assertion is named, with file and line" 'suites.c:[0-9]+: this does not hold: 1 \+ 1 == 3'
says "... and counted" 'FAILED: an assertion that does not hold: 1 of [0-9]+ tests failed'
says "a hang" 'FAILED: a guest that hangs: it hung'
says "a crash" 'FAILED: a guest that crashes: it crashed'
says "... with the guest's report" 'pvmm: fault: #PF writing'
says "a refused command line" 'FAILED: a guest that refuses its command line: pvmm: boot refused: unknown option "colour"'
says "a guest that runs nothing" 'FAILED: a guest that runs no suite: it ended without a plan'
says "a guest that xl cannot create" 'FAILED: a guest that cannot be created: xl could not create it'
says "a crash at the first instruction" 'FAILED: a guest that dies before it can say anything: it crashed'
says "all seven of them" 'Failed 7/7 subtests'

# An NMI is fatal for a debug hypervisor; QEMU's monitor can send one.
out=hypervisor
export LAB_QEMU_ARGS="-monitor unix:$work/monitor,server=on,wait=off"
judged hypervisor &
judge=$!
tries=0
while ! grep -qs 'up to here all is well' "$work/hypervisor.raw" && [ $tries -lt 120 ]; do
	sleep 0.5
	tries=$((tries + 1))
done
began=$(date +%s)
# The monitor takes the command when it has shown its second prompt.
python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
s.sendall(b"nmi\n")
said = b""
while said.count(b"(qemu)") < 2:
    said += s.recv(1000)' "$work/monitor"
wait $judge
check "prove is red when the hypervisor dies" grep -q '^Result: FAIL' "$work/hypervisor.out"
says "... and says that it did" 'the hypervisor panicked: .*FATAL TRAP'
check "... at once, not at the time-out" test $(($(date +%s) - began)) -lt 30
left=$(for process in /proc/[0-9]*/cmdline; do
	tr '\0' ' ' <"$process" | grep "^[^ ]*qemu-system.*$work"
done 2>/dev/null)
check "no qemu is left" test -z "$left"

done_testing
