#!/bin/sh
# SPDX-License-Identifier: MIT
#
# soak-many.sh: ten guests of 32 MiB, created one by one and let go together. Each passes the suites of
# $SUITES (all of them unless it is set), xl list has the figures right, and nothing of them is left.
. ./lab.sh
. ./tap.sh

: "${SUITES:=all}"

guests="0 1 2 3 4 5 6 7 8 9"

before=$(host_free_mib)
created=0
for i in $guests; do
	guest_start --paused test.cfg "name=\"many-$i\"" memory=32 "extra=\"suite=$SUITES\"" && created=$((created + 1))
done
check "ten guests are created" test $created = 10

right=0
for i in $guests; do
	[ "$(guest_listed "many-$i" 3) $(guest_listed "many-$i" 5)" = "32 --p---" ] && right=$((right + 1))
done
check "xl list: ten of 32 MiB, paused" test $right = 10

for i in $guests; do
	xl unpause "many-$i"
done
for i in $guests; do
	guest_end --timeout=300 "many-$i" >out
	problem=$(_suite_problem out $?)
	sed 's/^/    /' out
	check "guest $i passes its suites" test -z "$problem"
done

all_gone() {
	test "$(xl list | wc -l)" = 2
}
# Where Xen refuses pins it may keep a page of the domain's, and so its name (docs/xen-rules.md).
if [ "$SUITES" != all ]; then
	check "none of them is left" wait_for all_gone
fi
# The hypervisor may keep some tens of KiB of its own.
check "nothing is left of their memory" test "$(host_free_mib)" -ge $((before - 1))

done_testing
