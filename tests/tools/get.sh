#!/bin/sh
# SPDX-License-Identifier: MIT
# get writes the exact bytes of values.
. "$(dirname "$0")/lib.sh"

body() {
	expect 0 set "$target" user/42 forty-two user/7 seven empty ''
	value_is user/42 forty-two
	value_is empty ''

	# Several come one after another, in the order they were named.
	expect 0 get "$target" user/7 empty user/42
	out_is sevenforty-two

	# A key that does not exist does not keep the others away.
	expect 1 get "$target" user/7 nobody user/42
	out_is sevenforty-two
	err_has 'nobody: no such key'
	expect 1 get "$target" nobody/at/all
	expect 1 get "$target" user/42/beneath

	# A directory is not a key.
	expect 2 get "$target" user
	err_has 'user: Is a directory'

	# Any bytes, also those that a shell cannot hold.
	printf 'a\000b\nc' >"$work/bytes"
	expect 0 set "$target" bytes --file "$work/bytes"
	expect 0 get "$target" bytes
	cmp -s "$work/bytes" "$work/out" || fail 'bytes were changed'

	# More than one chunk.
	head -c 5000001 /dev/urandom >"$work/large"
	expect 0 set "$target" large --file "$work/large"
	expect 0 get "$target" large
	cmp -s "$work/large" "$work/out" || fail 'a large value was changed'

	# Keys from standard input.
	printf 'user/42\nuser/7\n' >"$work/keys"
	expect 0 get "$target" - <"$work/keys"
	out_is forty-twoseven
	printf 'user/42\000user/7' >"$work/keys"
	expect 0 get -0 "$target" - <"$work/keys"
	out_is forty-twoseven

	# A reader that has had enough is no error to speak of.
	"$kvctl" get "$target" large 2>"$work/err" | head -c 1 >/dev/null
	[ ! -s "$work/err" ] || fail 'a closed pipe was reported'

	# A disk that is full is.
	if [ -w /dev/full ]; then
		status=0
		"$kvctl" get "$target" large >/dev/full 2>"$work/err" ||
			status=$?
		[ "$status" -eq 2 ] || fail "/dev/full: status $status"
		err_has 'standard output: No space left on device'
	fi
}

on_both body
