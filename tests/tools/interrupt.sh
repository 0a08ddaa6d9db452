#!/bin/sh
# SPDX-License-Identifier: MIT
# A command that is interrupted ends soon, says so in one line, and leaves
# nothing half done.
. "$(dirname "$0")/lib.sh"

# interrupted PID: it ends with an error and one line.
interrupted() {
	status=0
	wait "$1" || status=$?
	[ "$status" -eq 2 ] || fail "exit status $status"
	[ "$(cat "$work/err")" = 'kvctl: interrupted' ] || fail 'not one line'
}

# began PID: it has the store, or the mount, open.
began() {
	find "/proc/$1/fd" -lname "$store/LOCK" -o -lname "$target" |
		grep -q .
}

# A draft is there: on a mount the first part is in the log.
draft_exists() {
	began "$1" || return 1
	[ "$mode" = store ] || grep -qaF 'the first part' "$store"/*.seg
}

body() {
	expect 0 set "$target" k old
	rm -f "$work/pipe"
	mkfifo "$work/pipe"
	"$kvctl" set "$target" k - <"$work/pipe" >"$work/out" 2>"$work/err" &
	pid=$!
	exec 3>"$work/pipe"
	printf 'the first part' >&3
	until draft_exists "$pid"; do
		kill -0 "$pid" || fail 'it ended'
	done
	kill -TERM "$pid"
	interrupted "$pid"
	exec 3>&-
	value_is k old
	expect 0 list "$target"
	out_is k

	"$kvctl" delete "$target" - <"$work/pipe" >"$work/out" 2>"$work/err" &
	pid=$!
	exec 3>"$work/pipe"
	echo k >&3
	until began "$pid"; do
		kill -0 "$pid" || fail 'it ended'
	done
	kill -TERM "$pid"
	interrupted "$pid"
	exec 3>&-
	# What had been gathered was not done.
	value_is k old
}

on_both body
