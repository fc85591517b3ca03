# SPDX-License-Identifier: MIT
# For scripts that use dom0's programs. Sourced after tap.sh.
#
#   aliases ARG..., map ARG...         pvmm-aliases, pvmm-map
#   answers TEXT STATUS COMMAND...     passes when it ends so (a pattern of sh); what it said is in out
#   refuses TEXT STATUS REGEX COMMAND  ... and says one line, which matches
#   look_at_matrix SUITE               boots it and compares each cell with the guest's own report

TOOLS=.
[ -e pvmm-aliases ] || TOOLS=$(dirname "$(command -v pvmm-aliases)")
chmod +x "$TOOLS"/pvmm-aliases "$TOOLS"/pvmm-map 2>/dev/null

aliases() {
	"$TOOLS/pvmm-aliases" "$@"
}

map() {
	"$TOOLS/pvmm-map" "$@"
}

# As nobody; where setpriv cannot do that (busybox), with a device node that may not be opened.
unprivileged() {
	if setpriv --reuid=65534 true 2>/dev/null; then
		setpriv --reuid=65534 "$TOOLS/pvmm-aliases" "$@"
		return
	fi
	mkdir -p nodev
	unshare -m sh -c 'mount -t tmpfs -o nodev none nodev && cp -a /dev/xen/privcmd nodev/ &&
		mount --bind nodev/privcmd /dev/xen/privcmd && exec "$0" "$@"' "$TOOLS/pvmm-aliases" "$@"
}

answers() {
	_text=$1 _wanted=$2
	shift 2
	"$@" >out 2>err </dev/null
	_status=$?
	# shellcheck disable=SC2254 # a pattern
	case $_status in
		$_wanted) pass "$_text" ;;
		*) fail "$_text" "status $_status, not $_wanted: $(tail -n 3 out err | tr '\n' ' ')" ;;
	esac
}

refuses() {
	_text=$1 _wanted=$2 _regex=$3
	shift 3
	"$@" >out 2>err </dev/null
	_status=$?
	if [ "$_status" != "$_wanted" ]; then
		fail "$_text" "status $_status, not $_wanted: $(cat out err)"
	elif [ "$(grep -vc '^Try ' err)" != 1 ] || ! grep -Eq -e "$_regex" err; then
		fail "$_text" "it says: $(cat err)"
	else
		pass "$_text"
	fi
}

runs() {
	case $(guest_listed "$1" 5) in ??-*) return 0 ;; esac
	return 1
}

is_paused() {
	case $(guest_listed "$1" 5) in ??p*) return 0 ;; esac
	return 1
}

has_crashed() {
	case $(guest_listed "$1" 5) in ????c*) return 0 ;; esac
	return 1
}

# The frame of the guest's root table, by a picture's first pinned table that is an L4.
root_of_guest() {
	for _pfn in $(map pvmm-test --json | tr '{' '\n' | sed -n 's/.*"pfn":\([0-9]*\),.*"kind":"pinned".*/\1/p'); do
		printf 'pfn:%x' "$_pfn"
		return
	done
}

# The page that the guest shares with xenstored.
store_frame() {
	printf 'mfn:%x' "$(xenstore-read "$(guest_node pvmm-test store/ring-ref)")"
}

# What a picture's table adds up to.
pages_in() {
	awk '/ pages .* KiB$/ { nr += $(NF - 3) } END { print nr }' "$1"
}

# --- the matrix ---

# Compares what dom0 says of a cell with what the guest says: one line of reason, or nothing.
cell_problem() { # the guest's line, in words
	_nr=$2 _state=$3 _pfn=$5
	aliases pvmm-test "pfn:${_pfn#0x}" >out 2>err
	_status=$?
	# What the guest has given away and a peer holds is in no p2m and no table.
	if [ "$_state" != gone ] && [ $_status = 6 ]; then
		aliases --every-frame pvmm-test "pfn:${_pfn#0x}" >out 2>err
		_status=$?
	fi
	# A page that has left the domain with its last mapping is nowhere.
	[ "$_state $_status" != "gone 6" ] || return
	case $_status in 0 | 1) ;; *) echo "status $_status: $(cat err) $(grep '^note' out)"; return ;; esac
	case $* in
		*' of a grant that a peer maps, '*)
			# A device's mapping has no entry: what dom0 sees is the grant, and that it is in use.
			grep -Eq "^  granted    to domain $(xl domid pvmm-test), reference [0-9]+, .*mapped" out ||
				echo "no grant found: $(cat out)"
			return
			;;
	esac
	if [ "$_state" = unseen ]; then
		grep -q '^  mapped writable at no address, .* slot 7, .*, table pinned$' out || echo "not found: $(cat out)"
		return
	fi
	_va=$7 _where="at $7, L1 table pfn $9 slot ${11},"
	if [ "$_state" = gone ]; then
		! grep -q "^  mapped writable at $_va," out || echo "still found at $_va"
		return
	fi
	grep -qF "  mapped writable $_where" out || { echo "not found $_where: $(cat out)"; return; }
	# What the guest has reported of that address: the place, and who has mapped it.
	guest_console pvmm-test | awk -v va="$_va," '
		/^  still mapped writable at / { shown = $5 == va; text = ""; next }
		/^  (page|mapped by|given up by) / && shown { if ($1 == "page") shown = 0; else text = text $0 "\n" }
		END { printf "%s", text }' >own
	while IFS= read -r _line; do
		grep -qxF -- "$_line" out || { echo "the guest says \"$_line\", dom0: $(cat out)"; return; }
	done <own
}

look_at_matrix() {
	guest_start test.cfg "extra=\"suite=$1\""
	_cell=1
	while guest_wait_line --timeout=60 pvmm-test "^outside: $_cell .*[.]$|^pvmm: result: "; do
		_seen=$(guest_console pvmm-test | sed -n "s/^\(outside: $_cell .*\)[.]$/\1/p")
		[ -n "$_seen" ] || break
		# shellcheck disable=SC2086 # words
		_problem=$(cell_problem $_seen)
		if [ -z "$_problem" ]; then
			pass "seen from dom0: ${_seen##* of }"
		else
			fail "seen from dom0: ${_seen##* of }" "$_problem"
		fi
		guest_type pvmm-test go
		_cell=$((_cell + 1))
	done
	guest_end --timeout=30 pvmm-test >guest.out 2>&1
	check "the guest's suite passes, and has shown cells" \
		sh -c "grep -q '^pvmm: result: pass' guest.out && [ $_cell -gt 10 ]"
}
