#!/bin/sh
# SPDX-License-Identifier: MIT
# Removing names; files that are open live on, and go when they are closed.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

: >"$mnt/file"
rm "$mnt/file"
[ ! -e "$mnt/file" ] || fail "a removed file is there"
refused "No such file" rm "$mnt/file"
mkdir "$mnt/dir"
py <<'END'
fails(errno.EISDIR, os.unlink, "dir")

fd = os.open("open", os.O_CREAT | os.O_RDWR)
os.write(fd, b"data" * 1000)
os.unlink("open")
assert os.fstat(fd).st_nlink == 0
assert os.pread(fd, 8, 3996) == b"data"
os.write(fd, b"more")
os.ftruncate(fd, 10)
os.fchmod(fd, 0o600)
os.fsync(fd)
assert os.pread(fd, 100, 0) == b"datadatada"
# A file of the same name is another one.
with open("open", "w") as other:
    other.write("other")
assert os.pread(fd, 4, 0) == b"data"

# Removed by a rename over it.
fd2 = os.open("victim", os.O_CREAT | os.O_RDWR)
os.write(fd2, b"victim")
os.rename("open", "victim")
assert os.pread(fd2, 6, 0) == b"victim"
assert open("victim").read() == "other"

# Open files that are unlinked survive forgets of the names and of others.
big = os.open("big", os.O_CREAT | os.O_RDWR)
os.write(big, os.urandom(1 << 20))
sample = os.pread(big, 4096, 500000)
os.unlink("big")
for i in range(500):
    os.close(os.open("f%d" % i, os.O_CREAT | os.O_WRONLY))
    os.unlink("f%d" % i)
assert os.pread(big, 4096, 500000) == sample
END

# What was unlinked and closed takes no space: neither now nor later.
rm -rf "$mnt/dir" "$mnt/victim"
i=0
while [ "$(stat_of files)" -ne 1 ]; do
	i=$((i + 1))
	[ $i -lt 100 ] || fail "files left: $(stat_of files)"
	sleep 0.1
done
restart
is "$(stat_of files)" 1 "files after a remount"
stop

# What a removal has given is there to be seen when it is over.
start -o size=64M
py <<'END'
def free():
    state = os.statvfs(".")
    return state.f_bavail * state.f_frsize

for i in range(400):
    with open("large", "wb") as large:
        large.write(bytes(1 << 20))
    full = free()
    os.unlink("large")
    # The index takes some, now and then.
    assert free() - full > 512 << 10, (i, full, free())
END
stop

# What deletes many blocks takes about as long as what made them: half a million
# are promised, and given back by a truncation; promised again, and deleted with
# their file.
store=$work/blocks
start -o block_size=4K
now_ns() {
	date +%s%N
}
promise() {
	begin=$(now_ns)
	fallocate -l 2G "$mnt/blocks"
	took=$(($(now_ns) - begin))
}
# longer_than FACTOR: since `begin`.
longer_than() {
	[ $(($(now_ns) - begin)) -gt $(($1 * took)) ]
}
promise
begin=$(now_ns)
truncate -s 0 "$mnt/blocks"
! longer_than 6 || fail "truncating takes much longer than fallocate"
promise
begin=$(now_ns)
rm "$mnt/blocks"
stop
! longer_than 6 || fail "deleting takes much longer than fallocate"
