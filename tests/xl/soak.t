#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=400
#
# A short soak, with one and with two vCPUs; make soak runs it for as long as one likes. (R17)
. ./lab.sh
. ./tap.sh

sh ./soak-work.sh 20 >soak.out 2>&1
soaked=$?
sed 's/^/    /' soak.out
[ $soaked = 0 ] || cat soak.out >&2
check "everything at once leaves nothing behind" test $soaked = 0

done_testing
