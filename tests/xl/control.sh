# SPDX-License-Identifier: MIT
# What the toolstack and the guest pvmm-test tell each other through the xenstore. Sourced after lab.sh.
#
#   node PATH             a node of the guest's home
#   is_empty PATH         whether there is nothing in it: the guest has taken it away
#   counters_begin        remembers how far the guest's counters are
#   counters_go_on        whether they have gone on since

node() {
	guest_node pvmm-test "$1"
}

is_empty() {
	test -z "$(xenstore-read "$(node "$1")")"
}

counters_begin() {
	_purges=$(xenstore-read "$(node data/pvmm/purges)")
}

counters_go_on() {
	test "$(xenstore-read "$(node data/pvmm/purges)")" -gt "$_purges"
}
