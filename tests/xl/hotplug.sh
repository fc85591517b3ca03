# SPDX-License-Identifier: MIT
# What the scripts about vCPUs that come and go share. Sourced after lab.sh.
#
#   node PATH                      a node of the guest hotplug's home
#   xl_says                        the vCPUs that are up as xl vcpu-list has it: "0,2,3"
#   guest_says                     ... as the guest has written to data/pvmm/vcpus
#   both_say LIST [SECONDS]        waits until both say LIST, as long as SECONDS (20); 0 when they do
#   want LIST                      writes cpu/N/availability of vCPUs 1 to 3 so that LIST is wanted

node() { # guest_start has started it
	echo "/local/domain/$GUEST_DOMID/$1"
}

# The state of one that is down is "--p": paused.
xl_says() {
	xl vcpu-list hotplug | awk 'NR > 1 && $5 !~ /p/ { printf "%s%s", sep, $3; sep = "," } END { print "" }'
}

guest_says() {
	xenstore-read "$(node data/pvmm/vcpus)" 2>/dev/null
}

both_say() {
	_tries=$((${2:-20} * 5))
	until [ "$(guest_says)" = "$1" ] && [ "$(xl_says)" = "$1" ]; do
		_tries=$((_tries - 1))
		[ $_tries -gt 0 ] || return 1
		sleep 0.2
	done
}

want() {
	for _vcpu in 1 2 3; do
		case ,$1, in
			*,$_vcpu,*) xenstore-write "$(node cpu/$_vcpu/availability)" online ;;
			*) xenstore-write "$(node cpu/$_vcpu/availability)" offline ;;
		esac
	done
}
