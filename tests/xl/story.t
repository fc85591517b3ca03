#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=300
#
# The demo that make run shows, judged as make run judges it.
. ./lab.sh
. ./tap.sh

sh ./story.sh demo.cfg >story.out 2>&1
told=$?
sed 's/^/    /' story.out
[ $told = 0 ] || cat story.out >&2
check "the story of the stray mapping goes as it should" test $told = 0

done_testing
