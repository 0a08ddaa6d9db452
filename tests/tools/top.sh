#!/bin/sh
# SPDX-License-Identifier: MIT
# top shows frames of what a store is doing.
. "$(dirname "$0")/lib.sh"

body() {
	expect 0 set "$target" a 1
	expect 0 set "$target" b 2
	expect 0 top --once "$target"
	grep -q "^$store  health ok" "$work/out" || fail 'first line'
	grep -q '^files 3 ' "$work/out" || fail 'files'
	grep -q '^segments 1 (' "$work/out" || fail 'segments'
	grep -q '^request ' "$work/out" || fail 'requests'
	if [ "$mode" = mount ]; then
		cat "$target/a" >/dev/null
		expect 0 top -n 3 -i 1 "$target"
		[ "$(grep -c '^request ' "$work/out")" -eq 3 ] || fail 'frames'
		grep -q '^mknod ' "$work/out" || fail 'no row of mknod'
		# Not on a terminal: nothing is cleared.
		! grep -q "$(printf '\033')" "$work/out" || fail 'escapes'
		# It ends with a signal, and says so to nobody's harm.
		"$kvctl" top "$target" >"$work/out" 2>"$work/err" &
		pid=$!
		until grep -q '^request ' "$work/out"; do
			kill -0 "$pid" || fail 'it ended'
		done
		kill -INT "$pid" 2>/dev/null || kill -TERM "$pid"
		# Not only once: ThreadSanitizer's runtime may lose what comes
		# before the first blocking call.
		while grep -qv ') Z' "/proc/$pid/stat" 2>/dev/null; do
			kill -TERM "$pid" 2>/dev/null || :
			sleep 0.1
		done
		wait "$pid" || :
	else
		# Nothing moves: one frame.
		expect 0 top "$target"
		[ "$(grep -c '^request ' "$work/out")" -eq 1 ] || fail 'frames'
	fi
	expect 2 top -i 0 "$target"
	expect 2 top -n x "$target"
}

on_both body
