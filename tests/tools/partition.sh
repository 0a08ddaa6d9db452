#!/bin/sh
# SPDX-License-Identifier: MIT
# partition: create, list, describe, set, drop.
. "$(dirname "$0")/lib.sh"

# field NAME VALUE: a line of what describe wrote.
field() {
	grep -qx "$1 $2" "$work/out" || fail "no line: $1 $2"
}

body() {
	expect 0 partition create "$target" plain
	expect 0 partition create "$target" --schema=int --durability=always \
		--quota=1M --compress=zlib:9 numbers
	expect 0 partition describe "$target" numbers
	field schema int
	field durability always
	field quota_bytes 1048576
	field compress zlib:9
	field keys 0
	field bytes 0
	expect 0 partition describe "$target" plain
	field schema bytes
	field durability mount
	field quota_bytes 0
	field compress mount

	# Keys, however they are set, are counted.
	expect 0 set "$target" plain/a 12345 plain/deep/b 123 other 1
	expect 0 append "$target" plain/a 67
	expect 0 partition describe "$target" plain
	field keys 2
	field bytes 10
	expect 0 partition list "$target"
	out_is 'numbers schema=int durability=always quota=1048576 compress=zlib:9 keys=0 bytes=0
plain schema=bytes durability=mount quota=0 compress=mount keys=2 bytes=10'
	expect 0 partition list "$target" --json
	[ "$(wc -l <"$work/out")" -eq 2 ] || fail 'not an object each'
	grep -q '^{"name":"plain","schema":"bytes",.*"keys":2,"bytes":10,' \
		"$work/out" || fail 'JSON of list'
	expect 0 partition describe "$target" plain -j
	grep -q '^{"name":"plain".*}$' "$work/out" || fail 'JSON of describe'
	if command -v python3 >/dev/null; then
		python3 -m json.tool <"$work/out" >"$work/json" ||
			fail 'no JSON'
	fi

	# The quota, and settings that change.
	expect 0 partition set "$target" plain --quota 12 --compress none
	expect 2 set "$target" plain/c 123
	err_has 'Disk quota exceeded'
	expect 2 append "$target" plain/a 890
	expect 0 set "$target" plain/c 12
	expect 2 set "$target" plain/a 1 plain/c 123456789012
	value_is plain/a 1234567
	expect 0 delete "$target" plain/a
	# In a mount the new value is beside the old one for a moment.
	expect 0 set "$target" plain/c 1234567
	expect 0 partition describe "$target" plain
	field keys 2
	field bytes 10
	field quota_bytes 12

	# What makes no sense.
	expect 2 partition create "$target" plain
	err_has 'File exists'
	expect 2 partition create "$target" a/b
	err_has 'no slash'
	expect 2 partition create "$target" x --schema float
	err_has '--schema: float'
	expect 2 partition create "$target" x --quota lots
	expect 2 partition create "$target" x --durability sometimes
	expect 2 partition create "$target" x --compress lz4
	expect 2 partition create "$target" x --json
	expect 1 exists "$target" x
	expect 2 partition list "$target" --quota 1
	expect 2 partition create "$target"
	expect 2 partition create "$target" x y
	expect 2 partition list "$target" x
	expect 2 partition bogus "$target" x
	err_has 'no such action'
	expect 2 partition
	expect 1 partition describe "$target" none
	err_has 'no such partition'
	expect 1 partition describe "$target" other
	expect 1 partition set "$target" none --quota 1
	expect 1 partition drop "$target" none
	expect 0 set "$target" dir/x 1
	expect 1 partition drop "$target" dir
	expect 1 partition drop "$target" other
	expect 2 set "$target" plain/.stats 1
	err_has 'Operation not permitted'

	# Gone, with all that is in it; the name is free.
	expect 0 partition drop "$target" plain
	expect 1 get "$target" plain/c
	expect 0 list "$target"
	out_is 'dir/x
other'
	expect 0 partition list "$target" -j
	[ "$(wc -l <"$work/out")" -eq 1 ] || fail 'it is listed still'
	expect 0 partition create "$target" plain --schema string
	expect 0 partition describe "$target" plain
	field keys 0
	expect 0 check "$target"
	expect 0 compact "$target"

	# In a shell, too.
	expect 0 shell "$target" -c 'partition create sh --quota 5k'
	expect 0 shell "$target" -c 'partition describe sh'
	field quota_bytes 5120
	expect 0 shell "$target" -c 'partition drop sh'
}

on_both body
