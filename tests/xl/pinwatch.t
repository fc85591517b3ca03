#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=200
# with: build/tools/pvmm-pinwatch build/tools/pvmm-aliases build/tools/pvmm-map
#
# pvmm-pinwatch beside the reference kernel: refusals of the stray-mapping matrix, as the guest itself reports
# them (a debug hypervisor only: another prints nothing, and the guest lives); a crash; several watches at once.
# (tests/xl/linux.t is about Linux.)
. ./lab.sh
. ./tap.sh
. ./tools.sh
GUEST_TIMEOUT=60
PINWATCH=$TOOLS/pvmm-pinwatch
chmod +x "$PINWATCH" 2>/dev/null

is_debug() {
	xl dmesg | grep -q 'debug=y'
}

said() { # REGEX FILE
	grep -Eq -e "$1" "$2"
}

$PINWATCH >told 2>watch.err &
watch=$!
# One of the two has the event that announces output, the other one looks now and then.
$PINWATCH --json --domain=pvmm-test >json 2>>watch.err &
second=$!
$PINWATCH --domain=somebody-else >other 2>>watch.err &
third=$!
sleep 1

# --- refusals ---

if is_debug; then
	guest_start test.cfg 'extra="suite=outside"'
	for cell in 1 2 3 4; do
		guest_wait_line pvmm-test "^outside: $cell "
		line=$(guest_console pvmm-test | grep "^outside: $cell ")
		# shellcheck disable=SC2086 # words
		set -- $line
		case $3 in
			mapped)
				check "cell $cell: told with the guest's own address ($7)" \
					wait_for said "^incident .* \"pvmm-test\": stray writable mapping at $7: .*\(pfn $5\)" told
				check "... as JSON" wait_for said "\"pfn\":\"$5\".*\"va\":\"$7\"" json
				;;
			*) check "cell $cell: a refusal is told" wait_for said "^  refused  mfn .*\(pfn $5\)" told ;;
		esac
		guest_type pvmm-test ''
	done
	check "its functions are named" said 'allocated by .*[a-z_]+\+0x' told
	xl destroy pvmm-test
	guest_end --timeout=30 pvmm-test >/dev/null 2>&1
fi

# --- a crash ---

guest_start test.cfg 'extra="demo=idle"' 'on_crash="preserve"'
guest_wait_line pvmm-test '^idle: up'
wait_for xenstore-exists "$(guest_node pvmm-test data/pvmm/refused-pins)"
guest_type pvmm-test panic
guest_end pvmm-test >console
check "a guest panics" test $? = 10
check "the crash is told" wait_for said '^incident .* "pvmm-test": .*the domain has crashed' told
check "... and that nothing is to be suspected" wait_for said '^  searched no page' told
check "... and the guest's own counters" wait_for said '^  guest    .*refused-pins [0-9]' told
check "... as JSON" wait_for said '"kind":"crash".*"crashed":true.*"looked":true' json
answers "a crashed domain can be asked later: nothing" 1 "$PINWATCH" --check=pvmm-test
answers "from boot on, it is told again" 0 "$PINWATCH" --since-boot --once --json
check "... as JSON" said '"version":1,"incident":1,' out
xl destroy pvmm-test
guest_end --timeout=30 pvmm-test >/dev/null 2>&1

# --- the ends ---

answers "nothing happens for two seconds" 1 "$PINWATCH" --once --time=2
check "... and the summary says so" said '^summary: 0 incidents' out
kill -INT $second
wait $second
check "SIGINT ends a watch well" test $? = 0
check "... with a summary" said '"kind":"summary","incidents":[1-9]' json
kill -TERM $third
wait $third
check "SIGTERM does, too" test $? = 0
check "a watch for another domain has told nothing" sh -c "! grep -q '^incident' other"
kill -HUP $watch
wait $watch
check "SIGHUP does, too" test $? = 0
refuses "no such domain" 3 'no domain nobody$' "$PINWATCH" --check=nobody
refuses "the domain that it runs in" 4 'domain 0 is the one this runs in' "$PINWATCH" --check=0
sed 's/^/# /' watch.err
check "nobody had a complaint" test ! -s watch.err
done_testing
