#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=300
#
# The hypervisor dies while a test runs: tests/harness/red.t, which runs and judges this, sends it an
# NMI when it sees the first line.
. ./lab.sh
. ./tap.sh

pass "up to here all is well"
sleep 60
pass "this is never reached"
done_testing
