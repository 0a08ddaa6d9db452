#!/bin/sh
# SPDX-License-Identifier: MIT
# delete removes keys, and directories when they are empty or with -r.
. "$(dirname "$0")/lib.sh"

body() {
	expect 0 set "$target" a 1 b 2 d/x 3 d/e/y 4 d/e/z 5 keep 6
	expect 0 delete "$target" a
	expect 1 get "$target" a
	expect 1 delete "$target" a
	err_has 'a: no such key'

	# Those that exist go, whatever is said of the others.
	expect 1 delete "$target" nobody b
	expect 1 exists "$target" b

	expect 2 delete "$target" d
	err_has 'd: Directory not empty'
	expect 0 delete "$target" d/x
	expect 0 delete -r "$target" d
	expect 1 stat "$target" d
	value_is keep 6

	# An empty directory needs no -r; -r does with a key what it can.
	expect 0 set "$target" d/x 1
	expect 0 delete "$target" d/x
	expect 0 delete "$target" d
	expect 0 set "$target" d 1
	expect 0 delete -r "$target" d

	# Trees of many names and of many levels.
	i=0
	deep=t
	while [ "$i" -lt 60 ]; do
		deep=$deep/d
		i=$((i + 1))
	done
	expect 0 set "$target" "$deep/leaf" x
	i=0
	set --
	while [ "$i" -lt 700 ]; do
		set -- "$@" "t/wide/key-$i" "$i"
		i=$((i + 1))
	done
	expect 0 set "$target" "$@"
	expect 0 list "$target" --prefix t/
	[ "$(wc -l <"$work/out")" -eq 701 ] || fail 'keys are missing'
	expect 0 delete -r "$target" t
	expect 0 list -d "$target"
	out_is keep

	printf 'keep\n' | "$kvctl" delete "$target" - || fail 'delete -'
	expect 0 list -d "$target"
	out_is ''
}

on_both body
