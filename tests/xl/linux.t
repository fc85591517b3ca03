#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=200
# linux: yes
# with: tests/linux/linux.cfg build/tools/pvmm-pinwatch
#
# A Linux keeps a mapping of pages that it frees; the first that becomes a page table is refused, and Linux
# dies. pvmm-pinwatch names the address and the area: from the console's lines on a debug hypervisor, from
# the crashed domain's tables on a release hypervisor, which prints nothing.
. ./lab.sh
. ./tap.sh
GUEST_TIMEOUT=60

if [ ! -e linux-vmlinux.gz ]; then
	echo "1..0 # SKIP the Linux domU is made for the laboratory"
	exit 0
fi

# The address that LINES name, and whether it is in the area that the module has said.
address() { # FILE
	sed -n 's/^incident .* stray writable mapping at \(0x[0-9a-f]*\):.*/\1/p' "$1" | head -n 1
}

in_area() { # ADDRESS
	test -n "$1" && test $(($1)) -ge $((area)) && test $(($1)) -lt $((area + 0x10000))
}

# dom0 runs the same kernel, at the same addresses; its modules are not the guest's.
grep -v '\[' /proc/kallsyms >System.map

check "no such domain: status 3" sh -c './pvmm-pinwatch --check=nobody 2>err; test $? = 3 && grep -qx "pvmm-pinwatch: no domain nobody" err'
check "dom0: status 4" sh -c './pvmm-pinwatch --check=0 2>err; test $? = 4 && grep -q "force" err'

./pvmm-pinwatch --symbols=pvmm-linux=System.map --exec='env >>env.$PINWATCH_INCIDENT; cat >json.$PINWATCH_INCIDENT' \
	>out 2>err &
watch=$!
sleep 1
guest_start linux.cfg
guest_end pvmm-linux >console
check "Linux dies of it" test $? = 10
area=$(sed -n 's/.*straymap: \(0x[0-9a-f]*\)+0x10000 maps 16 pages.*/\1/p' console)
check "... after it has said where its mapping is" test -n "$area"
# The watch is told of a crash at once; the look takes its time.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	grep -q '^incident .*; the domain has crashed' out && break
	sleep 1
done
kill -INT $watch
wait $watch
check "the watch ends well" test $? = 0
sed 's/^/# /' out
sed 's/^/# /' err

va=$(address out)
check "it names an address in that area ($va)" in_area "$va"
check "... and the area, from its start" grep -q "vmalloc range, vmap area $area+0x11000" out
check "... and its maker, in the range of modules" grep -q 'made by 0xffffffffc0' out
if xl dmesg | grep -q 'debug=y'; then
	check "the type words are in plain language" \
		grep -q '^  refused  mfn .*: wanted an L[1-4] page table; saw a writable page, 1 use' out
	check "a pin is said to be refused" grep -q '^  Xen says a pin was refused, mfn 0x[0-9a-f]*: EINVAL (-22)' out
else
	check "Xen has printed nothing" sh -c 'xl dmesg | grep -q "Bad type"; test $? = 1'
	check "the page that was to be a table is a suspect" \
		grep -q '^  suspect  mfn .*: an L[1-4] page table, read-only for the kernel, but mapped writable' out
fi
check "the crash is told" grep -q '^incident .*; the domain has crashed' out
check "the summary counts" grep -Eq '^summary: [1-9][0-9]* incidents, [1-9][0-9]* with the mapping found' out
check "the command has run, with the address" grep -qx "PINWATCH_VA=$va" env.1
check "... the domain" grep -qx 'PINWATCH_NAME=pvmm-linux' env.1
check "... and JSON" grep -q "\"va\":\"$va\"" json.1

# The domain is still there: asked later, the answer is the same.
sed -n 's/.*straymap: symbol \([0-9a-f]*\) t \([a-z_]*\).*/\1 t \2/p' console >>System.map
./pvmm-pinwatch --check=pvmm-linux --symbols=System.map >later
check "the preserved domain gives an answer later" test $? = 0
sed 's/^/# /' later
check "... with the same address" grep -q "mapped writable at $va, " later
check "... and, with the module's symbols, the maker's name" \
	grep -q "vmap area $area+0x11000, made by straymap_make+0x" later
./pvmm-pinwatch --since-boot --once --json >since
check "a watch that begins later is told of it, too" test $? = 0
check "... as JSON" grep -q "^{\"version\":1,\"incident\":1,.*\"va\":\"0xffffc9" since

xl destroy pvmm-linux
done_testing
