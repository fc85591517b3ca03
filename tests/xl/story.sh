#!/bin/sh
# SPDX-License-Identifier: MIT
# story.sh [CFG]: boots the demo, tells who said what on one screen, and judges it. Runs in dom0, the
# laboratory's or a real one. Status 0 only if everything happened that the summary lists.
. ./lab.sh

cfg=${1:-demo.cfg}
guest_run --timeout=60 "$cfg" >console 2>trouble
ended=$?
hypervisor_since >xen
[ ! -s trouble ] || cat trouble >&2

# What the hypervisor says about a refusal, in the words of the versions that we know.
grep -E 'Bad type \(saw|Error -?[0-9]+ while pinning' xen >xen.refusal

awk '
	function line(who, text) { printf "  %-10s | %s\n", who, text }
	$0 == "@hypervisor" {
		nr = 0
		while ((getline text < "xen.refusal") > 0) {
			line("HYPERVISOR", text)
			nr++
		}
		if (!nr)
			line("HYPERVISOR", "(nothing: a release build does not say why it refuses)")
		next
	}
	{ line("guest", $0) }
' console
echo

problems=0
judge() { # TEXT COMMAND [ARG...]
	text=$1
	shift
	if "$@" >/dev/null 2>&1; then
		printf '  [yes] %s\n' "$text"
	else
		printf '  [NO]  %s\n' "$text"
		problems=$((problems + 1))
	fi
}

verdict='^pvmm: stray writable mapping: pfn 0x[0-9a-f]* (mfn 0x\([0-9a-f]*\)) cannot become an L[1-4] table: Xen says -EINVAL (-22)$'
mfn=$(sed -n "s/$verdict/\1/p" console)
forgotten=$(sed -n 's/^demo: the file system has mapped pfn 0x[0-9a-f]* at \(0x[0-9a-f]*\),.*/\1/p' console)

judge "xl created the domain, it ran to its end and powered off" test "$ended" = 0
judge "Xen refused the pin, and the guest's report says so (mfn $mfn)" test -n "$mfn"
judge "the report names the forgotten mapping ($forgotten)" \
	grep -q "^  still mapped writable at $forgotten, L1 table pfn 0x[0-9a-f]* slot [0-9]*" console
judge "... and who allocated and freed the page" grep -q 'last freed by buf_put+0x[0-9a-f]* < log_recover+0x' console
if [ -s xen.refusal ]; then
	judge "the hypervisor means the same frame" grep -q "mfn $mfn" xen.refusal
else
	judge "the hypervisor is a release build, which prints nothing" sh -c "xl info | grep -q 'xen_version' && ! xl dmesg | grep -q 'debug=y'"
fi
judge "the mapping removed, the same pin was accepted and the process ran" \
	grep -q '^demo: the process runs on these tables' console
judge "life went on without a refusal, and no page is missing" \
	grep -q '^demo: every page is back where it was' console
judge "the guest's own result is a pass" grep -q '^pvmm: result: pass' console

exit $((problems != 0))
