#!/bin/sh
# SPDX-License-Identifier: MIT
# make install, and the README's own kernel built against what it installed and booted: the promise
# to those who link the library. (The code is the README's, not a copy of it.)
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
. "$root/tests/xl/tap.sh"

# The README's first block of this language.
block() {
	awk -v start="\`\`\`$1" '$0 == start { inside = 1; next } /^```/ { if (inside) exit } inside' "$root/README.md"
}

make -s -C "$root" install PREFIX="$work/usr" >"$work/log" 2>&1
check "make install works" test $? = 0
export PKG_CONFIG_PATH="$work/usr/lib/pkgconfig"

cd "$work" || exit 1
block c >hello.c
block sh | grep -v '^xl ' >build.sh
sh -e build.sh >log 2>&1
check "the README's kernel builds with the README's commands" test $? = 0
sed 's/^/    /' log

for header in usr/include/pvmm/*.h; do
	echo "#include <pvmm/${header##*/}>" >one.c
	check "${header##*/} stands alone" gcc $(pkg-config --cflags libpvmm) -Wall -Wextra -Werror -c one.c -o one.o
done

global=$(nm -g --defined-only usr/lib/pvmm/libpvmm.a | awk 'NF == 3 { print $3 }' |
	grep -vE '^(pvmm_|mem(cpy|move|set|cmp)$)')
check "the library's global names all start with pvmm_ (others: $global)" test -z "$global"

cat >boot.sh <<'END'
. ./lab.sh
guest_run --timeout=60 minimal.cfg 'kernel="hello"' 'extra=""'
END
"$root/lab/run" --timeout=200 boot.sh hello usr/share/pvmm/xl-configs/minimal.cfg >out 2>&1
check "it boots and powers off" test $? = 0
check "it says hello" grep -q '^hello from a PV domU with 8192 pages: 42$' out
sed 's/^/    /' out

make -s -C "$root" uninstall PREFIX="$work/usr" >>log 2>&1
check "make uninstall leaves no file behind" test -z "$(find usr -type f)"

done_testing
