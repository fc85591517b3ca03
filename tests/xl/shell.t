#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What an engineer types on the guest's console (xl console): commands and their answers, mistakes,
# and that what the kernel says meanwhile does not run into the line that is being typed.
. ./lab.sh
. ./tap.sh

says() { # TEXT COMMAND REGEX: types a command and waits for what it says
	guest_type pvmm-test "$2"
	check "$1" guest_wait_line pvmm-test "$3"
}

type_open() { # TEXT: without an end
	printf '%s' "$1" >"$(xenstore-read "$(guest_node pvmm-test console/tty)")"
}

guest_start test.cfg 'extra="demo=idle"' vcpus=2
guest_wait_line pvmm-test '^idle: up'

says "help lists the commands" help '^  aliases PAGE  *who maps it'
says "mem: pages by kind" mem '^L1 table  *[0-9]+  *[0-9]+$'
says "... all of them" mem '^all  *16384  *65536$'
says "aliases: the first page, its place in the direct map" 'aliases 0' \
	'^  mapped     read-only at 0xffff888000000000, L1 table'
says "aliases of an address: in the image too" 'aliases 0xffffffff80000000' \
	'^  mapped     read-only at 0xffffffff80000000, L1 table'
says "aliases of what is no page" 'aliases 99999999' '^99999999 is no page: pfns end at 0x3fff'
says "aliases of what is no number" 'aliases x' '^x is not a number'
says "aliases without a page" aliases '^aliases: PAGE is missing'
says "check: all free pages" check '^[1-9][0-9]* free pages asked about, 0 with a stray writable mapping'
says "check of a page in use" 'check 0' '^pfn 0x0: in use, so Xen was not asked'
says "vmap: areas by name" vmap '^name  *live  *pages  *stale  *pages$'
says "... and from an address on" 'vmap 0' '^address  *pages state'
says "vmap of what is no number" 'vmap here' '^here is not a number'
says "stats: of hypercalls" stats '^stat .*multicall'
says "... and of the manager" stats '^stat purges '
says "tasks: threads" tasks '^shell  *running  *kernel   any'
says "... and processes" tasks '^  pid parent state'
says "vcpus" vcpus '^2 vCPUs are up: 0 1; events by '
says "balloon: here" balloon '^16384 pages have a frame, 0 have none'
says "... and to Xen" balloon '^Xen says 16384 pages, '
says "grants" grants '^grants: '
says "store: a node" 'store name' '^name = "pvmm-test"'
says "... and those below it" 'store control' '^  control/shutdown'
says "store: one that is not there" 'store nowhere' '^nowhere: ENOENT \(-2\)'
says "loglevel: an unknown one" 'loglevel loud' '^loud: no such level'
says "an unknown command" 'fly away' '^fly: no such command; "help" lists them'
says "too many words" 'mem all' '^mem: takes no argument'

type_open 'purg'
check "what is typed is shown" guest_wait_line pvmm-test '^pvmm> purg$'
xl sysrq pvmm-test x
check "what the kernel says meanwhile has a line of its own" guest_wait_line pvmm-test "^pvmm: control: sysrq 'x'"
says "... and the typed line goes on" e '^pvmm> purge$'
check "... and is done" guest_wait_line pvmm-test '^[0-9]+ stale mappings removed'

guest_type pvmm-test poweroff
guest_end pvmm-test >out
check "poweroff" test $? = 0

guest_start test.cfg 'extra="demo=idle"'
guest_wait_line pvmm-test '^idle: up'
says "panic says where it was asked for" panic '^pvmm: panic: as typed on the console'
guest_end pvmm-test >out
check "... and is a crash" test $? = 10

done_testing
