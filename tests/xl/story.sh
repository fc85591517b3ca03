#!/bin/sh
# SPDX-License-Identifier: MIT
# story.sh [CFG]: boots the demo, tells who said what on one screen, and judges it. Runs in dom0, the
# laboratory's or a real one. Status 0 only if everything happened that the summary lists.
. ./lab.sh

cfg=${1:-demo.cfg}
guest_run --timeout=120 "$cfg" >console 2>trouble
ended=$?
hypervisor_since >xen
[ ! -s trouble ] || cat trouble >&2

# What the hypervisor says about the first refusal, in the words of the versions that we know.
grep -E 'Bad type \(saw|Error -?[0-9]+ while pinning' xen | sed '/while pinning/q' >xen.refusal

verdict='^pvmm: stray writable mapping: pfn 0x[0-9a-f]* (mfn 0x\([0-9a-f]*\)) cannot become an L[1-4] table: Xen says -EINVAL (-22)$'
mfns=$(sed -n "s/$verdict/\1/p" console | tr '\n' ' ')

# Of several pages in the report, the first one whole. The hypervisor had spoken before.
awk '
	function line(who, text) { printf "  %-10s | %s\n", who, text }
	/^pvmm: checker: / { next }
	/^pvmm: stray writable mapping: / {
		if (nr++) {
			others = others (others ? ", " : "") "pfn " $6
			skips = 1
			next
		}
		while ((getline text < "xen.refusal") > 0)
			line("HYPERVISOR", text)
		if (!text)
			line("HYPERVISOR", "(nothing: a release build does not say why it refuses)")
	}
	/^  refused / {
		if (others)
			line("guest", "(the same of " others ")")
		skips = 0
	}
	!skips { line("guest", $0) }
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

# The table's figure for a run.
figure() { # RUN COLUMN
	sed -n "s/^demo: $1  *\([0-9].*\)/\1/p" console | awk -v column="$2" '{ print $column + 0 }' | grep .
}
TRAPS=1 FLUSHES=3 REFUSED=6 HELD=7
refusals=$(figure 'lazy, unguarded' $REFUSED)

same_frame() {
	frame=$(sed -n 's/.* for mfn \([0-9a-f]*\).*/\1/p' xen.refusal | head -n 1)
	echo " $mfns" | grep -q " $frame "
}

judge "xl created the domain, it ran to its end and powered off" test "$ended" = 0
judge "unguarded, Xen refused ${refusals:-no} processes their page tables, and the guest's report says why" \
	test "${refusals:-0}" -gt 0 -a -n "$mfns"
judge "it names the buffer that is still mapped, and that it was given up" \
	grep -q '^ *in the vmap area 0x[0-9a-f]*+0x10000 "xfs_buf", stale, made at .*, given up at' console
judge "... and who mapped it and who gave it up" \
	sh -c "grep -q '^  mapped by  xfs_buf_map+0x' console && grep -q '^  given up by xfs_buf_free+0x' console"
if [ -s xen.refusal ]; then
	judge "the hypervisor means one of the same frames" same_frame
else
	judge "the hypervisor is a release build, which prints nothing" sh -c "xl info | grep -q 'xen_version' && ! xl dmesg | grep -q 'debug=y'"
fi
judge "the same work with a flush before the pin: nothing refused, nothing held back" \
	test "$(figure 'lazy, flush before pin' $REFUSED)$(figure 'lazy, flush before pin' $HELD)" = 00
judge "... for fewer traps and a hundredth of the flushes that eager unmapping takes" \
	test "$(figure 'lazy, flush before pin' $TRAPS)" -lt "$(figure eager $TRAPS)" -a \
	$(($(figure 'lazy, flush before pin' $FLUSHES) * 100)) -lt "$(figure eager $FLUSHES)"
judge "holding the pages is safe too, but they are missing meanwhile" \
	test "$(figure 'lazy, holding pages' $REFUSED)" = 0 -a "$(figure 'lazy, holding pages' $HELD)" -gt 0
judge "every buffer had its contents, and no page is missing" \
	grep -q '^demo: every page is back where it was' console
judge "the guest's own result is a pass" grep -q '^pvmm: result: pass' console

exit $((problems != 0))
