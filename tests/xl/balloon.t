#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=300 --memory=1280
#
# The balloon under xl: mem-set down and up to maxmem and beyond, with the guest at work; targets that
# cannot be reached, and some that are none. xl list and the guest agree. (R40)
. ./lab.sh
. ./tap.sh
FUNCTIONS_ONLY=1
. ./soak-balloon.sh

guest_suite "the balloon's suite passes with vcpus=2" 'extra="suite=balloon"' vcpus=2
guest_suite "the balloon's suite passes where the domain may grow" 'extra="suite=balloon"' memory=33 maxmem=64

is_set() { # MIB: it has just that
	balloon_set balloon "$1" && [ "$STATE" = reached ] || {
		echo "# $PROBLEM state $STATE"
		return 1
	}
}

# --- a guest that does nothing else: every kind of target ---

guest_start balloon.cfg 'name="balloon"'
check "an idle guest comes up" guest_wait_line balloon '^idle: up'
check "... and says its size" balloon_settle balloon 64
check "... which xl list shows" balloon_agrees balloon
for mib in 96 128 37; do
	check "xl mem-set to $mib MiB" is_set $mib
done

check "more than maxmem is refused by xl" eval '! xl mem-set balloon 140m 2>/dev/null'
xl mem-max balloon 160m
check "... until xl mem-max allows it" is_set 150

balloon_set balloon 2
check "a target below what it needs: the floor" test "$STATE" = floor
check "... which is said" guest_wait_line balloon 'balloon: target of 2048 KiB not reached, .* kept free'
check "... and xl list shows it" balloon_agrees balloon
sleep 2
check "... once" test "$(guest_console balloon | grep -c 'target of 2048 KiB')" = 1
check "and up again" is_set 64

xenstore-write "$(balloon_node balloon memory/target)" lots
check "a target that is no number is said" guest_wait_line balloon 'memory/target is "lots", which is no number'
check "... and changes nothing" test "$(balloon_listed balloon)" = 64
xenstore-write "$(balloon_node balloon memory/target)" $((1000 * 1024))
balloon_settle balloon 1000
check "a target above the maximum: what there is" test "$STATE" = maximum
check "... is said" guest_wait_line balloon "target of 1024000 KiB not reached, .*Xen's maximum"
check "... and xl list shows it" balloon_agrees balloon
check "down again" is_set 50
timeout 60 xl shutdown -w balloon
guest_end --timeout=30 balloon >out
check "... and off" test $? = 0

# --- a guest at work ---

guest_start balloon.cfg 'name="balloon"' 'extra="demo=soak soak-seconds=600 balloon-keep=2048"'
check "a guest at work comes up" guest_wait_line balloon '^soak: 600 s on'
for mib in 40 100; do
	check "... and is set to $mib MiB" is_set $mib
done
xenstore-write "$(balloon_node balloon data/soak)" stop
guest_end --timeout=120 balloon >out
check "after all that no page is missing" grep -q '^soak: passed: ' out
check "... and none was held" eval '! grep "page held" out'
grep -E '^soak: |balloon|audit' out | sed 's/^/# /'

done_testing
