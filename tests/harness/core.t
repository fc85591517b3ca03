#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A core of a guest that has panicked, as gdb shows it: xl dump-core in dom0, pvmm-core, gdb here.
set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/pvmm-core.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
echo 1..4

check() { # NUMBER TEXT COMMAND...
	_number=$1 _text=$2
	shift 2
	if "$@"; then
		echo "ok $_number - $_text"
	else
		echo "not ok $_number - $_text"
		sed 's/^/# /' "$work/gdb.out" >&2
	fi
}

cat >"$work/script.sh" <<'END'
. ./lab.sh
guest_start test.cfg 'extra="demo=idle"' memory=8 vcpus=2 'on_crash="preserve"' >&2 || exit 1
guest_wait_line pvmm-test '^idle: up' || exit 1
guest_type pvmm-test panic
until xl list pvmm-test | awk 'NR == 2 { exit $5 !~ /c/ }'; do sleep 0.2; done
xl dump-core pvmm-test core >&2 && gzip -1 <core | base64
END
lab/run --hypervisor=debug "$work/script.sh" "pvmm-guest=build/pvmm-guest" xl-configs/test.cfg \
	>"$work/out" 2>"$work/err" || cat "$work/err" >&2
base64 -d "$work/out" 2>/dev/null | gunzip >"$work/core" 2>/dev/null
build/tools/pvmm-core "$work/core" "$work/gdb.core" >"$work/gdb.out" 2>&1
check 1 "the core is turned into one for gdb" test -s "$work/gdb.core"
gdb -nx -batch -ex 'info threads' -ex 'thread apply all bt' -ex 'print pvmm_kernel_space.name' build/pvmm-guest \
	"$work/gdb.core" >"$work/gdb.out" 2>&1
check 2 "gdb sees both vCPUs" grep -q '^  2 *LWP 2' "$work/gdb.out"
check 3 "... the way to the panic" sh -c 'grep -q " pvmm_panic (" "$1" && grep -q " run_line (" "$1"' sh "$work/gdb.out"
check 4 "... and the kernel's memory" grep -q '= "kernel' "$work/gdb.out"
