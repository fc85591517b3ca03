#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=3000
# with: build/tools/pvmm-aliases build/tools/pvmm-map
#
# Every cell of the stray-mapping matrix, seen from dom0 (tests/xl/tools.t takes some): CYCLES times,
# or as the file soak-cycles says, or once.
. ./lab.sh
. ./tap.sh
. ./tools.sh

cycles=${CYCLES:-$(cat soak-cycles 2>/dev/null || echo 1)}
while [ "$cycles" -gt 0 ]; do
	look_at_matrix outside-all
	cycles=$((cycles - 1))
done
done_testing
