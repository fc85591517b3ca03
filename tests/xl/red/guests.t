#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=300
#
# Not a test of the guest but of its judges: each of these must come out red. Run and judged by
# tests/harness/red.t.
. ./lab.sh
. ./tap.sh
GUEST_TIMEOUT=8

guest_suite "an assertion that does not hold" 'extra="suite=boot,red"'
guest_suite "a guest that hangs" 'extra="demo=hang"'
guest_suite "a guest that crashes" 'extra="demo=fault"'
guest_suite "a guest that refuses its command line" 'extra="suite=all colour=red"'
guest_suite "a guest that runs no suite" 'extra="list"'
guest_suite "a guest that cannot be created" 'kernel="nonesuch"'

# An invalid opcode where the first instruction should be. The text's segment is at 0x1000 in the file
# and at 0xffffffff80000000 in memory; the ELF header has the entry's address at byte 24.
entry=$(hexdump -s 24 -n 4 -e '1/4 "%u"' pvmm-guest)
cp pvmm-guest broken-guest
printf '\017\013' | dd of=broken-guest bs=1 seek=$((entry - 0x80000000 + 0x1000)) conv=notrunc 2>/dev/null
guest_suite "a guest that dies before it can say anything" 'kernel="broken-guest"'

done_testing
