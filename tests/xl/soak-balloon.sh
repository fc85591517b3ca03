#!/bin/sh
# SPDX-License-Identifier: MIT
# soak-balloon.sh: so many random sizes (CYCLES, or what the file soak-cycles says) for a guest in which
# everything else happens meanwhile (demo=soak). After each, it has what was asked for or says why not, and
# xl list agrees; in the end no page is missing. Runs in dom0, the laboratory's or a real one. (R40)
#
# FUNCTIONS_ONLY=1 before sourcing it, after lab.sh: nothing but these.
#   balloon_state NAME                 what the guest says of its size (guest/balloon.c), or nothing
#   balloon_settle NAME MIB [SECONDS]  waits until the guest has done what it can about a target; sets STATE
#                                      (its word) and PAGES; 1 if it does not answer in time
#   balloon_listed NAME                what xl list shows, in MiB
#   balloon_agrees NAME                whether xl list and the guest say the same
#   balloon_set NAME MIB               xl mem-set, and all of that: 0 when the guest has so much, or says
#                                      why not, and xl agrees; else 1 with the reason in PROBLEM

# The guest that was started last is the one that is asked about, hundreds of times: xl takes long to say.
balloon_node() {
	if [ "$1" = "$GUEST" ]; then
		echo "/local/domain/$GUEST_DOMID/$2"
	else
		guest_node "$1" "$2"
	fi
}

balloon_state() {
	xenstore-read "$(balloon_node "$1" data/pvmm/balloon)" 2>/dev/null
}

_balloon_field() { # TEXT FIELD
	echo "$1" | sed -n "s/.*\\b$2=\\([^ ]*\\).*/\\1/p"
}

balloon_settle() {
	_tries=$((${3:-30} * 10))
	_node=$(balloon_node "$1" data/pvmm/balloon)
	while [ $_tries -gt 0 ]; do
		_state=$(xenstore-read "$_node" 2>/dev/null)
		if [ "$(_balloon_field "$_state" target)" = $(($2 * 256)) ]; then
			STATE=$(_balloon_field "$_state" state)
			PAGES=$(_balloon_field "$_state" pages)
			return 0
		fi
		sleep 0.1
		_tries=$((_tries - 1))
	done
	return 1
}

balloon_listed() {
	guest_listed "$1" 3
}

# What is tried again may have come further between two looks.
balloon_agrees() {
	_tries=10
	while [ $_tries -gt 0 ]; do
		_before=$(balloon_state "$1")
		_mib=$(balloon_listed "$1")
		_pages=$(_balloon_field "$_before" pages)
		[ -n "$_mib" ] && [ -n "$_pages" ] && [ "$_mib" = $((_pages / 256)) ] && return 0
		sleep 0.2
		_tries=$((_tries - 1))
	done
	return 1
}

balloon_set() {
	PROBLEM=
	if ! xl mem-set "$1" "$2m"; then
		PROBLEM="xl mem-set $2m failed"
	elif ! balloon_settle "$1" "$2"; then
		PROBLEM="no answer to $2 MiB within 30 s: $(balloon_state "$1")"
	elif [ "$STATE" = reached ] && [ "$PAGES" != $(($2 * 256)) ]; then
		PROBLEM="$2 MiB reached, it says, with $PAGES pages"
	elif ! balloon_agrees "$1"; then
		PROBLEM="the guest says $(balloon_state "$1"), xl list $(balloon_listed "$1") MiB"
	fi
	case $STATE in
		reached | floor | short) ;;
		*) PROBLEM="${PROBLEM:-$2 MiB: state $STATE}" ;;
	esac
	[ -z "$PROBLEM" ]
}

[ -z "${FUNCTIONS_ONLY:-}" ] || return 0
. ./lab.sh

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
guest_start test.cfg 'name="soak-balloon"' memory=64 maxmem=128 vcpus=2 cpu_weight=32 \
	"extra=\"demo=soak soak-seconds=$seconds balloon-keep=2048 check=sweep:64 balloon-check=${BALLOON_CHECK:-count}\"" ||
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
	[ $((cycle % (cycles < 100 ? 1 : 20))) != 0 ] || echo "== $cycle targets, $reached reached, $others not, with a reason"
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
