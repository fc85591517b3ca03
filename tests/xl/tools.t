#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=300
# with: build/tools/pvmm-aliases build/tools/pvmm-map
#
# dom0's programs against the reference guest: cells of the stray-mapping matrix seen from outside
# (tools.sh), sets of frames, pictures, a domain that has crashed, and every way to ask the wrong
# thing. On a real host the programs must be in the folder beside this script, or installed.
. ./lab.sh
. ./tap.sh
. ./tools.sh

# --- the matrix: dom0's answer is the guest's own report ---

look_at_matrix outside

# --- an idle guest ---

guest_start test.cfg 'extra="demo=idle"'
check "an idle guest comes up" guest_wait_line pvmm-test '^idle: up'
answers "its tables are mapped read-only only" 1 aliases pvmm-test --tables
answers "none of its free pages is mapped anywhere else" 1 aliases pvmm-test --free-list
answers "the direct map holds a page" 0 aliases pvmm-test pfn:200
check "... and says so" grep -q 'direct map, its own place, pfn 0x200$' out
answers "a root is a vCPU's" 0 aliases pvmm-test "$(root_of_guest)"
check "... and says so" grep -q 'loaded     as root of vCPU 0$' out
answers "JSON" 0 aliases pvmm-test pfn:200 --json
check "... is one document" grep -q '^{"version":1,.*"own_place":true,.*"complete":true}$' out
answers "names come from the image" 0 aliases pvmm-test pfn:1 --symbols=pvmm-guest
check "... with the kernel's functions" grep -q 'kernel image, .*+0x' out
answers "other domains are looked through" 0 aliases pvmm-test pfn:200 --all-domains
answers "its rings are granted, or mapped by dom0" 0 aliases pvmm-test "$(store_frame)" --all-domains
check "... and that is said" grep -q 'granted    to domain 0\|mapped writable by domain 0' out

answers "a picture" 0 map pvmm-test
check "... without colours where there is no terminal" sh -c "! grep -q '$(printf '\033')' out"
check "... of all its pages" test "$(pages_in out)" = 16384
answers "a picture as JSON" 0 map pvmm-test --json
check "... has all its pages" grep -q '"pages":16384,' out
answers "a picture as SVG" 0 map pvmm-test --svg=map.svg
check "... is whole" sh -c "head -n 1 map.svg | grep -q '^<svg ' && tail -n 1 map.svg | grep -q '</svg>'"
COLUMNS=200 answers "a wide picture" 0 map pvmm-test
check "... is wide" sh -c "sed -n 3p out | grep -Eq '^ +0 .{128}$'"

# --- paused, and always let go ---

answers "a picture of one moment" 0 aliases pvmm-test pfn:200 --pause
check "... and the guest runs again" runs pvmm-test
"$TOOLS/pvmm-aliases" pvmm-test pfn:200 --pause --every-frame >/dev/null 2>&1 &
check "a long look pauses it" wait_for is_paused pvmm-test
kill -KILL $!
check "killed, it is let go all the same" wait_for runs pvmm-test
xl pause pvmm-test
answers "a guest that an administrator has paused" 0 aliases pvmm-test pfn:200 --pause
check "... stays so" is_paused pvmm-test
xl unpause pvmm-test

# --- wrong questions: one line, and a status ---

refuses "no such domain" 3 'no domain nobody$' aliases nobody 1
refuses "no such number" 3 'no domain 31000$' aliases 31000 1
refuses "no frame at all" 2 'no FRAME given' aliases pvmm-test
refuses "no number" 2 '"zz" is no frame' aliases pvmm-test zz
refuses "a frame that no machine has" 6 'the machine has no such memory$' aliases pvmm-test fffffffff
refuses "a frame of Xen's" 6 'mfn:0 is no frame of the domain' aliases pvmm-test mfn:0
refuses "a pfn behind the last" 6 'pfn:4000 is no frame of the domain' aliases pvmm-test pfn:4000
refuses "the domain that it runs in" 4 'domain 0 is the one this runs in' aliases 0 1
refuses "an unknown option" 2 'unrecognized option' aliases --fly pvmm-test 1
refuses "no such symbols" 2 'nothing: No such file' aliases --symbols=nothing pvmm-test 1
refuses "symbols that are none" 2 'no symbols in it' aliases --symbols=test.cfg pvmm-test 1
refuses "frames and a set" 2 'at once$' aliases pvmm-test 1 --tables
refuses "no domain to draw" 3 'no domain nobody$' map nobody
refuses "watch and JSON" 2 'goes with neither' map pvmm-test --watch --json
refuses "no privilege" 5 'no privilege to look at domains' unprivileged pvmm-test 1
answers "itself, if it must be" '[07]' aliases --force 0 pfn:1000
xl destroy pvmm-test
guest_end --timeout=30 pvmm-test >/dev/null 2>&1
refuses "a domain that is gone" 3 'no domain pvmm-test$' aliases pvmm-test 1

# --- crashed, and kept ---

guest_start test.cfg 'extra="demo=panic"' 'on_crash="preserve"'
check "a guest crashes and is kept" wait_for has_crashed pvmm-test
answers "its tables can be searched" 0 aliases pvmm-test pfn:200
check "... and it is said" grep -q '^domain [0-9]* "pvmm-test": 64-bit PV, crashed, ' out
xl destroy pvmm-test
guest_end --timeout=30 pvmm-test >/dev/null 2>&1

done_testing
