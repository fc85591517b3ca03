# lab/stages/common.sh: what every stage of lab/setup needs: a private apt, and "newest that arrives".
#
# Sourced by lab/setup (which owns PVMM_APT, the folder of the private apt) and by the stages. The
# machine's own apt configuration and lists are read, never written: the private apt has its own
# source list (derived from the machine's, with sources added), lists and cache.

set -eu
set -o pipefail

die() {
	echo "lab/setup: $*" >&2
	exit 1
}

# Options that turn apt-get and apt-cache into the private ones.
apt_options=(
	-o "Dir::Etc::SourceList=$PVMM_APT/sources.list"
	-o "Dir::Etc::SourceParts=$PVMM_APT/sources.list.d"
	-o "Dir::State::Lists=$PVMM_APT/lists"
	-o "Dir::Cache=$PVMM_APT/cache"
	-o "APT::Sandbox::User=" # the private folders may be closed to apt's own user
	-o "Acquire::Languages=none"
	-o "Acquire::Retries=3"
)

apt_get() {
	apt-get -q -y "${apt_options[@]}" "$@"
}

apt_cache() {
	apt-cache "${apt_options[@]}" "$@"
}

# The machine's source lists, reduced to its release of Debian, with deb-src beside deb.
apt_write_sources() {
	local codename file
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	mkdir -p "$PVMM_APT/sources.list.d" "$PVMM_APT/lists/partial" "$PVMM_APT/cache/archives/partial"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -r "$file" ] || continue
		sed -nE "/^deb[[:space:]].*[[:space:]](${codename:-.}|stable|oldstable)/ { p; s/^deb/deb-src/p }" "$file"
	done >"$PVMM_APT/sources.list"
	rm -f "$PVMM_APT"/sources.list.d/*
	for file in /etc/apt/sources.list.d/*.sources; do
		[ -r "$file" ] || continue
		grep -qE "^Suites:.*(${codename:-.}|stable)" "$file" || continue
		sed -E 's/^Types:.*/Types: deb deb-src/' "$file" >"$PVMM_APT/sources.list.d/${file##*/}"
	done
}

# The versions of package $1, newest first.
package_versions() {
	apt_cache madison "$1" 2>/dev/null |
		awk -F'|' '$3 ~ /Packages/ { gsub(/ /, "", $2); print $2 }' | awk '!seen[$0]++'
}

# Downloads package $1 into the current folder: of the versions offered, newest first, the first that
# arrives. Prints its version, and nothing else on stdout.
fetch_package() {
	local version
	for version in $(package_versions "$1"); do
		if apt_get download "$1=$version" >&2; then
			echo "$version"
			return
		fi
		echo "package $1 $version did not arrive; trying the next older one" >&2
	done
	die "no version of Debian's package $1 could be downloaded"
}

# Downloads the packages "${@:2}" and unpacks them under folder $1: in one go, or, where that fails, one
# by one with what versions there are.
unpack_packages() {
	local root=$1 here deb package
	shift
	here=$(mktemp -d "$PVMM_WORK/deb.XXXXXX")
	mkdir -p "$root"
	(
		cd "$here"
		apt_get download "$@" || {
			rm -f ./*.deb
			for package in "$@"; do
				fetch_package "$package"
			done
		}
	)
	for deb in "$here"/*.deb; do
		dpkg -x "$deb" "$root"
	done
	rm -rf "$here"
}

# The newest X.Y for which Debian has a package xen-utils-X.Y.
xen_release() {
	apt_cache pkgnames xen-utils- | sed -n 's/^xen-utils-\([0-9][0-9.]*\)$/\1/p' | sort -V | tail -n 1
}
