#!/bin/sh
# SPDX-License-Identifier: MIT
# The daemon is killed in the middle of an rsync, again and again. Whatever
# system call was seen to succeed has lasting effect: files that were copied
# whole and synced before are intact, others are absent or a prefix of what was
# written, and the store is sound. KILL_ROUNDS says how often.
. "$(dirname "$0")/lib.sh"
: "${KVCTL:?the kvctl to test}"
need_fuse
need_root
need rsync python3 pgrep
rounds=${KILL_ROUNDS:-50}

# Writes files one after another, syncs each, and notes what has returned.
cat >"$work/writer.py" <<'PYTHON'
import hashlib, os, sys
mnt, record, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = open(record, "a")
i = first
try:
    while True:
        data = hashlib.sha256(b"%d" % i).digest() * (1 + i * 37 % 3000)
        name = "%s/synced/%d" % (mnt, i)
        fd = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)
        log.write("%d\n" % i)
        log.flush()
        i += 1
except OSError:
    pass
PYTHON
cat >"$work/verify.py" <<'PYTHON'
import hashlib, os, sys
mnt, record = sys.argv[1], sys.argv[2]
acknowledged = {int(line) for line in open(record)}
for i in acknowledged:
    data = hashlib.sha256(b"%d" % i).digest() * (1 + i * 37 % 3000)
    if open("%s/synced/%d" % (mnt, i), "rb").read() != data:
        sys.exit("file %d, which was synced, is not what was written" % i)
for name in os.listdir(mnt + "/synced"):
    i = int(name)
    data = hashlib.sha256(b"%d" % i).digest() * (1 + i * 37 % 3000)
    if not data.startswith(open("%s/synced/%d" % (mnt, i), "rb").read()):
        sys.exit("file %d is no prefix of what was written" % i)
print(max(acknowledged, default=-1) + 1)
PYTHON
# Of what rsync copied, a file under its final name is whole: rsync renames.
verify_rsync() {
	rsync -rlcni --existing "$1/" "$mnt/copy/" >"$work/differ"
	grep '^>f' "$work/differ" >"$work/broken" || return 0
	fail "files under their final names are broken: $(cat "$work/broken")"
}

source=/usr/include
daemon_pid() {
	pgrep -f "^$KVFS $store $mnt" || fail "no daemon"
}

start
mkdir "$mnt/synced" "$mnt/copy"
: >"$work/record"
next=0
for round in $(seq "$rounds"); do
	pid=$(daemon_pid)
	rsync -a "$source/" "$mnt/copy/" >/dev/null 2>&1 &
	rsync_pid=$!
	python3 "$work/writer.py" "$mnt" "$work/record" "$next" &
	writer_pid=$!
	sleep "0.$((round * 7919 % 9 + 1))"
	kill -9 "$pid"
	wait "$rsync_pid" || :
	wait "$writer_pid" || :
	umount -l "$mnt" 2>/dev/null || fusermount3 -u -z "$mnt"
	wait_closed "$store"
	"$KVCTL" check "$store" >/dev/null ||
		fail "round $round: check found something"
	start
	next=$(python3 "$work/verify.py" "$mnt" "$work/record") ||
		fail "round $round"
	verify_rsync "$source"
	[ $((round % 10)) -ne 0 ] || rm -rf "$mnt/copy/linux"
done
echo "$rounds rounds, $next synced files intact"
stop
