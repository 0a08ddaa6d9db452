#!/bin/sh
# SPDX-License-Identifier: MIT
# Where the log goes, and what a line of it is; slow requests.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
log=$work/log

# Writes and syncs until a request of more than a millisecond was logged.
make_slow() {
	for round in 1 2 3 4 5 6 7 8 9 10; do
		dd if=/dev/zero of="$mnt/big" bs=1M count=64 conv=fsync \
			2>/dev/null
		! grep -q 'slow: ' "$log" || return 0
	done
	fail "no slow request after $round rounds"
}

start -o "log=$log,slow_op=1,log_level=info"
make_slow
stop
grep -Eqx '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z warning: slow: [a-z_]+ of inode [0-9]+ took [0-9]+ ms' \
	"$log" || fail "no line of a slow request"
grep -Eq "Z info: store $store on $mnt\$" "$log" || fail "no line of the mount"
! grep -Evq '^[0-9]{4}-.*Z (error|warning|info): ' "$log" ||
	fail "a line of another form"
[ "$(stat -c %a "$log")" = 640 ] || fail "mode $(stat -c %a "$log")"

# It is appended to, as JSON this time.
lines=$(wc -l <"$log")
start -o "log=$log,log_format=json,log_level=info,slow_op=1"
grep -qx "log $log" "$mnt/.kvfs/config" || fail "config"
grep -qx "log_format json" "$mnt/.kvfs/config" || fail "config"
make_slow
stop
tail -n +"$((lines + 1))" "$log" | python3 -c '
import datetime, json, sys, time
lines = [json.loads(line) for line in sys.stdin]
assert lines
for line in lines:
    assert set(line) == {"time", "level", "message"}, line
    assert line["level"] in ("error", "warning", "info"), line
    when = datetime.datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    when = when.replace(tzinfo=datetime.timezone.utc).timestamp()
    assert abs(when - time.time()) < 600, line
assert any("slow: " in line["message"] for line in lines), lines
' || fail "the JSON"

# Levels: a quiet one has nothing to say of a mount.
rm "$log"
start -o "log=$log,log_level=error"
stop
[ ! -s "$log" ] || fail "something was logged: $(cat "$log")"

# Without slow_op nothing is slow.
start -o "log=$log,log_level=info"
dd if=/dev/zero of="$mnt/big" bs=1M count=64 conv=fsync 2>/dev/null
stop
! grep -q 'slow: ' "$log" || fail "slow without slow_op"

# Standard error, also of a daemon in the background.
"$KVFS" "$store" "$mnt" -o log=stderr,log_level=info 2>"$work/err"
stop
grep -qx "kvfs: store $store on $mnt" "$work/err" || fail "stderr"
start -o log=syslog
stop

# What cannot be opened, or makes no sense, fails the mount.
refused "cannot open log $work/none/log" \
	"$KVFS" "$store" "$mnt" -o "log=$work/none/log"
refused "option log=relative" "$KVFS" "$store" "$mnt" -o log=relative
refused "option log_format=xml" "$KVFS" "$store" "$mnt" -o log_format=xml
