#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=300
#
# What the guest counts is what the hypervisor counts (R46), and a pin of 100 tables is one trap.
# The guest is alone on CPU 1; xenperf tells each CPU's counts apart. Needs a hypervisor with perf
# counters: the debug build.
. ./lab.sh
. ./tap.sh

if ! xenperf -r >/dev/null 2>&1; then
	echo "1..0 # SKIP this hypervisor has no perf counters"
	exit 0
fi
xl vcpu-pin Domain-0 0 0

counted() { # NAME: the guest's figure
	sed -n "s/^count: $1 //p" window
}

perf() { # NAME: the hypervisor's, on CPU 1
	sed -n "s/^$1 *T= *[0-9]* *[0-9]* *\([0-9]*\) *$/\1/p" perf | grep . || echo 0
}

guest_start test.cfg 'cpus="1"' 'extra="demo=count"'
check "the guest has 100 tables" guest_wait_line --timeout=40 pvmm-test '^count: 100 tables, ready'

for times in 10 100; do
	lines=$(guest_console pvmm-test | wc -l)
	xenperf -r >/dev/null
	guest_type pvmm-test $times
	i=0
	until guest_console pvmm-test | tail -n +$((lines + 1)) | grep -q '^count: done' || [ $i = 300 ]; do
		sleep 0.2
		i=$((i + 1))
	done
	xenperf -f >perf
	guest_console pvmm-test | tail -n +$((lines + 1)) >window
	sed 's/^/# /' window

	check "$times pins and unpins: one trap each" \
		test "$(counted multicalls)+$(counted 'plain calls')" = "$((2 * times))+0"
	# One operation for the root of each mode.
	check "... 100 updates and two operations each" \
		test "$(counted 'page updates')+$(counted 'mmuext ops')" = "$((200 * times))+$((4 * times))"
	for figure in 'page updates' 'mmuext ops'; do
		check "the hypervisor has counted as many $figure" \
			test "$(perf "$figure")" = "$(counted "$figure")"
	done
	# Each multicall had two entries; no call came on its own.
	check "the hypervisor has seen them in $((2 * times)) multicalls of two calls" \
		test "$(perf 'calls from multicall')" = $((4 * times))
	check "... and none outside" \
		test $(($(perf 'calls to mmu_update') + $(perf 'calls to mmuext_op'))) = $((4 * times))
done
guest_type pvmm-test quit
guest_end --timeout=40 pvmm-test >out
sed 's/^/# /' out

# What docs/design.md promises of areas and ranges.
at_most() { # TEXT PATTERN TRAPS
	most=$(sed -n "s/^count: $2 \([0-9]*\)\$/\1/p" out | sort -n | tail -n 1)
	check "$1 ($most)" test "$most" -le "$3"
}
at_most "1,000 pairs of vmap and vunmap, lazy: at most 1,050 traps" 'vmap.*lazy: traps of 1000 pairs' 1050
at_most "... eager: at most 2,000" 'vmap.*eager: traps of 1000 pairs' 2000
at_most "a purge of 64 areas: 1" 'purge of 64 areas of 16 pages: traps' 1
at_most "4 MiB populated, protected or unmapped: at most 2" '4 MiB .* traps' 2

done_testing
