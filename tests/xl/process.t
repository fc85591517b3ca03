#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=300
#
# How often programs enter Xen, as demo=process counts it: what docs/design.md promises (R46).
. ./lab.sh
. ./tap.sh

guest_run --timeout=120 test.cfg 'extra="demo=process"' >out
check "the programs run" test $? = 0
sed 's/^/# /' out

# The sum of hypercalls, irets and page faults of one operation.
all() { # OPERATION
	sed -n "s/^traps: $1 *\([0-9]*\)\.[0-9]* .*/\1/p" out
}

at_most() { # OPERATION TRAPS
	check "$1: at most $2 entries into Xen" test "$(all "$1")" -lt "$2"
}

at_most 'getpid' 2
at_most 'fork + exit + wait' 20
at_most 'fork + exec + exit + wait' 30
at_most 'two changes of process' 6
at_most '... 16 pages a fault' 210
done_testing
