#!/bin/sh
# SPDX-License-Identifier: MIT
# The store behind the mount: made privately, usable from anywhere, by anybody.
. "$(dirname "$0")/lib.sh"
need_fuse

(cd "$work" && "$KVFS" store mnt)
is "$(stat -c %a "$store")" 700 "mode of a new store"
echo x >"$mnt/x"
is "$(stat -c %d "$mnt")" "$(stat -c %d "$mnt/x")" "device"
stop
# Without standard input, output and error.
start <&- >&- 2>&-
is "$(cat "$mnt/x")" x "contents"
stop
# Whoever waits for the end of a pipe does not wait for the daemon.
mkfifo "$work/pipe"
timeout 60 cat "$work/pipe" >"$work/out" &
reader=$!
start 9>"$work/pipe"
wait $reader || fail "the daemon keeps descriptors it was given"
stop
timeout 60 cat "$work/pipe" >"$work/out" &
reader=$!
start >"$work/pipe" 2>&1
wait $reader || fail "the daemon keeps its standard error"
stop
# An empty directory is good enough, and stays as private as it was.
mkdir -m 750 "$work/empty"
store=$work/empty
start
stop
is "$(stat -c %a "$store")" 750 "mode of a given directory"
# By a link, with slashes.
ln -s store "$work/link"
store=$work/link
"$KVFS" "$work//link/" "$mnt/"
is "$(cat "$mnt/x")" x "contents"
stop
store=$work/store
# Read-only changes nothing on disk.
before=$(cd "$store" && find . -printf '%p %s %T@\n' | LC_ALL=C sort)
start -o ro
is "$(cat "$mnt/x")" x "contents"
refused "Read-only file system" touch "$mnt/y"
refused "Read-only file system" rm "$mnt/x"
stop
after=$(cd "$store" && find . -printf '%p %s %T@\n' | LC_ALL=C sort)
is "$after" "$before" "the store after a read-only mount"
