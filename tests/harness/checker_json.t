#!/bin/sh
# SPDX-License-Identifier: MIT
# The checker's line for scripts, from a guest on real Xen, read by a real JSON parser.
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
. "$root/tests/xl/tap.sh"

cat >"$work/boot.sh" <<'END'
. ./lab.sh
guest_run --timeout=200 test.cfg 'extra="suite=matrix report=json"'
guest_run --timeout=60 test.cfg 'extra="demo=stray check=free check-action=fix report=both"'
END
"$root/lab/run" --timeout=300 "$work/boot.sh" "pvmm-guest=$root/build/pvmm-guest" \
	"$root/xl-configs/test.cfg" >"$work/out" 2>&1
check "the guests ran" test $? = 0

cat >"$work/read.py" <<'END'
import json, sys
mark = "pvmm-json: "
reports = [json.loads(line[len(mark):]) for line in open(sys.argv[1]) if line.startswith(mark)]
last = reports[-1]
assert last["event"] == "stray" and last["how"] == "free" and last["error"] == -22, last
assert last["action"] == "fix" and last["done"] is True and last["removed"] == 1, last
mapping, = last["mappings"]
assert int(mapping["va"], 16) == 0xffffc90000012000 and mapping["slot"] == 18, last
assert mapping["pfn"] == last["pfn"] and mapping["space"] == "kernel", last
assert mapping["place"] == "vmap" and mapping["writable"] is True, last
assert any(frame.startswith("buf_put+") for frame in last["freed_by"]), last
END
python3 "$work/read.py" "$work/out"
check "the line of a repaired mapping says what happened" test $? = 0

done_testing
