#!/bin/sh
# SPDX-License-Identifier: MIT
# exists tells by its exit status, and says nothing.
. "$(dirname "$0")/lib.sh"

quiet() {
	expect "$@"
	[ "$(cat "$work/out" "$work/err" | wc -c)" -eq 0 ] ||
		fail 'it said something'
}

body() {
	expect 0 set "$target" a/b 1 c ''
	quiet 0 exists "$target" a/b
	quiet 0 exists "$target" a/b c
	quiet 1 exists "$target" a/b c d
	quiet 1 exists "$target" a
	quiet 1 exists "$target" c/d
	quiet 1 exists "$target" x/y/z
	printf 'a/b\nc\n' >"$work/keys"
	quiet 0 exists "$target" - <"$work/keys"
	printf 'a/b\000d\000' >"$work/keys"
	quiet 1 exists -0 "$target" - <"$work/keys"
	expect 2 exists "$target"
	err_has 'kvctl exists STORE KEY...'
}

on_both body
