#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=400
#
# Grants with real peers: a program in dom0 (tests/peer/grant-peer.c) and a second domU. R41: what a
# peer may map is not freed, not made a page table, and said with the grant's reference and the
# domain; a peer that never lets go costs its page and nothing else.
. ./lab.sh
. ./tap.sh

GUEST_TIMEOUT=60
cfg='demo=grant-peer loglevel=info'

# --- the guest: commands in its part of the xenstore ---

_number=0
ask() { # GUEST WORD...: 0 if the answer is "ok"; ANSWER is what stands behind that, or behind "failed"
	eval "_home=/local/domain/\$id_$1/data/grant"
	shift
	_number=$((_number + 1))
	xenstore-write "$_home/command" "$_number $*"
	_tries=100
	until ANSWER=$(xenstore-read "$_home/answer" 2>/dev/null) && [ "${ANSWER%% *}" = $_number ]; do
		_tries=$((_tries - 1))
		[ $_tries -gt 0 ] || { ANSWER="none"; return 1; }
		sleep 0.1
	done
	ANSWER=${ANSWER#* }
	case $ANSWER in
		ok*) ANSWER=${ANSWER#ok }; return 0 ;;
		*) ANSWER=${ANSWER#failed }; return 1 ;;
	esac
}

refused() { # ERROR GUEST WORD...: the command fails, with this error
	_error=$1
	shift
	! ask "$@" && [ "$ANSWER" = "$_error" ]
}

until_ok() { # GUEST WORD...: asks again for some seconds
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		ask "$@" && return 0
		sleep 0.3
	done
	return 1
}

# --- dom0's program: one answer a line ---

peer_start() {
	rm -f peer.in peer.out
	mkfifo peer.in
	: >peer.out
	./grant-peer <peer.in >peer.out 2>>peer.err &
	peer_pid=$!
	exec 5>peer.in
	peer_lines=0
}

peer() { # WORD...: as ask
	echo "$*" >&5
	peer_lines=$((peer_lines + 1))
	_tries=50
	until [ "$(wc -l <peer.out)" -ge $peer_lines ]; do
		_tries=$((_tries - 1))
		[ $_tries -gt 0 ] || { ANSWER="none"; return 1; }
		sleep 0.1
	done
	ANSWER=$(sed -n ${peer_lines}p peer.out)
	case $ANSWER in
		ok*) ANSWER=${ANSWER#ok }; return 0 ;;
		*) echo "# grant-peer: $ANSWER"; return 1 ;;
	esac
}

peer_fails() {
	! peer "$@"
}

peer_end() {
	exec 5>&-
	wait $peer_pid
}

peer_kill() {
	kill -9 $peer_pid
	wait $peer_pid 2>/dev/null
	exec 5>&-
}

says() { # GUEST REGEX
	guest_wait_line --timeout=15 "$1" "$2"
}

up() { # GUEST EXTRA...
	_name=$1
	shift
	guest_start test.cfg "name=\"$_name\"" "extra=\"$cfg $*\"" vcpus=2 || return
	eval "id_$_name=$GUEST_DOMID"
	says "$_name" '^grant-peer: waits for commands'
}

off() { # GUEST
	guest_end --timeout=30 "$1" >out
	_ended=$?
	sed 's/^/# /' out
	return $_ended
}

check "a guest comes up" up granter
check "another comes up, with version 2" up other grants=v2
chmod +x grant-peer
peer_start

# --- dom0 maps, reads and writes ---

for guest in granter other; do
	eval "id=\$id_$guest"
	[ $guest = granter ] && slot=0 || slot=10
	check "$guest grants a page to dom0" ask $guest give 0 0 rw 11
	ref=$ANSWER
	check "dom0 maps it to write" peer map $slot "$id" "$ref" rw
	check "dom0 sees what the guest has written" peer check $slot 11
	check "dom0 writes" peer fill $slot 12
	check "the guest sees it" ask $guest check 0 12
	check "the guest cannot end what dom0 maps" refused EBUSY $guest end 0
	ask $guest print
	check "the guest lists it" says $guest "^grant ref $ref to domain 0: pfn 0x[0-9a-f]*, writable, mapped writable, given "
	check "dom0 unmaps it" peer unmap $slot
	check "then it ends" until_ok $guest end 0
	check "dom0 cannot map it any more" peer_fails map $slot "$id" "$ref" ro
	check "the page goes" ask $guest free 0
	check "it is free" test "$ANSWER" = 1

	check "a page is granted read-only" ask $guest give 0 0 ro 13
	ref=$ANSWER
	check "dom0 cannot map it to write" peer_fails map $slot "$id" "$ref" rw
	check "dom0 maps it to read" peer map $slot "$id" "$ref" ro
	check "dom0 reads" peer check $slot 13
	check "the guest frees it meanwhile" ask $guest free 0
	check "it is not free" test "$ANSWER" = 0
	check "a line names grant and domain" says $guest "^pvmm: page freed that others hold: pfn 0x[0-9a-f]* \(kernel\), held by grant ref $ref to domain 0, mapped read-only"
	check "it is to be ended, when dom0 lets go" ask $guest end-later 0
	eval "ref_$guest=$ref"
