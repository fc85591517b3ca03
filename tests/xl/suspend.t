#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=600
#
# A guest at work is saved and restored, copied, and (where the hypervisor can) migrated while it runs:
# memory, mappings, clock and counters are right each time, and so is what it says in the end.
. ./lab.sh
. ./tap.sh
. ./suspend.sh


try() { # TEXT COMMAND...: as check, with the reason
	_text=$1
	shift
	if "$@"; then pass "$_text"; else fail "$_text" "$WHY"; fi
}

for vcpus in 1 2; do
	try "vcpus=$vcpus: a guest at work" load_start memory=32 vcpus=$vcpus
	try "... tells dom0's time" load_clock
	for i in $(seq $vcpus); do
		try "... xl save -c, $i" cycle copy
		try "... xl save and xl restore, $i" cycle save
	done
	try "... tells dom0's time" load_clock
	if [ $vcpus = 2 ]; then
		if cycle migrate; then
			pass "... xl migrate"
		elif load_cannot_migrate; then
			pass "... xl migrate # SKIP this hypervisor has no shadow paging"
		else
			fail "... xl migrate" "$WHY"
		fi
	fi
	try "... all its memory is there in the end" load_end
	if load_complaints >xen.out; then
		pass "... the hypervisor has nothing to say"
	else
		fail "... the hypervisor has nothing to say" "$(head -n 3 xen.out)"
	fi
done

# --- what is said, and what else may happen meanwhile ---

# A word that comes while the guest is on its way into a suspend is for the guest that comes out of it.
load_start memory=32 vcpus=2
xl save -c $LOAD image.out >load.out 2>&1 &
saving=$!
_load_wait _load_says '^pvmm: control: suspend, as the toolstack asks'
xl shutdown $LOAD >/dev/null 2>&1
check "a save that is followed by xl shutdown is a save" wait $saving
check "... and the shutdown is not lost" _load_wait _load_is_down
check "... the guest has resumed first" _load_says '^migrate: passed: 1 resumes'
rm -f image.out

load_start memory=32 vcpus=1
kill -STOP "$(pidof xenstored)"
sleep 7
kill -CONT "$(pidof xenstored)"
try "a store that has been away for a while does not keep the guest from a save" cycle save
try "... all its memory is there in the end" load_end

done_testing
