# SPDX-License-Identifier: MIT
# TAP for the scripts that run in dom0. Sourced after lab.sh.
#
#   pass TEXT, fail TEXT REASON       one result; the reason on a line with "#!" (see tests/in-lab)
#   check TEXT COMMAND [ARG...]       passes when the command succeeds
#   wait_for COMMAND [ARG...]         until the command succeeds; false after half a minute
#   guest_suite TEXT [KEY=VALUE...]   boots test.cfg and passes when all suites in it have
#   done_testing                      the plan; exits non-zero if anything failed

_tap_nr=0
_tap_failed=0

pass() {
	_tap_nr=$((_tap_nr + 1))
	echo "ok $_tap_nr - $1"
}

fail() {
	_tap_nr=$((_tap_nr + 1))
	_tap_failed=$((_tap_failed + 1))
	echo "not ok $_tap_nr - $1"
	echo "#! FAILED: $1: $2"
}

check() {
	_tap_text=$1
	shift
	if "$@"; then
		pass "$_tap_text"
	else
		fail "$_tap_text" "this failed: $*"
	fi
}

wait_for() {
	_tries=150
	until "$@"; do
		_tries=$((_tries - 1))
		[ $_tries -gt 0 ] || return 1
		sleep 0.2
	done
}

# How a guest ended, for a reason: the numbers of guest_end.
_ending() {
	case $1 in
		0) echo "it powered off" ;;
		10) echo "it crashed" ;;
		11) echo "it hung: no end within the time-out" ;;
		12) echo "xl could not create it" ;;
		*) echo "it ended in an unexpected way ($GUEST_REASON)" ;;
	esac
}

# What is wrong with a run of suites: its output is in $1, it ended with $2. Nothing if all is well.
_suite_problem() {
	_bad=$(grep -c '^not ok' "$1")
	_planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$1")
	_ran=$(grep -cE '^(not )?ok ' "$1")
	if [ "$2" != 0 ]; then
		_ending "$2"
	elif grep -q 'pvmm: boot refused' "$1"; then
		grep -m 1 'pvmm: boot refused' "$1"
	elif [ "$_bad" != 0 ]; then
		echo "$_bad of $_ran tests failed: $(sed -n 's/^not ok [0-9]* - //p' "$1" | paste -sd ';')"
	elif [ -z "$_planned" ]; then
		echo "it ended without a plan"
	elif [ "$_planned" != "$_ran" ] || [ "$_ran" = 0 ]; then
		echo "$_planned tests planned, $_ran ran"
	elif ! grep -q '^pvmm: result: pass' "$1"; then
		echo "its result is not a pass"
	fi
}

guest_suite() {
	_tap_text=$1
	shift
	guest_run test.cfg "$@" >guest.out 2>guest.err
	_ended=$?
	# The guest's own results, as a subtest.
	sed 's/^/    /' guest.out
	_problem=$(_suite_problem guest.out "$_ended")
	if [ -z "$_problem" ]; then
		pass "$_tap_text"
		return
	fi
	fail "$_tap_text" "$_problem"
	{
		cat guest.err
		grep -B 4 '^not ok' guest.out || tail -n 25 guest.out
	} | sed 's/^/#!   /'
	return 1
}

done_testing() {
	echo "1..$_tap_nr"
	exit $((_tap_failed != 0))
}
