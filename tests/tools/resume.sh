#!/bin/sh
# SPDX-License-Identifier: MIT
# A check or scrub that was stopped is gone on with; one that the end of a mount
# has ended, the next mount goes on with by itself.
. "$(dirname "$0")/lib.sh"

# Some files of 1 MiB each: enough to be stopped in.
fill() {
	head -c 1048576 /dev/zero >"$work/value"
	i=0
	while [ "$i" -lt "$1" ]; do
		expect 0 set "$target" "dir/$i" --file "$work/value"
		i=$((i + 1))
	done
}

# stop_early COMMAND...: runs it and stops it when it has begun, again and again
# until it was not faster than that and had come somewhere.
stop_early() {
	pause=2
	while :; do
		rm -f "$store/CHECK" "$store/SCRUB"
		"$kvctl" "$@" "$target" >"$work/out" 2>"$work/err" &
		pid=$!
		sleep "$(printf '0.%02d' "$pause")"
		kill -TERM "$pid" 2>/dev/null || :
		status=0
		wait "$pid" || status=$?
		if [ "$status" -eq 8 ] &&
			{ [ -e "$store/CHECK" ] || [ -e "$store/SCRUB" ]; }
		then
			return
		fi
		pause=$((pause * 3 % 97))
	done
}

body() {
	expect 16 check --repair --resume "$target"
	# Without anything to go on from it begins at the beginning.
	expect 0 check --resume "$target"
	expect 0 scrub --resume "$target"
	fill 100
	for command in check 'scrub --rate 0'; do
		# shellcheck disable=SC2086 # a command and its option
		stop_early $command
		# shellcheck disable=SC2086
		expect 0 $command --resume "$target"
		out_is ''
		[ ! -e "$store/CHECK" ] || fail "$command: CHECK is left"
		[ ! -e "$store/SCRUB" ] || fail "$command: SCRUB is left"
	done
	# What has changed meanwhile is no problem.
	stop_early check
	expect 0 set "$target" meanwhile changed
	expect 0 delete "$target" dir/1
	expect 0 check --resume "$target"
	out_is ''
}

on_both body

# --- across mounts ---

# Whether a scrub is under way: then no check begins.
is_scrubbing() {
	status=0
	"$kvctl" check "$target" >/dev/null 2>&1 || status=$?
	[ "$status" -eq 8 ]
}

mode='across mounts'
store=$work/store-across
target=$work/mnt-across
mount_store "$store" "$target"
fill 8
"$kvctl" scrub --rate 32K "$target" >"$work/out" 2>"$work/err" &
pid=$!
until [ -e "$store/SCRUBBING" ]; do :; done
# Not asked to stop: the daemon goes on alone.
kill -9 "$pid"
wait "$pid" 2>/dev/null || :
expect 0 umount "$target"
mount_store "$store" "$target"
is_scrubbing || fail 'it was not gone on with'
kill -9 "$("$kvctl" stats --json "$target" |
	sed -n 's/^ *"pid": \([0-9]*\),*$/\1/p')"
umount -l "$target" 2>/dev/null || fusermount3 -u -z "$target"
mount_store "$store" "$target"
is_scrubbing || fail 'it was not gone on with after its death'
# It can be waited for, and be stopped; then the next mount leaves it alone.
pause=0
while [ -e "$store/SCRUBBING" ]; do
	"$kvctl" scrub --resume "$target" >"$work/out" 2>"$work/err" &
	pid=$!
	# Before that it is a shell, which can take the signal and lose it.
	until grep -qx "${kvctl##*/}" "/proc/$pid/comm"; do :; done
	sleep "$pause"
	pause=$((pause + 1))
	kill -TERM "$pid"
	wait "$pid" && fail 'it was not stopped'
done
expect 0 umount "$target"
mount_store "$store" "$target"
is_scrubbing && fail 'it was stopped, and yet gone on with'
expect 0 scrub --rate 0 --resume "$target"
expect 0 umount "$target"
expect 0 check "$store"
