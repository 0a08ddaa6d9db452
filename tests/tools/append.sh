#!/bin/sh
# SPDX-License-Identifier: MIT
# append adds to values; keys that are not there are made.
. "$(dirname "$0")/lib.sh"

body() {
	expect 0 append "$target" a/log one
	value_is a/log one
	expect 0 append "$target" a/log ' two' other x
	value_is a/log 'one two'
	value_is other x
	printf ' \000three' | "$kvctl" append "$target" a/log - || fail 'append -'
	printf 'one two \000three' >"$work/expected"
	"$kvctl" get "$target" a/log >"$work/out"
	cmp -s "$work/expected" "$work/out" || fail 'not what was appended'

	# More than one chunk, to what exists and to what does not.
	head -c 3000000 /dev/urandom >"$work/big"
	expect 0 append "$target" big --file "$work/big"
	expect 0 append "$target" big --file "$work/big"
	cat "$work/big" "$work/big" >"$work/expected"
	"$kvctl" get "$target" big >"$work/out"
	cmp -s "$work/expected" "$work/out" || fail 'large values'
	: >"$work/out"

	expect 2 append "$target" a x
	err_has 'a: Is a directory'
	expect 2 append "$target" a/log
	err_has 'lacks a value'
	expect 2 append "$target" a/log --file "$work/none"
	expect 2 append "$target" .stats x

	# None of several writers loses what another one adds.
	for writer in 1 2 3 4; do
		i=0
		while [ "$i" -lt 10 ] && [ "$mode" = mount ]; do
			"$kvctl" append "$target" together "$writer" || exit 1
			i=$((i + 1))
		done &
	done
	wait
	[ "$mode" = store ] || {
		expect 0 get "$target" together
		[ "$(wc -c <"$work/out")" -eq 40 ] || fail 'something is lost'
	}
}

on_both body
