#!/bin/sh
# SPDX-License-Identifier: MIT
# bench.sh: the guest's figures, in dom0. make bench runs it with --icount.
. ./lab.sh
guest_run --timeout=600 test.cfg 'extra="demo=bench"' 'tsc_mode="native"' >out
ended=$?
grep -E '^(bench|#)' out
grep -q '^pvmm: result: pass' out && exit $ended
cat out
exit 1
