#!/bin/sh
# SPDX-License-Identifier: MIT
# Every input that fuzzing has kept goes through its target once more. ("make fuzz SECONDS=600" looks
# for new ones.)
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/xl/tap.sh"

said=$(make -s -C "$root" fuzz-replay 2>&1)
status=$?
echo "$said" | tail -n 40 | sed 's/^/    /'
check "the fuzz targets build, and their corpora find nothing" test $status = 0
done_testing
