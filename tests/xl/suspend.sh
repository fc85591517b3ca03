# SPDX-License-Identifier: MIT
# Saving, restoring and migrating a guest of migrate.cfg, for the scripts in dom0. Sourced after lab.sh.
#
#   load_start [KEY=VALUE...]     starts pvmm-migrate and waits until it is at work
#   cycle save|copy|migrate       one round; 0 when the guest goes on and finds nothing wrong
#   load_clock                    whether its wall clock is dom0's
#   load_end                      shuts it down; 0 when it says "passed" and its memory is all there
#   load_cannot_migrate           whether a failed migrate says that this hypervisor never can
#   load_soak save|migrate CYCLES so many rounds of a guest with two vCPUs; says each, and in the end how it was
#   load_complaints               what the hypervisor has had to say of it; fails if anything
#
# Each says what is wrong in $WHY. The guest's console is the files of xenconsoled, whatever the domain
# was called meanwhile; all domain ids it has had are in $LOAD_IDS.

LOAD=pvmm-migrate
LOAD_PATIENCE=${LOAD_PATIENCE:-60}
LOAD_MAY_RETRY=${LOAD_MAY_RETRY:-20} # races lost by the toolstack
_load_image=${TMPDIR:-/tmp}/pvmm-migrate.image
_load_logs=/var/log/xen/console

load_console() {
	cat "$_load_logs/guest-$LOAD.log" "$_load_logs/guest-$LOAD--incoming.log" 2>/dev/null | tr -d '\r'
}

load_node() { # NAME: of the domain's data/pvmm
	xenstore-read "$(guest_node $LOAD "data/pvmm/$1" 2>/dev/null)" 2>/dev/null
}

# COMMAND...: until it succeeds, $LOAD_PATIENCE seconds at most.
_load_wait() {
	_until=$(($(_now) + LOAD_PATIENCE))
	until "$@"; do
		[ "$(_now)" -lt "$_until" ] || return 1
		sleep 0.1
	done
}

_load_says() { # REGEX
	load_console | grep -Eq -e "$1"
}

_load_has_resumed() {
	[ "$(load_node resumes)" = "$LOAD_RESUMES" ]
}

# The xl that watches a domain goes when the domain is suspended; after xl save -c nobody takes away one that
# has shut down.
_load_is_down() {
	case $(guest_listed $LOAD 5) in
		*s*) xl destroy $LOAD ;;
		'') ;;
		*) return 1 ;;
	esac
}

# dom0 comes first (cpu_weight): what is tested is not who waits for whom.
load_start() {
	rm -f "$_load_logs"/guest-$LOAD*.log
	hypervisor_mark
	WHY=
	LOAD_RESUMES=0
	LOAD_RETRIES=0
	xl create migrate.cfg cpu_weight=32 "$@" >load.out 2>&1 || { WHY="not created: $(tail -n 1 load.out)"; return 1; }
	LOAD_IDS=$(xl domid $LOAD)
	LOAD_MEMORY=$(xl list $LOAD | awk 'NR == 2 { print $3, $4 }')
	_load_wait _load_says '^migrate: up on' || { WHY="it does not come up"; return 1; }
	_load_wait _load_has_resumed || { WHY="no counters in the store"; return 1; }
}

_load_round() {
	case $1 in
		save) xl save $LOAD "$_load_image" && xl restore "$_load_image" ;;
		copy) xl save -c $LOAD "$_load_image" ;;
		migrate) xl migrate -s '' $LOAD 'xl migrate-receive' ;;
	esac
}

# The toolstack asks for a page's type and copies the page later. A table of a higher level that has gone and
# is somebody's data by then ends the migration ("Cannot migrate superpage"), before the guest is asked for
# anything: it is to be tried again, as an administrator would.
_load_lost_race() {
	[ "$1" = migrate ] && grep -q 'Cannot migrate superpage' load.out && [ $LOAD_RETRIES -lt "$LOAD_MAY_RETRY" ]
}

cycle() {
	WHY=
	_done=0
	_load_round "$1" >load.out 2>&1 || _done=$?
	while [ $_done != 0 ] && _load_lost_race "$1"; do
		LOAD_RETRIES=$((LOAD_RETRIES + 1))
		_done=0
		_load_round "$1" >load.out 2>&1 || _done=$?
	done
	if [ $_done != 0 ]; then
		WHY="xl fails: $(grep -iE 'error|fail|refused|timed out|invalid' load.out | head -n 3 | tr '\n' ';')"
		return 1
	fi
	LOAD_RESUMES=$((LOAD_RESUMES + 1))
	rm -f "$_load_image"
	if ! _load_wait _load_has_resumed; then
		WHY="resumes is \"$(load_node resumes)\" instead of $LOAD_RESUMES after $LOAD_PATIENCE s"
		return 1
	fi
	LOAD_IDS="$LOAD_IDS|$(xl domid $LOAD)"
	[ "$(load_node resume-problems)" = 0 ] || WHY="$WHY$(load_node resume-problems) problems; "
	[ "$(load_node refused-pins)" = 0 ] || WHY="$WHY$(load_node refused-pins) refused pins; "
	[ "$(xl list $LOAD | awk 'NR == 2 { print $3, $4 }')" = "$LOAD_MEMORY" ] ||
		WHY="${WHY}xl list says $(xl list $LOAD | tail -n 1), was $LOAD_MEMORY; "
	[ "$(xl list | grep -c pvmm)" = 1 ] || WHY="${WHY}there are other domains: $(xl list | tail -n +3); "
	[ -z "$WHY" ]
}

# A build without shadow paging (Debian's release hypervisor) says so before the guest is asked for anything.
load_cannot_migrate() {
	grep -q 'Failed to enable logdirty' load.out
}

# The wall clock that the guest told when it went on, and dom0's now: less than a minute lies between.
load_clock() {
	_guest=$(load_node wallclock)
	_dom0=$(date +%s)
	WHY="the guest says $_guest, dom0 $_dom0"
	[ -n "$_guest" ] && [ $((_dom0 - _guest)) -lt 60 ] && [ $((_guest - _dom0)) -lt 60 ]
}

load_end() {
	WHY=
	xl shutdown $LOAD >load.out 2>&1 || { WHY="xl shutdown fails: $(tail -n 1 load.out)"; return 1; }
	_load_wait _load_is_down || { WHY="it does not shut down"; xl destroy $LOAD; return 1; }
	sleep 0.5
	_load_says '^migrate: passed' && _load_says '^pvmm: result: pass' && return 0
	WHY="it says: $(load_console | grep '^migrate: ' | tail -n 3 | tr '\n' ';')"
	return 1
}

load_complaints() {
	hypervisor_since >load.xen
	! hypervisor_about "$LOAD_IDS" load.xen
}

load_soak() {
	_problems=0
	load_start vcpus=2 memory=32 || { echo "soak: $WHY" >&2; return 1; }
	_round=0
	while [ $_round -lt "$2" ] && [ $_problems = 0 ]; do
		_round=$((_round + 1))
		_began=$(_now)
		cycle "$1" || { echo "soak: cycle $_round: $WHY" >&2; _problems=1; }
		echo "cycle $_round of $2: $(($(_now) - _began)) s"
	done
	for _judge in load_clock load_end; do
		$_judge || { echo "soak: $WHY" >&2; _problems=1; }
	done
	load_console | tail -n 40
	load_complaints >xen.out || { echo "soak: the hypervisor has something to say: $(cat xen.out)" >&2; _problems=1; }
	[ $_problems = 0 ] && echo "soak: $_round cycles of $1, all is right; $LOAD_RETRIES times the toolstack had to try again"
}
