#!/bin/sh
# SPDX-License-Identifier: MIT
# set gives keys their values, in one step each, and makes the way to them.
. "$(dirname "$0")/lib.sh"

attributes() {
	expect 0 stat "$target" "$1"
	grep -E '^(mode|uid|gid|type) ' "$work/out" | tr '\n' ' '
}

ino() {
	expect 0 stat "$target" "$1"
	sed -n 's/^ino //p' "$work/out"
}

body() {
	expect 0 set "$target" a/b/c/d deep
	value_is a/b/c/d deep

	# A shorter value leaves nothing of the longer one.
	expect 0 set "$target" k 'a long value'
	expect 0 set "$target" k short
	value_is k short

	# From standard input, from a file.
	printf 'from stdin' | "$kvctl" set "$target" k - || fail 'set -'
	value_is k 'from stdin'
	printf 'from a file' >"$work/file"
	expect 0 set "$target" --file "$work/file" k
	value_is k 'from a file'
	expect 0 set "$target" k --file /dev/null
	value_is k ''
	expect 2 set "$target" k --file "$work/none"
	err_has "$work/none: No such file"
	value_is k ''

	# A value with a hyphen.
	expect 0 set "$target" -- k -5
	value_is k -5

	# Pairs, or nothing.
	expect 2 set "$target" k1 v1 k2
	err_has 'k2: lacks a value'
	expect 1 exists "$target" k1
	expect 2 set "$target" k1 v1 --file "$work/file"

	# What is no file's place.
	expect 0 set "$target" file x
	expect 2 set "$target" file/below y
	err_has 'file/below: Not a directory'
	expect 2 set "$target" a/b y
	err_has 'a/b: Is a directory'
	expect 2 set "$target" .stats x
	expect 2 set "$target" .kvfs/x x
	# One that fails does not keep the others from theirs.
	expect 2 set "$target" file/below y other z
	value_is other z

	# A replaced value keeps mode and owner; a new one has the umask's.
	(umask 027 && "$kvctl" set "$target" masked/x 1) || fail umask
	case $(attributes masked/x) in
	*'mode 0640'*) ;;
	*) fail "mode of a new key: $(attributes masked/x)" ;;
	esac
	before=$(attributes masked/x)
	old=$(ino masked/x)
	expect 0 set "$target" masked/x 2
	[ "$(attributes masked/x)" = "$before" ] || fail 'attributes changed'
	[ "$(ino masked/x)" != "$old" ] || fail 'the value was overwritten'

	# Nothing of the way there is left beside the key.
	expect 0 list "$target"
	! grep -q '\.kvctl-' "$work/out" || fail 'a draft was left behind'
}

strange_body() {
	# What no file name can be is a key all the same, and all of them differ.
	long=$(printf '%0300d' 7)
	set -- '' . a//b ../up d/. d/.. 'sp ace' 'new
line' '100%' '%~.' '%~' "$long" "x/$long/x" 'ä' '*' '~' '"quoted\"'
	for key; do
		expect 0 set "$target" -- "$key" "value of $key"
	done
	for key; do
		value_is "$key" "value of $key"
	done
	printf '%s\000' "$@" | LC_ALL=C sort -z >"$work/expected"
	expect 0 list -0 "$target"
	LC_ALL=C sort -z <"$work/out" >"$work/sorted"
	cmp -s "$work/expected" "$work/sorted" || fail 'list shows other keys'
	"$kvctl" list -0 "$target" >"$work/keys"
	expect 0 delete -0 "$target" - <"$work/keys"
	expect 0 list "$target"
	out_is ''

	# A NUL can be given on standard input only.
	printf 'a\000b\n' >"$work/key"
	expect 1 exists "$target" - <"$work/key"
}

both() {
	strange_body
	body
}

on_both both
