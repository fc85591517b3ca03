# lab.sh: for scripts that run in dom0, the laboratory's or a real one:  . ./lab.sh
#
# Runs guests one after the other or beside each other, shows their consoles, and says how they ended.
# A guest's console is taken from xenconsoled's log, which has all of it; `xl console` would lose
# what is written just before the end. POSIX sh and busybox.
#
#   guest_run [--timeout=S] CFG [KEY=VALUE...]    start, show the console until the end, return as guest_end
#   guest_start [--paused] CFG [KEY=VALUE...]     start; GUEST and GUEST_DOMID are set; returns 0 or 12
#   guest_wait_line [--timeout=S] NAME REGEX      wait for a console line (grep -E); 0, 1 (guest ended), 11
#   guest_type NAME TEXT                          type TEXT and a newline on its console
#   guest_console NAME                            what its console has said so far
#   guest_show NAME                               what its console has said since the last guest_show
#   guest_end [--timeout=S] NAME                  wait for the end, showing the console; returns
#       0 powered off    10 crashed    11 time-out (destroyed)    12 could not be created    13 anything else
#     and sets GUEST_REASON to one word: poweroff reboot suspend crash watchdog timeout uncreated ...
#   guest_gdb NAME [32|64]                        serve gdb on the lab's debug port, until gdb detaches (docs/lab.md)
#   guest_node NAME PATH                          a node below the guest's home in the xenstore
#   guest_listed NAME COLUMN                      what xl list has there: 3 MiB, 4 vCPUs, 5 state
#   host_free_mib                                 the host's free memory, as xl info has it
#   hypervisor_mark, hypervisor_since             the lines of `xl dmesg` since the mark (or all)
#   hypervisor_about IDS FILE                     those lines in FILE about domains ("3|4"); 0 if there are any
#
# KEY=VALUE are xl configuration lines that override CFG's, such as memory=64 or 'extra="suite=all"'.
# guest_run and guest_start set the mark. The default time-out is $GUEST_TIMEOUT, 60 s.

GUEST_TIMEOUT=${GUEST_TIMEOUT:-60}
_guest_dir=${TMPDIR:-/tmp}/lab-guests.$$
_guest_logs=/var/log/xen/console
mkdir -p "$_guest_dir"

_guest_say() {
	echo "lab: $*" >&2
}

_now() {
	read -r _uptime _ </proc/uptime
	echo "${_uptime%.*}"
}

# Takes --timeout=S off the front: sets _limit, returns how many arguments it took.
_take_timeout() {
	_limit=$GUEST_TIMEOUT
	case ${1:-} in
		--timeout=*) _limit=${1#*=}; return 1 ;;
	esac
	return 0
}

