#!/bin/sh
# SPDX-License-Identifier: MIT
# pvmm-pinwatch where there is no Xen; its help, its page, its unit.
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
. "$root/tests/xl/tap.sh"
run=$root/build/tools/pvmm-pinwatch
page=$root/tools/man/pvmm-pinwatch.8

# Ends with a status, and says one line on standard error that matches.
says() { # STATUS REGEX ARGUMENT...
	status=$1 regex=$2
	shift 2
	"$run" "$@" >"$work/out" 2>"$work/err" </dev/null
	[ $? = "$status" ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -Eq "$regex" "$work/err"
}

check "it has help" sh -c "'$run' --help | grep -q '^usage: pvmm-pinwatch '"
check "... that a page of 100 columns holds" sh -c "! '$run' --help | grep -q '.\{101\}'"
check "it has a version" sh -c "'$run' --version | grep -q '^pvmm-pinwatch (pvmm) [0-9]'"
check "a number of seconds is wanted" says 2 '^pvmm-pinwatch: --time=soon: ' --time=soon
check "symbols must be there" says 2 '^pvmm-pinwatch: /nonexistent' --symbols=web=/nonexistent
check "it takes no arguments" says 2 '"web" is no option' web
[ -e /dev/xen/privcmd ] || check "it says where there is no Xen" says 5 '^pvmm-pinwatch: not running on Xen'
check "its manual page is clean" sh -c "! man -l --warnings=w '$page' 2>&1 >/dev/null | grep ."
"$run" --help | grep -o -- '--[a-z-]*[a-z]' | sort -u >"$work/help"
man -l "$page" 2>/dev/null | col -b | grep -o -- '--[a-z-]*[a-z]' | grep -vx -e --log | sort -u >"$work/page"
check "... and has the options of --help" cmp "$work/help" "$work/page"
if command -v systemd-analyze >/dev/null; then
	sed 's|@PREFIX@/sbin/pvmm-pinwatch|/bin/true|' "$root/tools/pvmm-pinwatch.service" >"$work/pinwatch.service"
	check "its unit is one that systemd takes" systemd-analyze verify --man=no "$work/pinwatch.service"
fi
done_testing
