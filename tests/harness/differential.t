#!/bin/sh
# SPDX-License-Identifier: MIT
# The model of Xen and real Xen, debug and release, answer the same 300 random sequences alike.
# ("make differential SEEDS=FIRST:COUNT" runs more, and others.)
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/xl/tap.sh"

for hypervisor in debug release; do
	said=$("$root/tests/diff/compare" "$hypervisor" 1:300 2>&1)
	status=$?
	echo "$said" | sed 's/^/    /'
	check "the model and $hypervisor Xen agree" test $status = 0
done

done_testing
