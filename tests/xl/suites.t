#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --memory=7680 --timeout=1200
#
# The in-guest suites, in domains of the sizes that the library promises: small, odd, large, with
# room to grow.
. ./lab.sh
. ./tap.sh
GUEST_TIMEOUT=240

for memory in 16 33 256; do
	guest_suite "all suites pass with memory=$memory" "memory=$memory"
done
# What depends on the size; an audit of a million pages stands behind each test.
for memory in 4096 6144; do
	guest_suite "suites pass with memory=$memory" "memory=$memory" \
		'extra="suite=boot,alloc,space,memory,vmap,stray"'
done
guest_suite "all suites pass with memory=64 maxmem=512" memory=64 maxmem=512
guest_suite "all suites pass with the least that xl builds, memory=4" memory=4

done_testing
