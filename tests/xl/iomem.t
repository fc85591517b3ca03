#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A device's memory: a domain with iomem= maps it uncached, one without is refused.
. ./lab.sh
. ./tap.sh

guest_run iomem.cfg >out 2>&1
ended=$?
check "with iomem.cfg the device is read" test -z "$(_suite_problem out $ended)"
sed 's/^/# /' out

guest_run test.cfg 'extra="suite=iomem"' >out 2>&1
check "a domain without it is refused" grep -q '^not ok 1 - iomem: a device' out
check "... and lives on" grep -q '^ok 2 - iomem: that of another device is refused' out
check "... with nothing amiss but that" test "$(grep -c 'this does not hold' out)" = 1

done_testing