done

# --- pages that dom0 keeps for long ---

for guest in granter other; do
	eval "ref=\$ref_$guest"
	check "$guest says so" says $guest "^pvmm: grant ref $ref to domain 0: pfn 0x[0-9a-f]* is still mapped 5 s after its end"
	ask $guest print
	check "$guest lists it" says $guest "^grant ref $ref to domain 0: .* mapped read-only, ended "
done
check "dom0 still reads what was there" peer check 10 13
check "dom0 lets go of the second's" peer unmap 10
nothing_waits() { # GUEST VERSION
	for _ in 1 2 3 4 5; do
		sleep 0.5
		ask "$1" print
		guest_console "$1" | grep -q "^grants: version $2, 1 of [0-9]* frames, 0 given, 0 to be ended, 0 pages" && return 0
	done
	return 1
}
check "nothing waits in the second" nothing_waits other 2

# --- R41: a page table that was granted by mistake ---

check "a page table is granted by mistake" ask granter table 1 0
ref=$ANSWER
check "dom0 maps it to write" peer map 1 "$id_granter" "$ref" rw
check "Xen refuses the pin" refused EINVAL granter pin 1
check "the report names grant and domain" says granter "^  held by    grant ref $ref to domain 0, mapped writable, given by give_table"
check "dom0 lets go of it" peer unmap 1
check "the pin succeeds" until_ok granter pin 1
check "dom0 cannot map it to write now" peer_fails map 1 "$id_granter" "$ref" rw
check "but to read, as Xen has it" peer map 1 "$id_granter" "$ref" ro

# --- a backend that is killed; with it go the pages that it had kept ---

check "a page for a backend that dies" ask granter give 2 0 rw 14
check "dom0 maps it" peer map 2 "$id_granter" "$ANSWER" rw
check "it cannot be ended" refused EBUSY granter end 2
peer_kill
check "the backend is killed: it ends" until_ok granter end 2
check "what it held goes too" until_ok granter end 1
check "nothing waits in the first" nothing_waits granter 1

# --- the other direction ---

peer_start
check "dom0 offers a page" peer offer 0 "$id_granter"
ref=$ANSWER
peer fill 0 21
check "the guest maps it" ask granter map 0 0 "$ref" rw
check "the guest sees what dom0 has written" ask granter see 0 21
check "the guest writes" ask granter write 0 22
check "dom0 sees it" peer check 0 22
check "the guest has Xen copy it" ask granter copy 0 "$ref" 22
ask granter print
check "the mapping is listed" says granter '^grant mapping: "grant-peer" maps 1 pages of domain 0 at 0x'
check "the guest unmaps it" ask granter unmap 0
check "dom0 takes it back" peer withdraw 0

# --- two domUs ---

for turn in 1 2; do
	if [ $turn = 1 ]; then
		from=granter to=other from_id=$id_granter to_id=$id_other
	else
		from=other to=granter from_id=$id_other to_id=$id_granter
	fi
	check "$from grants to $to" ask $from give 5 "$to_id" rw 31
	ref=$ANSWER
	check "$to maps it" ask $to map 5 "$from_id" "$ref" rw
	check "$to sees what $from has written" ask $to see 5 31
	check "$to writes" ask $to write 5 32
	check "$from sees it" ask $from check 5 32
	check "$from cannot end it" refused EBUSY $from end 5
	check "$to has Xen copy it" ask $to copy "$from_id" "$ref" 32
	check "$to unmaps it" ask $to unmap 5
	check "$from ends it" ask $from end 5
	check "$to cannot map it now" refused EACCES $to map 5 "$from_id" "$ref" rw
	check "$to cannot copy it now" refused EACCES $to copy "$from_id" "$ref" 32
done

# --- the end, with peers that do not let go ---

check "a page for a backend that never unmaps" ask granter give 3 0 rw 15
check "dom0 maps it" peer map 3 "$id_granter" "$ANSWER" rw
check "the guest goes on" ask granter end-later 3
check "a page that the other guest keeps" ask granter give 6 "$id_other" rw 33
check "it maps it" ask other map 6 "$id_granter" "$ANSWER" rw
shut_down() {
	timeout 60 xl shutdown -w granter >/dev/null
}
check "xl shutdown works all the same" shut_down
check "a power-off" off granter
check "the backend still sees its page" peer check 3 15
check "the other guest too" ask other see 6 33
check "it unmaps it" ask other unmap 6
xenstore-write "/local/domain/$id_other/data/grant/command" "99999 bye"
check "it powers off" off other
peer_end
gone() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		xl list | grep -q '(null)' || return 0
		sleep 1
	done
	xl list | sed 's/^/# /'
	return 1
}
check "nothing is left of the domains" gone

done_testing
