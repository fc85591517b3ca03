#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=400
# with: build/tools/pvmm-core
#
# An administrator's day: create paused, pause and unpause, the figures of xl list, an NMI for a guest
# that hangs, what comes of a crash, cores, destroying it at work. (shutdown, reboot, sysrq: store.t)
. ./lab.sh
. ./tap.sh

state_is() { # LETTER
	case $(guest_listed pvmm-test 5) in *$1*) ;; *) return 1 ;; esac
}

has_free_memory() { # MiB
	test "$(host_free_mib)" -ge "$1"
}

says() { # REGEX
	guest_wait_line pvmm-test "$1"
}

free_before=$(host_free_mib)

# --- paused, and let go ---

guest_start --paused test.cfg 'extra="demo=idle"' memory=48 vcpus=2
check "xl create -p: paused" state_is p
check "... with nothing said yet" test -z "$(guest_console pvmm-test)"
xl unpause pvmm-test
check "xl unpause: it comes up" says '^idle: up'
check "xl list: its memory" test "$(guest_listed pvmm-test 3)" = 48
check "... and its vCPUs" test "$(guest_listed pvmm-test 4)" = 2
# It wakes twenty times a second to look after its memory.
check "... which sleep" wait_for state_is b
xl pause pvmm-test
check "xl pause" state_is p
guest_type pvmm-test mem
sleep 1
said=$(guest_console pvmm-test | grep -c '^kind')
xl unpause pvmm-test
check "... what is typed meanwhile waits" test "$said" = 0
check "xl unpause: it answers" says '^kind  *pages'

# --- where are you? ---

xl trigger pvmm-test nmi 0
check "xl trigger nmi: a vCPU says where it is" says '^pvmm: NMI on vCPU 0 at [^ ]*\+0x[0-9a-f]*: kernel code'
check "... and who called it" says '^  stack  '
xl trigger pvmm-test nmi 1
check "... the other one too" says '^pvmm: NMI on vCPU 1 at '
guest_type pvmm-test 'vmap'
check "... and both go on" says '^name  *live  *pages'
xl destroy pvmm-test
check "xl destroy: gone" test "$(xl list | grep -c pvmm-test)" = 0
guest_end pvmm-test >/dev/null

guest_start test.cfg 'extra="demo=hang nmi=panic"'
says '^demo: events masked'
xl trigger pvmm-test nmi
check "nmi=panic: the end of a guest that hangs, and says where" says '^pvmm: NMI on vCPU 0 at hang\+'
guest_end pvmm-test >/dev/null
check "... a crash for xl" test $? = 10

# --- cores ---

# FILE VCPUS: whether it is the core of a guest of 16 MiB whose tables lead to all of its memory.
is_core() {
	./pvmm-core "$1" "$1.gdb" >core.out 2>&1 &&
		grep -q "^4096 pages, $2 vCPUs; vCPU 0's tables map 4[0-9]* pages in .* runs" core.out &&
		[ "$(grep -c '^vCPU [01]: rip 0xffffffff80[0-9a-f]*, .* kernel code' core.out)" = "$2" ] &&
		[ "$(stat -c %s "$1.gdb")" -gt $((16 * 1024 * 1024)) ]
}

guest_start test.cfg 'extra="demo=idle"' memory=16 vcpus=2
says '^idle: up'
xl dump-core pvmm-test running.core >/dev/null 2>&1
check "xl dump-core of a running guest: its page tables can be followed" is_core running.core 2
guest_type pvmm-test vcpus
check "... which goes on" says '^2 vCPUs are up: 0 1'
xl destroy pvmm-test
guest_end pvmm-test >/dev/null
rm -f running.core*
./pvmm-core test.cfg >core.out 2>&1
check "what is no core is said to be none" grep -qx 'pvmm-core: test.cfg: is no core of xl dump-core' core.out

# --- what comes of a crash ---

boots_are() { # NUMBER
	test "$(guest_console pvmm-test | grep -c '^idle: up')" = "$1"
}

guest_start test.cfg 'extra="demo=idle"' memory=16 'on_crash="preserve"'
says '^idle: up'
guest_type pvmm-test panic
check "on_crash=preserve: the guest stays, crashed" wait_for state_is c
check "... its memory too" test "$(guest_listed pvmm-test 3)" = 16
xl dump-core pvmm-test crashed.core >/dev/null 2>&1
check "... for a core" is_core crashed.core 1
rm -f crashed.core*
xl destroy pvmm-test
guest_end pvmm-test >/dev/null

guest_start test.cfg 'extra="demo=idle"' 'on_crash="restart"'
says '^idle: up'
first=$(xl domid pvmm-test)
guest_type pvmm-test panic
check "on_crash=restart: it comes up again" wait_for boots_are 2
check "... as another domain" test "$(xl domid pvmm-test)" != "$first"
xl destroy pvmm-test
guest_end pvmm-test >/dev/null

# --- at work, and gone ---

guest_start test.cfg 'extra="demo=soak soak-seconds=600"' vcpus=2
says '^soak: 600 s on 2 vCPUs'
sleep 2
xl destroy pvmm-test
check "xl destroy of a guest at work: gone" test "$(xl list | grep -c pvmm-test)" = 0
guest_end pvmm-test >/dev/null
check "all of their memory is the host's again" wait_for has_free_memory "$free_before"

done_testing
