#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=600
#
# What a user of the guest meets: its console, its command line, and how it dies.
. ./lab.sh
. ./tap.sh

# Runs a guest with this command line: its console in out, the hypervisor's new lines in xen, how
# it ended in $ended.
boot() {
	extra=$1
	shift
	guest_run --timeout=60 test.cfg "extra=\"$extra\"" "$@" >out 2>&1
	ended=$?
	hypervisor_since >xen
}

# --- the console: a thousand lines, each with a number that only the right line has ---

boot "suite=console"
i=0
while [ $i -lt 1000 ]; do
	i=$((i + 1))
	printf '# line %4u of 1000: the quick brown fox jumps over the lazy dog %08x\n' \
		$i $((i * 2654435761 & 4294967295))
done >expected
grep '^# line' out >lines
check "every line of a long output arrives, whole and in order" cmp expected lines

guest_start test.cfg 'extra="demo=echo"'
guest_wait_line pvmm-test 'echo: type lines'
guest_type pvmm-test "Grüße, 0123456789 and \"quotes\""
guest_wait_line --timeout=40 pvmm-test 'echo: "Grüße, 0123456789 and "quotes""'
check "what is typed arrives" test $? = 0
long=$(printf 'x%.0s' $(seq 1500)) # more than the input ring holds
guest_type pvmm-test "$long"
guest_wait_line --timeout=40 pvmm-test "echo: \"$long\""
check "a line longer than the input ring arrives" test $? = 0
guest_type pvmm-test quit
guest_end --timeout=40 pvmm-test >out
check "it powers off when told to" test $? = 0

# --- the command line ---

refused() { # COMMAND-LINE MESSAGE
	boot "$1"
	check "command line '$1': refused, the culprit named" \
		grep -qF "pvmm: boot refused: $2" out
	check "command line '$1': a clean end" test "$ended" = 0
}

refused 'suite=boot colour=red' 'unknown option "colour"; known are:'
refused 'suite=nonesuch' 'option "suite": "nonesuch" is no suite'
refused 'suite=boot,' 'option "suite": "boot," is no suite'
refused 'suite=' 'option "suite": "" is no suite'
refused 'demo' 'option "demo" needs a value: demo=NAME'
refused 'list=yes' 'option "list" takes no value'
refused 'loglevel=loud' 'option "loglevel": "loud" is not a level'

boot 'list loglevel=error'
check "'list' says which suites there are" grep -q '^  stray  *stray writable mappings' out
check "loglevel=error: no information" test "$(grep -c '^pvmm:' out)" = 0

# A ramdisk leaves the domain less than the kernel's records and a little room take.
head -c $((1560 * 4096)) /dev/zero >ramdisk
boot 'suite=boot' memory=8 'ramdisk="ramdisk"'
check "a domain that is too small says so, and how much it takes" \
	grep -q 'boot refused: this domain is too small: it has 8192 KiB; .* (memory = [0-9]* in' out
check "a domain that is too small ends cleanly" test "$ended" = 0

# --- dying ---

boot 'demo=fault'
check "a fault is a crash for xl" test "$ended" = 10
check "the fault report says what happened" \
	grep -q '^pvmm: fault: #PF writing 0xffff8880[0-9a-f]* at fault+0x[0-9a-f]*: the page does not allow it' out
check "... with registers" grep -q 'rip ffffffff80[0-9a-f]* cs e030' out
check "... the walk" grep -q 'L1 table pfn 0x[0-9a-f]* slot *[0-9]*: 0x[0-9a-f]* present read-only' out
check "... whose page it is" grep -q 'page .*, L4 table, refs 1' out
check "... who allocated it" grep -q 'allocated by pvmm_table_alloc+.* < pvmm_space_create+.* < fault+' out
check "... and a stack trace with names" grep -q '^             pvmm_kernel_main+0x' out

boot 'demo=panic'
check "a panic is a crash for xl" test "$ended" = 10
check "the panic says what was broken, and who did it" \
	grep -q '^pvmm: panic: page freed that is free already: pfn .* by panic+0x' out

boot 'demo=overflow'
check "a stack overflow is a crash, not a silent corruption" test "$ended" = 10

done_testing
