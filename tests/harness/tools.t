#!/bin/sh
# SPDX-License-Identifier: MIT
# dom0's programs where there is no Xen; their help and their pages.
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
. "$root/tests/xl/tap.sh"

# Ends with a status, and says one line on standard error that matches.
says() { # STATUS REGEX COMMAND...
	status=$1 regex=$2
	shift 2
	"$@" >"$work/out" 2>"$work/err" </dev/null
	[ $? = "$status" ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -Eq "$regex" "$work/err"
}

for program in pvmm-aliases pvmm-map; do
	run=$root/build/tools/$program
	check "$program has help" sh -c "'$run' --help | grep -q '^usage: $program '"
	check "... that a page of 100 columns holds" sh -c "! '$run' --help | grep -q '.\{101\}'"
	check "$program has a version" sh -c "'$run' --version | grep -q '^$program (pvmm) [0-9]'"
	check "$program wants a domain" says 2 "DOMAIN" "$run"
	[ -e /dev/xen/privcmd ] ||
		check "$program says where there is no Xen" says 5 "^$program: not running on Xen" "$run" 1 $([ $program = pvmm-map ] || echo 1)
	check "its manual page is clean" sh -c "! man -l --warnings=w '$root/tools/man/$program.8' 2>&1 >/dev/null | grep ."
	# Each option of the program is on the page, and the other way round.
	"$run" --help | grep -o -- '--[a-z-]*' | sort -u >"$work/help"
	man -l "$root/tools/man/$program.8" 2>/dev/null | col -b | grep -o -- '--[a-z-]*[a-z]' | sort -u >"$work/page"
	check "... and has the options of --help" cmp "$work/help" "$work/page"
done

done_testing
