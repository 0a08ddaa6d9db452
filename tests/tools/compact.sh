#!/bin/sh
# SPDX-License-Identifier: MIT
# compact gives space back, and returns when it has.
. "$(dirname "$0")/lib.sh"

disk_bytes() {
	expect 0 stats "$target"
	sed -n 's/^disk_bytes //p' "$work/out"
}

body() {
	head -c 3000000 /dev/urandom >"$work/large"
	expect 0 set "$target" keep/small value
	expect 0 set "$target" keep/large --file "$work/large"
	for i in 1 2 3 4 5 6 7 8; do
		expect 0 set "$target" dead/"$i" --file "$work/large"
	done
	expect 0 delete -r "$target" dead
	before=$(disk_bytes)
	expect 0 compact "$target"
	[ ! -s "$work/out" ] || fail 'it said something'
	after=$(disk_bytes)
	[ "$((before - after))" -gt 20000000 ] ||
		fail "from $before to $after bytes"
	value_is keep/small value
	expect 0 get "$target" keep/large
	cmp -s "$work/large" "$work/out" || fail 'a value was changed'
	expect 0 compact "$target"
	expect 2 compact "$target" more
}

on_both body
