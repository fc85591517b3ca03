#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=100
#
# The hypervisor dies while a test runs. Run and judged by tests/harness/red.t.
. ./lab.sh
. ./tap.sh

pass "up to here all is well"
xl debug-keys C
sleep 60
pass "this is never reached"
done_testing
