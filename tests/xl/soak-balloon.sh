#!/bin/sh
# SPDX-License-Identifier: MIT
# soak-balloon.sh: so many random sizes (CYCLES, or what the file soak-cycles says) for a guest in which
# everything else happens meanwhile (demo=soak). After each, it has what was asked for or says why not, and
# xl list agrees; in the end no page is missing. Runs in dom0, the laboratory's or a real one. (R40)
. ./lab.sh
. ./balloon.sh

cycles=${CYCLES:-$(cat soak-cycles)}
seconds=900000 # until it is told to stop
random=20261121
reached=0
others=0

fail() {
	echo "soak-balloon.sh: $*" >&2
	failed=1
}

next_random() { # BELOW
	random=$(((random * 1103515245 + 12345) & 2147483647))
	_random=$((random / 65536 % $1))
}

failed=
guest_start test.cfg 'name="soak-balloon"' memory=64 maxmem=128 vcpus=2 \
	"extra=\"demo=soak soak-seconds=$seconds balloon-keep=2048 check=free+sweep:256 balloon-check=${BALLOON_CHECK:-count}\"" ||
	fail "could not be created"
guest_wait_line soak-balloon '^soak: ' || fail "does not begin"

cycle=0
while [ -z "$failed" ] && [ $cycle -lt "$cycles" ]; do
	cycle=$((cycle + 1))
	next_random 117
	balloon_set soak-balloon $((12 + _random)) || fail "target $cycle: $PROBLEM"
	if [ "$STATE" = reached ]; then
		reached=$((reached + 1))
	else
		others=$((others + 1))
	fi
	[ $((cycle % 100)) != 0 ] || echo "== $cycle targets, $reached reached, $others not, with a reason"
done
echo "== $cycle targets, $reached reached, $others not, with a reason"
[ "$reached" -gt "$others" ] || fail "most targets are not reached"

xenstore-write "$(balloon_node soak-balloon data/soak)" stop
guest_end --timeout=120 soak-balloon >soak-balloon.out
ended=$?
grep -E '^soak: |^pvmm: (page held|stray|balloon: Xen)|^pvmm: result|audit' soak-balloon.out | tail -n 20
[ $ended = 0 ] || fail "ended with $ended ($GUEST_REASON)"
grep '^soak: ' soak-balloon.out | tail -n 1 | grep -q '^soak: passed: ' || fail "has not passed"
grep -q '^pvmm: page held' soak-balloon.out && fail "a page was held"
[ -z "$failed" ] && echo "soak-balloon.sh: passed"
[ -z "$failed" ]
