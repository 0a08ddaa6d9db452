#!/bin/sh
# SPDX-License-Identifier: MIT
# A store can be used again as soon as umount has returned, though its daemon
# still writes what it remembers: who comes next waits for it.
. "$(dirname "$0")/lib.sh"
need_fuse

for i in 1 2 3 4 5; do
	start
	mkdir "$mnt/$i"
	for name in a b c d e f g h; do
		head -c 1000000 /dev/urandom >"$mnt/$i/$name"
	done
	unmount
	start
	is "$(ls "$mnt/$i")" "$(printf '%s\n' a b c d e f g h)" "names"
	rm -r "${mnt:?}/$i"
	unmount
	is "$("$KVCTL" set "$store" "key$i" value 2>&1)" "" "set"
	is "$("$KVCTL" get "$store" "key$i")" value "get"
done

# A daemon that takes longer to end is waited for all the same.
start
echo kept >"$mnt/slow"
pid=$(daemon_pid)
kill -STOP "$pid"
detach "$mnt"
(
	sleep 6
	kill -CONT "$pid"
) &
waker=$!
start
is "$(cat "$mnt/slow")" kept "contents after a long wait"
wait $waker
stop

# One that is mounted is refused at once: nobody is about to close it.
start
mkdir "$work/second"
refused "in use" timeout 4 "$KVFS" "$store" "$work/second"
