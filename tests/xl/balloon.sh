# SPDX-License-Identifier: MIT
# What balloon.t and soak-balloon.sh share. Sourced after lab.sh, in dom0.
#
#   balloon_state NAME                 what the guest says of its size (guest/balloon.c), or nothing
#   balloon_settle NAME MIB [SECONDS]  waits until the guest has done what it can about a target; sets STATE
#                                      (its word) and PAGES; 1 if it does not answer in time
#   balloon_listed NAME                what xl list shows, in MiB
#   balloon_agrees NAME                whether xl list and the guest say the same
#   balloon_set NAME MIB               xl mem-set, and all of that: 0 when the guest has so much, or says
#                                      why not, and xl agrees; else 1 with the reason in PROBLEM

balloon_node() {
	echo "/local/domain/$(xl domid "$1")/$2"
}

balloon_state() {
	xenstore-read "$(balloon_node "$1" data/pvmm/balloon)" 2>/dev/null
}

_balloon_field() { # TEXT FIELD
	echo "$1" | sed -n "s/.*\\b$2=\\([^ ]*\\).*/\\1/p"
}

balloon_settle() {
	_tries=$((${3:-30} * 10))
	_node=$(balloon_node "$1" data/pvmm/balloon)
	while [ $_tries -gt 0 ]; do
		_state=$(xenstore-read "$_node" 2>/dev/null)
		if [ "$(_balloon_field "$_state" target)" = $(($2 * 256)) ]; then
			STATE=$(_balloon_field "$_state" state)
			PAGES=$(_balloon_field "$_state" pages)
			return 0
		fi
		sleep 0.1
		_tries=$((_tries - 1))
	done
	return 1
}

balloon_listed() {
	xl list "$1" | awk 'NR == 2 { print $3 }'
}

# What is tried again may have come further between two looks.
balloon_agrees() {
	_tries=10
	while [ $_tries -gt 0 ]; do
		_before=$(balloon_state "$1")
		_mib=$(balloon_listed "$1")
		_pages=$(_balloon_field "$_before" pages)
		[ -n "$_mib" ] && [ -n "$_pages" ] && [ "$_mib" = $((_pages / 256)) ] && return 0
		sleep 0.2
		_tries=$((_tries - 1))
	done
	return 1
}

balloon_set() {
	PROBLEM=
	if ! xl mem-set "$1" "$2m"; then
		PROBLEM="xl mem-set $2m failed"
	elif ! balloon_settle "$1" "$2"; then
		PROBLEM="no answer to $2 MiB within 30 s: $(balloon_state "$1")"
	elif [ "$STATE" = reached ] && [ "$PAGES" != $(($2 * 256)) ]; then
		PROBLEM="$2 MiB reached, it says, with $PAGES pages"
	elif ! balloon_agrees "$1"; then
		PROBLEM="the guest says $(balloon_state "$1"), xl list $(balloon_listed "$1") MiB"
	fi
	case $STATE in
		reached | floor | short) ;;
		*) PROBLEM="${PROBLEM:-$2 MiB: state $STATE}" ;;
	esac
	[ -z "$PROBLEM" ]
}
