#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=900
#
# The checker from its command line: options, reports on the console, actions, the summary; and that
# it says nothing where there is nothing. R14, R42, R45, R46.
. ./lab.sh
. ./tap.sh

# Runs a guest with this command line: its console in out, how it ended in $ended.
boot() {
	guest_run --timeout=200 test.cfg "extra=\"$1\"" >out 2>&1
	ended=$?
}

refused() { # OPTION MESSAGE
	boot "list $1"
	check "'$1' is refused, the culprit named" grep -qF "pvmm: boot refused: option $2" out
	check "... and it ends cleanly" test "$ended" = 0
}

# --- options ---

refused 'check=on' '"check": "on" is neither off nor pin, free, alloc and sweep:RATE'
refused 'check=free+off' '"check": "free+off" is neither'
refused 'check=sweep:0' '"check": "sweep:0" is neither'
refused 'check' '"check" needs a value: check=off|pin|free|alloc|sweep:RATE[+...]'
refused 'check-action=mend' '"check-action": "mend" is none of report, fix, quarantine and panic'
refused 'report=xml' '"report": "xml" is none of text, json and both'

# --- nothing to find: nothing said, but for the summary ---

guest_suite "all suites pass with every page checked, and no false alarm" \
	'extra="suite=boot,alloc,trap,event,batch,space,memory,console check=free+alloc+sweep:1000 check-action=panic"'
check "no stray mapping is reported" test "$(grep -c '^pvmm: .*writable mapping' guest.out)" = 0
check "the summary counts the pages" grep -qE \
	'^pvmm: checker: [1-9][0-9]* pages probed \([1-9][0-9]* free, [1-9][0-9]* alloc, [1-9][0-9]* sweep, 0 call\), 0 refused pins, 0 pages with a stray mapping' guest.out
boot 'suite=boot'
check "without the checker there is no summary" test "$(grep -c 'checker:' out)" = 0

# --- a forgotten mapping ---

verdict='^pvmm: stray writable mapping: pfn 0x[0-9a-f]* (mfn 0x[0-9a-f]*)'

boot 'demo=stray'
check "pin: the verdict" grep -q "$verdict cannot become an L4 table: Xen says -EINVAL (-22)\$" out
check "... where" grep -q '^  still mapped writable at 0xffffc90000012000, L1 table pfn 0x[0-9a-f]* slot 18$' out
check "... who freed it" grep -q 'last freed by buf_put+0x[0-9a-f]* < log_recover+0x' out
check "... what the ledger knows" grep -q '^  ledger     knows of no mapping of the page$' out
check "... the summary" grep -q ' 1 refused pins, .* 1 stray mappings found, 0 repaired' out

boot 'demo=stray check=free'
check "free: the verdict" grep -q "$verdict was freed, and is mapped writable: Xen says -EINVAL (-22)\$" out
check "... the action" grep -q '^  action     none, the page stays free$' out

boot 'demo=stray check=free check-action=fix report=both'
check "fix: the mapping is removed" grep -q '^  action     1 mappings repaired, asked again: clean$' out
check "... and in the line for scripts" grep -qE \
	'^pvmm-json: \{"event":"stray","how":"free","error":-22,.*"mappings":\[\{"va":"0xffffc90000012000",.*"removed":1,"action":"fix","done":true\}$' out
check "... and in the summary" grep -q ' 1 stray mappings found, 1 repaired, 0 pages quarantined' out

boot 'demo=stray check=alloc check-action=quarantine report=json'
check "quarantine: by allocation, the page is not used" grep -q '"how":"alloc",.*"action":"quarantine","done":true}$' out
check "... no report in text" test "$(grep -c "$verdict" out)" = 0
check "... counted" grep -q ' 1 pages quarantined' out

boot 'demo=stray check-action=panic'
check "panic: a crash for xl" test "$ended" = 10
check "... behind the report" sh -c 'grep -A 20 "^pvmm: stray writable" out | grep -q "^pvmm: panic: check-action=panic"'
check "... and the summary" grep -q '^pvmm: checker: ' out

boot 'demo=stray check=off'
check "off: the verdict alone" grep -q '^pvmm: pin refused, and not searched for (check=off)' out

done_testing
