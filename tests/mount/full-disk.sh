#!/bin/sh
# SPDX-License-Identifier: MIT
# A disk that is full, and a mount that is: several processes fill it, every
# file that was reported written is intact, files can be removed, compaction
# gives the space back, the store can be unmounted and mounted, writing works
# again. On a small ext4 on a loop device, or else on a tmpfs; and again with
# the limit that size= sets. DISK_MIB is the disk's size.
. "$(dirname "$0")/lib.sh"
: "${KVCTL:?the kvctl to test}"
need_fuse
need_root
need python3
size=${DISK_MIB:-96}

disk=$work/disk
mkdir "$disk"
make_disk() {
	truncate -s "${size}M" "$work/image"
	if command -v mkfs.ext4 >/dev/null &&
	   mkfs.ext4 -q -F "$work/image" 2>/dev/null &&
	   mount -o loop "$work/image" "$disk" 2>/dev/null; then
		echo "on ext4"
	else
		mount -t tmpfs -o "size=${size}M" tmpfs "$disk" ||
			skip "no disk of its own can be mounted"
		echo "on tmpfs"
	fi
}

# Writes files of many sizes until there is no space, and notes those whose
# every call succeeded, fsync now and then included.
cat >"$work/filler.py" <<'PYTHON'
import errno, hashlib, os, sys
mnt, record, who = sys.argv[1:4]
directory = "%s/%s" % (mnt, who)
log = open(record, "a")
first = i = int(sys.argv[4])
try:
    os.makedirs(directory, exist_ok=True)
    while True:
        size = [10, 3000, 20000, 300000][i % 4] + i % 977
        seed = ("%s %d" % (who, i)).encode()
        data = (hashlib.sha256(seed).digest() * (size // 32 + 1))[:size]
        name = "%s/%d" % (directory, i)
        fd = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        try:
            done = 0
            while done < size:
                done += os.write(fd, data[done:])
            if i % 16 == 0:
                os.fsync(fd)
        finally:
            os.close(fd)
        log.write("%d\n" % i)
        log.flush()
        i += 1
except OSError as error:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise
print(i - first)
PYTHON

# verify RECORD WHO: what was noted and not removed since is as it was written.
cat >"$work/verify.py" <<'PYTHON'
import hashlib, os, sys
mnt, record, who = sys.argv[1:4]
count = 0
for line in sorted(set(open(record))):
    i = int(line)
    name = "%s/%s/%d" % (mnt, who, i)
    size = [10, 3000, 20000, 300000][i % 4] + i % 977
    seed = ("%s %d" % (who, i)).encode()
    data = (hashlib.sha256(seed).digest() * (size // 32 + 1))[:size]
    try:
        found = open(name, "rb").read()
    except FileNotFoundError:
        if i % 3 != 0:  # those are removed
            raise
        continue
    if found != data:
        sys.exit("%s is not what was written" % name)
    count += 1
print(count)
PYTHON

# What .stats says of the reserve is what the disk says; the daemon may be
# changing it just now.
check_reserve() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		kept=$(stat -c %s "$store/RESERVE" 2>/dev/null || echo 0)
		[ "$(stat_of reserve_bytes)" != "$kept" ] || return 0
		sleep 1
	done
	fail "reserve_bytes $(stat_of reserve_bytes), but $kept are kept"
}

writers="a b c d"

fill() {
	pids=
	for who in $writers; do
		python3 "$work/filler.py" "$mnt" "$work/record.$who" \
			"$who" "$1" >"$work/filled.$who" &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || fail "a writer failed, and not for want of space"
	done
	filled=$(cat "$work"/filled.* | awk '{ n += $1 } END { print n }')
}

verify() {
	for who in $writers; do
		python3 "$work/verify.py" "$mnt" "$work/record.$who" "$who" ||
			fail "a file that was reported written is not intact"
	done | awk '{ n += $1 } END { print n " files are intact" }' \
		>"$work/verified"
	[ -s "$work/verified" ] || fail "not verified"
	cat "$work/verified"
}

remove_third() {
	for who in $writers; do
		while read -r i; do
			[ $((i % 3)) -ne 0 ] || echo "$mnt/$who/$i"
		done <"$work/record.$who"
	done | xargs rm -f || fail "rm does not work on a full disk"
}

# rounds WHERE [OPTION...]: fills, removes, wins back, again and again.
rounds() {
	where=$1
	shift
	rm -f "$work"/record.*
	start "$@"
	fill 0
	echo "$where: $filled files written"
	[ "$filled" -gt 100 ] || fail "$where: full after $filled files"
	verify
	refused "No space left" dd if=/dev/zero of="$mnt/big" bs=1M count=256
	rm -f "$mnt/big"
	check_reserve
	restart "$@"
	verify
	first=$filled
	for round in 1 2; do
		remove_third
		verify
		"$KVCTL" compact "$mnt" >/dev/null ||
			fail "$where: compaction on a full disk"
		fill $((round * 100000))
		echo "$where: $filled files written again"
		[ "$filled" -gt $((first / 10)) ] ||
			fail "$where: only $filled files after removing"
		verify
	done
	restart "$@"
	verify
	stop
	"$KVCTL" check "$store" >/dev/null || fail "$where: not sound"
	start "$@"
	rm -rf "${mnt:?}"/* || fail "$where: removing everything"
	"$KVCTL" compact "$mnt" >/dev/null || fail "$where: compaction"
	dd if=/dev/zero of="$mnt/again" bs=1M count=4 2>/dev/null ||
		fail "$where: writing into an emptied store"
	is "$(stat_of space_low)" 0 "$where: space_low"
	check_reserve
	stop
}

make_disk
store=$disk/store
rounds "disk of $size MiB"
unmount "$disk"
rm -f "$work/image"
store=$work/limited
rounds "size=32M" -o size=32M
