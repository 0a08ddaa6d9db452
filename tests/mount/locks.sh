#!/bin/sh
# SPDX-License-Identifier: MIT
# Locks of all three kinds, among processes on one mount.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

py <<'END'
import subprocess

open("f", "w").write("x" * 100)

def other(code):
    return subprocess.run([sys.executable, "-c", """
import errno, fcntl, os, struct
fd = os.open("f", os.O_RDWR)
try:
    %s
except OSError as e:
    print(errno.errorcode[e.errno])
else:
    print("ok")
""" % code], capture_output=True, text=True, check=True).stdout.strip()

fd = os.open("f", os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX)
assert other("fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)") == "EAGAIN"
fcntl.flock(fd, fcntl.LOCK_UN)
assert other("fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)") == "ok"

fcntl.lockf(fd, fcntl.LOCK_EX, 10, 10)
assert other("fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 15)") in \
    ("EAGAIN", "EACCES")
assert other("fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 30)") == "ok"
fcntl.lockf(fd, fcntl.LOCK_UN)

F_OFD_SETLK = 37
lock = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 10, 0)
fcntl.fcntl(fd, F_OFD_SETLK, lock)
assert other("fcntl.fcntl(fd, 37, struct.pack('hhqqi', fcntl.F_WRLCK, 0, 5, "
             "1, 0))") in ("EAGAIN", "EACCES")
END

command -v sqlite3 >/dev/null || exit 0
for mode in delete wal; do
	db=$mnt/$mode.db
	sqlite3 "$db" "pragma journal_mode=$mode; create table t(x);" \
		>"$work/out"
	for n in 1 2 3 4; do
		for i in 1 2 3 4 5; do
			sqlite3 -cmd '.timeout 60000' "$db" \
				"insert into t values($n * 100 + $i);" ||
				touch "$work/failed"
		done &
	done
	wait
	[ ! -e "$work/failed" ] || fail "an insert failed ($mode)"
	is "$(sqlite3 "$db" 'select count(*) from t;')" 20 "rows ($mode)"
	is "$(sqlite3 "$db" 'pragma integrity_check;')" ok "database ($mode)"
done
