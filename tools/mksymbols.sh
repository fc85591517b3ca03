#!/bin/sh
# SPDX-License-Identifier: MIT
# Turns the functions of a linked image into the table that the image's second link takes in:
#     mksymbols.sh IMAGE > symbols.S
# The table goes behind the text, so that the second link moves no function. See pvmm/symbol.h.
set -eu

[ $# -eq 1 ] || { echo "usage: mksymbols.sh IMAGE" >&2; exit 2; }

"${NM:-nm}" -n "$1" | awk '
	$2 ~ /^[tT]$/ && $3 !~ /^(\.L|trap_stubs$)/ && $1 != last {
		last = $1
		if ($3 == "pvmm_image_text_end") $3 = "(end)"
		address[++n] = $1
		name[n] = $3
	}
	$3 == "pvmm_image_text_end" { end = $1 }
	END {
		print "\t.section .pvmm_symbols, \"a\", @progbits"
		print "\t.globl pvmm_symbol_table, pvmm_symbol_count, pvmm_symbol_names"
		print "\t.balign 8\npvmm_symbol_table:"
		for (i = 1; i <= n; i++)
			printf "\t.long 0x%s - 0xffffffff80000000, .Lname%d - pvmm_symbol_names\n", address[i], i
		printf "\t.long 0x%s - 0xffffffff80000000, 0\n", end
		printf "pvmm_symbol_count:\n\t.long %d\n", n + 1
		print "pvmm_symbol_names:"
		for (i = 1; i <= n; i++)
			printf ".Lname%d:\t.asciz \"%s\"\n", i, name[i]
		print "\t.section .note.GNU-stack, \"\", @progbits"
	}'
