#!/bin/sh
# SPDX-License-Identifier: MIT
# Every way to end a mount ends it cleanly: the store needs no recovery.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3

# run [OPTION...]: in the foreground, in the background of this shell.
run() {
	"$KVFS" "$store" "$mnt" -f "$@" &
	daemon=$!
	i=0
	until mountpoint -q "$mnt" && [ -e "$mnt/.stats" ]; do
		i=$((i + 1))
		[ $i -lt 300 ] || fail "not mounted"
		sleep 0.1
	done
}

ended_well() {
	status=0
	wait $daemon || status=$?
	is $status 0 "exit status after $1"
	! mountpoint -q "$mnt" || fail "still mounted after $1"
}

n=0
for signal in TERM INT HUP; do
	run
	is "$(stat_of recovery)" clean "recovery before $signal"
	n=$((n + 1))
	echo $n >"$mnt/count"
	# A shell's background processes ignore INT; a handler replaces that.
	kill -$signal $daemon
	ended_well $signal
done
run
is "$(cat "$mnt/count")" 3 "contents"
is "$(stat_of recovery)" clean "recovery"
umount "$mnt" 2>/dev/null || fusermount3 -u "$mnt"
ended_well umount

# Ignored ones.
run
kill -USR1 $daemon
kill -USR2 $daemon
kill -PIPE $daemon
cat "$mnt/count" >"$work/out"
# user_ready: waits for what python prints when it is.
user_ready() {
	i=0
	until grep -q ready "$work/ready" 2>/dev/null; do
		i=$((i + 1))
		[ $i -lt 300 ] || fail "the user of the mount does not start"
		sleep 0.1
	done
	rm "$work/ready"
}

# A mount that is in use goes as well, with everything written.
python3 -c '
import os, sys, time
os.chdir(sys.argv[1])
f = open("busy", "w")
f.write("written")
f.flush()
print("ready", flush=True)
try:
    while True:
        time.sleep(0.05)
        os.statvfs(".")  # which is never cached
except OSError:
    pass
' "$mnt" >"$work/ready" &
user=$!
user_ready
kill -TERM $daemon
ended_well "TERM while busy"
wait $user || :

for options in writeback commit=1; do
	run -o $options
	is "$(cat "$mnt/busy")" written "contents"
	is "$(stat_of recovery)" clean "recovery"
	python3 -c '
import mmap, os, sys, time
f = open(sys.argv[1] + "/cached", "w")
f.write("x" * 1000000)
f.flush()
fd = os.open(sys.argv[1] + "/mapped", os.O_CREAT | os.O_RDWR)
os.ftruncate(fd, 1000000)
m = mmap.mmap(fd, 1000000)
m[:] = b"m" * 1000000
print("ready", flush=True)
time.sleep(60)
' "$mnt" >"$work/ready" &
	user=$!
	user_ready
	kill -TERM $daemon
	ended_well "TERM with cached pages"
	kill $user
	wait $user 2>/dev/null || :
	run
	is "$(stat -c %s "$mnt/cached")" 1000000 "size of what was cached"
	is "$(tr -d x <"$mnt/cached" | wc -c)" 0 "contents of it"
	is "$(tr -d m <"$mnt/mapped" | wc -c)" 0 "contents of what was mapped"
	is "$(stat -c %s "$mnt/mapped")" 1000000 "size of what was mapped"
	kill -TERM $daemon
	ended_well TERM
done

# kill -9 loses nothing that was acknowledged.
run
i=0
while [ $i -lt 200 ]; do
	echo $i >"$mnt/k$i"
	i=$((i + 1))
done
kill -KILL $daemon
wait $daemon 2>/dev/null || :
gone
run
i=0
while [ $i -lt 200 ]; do
	is "$(cat "$mnt/k$i")" $i "contents of k$i after kill -9"
	i=$((i + 1))
done
kill -TERM $daemon
ended_well TERM