# The value of `name` in configuration $1, or in the overrides after it.
_guest_name() {
	{
		cat "$1"
		shift
		printf '%s\n' "$@"
	} | sed -n 's/^[[:space:]]*name[[:space:]]*=[[:space:]]*["'\'']\{0,1\}\([^"'\'' #]*\).*/\1/p' | tail -n 1
}

# Whether xenconsoled keeps the guests' consoles here (a real host's may not).
_guest_logged() {
	for _pid in $(pidof xenconsoled); do
		tr '\0' ' ' <"/proc/$_pid/cmdline" | grep -Eq -- '--log=(guest|all)' && return 0
	done
	return 1
}

guest_start() {
	_stays_paused=
	[ "$1" != --paused ] || { _stays_paused=-p; shift; }
	_cfg=$1
	[ -r "$_cfg" ] || { _guest_say "$_cfg: no such configuration"; return 12; }
	GUEST=$(_guest_name "$@")
	[ -n "$GUEST" ] || { _guest_say "$_cfg: the configuration has no name"; return 12; }
	_files=$_guest_dir/$GUEST
	rm -f "$_files".*
	hypervisor_mark
	_paused=
	if _guest_logged; then
		echo "$_guest_logs/guest-$GUEST.log" >"$_files.console"
	else
		_paused=-p
		echo "$_files.log" >"$_files.console"
	fi
	_console=$(cat "$_files.console")
	stat -c %s "$_console" >"$_files.from" 2>/dev/null || echo 0 >"$_files.from"
	cp "$_files.from" "$_files.shown"
	# -F: this xl stays until the domain is gone, and says why it went.
	: >"$_files.xl"
	xl create -F ${_paused:-$_stays_paused} "$@" </dev/null >"$_files.xl" 2>&1 &
	echo $! >"$_files.pid"
	while ! grep -q 'Waiting for domain' "$_files.xl"; do
		if ! kill -0 "$(cat "$_files.pid")" 2>/dev/null; then
			sed 's/^/xl: /' "$_files.xl" >&2
			GUEST_REASON=uncreated
			return 12
		fi
		sleep 0.1
	done
	GUEST_DOMID=$(sed -n 's/.*Waiting for domain.*(domid \([0-9]*\)).*/\1/p' "$_files.xl" | tail -n 1)
	if [ -n "$_paused" ]; then
		# xl's console ends when its input does, so that is held open.
		{ while kill -0 "$(cat "$_files.pid")" 2>/dev/null; do sleep 1; done; } |
			xl console "$GUEST_DOMID" >"$_files.log" 2>/dev/null &
		sleep 1
		[ -n "$_stays_paused" ] || xl unpause "$GUEST_DOMID"
	fi
}

# NAME's console log from byte $2 (counted from 0) up to byte $3, or to its end.
_guest_bytes() {
	tail -c +$(($2 + 1)) "$(cat "$_guest_dir/$1.console")" 2>/dev/null |
		if [ -n "${3:-}" ]; then head -c $(($3 - $2)); else cat; fi | tr -d '\r'
}

guest_console() {
	_guest_bytes "$1" "$(cat "$_guest_dir/$1.from")"
}

# 0 when there was something to show.
guest_show() {
	_from=$(cat "$_guest_dir/$1.shown")
	_size=$(stat -c %s "$(cat "$_guest_dir/$1.console")" 2>/dev/null || echo 0)
	[ "$_size" -gt "$_from" ] || return 1
	_guest_bytes "$1" "$_from" "$_size"
	echo "$_size" >"$_guest_dir/$1.shown"
}

# Whether NAME has ended: its xl is gone, or (on_crash="preserve" and the like) has seen it shut down.
_guest_ended() {
	! kill -0 "$(cat "$_guest_dir/$1.pid")" 2>/dev/null ||
		grep -Eq 'Action for shutdown reason code .* is (preserve|rename|coredump)' "$_guest_dir/$1.xl"
}

guest_wait_line() {
	_take_timeout "$@" || shift
	_until=$(($(_now) + _limit))
	while :; do
		_over=0
		_guest_ended "$1" || _over=$?
		guest_console "$1" | grep -Eq -e "$2" && return 0
		[ "$_over" != 0 ] || return 1
		[ "$(_now)" -lt "$_until" ] || return 11
		sleep 0.2
	done
}

guest_node() {
	echo "/local/domain/$(xl domid "$1")/$2"
}

guest_listed() {
	xl list "$1" 2>/dev/null | awk -v column="$2" 'NR == 2 { print $column }'
}

host_free_mib() {
	xl info | awk '$1 == "free_memory" { print $3 }'
}

guest_type() {
	_tty=$(xenstore-read "$(guest_node "$1" console/tty)") && printf '%s\n' "$2" >"$_tty"
}

guest_end() {
	_take_timeout "$@" || shift
	_until=$(($(_now) + _limit))
	GUEST_REASON=
	[ -e "$_guest_dir/$1.pid" ] || { _guest_say "$1: no guest of guest_start"; return 12; }
	until _guest_ended "$1"; do
		guest_show "$1"
		if [ "$(_now)" -ge "$_until" ]; then
			_guest_say "$1: time-out after $_limit s; destroying it"
			GUEST_REASON=timeout
			xl destroy "$1" 2>/dev/null
			wait "$(cat "$_guest_dir/$1.pid")" 2>/dev/null
			break
		fi
		sleep 0.2
	done
	# What it wrote last may still be on its way through xenconsoled.
	sleep 0.2
	while guest_show "$1"; do sleep 0.1; done
	[ -z "$GUEST_REASON" ] || return 11
	case $(sed -n 's/.*has shut down, reason code \(-\{0,1\}[0-9]*\).*/\1/p' "$_guest_dir/$1.xl" | tail -n 1) in
		0) GUEST_REASON=poweroff; return 0 ;;
		1) GUEST_REASON=reboot ;;
		2) GUEST_REASON=suspend ;;
		3) GUEST_REASON=crash; return 10 ;;
		4) GUEST_REASON=watchdog ;;
		5) GUEST_REASON=soft-reset ;;
		'') GUEST_REASON=destroyed ;;
		*) GUEST_REASON=unknown ;;
	esac
	return 13
}

# gdbsx speaks TCP; a lab's dom0 has no network, but perhaps a virtio port called "gdb". It may be opened once.
guest_gdb() {
	_port=$(grep -lsx gdb /sys/class/virtio-ports/*/name)
	[ -n "$_port" ] || { _guest_say "no virtio port \"gdb\" here (docs/lab.md, gdb)"; return 1; }
	_port=${_port%/name}
	gdbsx -a "$(xl domid "$1")" "${2:-64}" 9999 >"$_guest_dir/gdbsx" 2>&1 &
	_gdbsx=$!
	exec 6<>"/dev/${_port##*/}"
	_first=
	# Until gdb connects, the port reads as ended.
	while [ -z "$_first" ] && kill -0 $_gdbsx 2>/dev/null; do
		_first=$(dd bs=1 count=1 <&6 2>/dev/null)
		[ -n "$_first" ] || sleep 0.5
	done
	{ printf '%s' "$_first"; cat <&6; } | nc 127.0.0.1 9999 >&6
	exec 6>&-
	wait $_gdbsx
}

guest_run() {
	_take_timeout "$@" || shift
	_run_limit=$_limit
	guest_start "$@" || return
	guest_end --timeout="$_run_limit" "$GUEST"
}

hypervisor_mark() {
	xl dmesg >"$_guest_dir/dmesg" 2>/dev/null
}

hypervisor_since() {
	[ -e "$_guest_dir/dmesg" ] || : >"$_guest_dir/dmesg"
	xl dmesg >"$_guest_dir/dmesg.now" 2>/dev/null
	# The hypervisor's ring may have turned meanwhile: then the mark is gone, and all of it is shown.
	if [ "$(head -n 1 "$_guest_dir/dmesg")" = "$(head -n 1 "$_guest_dir/dmesg.now")" ]; then
		tail -n +$(($(wc -l <"$_guest_dir/dmesg") + 1)) "$_guest_dir/dmesg.now"
	else
		cat "$_guest_dir/dmesg.now"
	fi
}

hypervisor_about() {
	grep -E "[^0-9a-z]d($1)(v[0-9]|[^0-9a-z]|\$)|[Dd]omain ($1)([^0-9]|\$)" "$2"
}
